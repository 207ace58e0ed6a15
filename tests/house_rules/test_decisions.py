"""Decisions have one form, and what a later one replaced says so, with a link that is right."""

from __future__ import annotations

import datetime
import re
from itertools import pairwise
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "gateway" / "DECISIONS.md"
HEADING = re.compile(r"(\d{4}-\d\d-\d\d) · ([A-Z`a-z].{5,})")
PARTS = ("Context", "Decision", "Consequences")
MARK = re.compile(r"\*(Superseded|Superseded in part|Extended) by \[([^]]+)\]\(#([^)]+)\)\.\*")


def entries(text: str) -> list[tuple[str, str]]:
    """(heading, what stands below it) of every entry."""
    return [
        (block.partition("\n")[0].strip(), block.partition("\n")[2])
        for block in re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    ]


def anchor(heading: str) -> str:
    """Where a link to a heading leads: small letters, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def faults(text: str) -> list[str]:
    """What is wrong with a file of decisions."""
    found, places = [], {}
    every = entries(text)
    for number, (heading, _) in enumerate(every):
        if (match := HEADING.fullmatch(heading)) is None:
            found.append(f"{heading}: no date and title")
            continue
        datetime.date.fromisoformat(match[1])
        if match[2] in places:
            found.append(f"{heading}: there twice")
        places[match[2]] = (number, anchor(heading))
    dates = [heading[:10] for heading, _ in every]
    found += [f"{a} stands before {b}" for a, b in pairwise(dates) if a > b]
    for number, (heading, body) in enumerate(every):
        parts = re.findall(r"^\*\*(.+?)\.?\*\*", body, re.MULTILINE)
        if parts != [part for part in PARTS if part in parts] or "Decision" not in parts:
            found.append(f"{heading}: has {', '.join(parts) or 'no parts'}")
        for mark in MARK.findall(body):
            if mark[1] not in places or mark[2] != places[mark[1]][1]:
                found.append(f"{heading}: no entry {mark[1]}")
            elif places[mark[1]][0] <= number:
                found.append(f"{heading}: {mark[1]} is not later")
        marks = re.findall(r"superseded|extended by|widened below", body, re.IGNORECASE)
        if len(marks) != len(MARK.findall(body)):
            found.append(f"{heading}: a mark of another form")
    return found


def test_decisions_have_their_form_and_their_marks_lead_somewhere() -> None:
    assert faults(FILE.read_text(encoding="utf-8")) == []


GOOD = """# Decisions
## 2026-01-01 · Use a file
*Superseded by [Use two files](#2026-01-02--use-two-files).*

**Context.** One. **Decision** stands within a line here.
**Decision.** Two.

## 2026-01-02 · Use two files
**Decision.** Three.
**Consequences.** Four.
"""


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("", "", ""),
        ("## 2026-01-02 · ", "## 2026-01-02 - ", "no date and title"),
        ("## 2026-01-01 · ", "## 2026-01-03 · ", "stands before"),
        ("Use a file", "Use two files", "there twice"),
        ("[Use two files]", "[Use three files]", "no entry"),
        ("(#2026-01-02--use", "(#2026-01-02-use", "no entry"),
        ("[Use two files](#2026-01-02--use-two", "[Use a file](#2026-01-01--use-a", "no entry"),
        ("**Decision.** Two", "**Choice.** Two", "has Context, Choice"),
        ("**Decision.** Three.\n", "", "has Consequences"),
        ("by [Use two files](#2026-01-02--use-two-files).*", "below.*", "form"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_decision_is_seen(before: str, after: str, fault: str) -> None:
    found = faults(GOOD.replace(before, after, 1))
    assert found == [] if not fault else any(fault in one for one in found)
