"""Entries of the logbook as sentences: what the list shows, and the facts behind each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TypeVar

from gateway.core.instant import UtcMs
from gateway.web.building.view import iso
from gateway.web.history.entries import Entry
from gateway.web.presenter.facts import Told, tell
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import Words
from gateway.wire import Row, calendar_time

SLOW_OPENING_MS = 3_000
"""A door that takes longer from the press until it opens is worth a word."""
DAY_MS = 86_400_000
NOTES_MOST = 4
_ICONS = {
    "opening": "door-open", "refused": "hand", "mode": "clock", "service": "wrench",
    "call": "siren", "room_test": "flask", "alarm": "bell", "fire": "triangle-alert",
    "visit": "bath", "delivery": "message", "settings": "settings", "restart": "plug",
    "guarantee": "activity",
}  # fmt: skip
_ICONS_OF_KINDS = {
    "reading": "thermometer", "contact_changed": "plug", "contact_count": "plug",
    "relay_changed": "zap", "relay_tested": "zap", "leak": "droplet", "clock_stepped": "clock",
    "clock_trusted": "clock", "command_refused": "hand", "presence_changed": "user",
    "occupancy_changed": "bath", "occupancy_hour": "bath",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogbookLine:
    """One entry for people. ``id`` is the number of its first fact, ``version`` changes whenever
    a fact joins it. ``tone``: ``bad``, ``warn`` or ``call``, or empty. ``address`` leads to the
    entry's own page, where it has one."""

    id: int
    version: str
    icon: str
    tone: str
    time: str
    moment: str
    title: str
    place: str
    notes: tuple[str, ...]
    address: str
    facts: tuple[Told, ...]
    also: str = ""
    """Words that people look for it with and that it does not show."""

    @property
    def searched(self) -> str:
        """All its words, as a search looks through them."""
        own = " ".join((self.title, self.place, *self.notes, self.also)).casefold()
        return " ".join((own, *(fact.searched for fact in self.facts)))


def line(entry: Entry, presenter: Presenter) -> LogbookLine:
    """An entry in words."""
    title, tone, notes = _SAY.get(entry.sort, _single)(entry, presenter)
    kind = entry.first.kind
    icon = _ICONS.get(entry.sort) or _ICONS_OF_KINDS.get(kind, "info")
    if entry.sort == "opening" and entry.end is not None and not entry.begun:
        icon = "door-closed"
    address = presenter.call_address(_call_of(entry)) if entry.sort == "call" else ""
    utc_ms = entry.first.utc_ms
    return LogbookLine(
        id=entry.row,
        version=f"{entry.last_row}.{len(entry.facts)}",
        icon=icon,
        tone=tone,
        time=_time(entry.first, presenter),
        moment=iso(utc_ms) or "",
        title=title,
        place=_place(entry, presenter),
        notes=tuple(note.rstrip(".") for note in notes if note)[:NOTES_MOST],
        address=address,
        facts=tuple(tell(row, presenter) for row in entry.facts),
        also=presenter.w("logbook.not_opened_words") if _did_not_open(entry) else "",
    )


def _did_not_open(entry: Entry) -> bool:
    """Whether it says that a door stayed closed for whoever wanted to pass."""
    alarm = entry.sort == "alarm" and entry.subject.endswith("/did_not_open")
    return entry.sort == "refused" or entry.outcome == "did_not_open" or alarm


L = TypeVar("L")


def days(
    lines: list[tuple[Entry, L]], now_utc_ms: UtcMs, words: Words
) -> list[tuple[str, list[L]]]:
    """Lines below the heading of their day, in the zone of ``words``; without a time, apart."""
    today = calendar_time(now_utc_ms, words.zone).date()
    lines = _by_time(lines)

    def day(one: tuple[Entry, L]) -> date | None:
        utc_ms = one[0].first.utc_ms
        return None if utc_ms is None else calendar_time(utc_ms, words.zone).date()

    return [
        (
            words.heading(when, today) if when else words("entry.no_day"),
            [a for _, a in found],
        )
        for when, found in groupby(lines, day)
    ]


