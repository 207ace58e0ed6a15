"""The week of a door as lines of coloured spans, from the rows of its form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from gateway.settings.values.weekly import DAY_MIN, DAYS, WEEK_MIN, clock, parse_rule
from gateway.web.settings.rows import Form, key_of

HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the day, and what applies then; an empty ``mode``: nothing is said."""

    start: int
    end: int
    mode: str

    @property
    def width(self) -> int:
        return self.end - self.start

    @property
    def times(self) -> str:
        return f"{clock(self.start)}–{'24:00' if self.end == DAY_MIN else clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Line:
    """``day``: ``mon`` to ``sun`` or ``holiday``."""

    day: str
    spans: tuple[Span, ...]


def week(form: Form, mode: str) -> list[Line]:
    """Seven days, and the public holiday where a row names it. ``mode``: what applies where the
    form says nothing. Rows that are wrong are left out."""
    base = form.otherwise or mode
    minutes, holiday, named = [base] * WEEK_MIN, [base] * DAY_MIN, False
    for row in form.rows:
        key = key_of("schedule", row)
        try:
            rule = parse_rule(key, row["mode"])
        except ValueError:
            continue
        if not row["mode"]:
            continue
        for start, end in rule.ranges:
            if rule.sort == HOLIDAY:
                named = True
                holiday[start : min(end, DAY_MIN)] = [row["mode"]] * (min(end, DAY_MIN) - start)
            for day in rule.days if rule.sort == "days" else ():
                for minute in range(day * DAY_MIN + start, day * DAY_MIN + end):
                    minutes[minute % WEEK_MIN] = row["mode"]
    lines = [
        Line(day, _spans(minutes[n * DAY_MIN : (n + 1) * DAY_MIN])) for n, day in enumerate(DAYS)
    ]
    return [*lines, Line(HOLIDAY, _spans(holiday))] if named else lines


def _spans(minutes: list[str]) -> tuple[Span, ...]:
    found, at = [], 0
    for mode, run in groupby(minutes):
        length = len(list(run))
        found.append(Span(at, at + length, mode))
        at += length
    return tuple(found)


def alike(lines: list[Line]) -> list[tuple[str, str, tuple[Span, ...]]]:
    """Days that follow each other and are the same: first, last, spans."""
    found: list[tuple[str, str, tuple[Span, ...]]] = []
    for line in lines:
        if found and found[-1][2] == line.spans and HOLIDAY not in (line.day, found[-1][1]):
            found[-1] = (found[-1][0], line.day, line.spans)
        else:
            found.append((line.day, line.day, line.spans))
    return found


SLUGS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e"})


def slug(name: str, taken: object = ()) -> str:
    """A name that can stand in a topic, from what people call somebody; another one where it is
    ``taken``."""
    text = re.sub(r"[^a-z0-9]+", "_", name.strip().casefold().translate(SLUGS)).strip("_")[:32]
    base, number = text or "contact", 2
    found = base
    while found in taken:  # type: ignore[operator]  # a container of names
        found, number = f"{base}_{number}", number + 1
    return found
