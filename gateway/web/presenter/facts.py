"""Facts as sentences, for the list of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gateway.web.building.view import iso
from gateway.web.presenter.details import detail
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import NARROW
from gateway.wire import Row

AROUND_MS = 15 * 60_000
"""How much of the history before and after an event is shown with it."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event for people. ``time`` in full; how long after the start where none is known.
    ``around``: the address of the history around it; empty where there is none to see."""

    row: int
    time: str
    kind: str
    kind_text: str
    subject: str
    text: str
    around: str

    @property
    def searched(self) -> str:
        """All its words, as a search looks through them."""
        return f"{self.time} {self.kind_text} {self.subject} {self.text}".casefold()


def tell(row: Row, presenter: Presenter) -> Told:
    """A row of the journal in words. A kind or value we do not know is shown as it is."""
    w, data = presenter.w, row.data
    if row.utc_ms is None:
        time = w("event.no_time", duration=w.ago(row.mono_ms))
    else:
        time = w.moment(row.utc_ms, ms=False)
    subject = presenter.subject(row.subject)
    if row.kind == "guarantee_changed":
        subject, data = w.get(f"guarantee.{row.subject}", row.subject), _guarantee(data, presenter)
    if row.kind in ("message", "message_confirmed") and data.get("reason"):
        data = {**data, "reason": "", "detail": presenter.message_reason(str(data["reason"]))}
    if row.kind == "message":
        said = presenter.message_result(str(data.get("result")), str(data.get("medium") or ""))
        data = {**data, "result": said}
    if row.kind.startswith("alarm_"):
        point, _, kind = row.subject.partition("/")
        subject, text = presenter.subject(point), presenter.alarm_text(kind, point, "what")
    else:
        text = ""
    details = [text] if text else []
    if row.kind == "door_request":
        details = [_asked(data, presenter)]
        data = {name: data[name] for name in ("reason", "note") if data.get(name)}
    if row.kind == "message" and data.get("reason"):
        data = {name: value for name, value in data.items() if name != "reason"}
        details.append(_why_not_sent(str(row.data["reason"]), presenter))
    details += [words for name, value in data.items() if (words := _detail(name, value, presenter))]
    if row.kind == "reading":
        details = [_reading(data, presenter)]
    return Told(
        row.row,
        time,
        row.kind,
        w.get(f"fact.{row.kind}", row.kind),
        subject,
        "; ".join(detail.rstrip(".") for detail in details),
        around(row, presenter),
    )


def _why_not_sent(reason: str, presenter: Presenter) -> str:
    """Why a message was not handed over: other words than for a command."""
    head, _, more = reason.partition(" ")
    return presenter.w.get(f"message_reason.{head.rstrip(':')}", reason, detail=more)


def around(row: Row, presenter: Presenter) -> str:
    """The address of the history around a fact, if whoever looks may see it."""
    if row.utc_ms is None or not presenter.history:
        return ""
    subject = row.subject.partition("/")[0] if row.kind.startswith("alarm_") else row.subject
    points = presenter.points_about(subject)
    if not points:
        return ""
    start, end = iso(row.utc_ms - AROUND_MS), iso(row.utc_ms + AROUND_MS)
    asked = {"points": ",".join(points), "from": start, "to": end, "at": iso(row.utc_ms)}
    return "/history?" + urlencode(asked)


_UNTOLD = frozenset({"command", "via", "initial", "assumed", "configuration", "digest"})
"""Of no use to people: how a thing came, and what it is called inside."""


def _guarantee(data: Mapping[str, Any], presenter: Presenter) -> dict[str, Any]:
    """The change as texts: its value and why."""
    value = presenter.w.get(f"guarantee.{data.get('value')}", str(data.get("value")))
    reason = presenter.guarantee_reason(data)
    return {"outcome": value, "detail": reason, "changes": data.get("changes")}


def _asked(data: Any, presenter: Presenter) -> str:
    outcome = presenter.w.get(f"asked.{data.get('outcome')}", str(data.get("outcome")))
    origin = presenter.origin(data)
    return f"{origin}: {outcome}" if origin else outcome


def _reading(data: Any, presenter: Presenter) -> str:
    quantity = str(data.get("quantity", ""))
    value = data.get("value")
    if value is None:
        reason = str(data.get("reason") or "")
        said = presenter.w.get(f"meter.{reason}", reason) or presenter.w("level.contact_unknown")
        return f"{presenter.w.get(f'unit.{quantity}', quantity)}: {said}"
    return presenter.w.measured(float(value), quantity)


def _detail(name: str, value: Any, presenter: Presenter) -> str:  # noqa: PLR0911, PLR0912  # a table in words
    w = presenter.w
    if value is None or value == "" or name in _UNTOLD:
        if name == "active" and value is None:
            return w("level.contact_unknown")
        return w("event.assumed") if name == "assumed" and value else ""
    match name:
        case "by":
            return presenter.who(str(value))
        case "reason":
            return w.get(f"stop.{value}") or presenter.reason(str(value))
        case "detail":
            return detail(w, str(value))
        case "name":
            return w.get(f"command.{value}", str(value))
        case "outcome" | "mode" | "source" | "severity" | "cause":
            return w.get(f"{name}.{value}", str(value))
        case "activator_kind":
            return w.get(f"who.{value}", str(value))
        case "active":
            return w("level.contact_on" if value else "level.contact_off")
        case "on":
            return w("level.relay_on" if value else "level.relay_off")
        case "side":
            return w.get(f"side.{value}", str(value))
        case "activator":
            return presenter.terminals.name(w, str(value))
        case "channel":
            return w("field.way", number=int(value) + 1) if value else ""
        case "point":
            return f"{w('field.point')} {presenter.terminals.name(w, str(value))}"
        case "receiver":
            return f"{w('field.receiver')} {presenter.receiver(str(value))}"
        case "message":
            return w.get(f"occasion.{value}") or presenter.alarm_text(str(value), "", "what")
        case "result":
            return str(value)
        case "occupancy":
            return w.get(f"occupancy.{value}", str(value))
        case "call" | "delivery" | "about" | "medium":  # the last is a part of the result
            return ""
        case "attends" if not presenter.private:
            return ""
        case "test":
            return w("field.test") if value else ""
        case "pulls" | "count" if value == 1:
            return ""
    label = w.get(f"field.{name}", name)
    if name.endswith("_utc_ms") and isinstance(value, int):
        return f"{label}: {presenter.utc(value)}"
    if name.endswith("_ms") and isinstance(value, int | float):
        said = w.ago(int(value)) if value >= 120_000 else f"{w.number(value / 1000)}{NARROW}s"
        return f"{label}: {said}"
    if isinstance(value, bool):
        return f"{label}: {w('event.yes' if value else 'event.no')}"
    return f"{label}: {value}"