def _by_time(lines: list[tuple[Entry, L]]) -> list[tuple[Entry, L]]:
    """The newest first by civil time. What has none stays beside its neighbours in the journal."""
    timed, utc_ms = [], 2**62
    for place, one in enumerate(lines):
        own = one[0].first.utc_ms
        utc_ms = utc_ms if own is None else own
        timed.append((-utc_ms, place))
    return [lines[place] for _, place in sorted(timed)]


def _time(row: Row, presenter: Presenter) -> str:
    if row.utc_ms is None:
        return presenter.w("event.no_time", duration=presenter.w.ago(row.mono_ms))
    return presenter.w.time_of_day(row.utc_ms)


def _place(entry: Entry, presenter: Presenter) -> str:
    if entry.sort in ("settings", "restart", "guarantee", "alarm", "delivery"):
        return ""
    if entry.sort == "mode":
        return ", ".join(dict.fromkeys(presenter.subject(door) for door in entry.subjects))
    return presenter.subject(entry.subject.partition("/")[0])


def _call_of(entry: Entry) -> str:
    return str(entry.first.data.get("call"))


def lasted(ms: int, presenter: Presenter) -> str:
    """A span in one unit, up to days."""
    if ms >= 2 * DAY_MS:
        return presenter.w.plural("lasting.days", round(ms / DAY_MS))
    return presenter.w.ago(ms)


def _number(row: Row | None, name: str) -> int | None:
    value = row.data.get(name) if row is not None else None
    return int(value) if isinstance(value, int | float) else None


def _between(first: Row, last: Row | None) -> int | None:
    """The time between two facts, where it is known."""
    if last is None or last is first:
        return None
    if first.boot == last.boot:
        return last.mono_ms - first.mono_ms
    if first.utc_ms is None or last.utc_ms is None:
        return None
    return last.utc_ms - first.utc_ms


Said = tuple[str, str, list[str]]
"""Title, tone, notes."""


# --- doors


def _opening(entry: Entry, presenter: Presenter) -> Said:
    w = presenter.w
    requests = entry.of("door_request")
    opened = entry.opened
    origin = _origin(requests[0], presenter) if requests else ""
    cause = str(opened.data.get("cause") or "hand") if opened else ""
    tone = "bad" if cause == "forced" else ""
    if opened is None and requests:
        failed = entry.outcome == "did_not_open" or (entry.lost and entry.end is None)
        tone = "warn" if failed else tone
        title = w("entry.not_opened" if failed else "entry.asked", who=origin)
    elif opened is None:
        title = w("entry.closed")
    elif cause in ("request", "test") and (origin or opened.data.get("by")):
        title = w("entry.opened_by", who=origin or presenter.who(str(opened.data["by"])))
    else:
        title = w.get(f"entry.opened_{cause}") or w("entry.opened_request")
    notes = [_open_for(entry, presenter)]
    took_ms = _number(opened, "press_to_open_ms")
    if took_ms is not None and took_ms >= SLOW_OPENING_MS:
        notes.append(w("entry.opened_late", duration=w.seconds(took_ms)))
    if entry.outcome in ("left_open", "did_not_close"):
        tone = tone or "warn"
        notes.append(w(f"entry.{entry.outcome}"))
    counted = sum(_number(one, "count") or 0 for one in entry.of("refusals_counted"))
    more = len(requests) - 1 + counted
    if requests and more > 0:
        notes.append(w.plural("entry.more_requests", more))
    if opened is not None and opened.data.get("assumed"):
        notes.append(w("entry.assumed"))
    notes += [str(note) for one in requests[:1] if (note := one.data.get("note"))]
    return title, tone, [*notes, *_restarted(entry, presenter)]


