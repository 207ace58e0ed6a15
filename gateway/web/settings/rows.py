"""Rows of the settings' forms from the words of the configuration, and back.

A line such as ``mon-fri 07:00-12:00 13:00-18:00: automatic`` is two rows of days, times and a
mode. A time that is left empty is midnight; a row that says nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_ROWS = 100
Row = dict[str, str]
FIELDS: Mapping[str, tuple[str, ...]] = {
    "schedule": ("days", "from", "to", "mode"),
    "exceptions": ("first", "last", "from", "to", "mode", "note"),
    "hours": ("days", "from", "to"),
    "steps": ("kind", "count", "unit", "notify"),
}
DAYS = (
    "daily", "mon-fri", "mon-sat", "sat,sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    "holiday",
)  # fmt: skip
UNITS = ("s", "min", "h")
_TIMES = re.compile(r"(\d{1,2}:\d{2})-(\d{1,2}:\d{2})\Z")
_SPAN = re.compile(r"(\d+)\s*(s|min|h)\Z")


class Twice(ValueError):
    """Two rows say something about the very same time."""


@dataclass
class Form:
    """One form of the page. ``part``: what it changes, such as ``doors.front.schedule``."""

    part: str
    kind: str
    rows: list[Row] = field(default_factory=list)
    otherwise: str = ""
    errors: dict[int, list[str]] = field(default_factory=dict)
    """By row; -1: of the whole form."""

    @property
    def id(self) -> str:
        return self.part.replace(".", "-")

    def more(self) -> None:
        """An empty row. Of an exception with the mode that is wanted nearly always: a day off."""
        row = dict.fromkeys(FIELDS[self.kind], "")
        self.rows.append(row | {"mode": "night"} if self.kind == "exceptions" else row)


def _clock(text: str) -> str:
    """As a time field wants it; midnight at the end of the day is left empty."""
    return "" if text in ("", "24:00", "0:00", "00:00") else text.zfill(5)


def _lines(keys: Iterable[tuple[str, str]]) -> Iterable[tuple[list[str], str, str, str]]:
    for key, value in keys:
        words = re.split(r"[,\s]+", key.strip())
        days = [word for word in words if not _TIMES.match(word)]
        times = [match for word in words if (match := _TIMES.match(word))]
        for start, end in [(match[1], match[2]) for match in times] or [("", "")]:
            yield days, _clock(start), _clock(end), value


def weekly(
    part: str, kind: str, lines: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> Form:
    """Of a schedule or its exceptions. ``notes``: why, by line."""
    form = Form(part, kind, otherwise=lines.get("otherwise", ""))
    keys = [(key, value) for key, value in lines.items() if key != "otherwise"]
    for days, start, end, mode in _lines(keys):
        if kind == "exceptions":
            for one in days:
                first, _, last = one.partition("..")
                row = {"first": first, "last": last, "from": start, "to": end, "mode": mode}
                row["note"] = (notes or {}).get(key_of(kind, row), "")
                form.rows.append(row)
        else:
            named = ",".join(days) or "daily"
            form.rows.append({"days": named, "from": start, "to": end, "mode": mode})
    return form


def hours(part: str, lines: Any) -> Form:
    """Of a contact; nothing written: every day."""
    keys = [lines] if isinstance(lines, str) else list(lines or ["daily"])
    rows = [
        {"days": ",".join(days) or "daily", "from": start, "to": end}
        for days, start, end, _ in _lines((key, "") for key in keys)
    ]
    return Form(part, "hours", rows)


def steps(part: str, given: Any) -> Form:
    """Of an escalation."""
    rows = []
    for one in given or ():
        kind = "every" if "every" in one else "after"
        match = _SPAN.match(str(one.get(kind, "0 s")))
        count, unit = (match[1], match[2]) if match else (str(one.get(kind, "")), "s")
        rows.append({"kind": kind, "count": count, "unit": unit, "notify": str(one["notify"])})
    return Form(part, "steps", rows)


def posted(fields: Mapping[str, str], part: str, kind: str) -> Form:
    """What was sent, row by row, also rows that are wrong."""
    form = Form(part, kind, otherwise=fields.get("otherwise", ""))
    for n in range(MOST_ROWS):
        if not any(f"{name}.{n}" in fields for name in FIELDS[kind]):
            break
        form.rows.append({name: fields.get(f"{name}.{n}", "").strip() for name in FIELDS[kind]})
    return form


def _times(row: Row) -> str:
    start, end = row["from"], row["to"]
    return f" {start or '00:00'}-{end or '24:00'}" if start or end else ""


def key_of(kind: str, row: Row) -> str:
    """The words of a row; empty where it says nothing."""
    if kind == "exceptions":
        if not row["first"]:
            return ""
        last = row["last"]
        span = f"{row['first']}..{last}" if last and last != row["first"] else row["first"]
        return span + _times(row)
    return row["days"] + _times(row) if row["days"] else ""


def value(form: Form) -> Any:
    """What the overlay says then. Raises :class:`Twice`."""
    if form.kind == "steps":
        return [
            {row["kind"] or "after": f"{row['count'] or '0'} {row['unit'] or 's'}",
             "notify": row["notify"]}
            for row in form.rows
            if row["notify"]
        ]  # fmt: skip
    keys = [(key, row) for row in form.rows if (key := key_of(form.kind, row))]
    if len({key for key, _ in keys}) < len(keys):
        raise Twice
    if form.kind == "hours":
        return [key for key, _ in keys] or ["daily"]
    lines = {key: row["mode"] for key, row in keys}
    return {**lines, "otherwise": form.otherwise} if form.otherwise else lines


def notes(form: Form) -> dict[str, str]:
    """Why there is an exception, by its line."""
    found = {key_of(form.kind, row): row.get("note", "") for row in form.rows}
    return {key: note for key, note in found.items() if key and note}


def place(form: Form, key: str) -> int | None:
    """Which row of the form an error belongs to; -1: to all of it; ``None``: to none."""
    if form.kind == "steps":
        match = re.match(re.escape(form.part) + r"\[(\d+)\]", key)
        if match:
            said = [n for n, row in enumerate(form.rows) if row["notify"]]
            return said[int(match[1])] if int(match[1]) < len(said) else -1
    elif key.startswith(form.part + "."):
        wanted = key.removeprefix(form.part + ".")
        for n, row in enumerate(form.rows):
            if key_of(form.kind, row) == wanted:
                return n
    return -1 if key == form.part or key.startswith((form.part + ".", form.part + "[")) else None
