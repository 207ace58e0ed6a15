"""What goes over the live stream: the pieces of the page, and facts, as frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.web.house.house import House
from gateway.web.house.view import fact_json, status_json
from gateway.web.identity.users import ROLES
from gateway.web.scene.scene import Scene
from gateway.web.shared.render import fragment
from gateway.wire import Row


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Parts:
    """One state of the page: ``event`` is ``page`` (for pages) or ``status`` (for programs)."""

    event: str
    values: dict[str, Any]

    @classmethod
    def of(cls, house: House, scene: Scene | None, role: str) -> Parts:
        if scene is None:
            return cls("status", {"status": status_json(house)})
        may = {name: ROLES.index(role) >= place for place, name in enumerate(ROLES)}
        shown = {"scene": scene, "w": scene.w, "may": may, "csrf": ""}
        values: dict[str, Any] = {
            "connection": scene.connection,
            "html:connection": fragment("parts/connection.html", {"scene": scene}),
            "html:pill": fragment("parts/pill.html", {"scene": scene}),
            "html:alarms": fragment("parts/alarms.html", shown),
            "html:alarms-all": fragment("parts/alarms_all.html", shown),
            "html:calls": fragment("parts/calls.html", {**shown, "live": True}),
            "html:call-alert": fragment("parts/call_alert.html", {"scene": scene}),
            "calls": {
                "ringing": any(call.ringing for call in scene.calls),
                "standing": any(not call.test for call in scene.calls),
            },
            "html:guarantees": fragment("parts/guarantees.html", {"scene": scene, "w": scene.w}),
            "html:guarantees-summary": fragment("parts/guarantees_summary.html", shown),
            "html:today": fragment("parts/today.html", shown),
            "html:alarm-count": fragment("parts/alarm_count.html", {"scene": scene}),
        }
        for door in scene.doors:
            about = {"door": door, "w": scene.w, "may": may, "csrf": ""}
            values[f"html:door.{door.id}"] = fragment("parts/door.html", about)
            values[f"html:door-more.{door.id}"] = fragment("parts/door_more.html", about)
            values[f"door:{door.id}"] = {
                "ok": door.ok,
                "needs_reason": door.needs_reason,
                "why": scene.w("door.cannot", reason=door.why) if door.why else "",
                "command": door.command,
                "answer": door.answer,
                "settled": door.settled,
                "result": door.result,
                "now": door.now,
            }
        for room in scene.rooms:
            values[f"html:room.{room.id}"] = fragment(
                "parts/room.html", {"room": room, "w": scene.w}
            )
        for point in scene.points:
            shown = {"point": point, "w": scene.w, "may": may}
            values[f"html:point.{point.id}"] = fragment("parts/point.html", shown)
            values[f"html:level.{point.id}"] = fragment("parts/level.html", shown)
        return cls("page", values)

    def _frame(self, values: dict[str, Any]) -> bytes:
        data = values["status"] if self.event == "status" else values
        return f"event: {self.event}\ndata: ".encode() + compact(data) + b"\n\n"

    def whole(self) -> bytes:
        return self._frame(self.values)

    def since(self, before: Parts) -> bytes:
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


def fact_frame(row: Row, scene: Scene | None) -> bytes:
    """One fact; its id is the row number, from which a client resumes."""
    fact = fact_json(row)
    if scene is not None:
        fact = {"row": row.row, "kind": row.kind, "subject": row.subject}
    return b"id: %d\nevent: fact\ndata: %s\n\n" % (row.row, compact(fact))