def _origin(request: Row, presenter: Presenter) -> str:
    """Who or what asked, at the beginning of a sentence."""
    name = presenter.origin(request.data)
    return name[:1].upper() + name[1:] if request.data.get("activator") else name


def _open_for(entry: Entry, presenter: Presenter) -> str:
    w, opened = presenter.w, entry.opened
    if entry.end is not None:
        open_ms = _number(entry.end, "open_ms")
        if open_ms is None and opened is not None:
            open_ms = _between(opened, entry.end)
        return "" if open_ms is None else w("entry.open_for", duration=lasted(open_ms, presenter))
    if opened is None:
        return ""
    if entry.lost:
        return w("entry.no_closing")
    door = presenter.control.door(entry.subject)
    return w("entry.open_now") if door and door["state"] != "closed" else ""


def _restarted(entry: Entry, presenter: Presenter) -> list[str]:
    return [presenter.w("entry.restarted")] if entry.restarted else []


def _refused(entry: Entry, presenter: Presenter) -> Said:
    w, data = presenter.w, entry.first.data
    counted = sum(_number(one, "count") or 0 for one in entry.of("refusals_counted"))
    count = counted + len(entry.of("door_request"))
    who = _origin(entry.first, presenter) or w("entry.somebody")
    outcome = str(data.get("outcome") or "refused")
    key = "entry.refused" if outcome == "refused" else "entry.counted"
    notes = [presenter.reason(str(data.get("reason") or "")), _times(count, presenter)]
    return w(key, who=who), "warn", notes


def _times(count: int, presenter: Presenter) -> str:
    return presenter.w("mark.number", count=presenter.w.number(count, 0)) if count > 1 else ""


def _mode(entry: Entry, presenter: Presenter) -> Said:
    w, data = presenter.w, entry.first.data
    mode = w.get(f"mode.{data.get('mode')}", str(data.get("mode")))
    source, by = str(data.get("source")), data.get("by")
    if source == "override" and by:
        title, notes = w("entry.mode_by", who=presenter.who(str(by)), mode=mode), []
    else:
        title, notes = w("entry.mode", mode=mode), [w.get(f"source.{source}", source)]
    until = _number(entry.first, "until_utc_ms")
    if until is not None:
        day = calendar_time(until, w.zone).date()
        same = entry.first.utc_ms is not None and (
            day == calendar_time(entry.first.utc_ms, w.zone).date()
        )
        time = w.time_of_day(until) if same else w.minute(until)
        notes.append(w("door.until", time=time))
    return title, "", notes


def _spell(entry: Entry, presenter: Presenter, key: str, tone: str = "") -> Said:
    """What somebody began, and what ended it."""
    w, by = presenter.w, entry.first.data.get("by")
    if not entry.begun:
        return w(f"entry.{key}_over"), "", []
    title = w(f"entry.{key}_by", who=presenter.who(str(by))) if by else w(f"entry.{key}")
    return title, tone, [_lasting(entry, presenter), *_restarted(entry, presenter)]


def _lasting(entry: Entry, presenter: Presenter) -> str:
    ms = _between(entry.first, entry.end)
    return "" if ms is None else presenter.w("entry.lasted", duration=lasted(ms, presenter))


def _service(entry: Entry, presenter: Presenter) -> Said:
    return _spell(entry, presenter, "service")


def _room_test(entry: Entry, presenter: Presenter) -> Said:
    return _spell(entry, presenter, "room_test")


def _fire(entry: Entry, presenter: Presenter) -> Said:
    if entry.first.data.get("active") is None:
        return presenter.w("entry.fire_unknown"), "bad", [_lasting(entry, presenter)]
    return _spell(entry, presenter, "fire", "bad")


# --- calls, alarms, rooms


