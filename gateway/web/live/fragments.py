"""Frames of the live stream: fragments of the page, and facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.building.view import fact_json, status_json
from gateway.web.identity.users import ROLES
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.render import fragment
from gateway.wire import Row


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def building_parts(presenter: Presenter, may: Mapping[str, bool]) -> dict[str, Any]:
    """The pieces of the status of one building: its alarms, guarantees, doors and rooms."""
    shown = {"presenter": presenter, "w": presenter.w, "may": may, "csrf": ""}
    values: dict[str, Any] = {
        "html:alarms": fragment("parts/alarms.html", shown),
        "html:guarantees": fragment("parts/guarantees.html", shown),
        "html:guarantees-summary": fragment("parts/guarantees_summary.html", shown),
    }
    for door in presenter.doors:
        about = {"door": door, "w": presenter.w, "may": may, "csrf": ""}
        values[f"html:door.{door.id}"] = fragment("parts/door.html", about)
        values[f"html:door-more.{door.id}"] = fragment("parts/door_more.html", about)
        values[f"door:{door.id}"] = {
            "ok": door.ok,
            "needs_reason": door.needs_reason,
            "why": presenter.w("door.cannot", reason=door.why) if door.why else "",
            "command": door.command,
            "answer": door.answer,
            "settled": door.settled,
            "result": door.result,
            "now": door.now,
        }
    for room in presenter.rooms:
        values[f"html:room.{room.id}"] = fragment(
            "parts/room.html", {"room": room, "w": presenter.w}
        )
    return values


@dataclass(frozen=True, slots=True)
class Fragments:
    """One state of the page: ``event`` is ``page`` (for pages) or ``status`` (for programs)."""

    event: str
    values: dict[str, Any]

    @classmethod
    def of(cls, control: SnapshotReader, presenter: Presenter | None, role: str) -> Fragments:
        if presenter is None:
            return cls("status", {"status": status_json(control)})
        may: dict[str, bool] = {
            name: ROLES.index(role) >= place for place, name in enumerate(ROLES)
        }
        shown = {"presenter": presenter, "w": presenter.w, "may": may, "csrf": ""}
        values: dict[str, Any] = {
            "connection": presenter.connection,
            "html:connection": fragment("parts/connection.html", {"presenter": presenter}),
            "html:pill": fragment("parts/pill.html", {"presenter": presenter}),
            "html:alarms-all": fragment("parts/alarms_all.html", shown),
            "html:calls": fragment("parts/calls.html", {**shown, "live": True}),
            "html:call-alert": fragment("parts/call_alert.html", {"presenter": presenter}),
            "calls": {
                "ringing": any(call.ringing for call in presenter.calls),
                "standing": any(not call.test for call in presenter.calls),
            },
            "html:today": fragment("parts/today.html", shown),
            "html:alarm-count": fragment("parts/alarm_count.html", {"presenter": presenter}),
        }
        values |= building_parts(presenter, may)
        for point in presenter.points:
            shown = {"point": point, "w": presenter.w, "may": may}
            values[f"html:point.{point.id}"] = fragment("parts/point.html", shown)
            values[f"html:level.{point.id}"] = fragment("parts/level.html", shown)
        return cls("page", values)

    def _frame(self, values: dict[str, Any]) -> bytes:
        data = values["status"] if self.event == "status" else values
        return f"event: {self.event}\ndata: ".encode() + compact(data) + b"\n\n"

    def whole(self) -> bytes:
        return self._frame(self.values)

    def since(self, before: Fragments) -> bytes:
        """The frame of what has changed; empty where nothing has."""
        changed = {k: v for k, v in self.values.items() if before.values.get(k) != v}
        changed |= {key: None for key in before.values if key not in self.values}
        if self.event == "status":
            now, then = dict(self.values["status"]), dict(before.values["status"])
            changed = {"status": now} if _timeless(now) != _timeless(then) else {}
        return self._frame(changed) if changed else b""


def _timeless(status: dict[str, Any]) -> dict[str, Any]:
    """Without what moves with every snapshot: the time, and the instants of evidence."""
    found = {key: value for key, value in status.items() if key != "now"}
    found["guarantees"] = [
        {key: value for key, value in one.items() if key != "evidence"}
        for one in status["guarantees"]
    ]
    return found


def fact_frame(row: Row, presenter: Presenter | None) -> bytes:
    """One fact; its id is the row number, from which a client resumes."""
    fact = fact_json(row)
    if presenter is not None:
        fact = {"row": row.row, "kind": row.kind, "subject": row.subject}
    return b"id: %d\nevent: fact\ndata: %s\n\n" % (row.row, compact(fact))
