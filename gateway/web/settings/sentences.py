"""The settings in sentences: what applies now, what a form would make of it, and what a change
has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from gateway.web.settings import rows
from gateway.web.settings.rows import Form, Row
from gateway.web.settings.week import alike, week
from gateway.web.shared.words import Words

SPAN = re.compile(r"(\d+)\s*(s|min|h)\Z")


class SettingsText:
    """Sentences in one language about settings as ``control`` has shown them."""

    def __init__(self, words: Words, shown: Mapping[str, Any]) -> None:
        self.w = words
        self.shown = shown

    # --- times ----------------------------------------------------------------------------

    def days(self, word: str) -> str:
        """``mon-fri`` as people write it."""
        parts = re.split(r"[,\s]+", word.strip())
        return ", ".join(
            "–".join(self.w.get(f"day_short.{end}", end) for end in part.split("-"))
            for part in parts
        )

    def dates(self, first: str, last: str = "") -> str:
        """One day or a range of days; as it was written where it is none."""
        try:
            shown = [self.w.date(one, year=True) for one in (first, last) if one]
        except ValueError:
            return first
        return " – ".join(shown if first != last else shown[:1])

    def mode(self, mode: str) -> str:
        return self.w.get(f"mode.{mode}", mode)

    def _times(self, row: Row) -> str:
        start, end = row["from"], row["to"]
        return f"{start or '00:00'}–{end or '24:00'}" if start or end else ""

    def week_lines(self, form: Form, mode: str) -> list[str]:
        """The week, days that are the same in one line."""
        return [
            f"{self._day_range(first, last)}: "
            + ", ".join(
                f"{span.times} {self.mode(span.mode)}" if len(spans) > 1 else self.mode(span.mode)
                for span in spans
            )
            for first, last, spans in alike(week(form, mode))
        ]

    def _day_range(self, first: str, last: str) -> str:
        one = self.w(f"day_short.{first}")
        return one if first == last else f"{one}–{self.w(f'day_short.{last}')}"

    def door(self, door: Mapping[str, Any]) -> str:
        """What the schedule of a door says, in one line."""
        if not door["schedule"]:
            return self.w("settings.always", mode=self.mode(str(door["mode"])))
        form = rows.weekly("", "schedule", door["schedule"])
        said = [
            " ".join(
                filter(None, [self.days(row["days"]), self._times(row), self.mode(row["mode"])])
            )
            for row in form.rows
        ]
        if form.otherwise:
            said.append(self.w("settings.else", mode=self.mode(form.otherwise)))
        return ", ".join(said)

    def exception(self, row: Row, door: str, note: str = "") -> str:
        """What an exception means for a door."""
        when = self.dates(row["first"], row["last"])
        times = self._times(row)
        said = self.w(
            "settings.on_day_at" if times else "settings.on_day",
            when=when,
            times=times,
            what=self.w.get(f"settings_effect.{row['mode']}", self.mode(row["mode"]), door=door),
        )
        return f"{said} ({note})" if note else said

    def on_holiday(self, day: str, door: Mapping[str, Any]) -> str:
        """What a door does on a public holiday, in a few words."""
        found = [
            row
            for row in rows.weekly("", "exceptions", door["exceptions"]).rows
            if row["first"] <= day <= (row["last"] or row["first"])
        ]
        if not found and not door["schedule"]:
            return self.mode(str(door["mode"]))
        if not found:
            lines = rows.weekly("", "schedule", door["schedule"]).rows
            found = [row for row in lines if "holiday" in row["days"].split(",")]
        said = [" ".join(filter(None, [self._times(row), self.mode(row["mode"])])) for row in found]
        return ", ".join(said) or self.w("settings.as_weekday")

    # --- people ---------------------------------------------------------------------------

    def contact(self, id: str) -> str:
        """What people call a contact."""
        known = self.shown["effective"]["contacts"].get(id) or {}
        return str(known.get("name") or id)

    def whom(self, push: str) -> str:
        """Whose devices get push messages: a role, or a user by name."""
        return self.w.get(f"role.{push}", push)

    def hours(self, lines: Any) -> str:
        if not lines or lines == ["daily"]:
            return self.w("settings.always_on_duty")
        found = rows.hours("", lines).rows
        return ", ".join(
            " ".join(filter(None, [self.days(row["days"]), self._times(row)])) for row in found
        )

    def span(self, text: str) -> str:
        match = SPAN.match(text)
        return f"{match[1]}\u202f{match[2]}" if match else text

    def steps(self, steps: Any) -> str:
        """A chain in words: at once A, after 2 min B, then every 5 min C."""
        said = []
        for step in steps or ():
            if not isinstance(step, Mapping):
                continue
            who = self.contact(str(step.get("notify", "")))
            if "every" in step:
                said.append(self.w("settings.then_every", span=self.span(step["every"]), who=who))
            elif re.match(r"0\s", str(step.get("after", "0 s")) + " "):
                said.append(self.w("settings.at_once", who=who))
            else:
                said.append(self.w("settings.after", span=self.span(step["after"]), who=who))
        return ", ".join(said) or self.w("settings.nobody")

    # --- what a change has changed --------------------------------------------------------

    def changes(self, change: Mapping[str, Any]) -> list[str]:
        """Sentences for one saved change."""
        if change["parts"] is None:
            return [self.w("settings.changed_unknown")]
        found: list[str] = []
        whole = {
            one["part"].split(".")[1]
            for one in change["parts"]
            if one["part"].startswith("contacts.")
            and one["part"].endswith(".channels")
            and None in (one["before"], one["after"])
        }
        by_push = self._whole_by_push(change) - whole
        for name in sorted(by_push):
            gone = all(one["after"] is None for one in _parts_of(change, name))
            key = "settings.contacts_removed" if gone else "settings.contacts_added"
            found.append(self.w(key, name=self.contact(name)))
        for one in change["parts"]:
            part = one["part"].split(".")
            if part[0] == "contacts" and part[1] in whole and part[-1] != "channels":
                continue  # of a contact that is new or gone no more is said
            if part[0] == "contacts" and part[1] in by_push:
                continue
            found += self._part(part, one["before"], one["after"])
        return found or [self.w("settings.changed_nothing")]

    def _whole_by_push(self, change: Mapping[str, Any]) -> set[str]:
        """Contacts that came or went and are reached by push messages only. The page gives a
        contact its name when it adds it, and one of the configuration has one there already."""
        named = {one["part"].split(".")[1] for one in change["parts"] if _is(one, "name")}
        pushed = {one["part"].split(".")[1] for one in change["parts"] if _is(one, "push")}
        in_file = set((self.shown.get("in_file") or {}).get("contacts", ()))
        return {
            name
            for name in (named & pushed) - in_file
            if all(one["before"] is None for one in _parts_of(change, name))
            or all(one["after"] is None for one in _parts_of(change, name))
        }

    def _part(self, part: list[str], was: Any, now: Any) -> list[str]:  # noqa: PLR0911, PLR0912 - a table
        name = part[1] if len(part) > 1 else ""
        if any(isinstance(one, Mapping) and one.get("long") is True for one in (was, now)):
            return [self.w("settings.changed_part", name=".".join(part))]
        match part:
            case ["doors", door, "schedule"]:
                return [f"{self._door(door)}: {one}" for one in self._lines("schedule", was, now)]
            case ["doors", door, "exceptions"]:
                return [f"{self._door(door)}: {one}" for one in self._lines("exceptions", was, now)]
            case ["notes", door, _]:
                return [self.w("settings.changed_note", name=self._door(door), note=now or was)]
            case ["gateway", "holidays"]:
                return [self._instead("settings.holidays_of", self._region(now), self._region(was))]
            case ["rooms", room, "escalation"]:
                rooms = self.shown["effective"]["rooms"]
                at = (rooms.get(room) or {}).get("name", room)
                return [f"{at}: {self._bound(now, was)}"]
            case ["alarms", severity]:
                at = self.w.get(f"severity.{severity}", severity)
                return [f"{at}: {self._bound(now, was)}"]
            case ["contacts", _] | ["escalations", _] if now is None or was is None:
                key = "removed" if now is None else "added"
                return [self.w(f"settings.{part[0]}_{key}", name=self.contact(name))]
            case ["escalations", _]:
                return [
                    f"{name}: " + self._instead("settings.is", self.steps(now), self.steps(was))
                ]
            case ["contacts", _, "hours"]:
                now_text, was_text = self.hours(now), self.hours(was)
                return [
                    f"{self.contact(name)}: " + self._instead("settings.is", now_text, was_text)
                ]
            case ["contacts", _, "name"]:
                return [self._instead("settings.is", str(now or name), str(was or name))]
            case ["contacts", _, "push"]:
                return [f"{self.contact(name)}: {self._push(now, was)}"]
            case ["contacts", _, "channels"]:
                return self._channels(name, was, now)
        return [self.w("settings.changed_part", name=".".join(part))]

    def _push(self, now: Any, was: Any) -> str:
        if not now:
            return self.w("settings.push_no_more", was=self.whom(str(was)))
        said = self.w("settings.push_to", whom=self.whom(str(now)))
        return self.w("settings.instead", now=said, was=self.whom(str(was))) if was else said

    def _channels(self, name: str, was: Any, now: Any) -> list[str]:
        if was is None or now is None:
            key = "settings.contacts_removed" if now is None else "settings.contacts_added"
            return [self.w(key, name=self.contact(name))]
        more = len(now) - len(was)
        key = "added" if more > 0 else "removed" if more < 0 else "changed"
        return [self.w(f"settings.address_{key}", name=self.contact(name))]

    def _door(self, door: str) -> str:
        doors = self.shown["effective"]["doors"]
        return str((doors.get(door) or {}).get("name", door))

    def _bound(self, now: Any, was: Any) -> str:
        """To which chain something is attached now."""
        if not now:
            return self.w("settings.no_chain_any_more", was=was)
        said = self.w("settings.chain_is", what=now)
        return self.w("settings.instead", now=said, was=was) if was else said

    def _region(self, region: Any) -> str:
        return (
            self.w.get(f"region.{region}", str(region)) if region else self.w("settings.no_region")
        )

    def _instead(self, key: str, now: str, was: str) -> str:
        return self.w("settings.instead", now=self.w(key, what=now), was=was)

    def _lines(self, kind: str, was: Any, now: Any) -> list[str]:
        """Lines of a schedule or of exceptions: those that are new, gone or changed."""
        before, after = (
            rows.weekly("", kind, one if isinstance(one, Mapping) else {}) for one in (was, now)
        )
        gone = [row for row in before.rows if row not in after.rows]
        new = [row for row in after.rows if row not in before.rows]
        said = []
        for row in new:
            other = next((old for old in gone if self._alike(old, row)), None)
            if other is None:
                said.append(self.w("settings.line_new", line=self._line(row)))
            else:
                gone.remove(other)
                said.append(self._line_changed(other, row))
        said += [self.w("settings.line_gone", line=self._line(row)) for row in gone]
        if before.otherwise != after.otherwise and not before.otherwise:
            said.append(self.w("settings.else_is", what=self.mode(after.otherwise)))
        elif before.otherwise != after.otherwise:
            modes = [
                self.mode(form.otherwise) if form.otherwise else "–" for form in (after, before)
            ]
            said.append(self._instead("settings.else_is", *modes))
        return said

    @staticmethod
    def _alike(one: Row, other: Row) -> bool:
        """Whether they are about the same days."""
        keys = ("days",) if "days" in one else ("first", "last")
        return all(one[key] == other[key] for key in keys)

    def _line(self, row: Row) -> str:
        days = self.days(row["days"]) if "days" in row else self.dates(row["first"], row["last"])
        return " ".join(filter(None, [days, self._times(row), self.mode(row["mode"])]))

    def _line_changed(self, was: Row, now: Row) -> str:
        days = self.days(now["days"]) if "days" in now else self.dates(now["first"], now["last"])
        said = []
        if was["mode"] != now["mode"]:
            said.append(
                self._instead("settings.is", self.mode(now["mode"]), self.mode(was["mode"]))
            )
        if was["from"] != now["from"]:
            said.append(
                self._instead("settings.begins", now["from"] or "00:00", was["from"] or "00:00")
            )
        if was["to"] != now["to"]:
            said.append(self._instead("settings.ends", now["to"] or "24:00", was["to"] or "24:00"))
        return f"{days} {', '.join(said)}"


def _is(one: Mapping[str, Any], key: str) -> bool:
    section, _, rest = str(one["part"]).partition(".")
    return section == "contacts" and rest.endswith(f".{key}")


def _parts_of(change: Mapping[str, Any], contact: str) -> list[Mapping[str, Any]]:
    return [one for one in change["parts"] if one["part"].startswith(f"contacts.{contact}.")]


def effects(
    before: list[dict[str, Any]], after: list[dict[str, Any]], text: SettingsText
) -> list[str]:
    """What a change would change in the next days, in sentences: day by day and door by door."""
    known = {day["date"]: day for day in before}
    said: list[str] = []
    for day in after:
        old = known.get(day["date"])
        for door, there in day["doors"].items():
            was = old["doors"].get(door, {}).get("modes") if old else None
            if was is not None and was != there["modes"]:
                said.append(
                    text.w(
                        "settings.day_becomes",
                        day=text.w.date(day["date"]),
                        door=text.shown["effective"]["doors"][door]["name"],
                        now=_modes(there["modes"], text),
                        was=_modes(was, text),
                    )
                )
    return said


def _modes(modes: list[dict[str, str]], text: SettingsText) -> str:
    if len(modes) == 1:
        return text.mode(modes[0]["mode"])
    return ", ".join(f"{one['from']} {text.mode(one['mode'])}" for one in modes)


def is_date(text: str) -> bool:
    """Whether it is a day of the calendar as a form sends it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