def _call(entry: Entry, presenter: Presenter) -> Said:
    w = presenter.w
    raised = entry.of("call_raised")
    real = any(not row.data.get("test") for row in raised) or not raised
    notes = []
    for row in entry.of("call_seen")[:1]:
        who = presenter.who(str(row.data.get("by") or ""))
        notes.append(_after("entry.call_only_seen", row, presenter, who=who))
    for row in entry.of("call_acknowledged")[:1]:
        who = presenter.goes(row.data.get("attends"), str(row.data.get("by") or ""))
        notes.append(_after("entry.call_seen", row, presenter, who=who))
    for row in entry.of("call_attended")[:1]:
        notes.append(_after("entry.call_attended", row, presenter))
    if entry.end is not None:
        notes.append(_after("entry.call_over", entry.end, presenter))
    elif any(presenter.control.call(str(row.data.get("call"))) for row in raised):
        notes.append(w("entry.call_stands"))
    messages = len({row.data.get("delivery") for row in entry.of("message")})
    if messages:
        notes.append(w.plural("entry.messages", messages))
    title = w("entry.call" if real else "entry.call_test")
    if not entry.begun and entry.end is not None:
        title = w("entry.call_ended")
    return title, "call" if real else "", [*notes, *_restarted(entry, presenter)]


def _after(key: str, row: Row, presenter: Presenter, **values: str) -> str:
    after_ms = _number(row, "after_ms")
    duration = (
        "" if after_ms is None else presenter.w("entry.after", duration=lasted(after_ms, presenter))
    )
    return presenter.w(key, **values, after=duration).strip()


def _alarm(entry: Entry, presenter: Presenter) -> Said:
    w = presenter.w
    subject, _, kind = entry.subject.partition("/")
    what = presenter.alarm_text(kind, subject, "what")
    raised = entry.of("alarm_raised")
    severity = str(raised[0].data.get("severity")) if raised else ""
    notes: list[str] = []
    if not entry.begun and entry.end is not None:
        active_ms = _number(entry.end, "active_ms")
        if active_ms is not None:
            notes.append(w("entry.lasted", duration=lasted(active_ms, presenter)))
        return w("entry.alarm_over", what=what), "", notes
    if entry.end is not None:
        active_ms = _number(entry.end, "active_ms")
        ms = _between(entry.first, entry.end) if active_ms is None else active_ms
        notes.append("" if ms is None else w("entry.alarm_lasted", duration=lasted(ms, presenter)))
    elif any(alarm["id"] == entry.subject for alarm in presenter.control.alarms):
        notes.append(w("alarm_life.stands"))
    for row in entry.of("alarm_acknowledged")[:1]:
        notes.append(w("alarm.seen_by", who=presenter.who(str(row.data.get("by") or ""))))
    count = max((_number(row, "count") or 1 for row in raised), default=1)
    notes.append(_times(count, presenter))
    messages = len({row.data.get("delivery") for row in entry.of("message")})
    if messages:
        notes.append(w.plural("entry.messages", messages))
    tone = {"emergency": "bad", "urgent": "bad", "fault": "warn"}.get(severity, "")
    return what, tone, notes


def _visit(entry: Entry, presenter: Presenter) -> Said:
    for_ms = _number(entry.end, "for_ms")
    ms = _between(entry.first, entry.end) if for_ms is None else for_ms
    notes = [] if ms is None else [presenter.w("entry.lasted", duration=lasted(ms, presenter))]
    return presenter.w("entry.visit"), "", [*notes, *_restarted(entry, presenter)]


def _delivery(entry: Entry, presenter: Presenter) -> Said:
    w, last = presenter.w, entry.facts[-1]
    said = next((row for row in entry.facts if row.data.get("message")), None)
    receiver = presenter.receiver(str(last.data.get("receiver") or ""))
    message = str(said.data["message"]) if said else ""
    what = w.get(f"occasion.{message}") or presenter.alarm_text(message, "", "what")
    if said is None:
        return w("entry.confirmed", who=receiver), "", []
    result = str(last.data.get("result") or "confirmed")
    medium = str(last.data.get("medium") or "")
    known = "" if result == "confirmed" else presenter.message_result(result, medium)
    notes = [known or w("entry.receipt"), _message_reason(last, presenter)]
    tone = "warn" if result == "failed" else ""
    title = w("entry.message", what=what, who=receiver)
    return title[:1].upper() + title[1:], tone, notes


