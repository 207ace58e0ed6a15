"""What is wrong with a configuration, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class Phrase(str):
    """An English text with the ``template`` and the ``values`` that it was made from, so that the
    page can say it in another language."""

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]


def phrase(template: str, **values: object) -> Phrase:
    """Make a text from ``template`` and ``values``, which may be :class:`Phrase` themselves."""
    made = Phrase(template.format(**values))
    made.template, made.values = template, values
    return made


def parts(text: object) -> Any:
    """A text for JSON: ``[template, values]`` for a :class:`Phrase`, whose values are given in the
    same way, else the text itself."""
    if isinstance(text, Phrase):
        return [text.template, {name: parts(value) for name, value in text.values.items()}]
    return str(text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` and ``column`` count from 1; ``key`` is the dotted way
    to the value; ``hint`` is the remedy."""

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.message}{hint}"


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A value that is not allowed and was replaced by the nearest one that is: ``applies``."""

    written: str
    applies: str
    problem: Problem

    @property
    def name(self) -> str:
        """The same value is the same name, wherever it stands in the file."""
        return f"{self.problem.key} {self.written}"

    def __str__(self) -> str:
        return f"{self.problem}; until then {self.applies} applies"


class SettingsError(Exception):
    """The configuration cannot be used; ``problems`` holds everything that is wrong with it,
    in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.file, p.line, p.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))


MOST_CHOICES = 12
"""Longer lists of what would be possible are cut: nobody reads them."""


def near(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was probably meant to be."""
    known = list(choices)
    folded = {choice.casefold(): choice for choice in reversed(known)}
    found = difflib.get_close_matches(word.casefold()[:80], folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def suggest(word: str, choices: Iterable[str], otherwise: str = "possible are") -> str:
    """The remedy for a word that is not among ``choices``."""
    known = list(choices)
    best = near(word, known)
    if best is not None:
        return phrase("did you mean {best}?", best=best)
    if not known:
        return phrase("there are none")
    shown = ", ".join(known[:MOST_CHOICES])
    if len(known) > MOST_CHOICES:
        more = len(known) - MOST_CHOICES
        return phrase("{head} {choices} and {more} more", head=phrase(otherwise), choices=shown,
                    more=more)  # fmt: skip
    return phrase("{head} {choices}", head=phrase(otherwise), choices=shown)
