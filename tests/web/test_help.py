"""The manuals: whole in both languages, and true to the words of the page."""

from __future__ import annotations

import re

import pytest

from gateway.web.help import manuals
from gateway.web.shared.words import LANGUAGES, catalogue

EVERY = [(name, language) for name in manuals.NAMES for language in LANGUAGES]
OWN_WORDS = {
    "de": {
        "Hingehen.",
        "Grau",
        "wer",
        "Angeschlossenes bewegt sich dann.",
        "Vergleichen",
        "CSV",
        "JSON",
    },
    "en": {"Go there.", "Grey", "who", "Connected equipment will move.", "Compare", "CSV", "JSON"},
}
"""Bold in a manual, and no word of the page."""


def text(name: str, language: str) -> str:
    return (manuals.TEXTS / language / f"{name}.md").read_text(encoding="utf-8")


def on_the_page(words: str, language: str) -> bool:
    """Whether a text of the page has these words; a ``{name}`` of the text stands for any."""
    for value in (one.replace("\u202f", " ") for one in catalogue(language).values()):
        own = re.sub(r"\{\w+\}", "", value)
        filled = re.sub(r"\\{\w+\\}", ".+", re.escape(value.rstrip(".")))
        fits = len(own) > 5 and re.fullmatch(filled, words, re.IGNORECASE)
        if words.lower() in value.lower() or fits:
            return True
    return False


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_what_a_manual_calls_a_button_is_on_the_page(name: str, language: str) -> None:
    """Bold words name what somebody is to look for."""
    bold = re.findall(r"\*\*(.+?)\*\*", text(name, language), re.DOTALL)
    steps = [step.strip() for words in bold for step in words.replace("\n", " ").split("→")]
    looked_for = [step for step in steps if step not in OWN_WORDS[language]]
    assert [step for step in looked_for if not on_the_page(step, language)] == []


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_every_picture_of_a_manual_is_there(name: str, language: str) -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text(name, language))
    folder = manuals.TEXTS / language
    assert [one for one in shown if not (folder / one).is_file()] == []


@pytest.mark.parametrize("name", manuals.NAMES)
def test_both_languages_have_the_same_sections(name: str) -> None:
    counts = {language: text(name, language).count("\n## ") for language in LANGUAGES}
    assert len(set(counts.values())) == 1, counts
    assert min(counts.values()) > 3


def test_a_manual_has_a_table_of_its_sections() -> None:
    html = manuals.manual("caretaker", "de").html
    assert 'href="#ein-notruf"' in html
    assert 'id="ein-notruf"' in html
    assert "<table>" in html


@pytest.mark.parametrize("name", ["nothing", "../pages", "caretaker.md", "."])
def test_there_is_no_other_manual(name: str) -> None:
    with pytest.raises(KeyError):
        manuals.manual(name, "de")