def _message_reason(row: Row, presenter: Presenter) -> str:
    return presenter.message_reason(str(row.data.get("reason") or ""))


# --- the gateway


def _settings(entry: Entry, presenter: Presenter) -> Said:
    by = str(entry.first.data.get("by") or "")
    notes = [_pause(entry, presenter)]
    if not by or by.startswith("system:"):
        return presenter.w("entry.reloaded"), "", notes
    return presenter.w("entry.settings", who=presenter.who(by)), "", notes


def _pause(entry: Entry, presenter: Presenter) -> str:
    stopped = next(iter(entry.of("gateway_stopped")), None)
    ms = _between(stopped, entry.end) if stopped else None
    return "" if ms is None else presenter.w("entry.pause", duration=lasted(ms, presenter))


def _restart(entry: Entry, presenter: Presenter) -> Said:
    w, first = presenter.w, entry.first
    if entry.end is None:
        return w("entry.stopped"), "warn", [_stop_reason(first, presenter)]
    if first.kind == "gateway_stopped":
        notes = [_stop_reason(first, presenter), _pause(entry, presenter)]
        return w("entry.started_again"), "", notes
    clean = bool(first.data.get("clean"))
    return w("entry.started" if clean else "entry.started_dirty"), "" if clean else "warn", []


def _stop_reason(row: Row, presenter: Presenter) -> str:
    return presenter.w.get(f"stop.{row.data.get('reason')}") or presenter.w("entry.stop_other")


def _guarantee(entry: Entry, presenter: Presenter) -> Said:
    w, first = presenter.w, entry.first
    name = w.get(f"guarantee.{entry.subject}", entry.subject)
    value = str(first.data.get("value"))
    notes = [presenter.guarantee_reason(first.data), _lasting(entry, presenter)]
    tone = {"no": "bad", "unknown": "warn"}.get(value, "")
    text = (
        presenter.fails(entry.subject)
        if value == "no"
        else w(f"entry.guarantee_{value}", name=name)
    )
    return text, tone, notes


def _single(entry: Entry, presenter: Presenter) -> Said:
    described = tell(entry.first, presenter)
    if described.kind == "command_refused":
        return _command_refused(entry, presenter)
    notes = [described.text, _times(len(entry.facts), presenter)]
    return described.kind_text, "warn" if described.kind == "journal_recovered" else "", notes


def _command_refused(entry: Entry, presenter: Presenter) -> Said:
    w, data = presenter.w, entry.first.data
    who = presenter.who(str(data.get("by") or "")) or w("entry.somebody")
    what = w.get(f"command.{data.get('name')}") or w("fact.command_refused")
    notes = [presenter.reason(str(data.get("reason") or "")), _times(len(entry.facts), presenter)]
    return w("entry.command_refused", who=who, what=what), "warn", notes


_SAY: dict[str, Callable[[Entry, Presenter], Said]] = {
    "opening": _opening, "refused": _refused, "mode": _mode, "service": _service, "call": _call,
    "room_test": _room_test, "alarm": _alarm, "fire": _fire, "visit": _visit,
    "delivery": _delivery, "settings": _settings, "restart": _restart, "guarantee": _guarantee,
}  # fmt: skip


def matcher(words: list[str], presenter: Presenter) -> Callable[[Entry], bool] | None:
    """Whether an entry has all these words, in any order; ``None`` where there are none."""
    if not words:
        return None

    def says(entry: Entry) -> bool:
        searched = line(entry, presenter).searched
        return all(word in searched for word in words)

    return says
