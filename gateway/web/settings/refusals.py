"""What the loader refuses on the page Settings, in the reader's language.

The loader speaks English, as on the command line, and says what each text was made of
(:func:`gateway.settings.values.problems.parts`). A template that has no translation stays English;
a house rule sees to it that each one that the page can cause has one. Keys and words of the
configuration stay as they are in the file, in quotation marks, with their meaning behind them.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from gateway.core.events import MODES
from gateway.web.shared.words import catalogue

FILE = Path(__file__).parent.parent / "locales" / "refusals.toml"
WRITTEN = frozenset({"word", "text", "best", "choices", "name", "range", "dates", "other"})
"""Values that are words of the configuration; ``choices`` are several."""


@cache
def _tables() -> dict[str, dict[str, str]]:
    return tomllib.loads(FILE.read_text("utf-8"))


def templates(language: str) -> dict[str, str]:
    """English templates and what they are in ``language``; none for English itself."""
    return _tables().get(language, {})


def text(language: str, parts: Any) -> str:
    """A text of the loader from its parts."""
    if isinstance(parts, str):
        return templates(language).get(parts, parts)
    template, values = parts
    told = {
        name: text(language, value) if isinstance(value, list) else _value(language, name, value)
        for name, value in values.items()
    }
    return templates(language).get(template, str(template)).format(**told)


def at(language: str, key: str, said: str) -> str:
    """What is wrong, with the key that it is about; ``key`` may be empty."""
    return f"{_quoted(language, key)}: {said}" if key else said


def _value(language: str, name: str, value: object) -> object:
    if name not in WRITTEN or not isinstance(value, str):
        return value
    words = value.split(", ") if name == "choices" else [value]
    return ", ".join(_quoted(language, word) for word in words)


def _quoted(language: str, word: str) -> str:
    if language not in _tables():
        return word
    if word[:1] == word[-1:] == "'":  # as Python writes a text
        word = word[1:-1]
    values = _tables()[f"{language}_values"]
    meaning = catalogue(language)[f"mode.{word}"] if word in MODES else values.get(word)
    return f"„{word}“ ({meaning})" if meaning else f"„{word}“"
