"""Tables fit the terminal, and no word is cut in two."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gateway.app.cli.listing import Listing


def printed(table: Listing, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(table)
    return file.getvalue()


def rows(*texts: tuple[str, ...]) -> Listing:
    made = Listing("point", "kind", "what it says", "why")
    for row in texts:
        made.add_row(*row)
    return made


LONG = (
    ("front.button_inside", "contact", "inactive for 3 min", "contact_chattering, not open"),
    ("wc.climate", "meter", "temperature_c 21.5, relative_humidity_percent 47", ""),
)


@pytest.mark.parametrize("width", [120, 80, 60, 40, 30])
def test_every_word_is_whole_and_every_line_fits(width: int) -> None:
    text = printed(rows(*LONG), width)
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    for row in LONG:
        for cell in row:
            assert set(cell.split()) <= words, (cell, text)


@pytest.mark.parametrize("width", [90, 80, 70])
def test_a_time_is_never_broken_and_an_empty_column_is_left_out(width: int) -> None:
    made = Listing("alarm", "raised", "detail", "note", whole=("raised",))
    made.add_row("front/left_open", "2026-11-30 18:00:00 CET", "a bag lies in the door " * 3, "")
    text = printed(made, width)
    assert "2026-11-30 18:00:00 CET" in text
    assert "front/left_open" in text
    assert "note" not in text
    assert max(map(len, text.splitlines())) <= width


def test_side_by_side_where_it_fits_else_below_one_another() -> None:
    short = rows(("a", "relay", "on", "-"))
    assert printed(short, 60).splitlines()[0].split() == [
        "point",
        "kind",
        "what",
        "it",
        "says",
        "why",
    ]
    assert printed(rows(*LONG), 40).splitlines()[:3] == [
        "front.button_inside",
        "  kind: contact",
        "  what it says: inactive for 3 min",
    ]
