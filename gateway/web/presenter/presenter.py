"""Puts the building into words for the templates, in one language and for one role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.snapshot_types import AlarmShown, DoorShown, RequestShown
from gateway.panel.snapshot_types import GuaranteeShown
from gateway.web.building.guarantees import guarantees
from gateway.web.presenter.details import detail
from gateway.web.presenter.pictures import bars
from gateway.web.presenter.points import point_view
from gateway.web.presenter.rooms import call_view, room_view
from gateway.web.presenter.sentences import Sentences
from gateway.web.presenter.view_models import (
    AlarmView,
    BadgeView,
    BarsView,
    CallView,
    DoorView,
    GuaranteeView,
    Icon,
    OverallView,
    PointView,
    RoomView,
    State,
)

SLOW_EVIDENCE_MS = 120_000
"""Evidence that lasts this long is shown with its time; all other is of the last minute."""
SEVERITIES = ("emergency", "urgent", "fault", "notice")
FIRST_EVIDENCE_MS = 60_000
"""So soon after a start *since* is only *at least since*: what was before is not known."""
TONES: dict[str, State] = {"emergency": "bad", "urgent": "bad", "fault": "warn", "notice": "info"}
"""How a severity looks."""
LEAVES: dict[str, Icon] = {
    "closed": "door-closed", "open": "door-open", "opening": "door-open", "closing": "door-open",
}  # fmt: skip
MODE_ICONS: dict[str, Icon] = {
    "automatic": "sun", "exit_only": "lock", "hold_open": "lock-open", "night": "moon", "off": "x",
}  # fmt: skip
ALARM_ICONS: dict[str, Icon] = {
    "leak": "droplet", "did_not_open": "door-closed", "left_open": "door-open",
    "forced": "door-open",
}  # fmt: skip
REMEDIES = {"no_contact": "/settings"}
"""Where what takes a guarantee away is mended on the page."""
LATER_MS = 2_000
"""A state of the leaf that began so long after a result is not what the result speaks of."""


class Presenter(Sentences):
    """What the templates print of the building, part by part."""

    @property
    def connection(self) -> dict[str, str]:
        """``state``: ok, lost, restarts or never, with its sentence."""
        if self.control.connected:
            shown = self.control.snapshot
            trusted = shown is None or shown.get("clock_trusted", True)
            note = "" if trusted else "status.clock_untrusted"
            return {"state": "ok", "text": self.w(note) if note else "", "advice": ""}
        if not self.known:
            return {"state": "never", "text": self.w("status.control_never"), "advice": ""}
        if self.control.restarting:
            return {"state": "restarts", "text": self.w("status.control_restarts"), "advice": ""}
        since = self.w.clock(self.control.since_utc_ms, self.control.now_utc_ms, seconds=True)
        text, advice = self.w("status.control_lost", since=since), self.w("status.lost_advice")
        return {"state": "lost", "text": text, "advice": advice}

    @property
    def overall(self) -> OverallView:
        """The gravest thing that is so now; that all is well only with evidence for everything."""
        if (away := self._away()) is not None:
            return away
        severities = {alarm.severity for alarm in self.open_alarms}
        if any(not call.test for call in self.calls):
            return OverallView("call", "siren", self.w("pill.call"))
        if severities - {"notice"}:
            faults = [alarm for alarm in self.open_alarms if alarm.severity != "notice"]
            state: State = "bad" if {"emergency", "urgent"} & severities else "warn"
            text = self.w.plural("pill.fault", len(faults))
            return OverallView(state, "triangle-alert", text)
        return self._without_faults()

    def _without_faults(self) -> OverallView:
        values = {one.value for one in self.guarantees}
        if "no" in values:
            return OverallView("warn", "triangle-alert", self.w("pill.limited"))
        if self.calls:
            return OverallView("info", "flask", self.w("pill.test"))
        if notices := len(self.open_alarms):
            return OverallView("info", "info", self.w.plural("pill.notice", notices))
        if "unknown" in values or not values:
            return OverallView("unknown", "clock", self.w("pill.unproven"))
        return OverallView("good", "check", self.w("pill.well"))

    def _away(self) -> OverallView | None:
        """The same while ``control`` does not answer; ``None`` while it does."""
        if self.control.connected:
            return None
        if not self.known:
            return OverallView("lost", "plug", self.w("pill.never"))
        if self.control.restarting:
            return OverallView("unknown", "clock", self.w("pill.restarts"))
        since = self.w.clock(self.control.since_utc_ms, self.control.now_utc_ms)
        return OverallView("lost", "wifi-off", self.w("pill.lost", since=since))

    @property
    def doors(self) -> list[DoorView]:
        return [self._door(id, door) for id, door in self.control.doors.items()]

    def door(self, id: str) -> DoorView | None:
        found = self.control.door(id)
        return self._door(id, found) if found is not None else None

    @property
    def openings(self) -> list[BarsView]:
        """Today's openings of each door; none while nobody has read them, or may."""
        if self.today is None:
            return []
        return [
            bars(self.w, str(door.get("name") or id), self.today.openings[id], self.today.now)
            for id, door in self.control.doors.items()
            if id in self.today.openings
        ]

    @property
    def rooms(self) -> list[RoomView]:
        return [room_view(self, id, room) for id, room in self.control.rooms.items()]

    @property
    def calls(self) -> list[CallView]:
        """The calls that stand, real ones first."""
        found = (call_view(self, id, room) for id, room in self.control.rooms.items())
        return sorted(filter(None, found), key=lambda call: (call.test, not call.ringing))

    @property
    def alert(self) -> str:
        """What is said aloud once while nobody has reacted to a call."""
        return " ".join(call.alert for call in self.calls if call.alert)

    def _request(self, request: RequestShown | None, *, refusal: bool = False) -> str:
        """When, from where, and what came of it: "01:04, Taster außen: angenommen"."""
        if not request:
            return ""
        words = self.reason(request.get("reason")) if refusal else ""
        words = words or self.w.get(f"asked.{request['outcome']}", str(request["outcome"]))
        origin = self.origin(request)
        start = f"{self.at(request.get('at_ms'))}{f', {origin}' if origin else ''}"
        return f"{start}: {words.rstrip('.')}"

    def _result(self, door: DoorShown) -> tuple[str, str, str]:
        """Command, sentence and result of the last request: what the leaf did for it, never in
        contradiction to what the leaf does now. Without a sentence it is of no interest any more;
        ``over``: it was so, and is not now."""
        last = door.get("last_result")
        if not last:
            return "", "", ""
        command, result = str(last.get("command") or ""), str(last["result"])
        state, since_ms = str(door["state"]), door.get("since_ms")
        later = since_ms is not None and since_ms - int(last.get("at_ms") or 0) > LATER_MS
        text, result = self._result_now(result, last.get("press_to_open_ms"), state, later=later)
        if result == "over" and state == "closed" and text:
            text = f"{text} {self.w('result.closed_again', since=self.since(since_ms))}"
        return command, text, result

    def _result_now(
        self, result: str, took_ms: int | None, state: str, *, later: bool
    ) -> tuple[str, str]:
        """Sentence and result. ``later``: the leaf's state began after the result."""
        seconds = "" if took_ms is None else self.w.number(took_ms / 1000, 1)
        if result == "opened" and state == "open":
            key = "result.opened" if seconds else "result.opened_plain"
            return ("" if later else self.w(key, seconds=seconds)), result
        if result == "opened":
            key = "result.was_open" if seconds else "result.was_open_plain"
            return self.w(key, seconds=seconds), "over"
        if result == "did_not_open" and (later or state == "open"):
            return "", "over"
        if result == "assumed_open" and state == "closed":
            return self.w("result.assumed_over"), "over"
        return self.w.get(f"result.{result}"), result

    def _mode_detail(self, door: DoorShown) -> str:
        source = self.w.get(f"source.{door['mode_source']}", str(door["mode_source"]))
        if door["mode_source"] == "schedule" and not door.get("next_mode") and self._clock_set:
            source = self.w("source.no_change")
        who = self.who(door.get("mode_by")) if door["mode_source"] == "override" else ""
        return source + (f" ({who})" if who else "")

    def _mode_until(self, door: DoorShown) -> str:
        until = door.get("mode_until_utc_ms")
        following = door.get("next_mode")
        if until is None and following:
            until = following["utc_ms"]
        return "" if until is None else self.w("door.until", time=self.utc(until))

    @property
    def _clock_set(self) -> bool:
        """Without a clock no change is foreseen, whatever the schedule says."""
        snapshot = self.control.snapshot
        return snapshot is not None and bool(snapshot.get("clock_trusted"))

    def _next_change(self, door: DoorShown) -> tuple[int, str] | None:
        following = door.get("next_mode")
        if following is None or door["mode_source"] != "schedule":
            return None
        return following["utc_ms"], self.utc(following["utc_ms"])

    def _badges(self, id: str, door: DoorShown) -> tuple[BadgeView, ...]:
        """What is not as usual, each thing once: an alarm says more than the signal behind it."""
        found = [
            BadgeView(TONES.get(alarm.severity, "info"), alarm.icon, alarm.what, alarm.todo)
            for alarm in self.open_alarms
            if id == alarm.subject or id in self.terminals.owners.get(alarm.subject, ())
        ]
        kinds = {alarm.kind for alarm in self.open_alarms if alarm.subject == id}
        if door.get("fire"):
            found.append(BadgeView("bad", "triangle-alert", self.w("door.fire_on")))
        if door.get("operator_fault") and "operator_fault" not in kinds:
            found.append(BadgeView("warn", "wrench", self.w("door.fault_on")))
        if door.get("hold_open") and door["mode"] != "hold_open":
            found.append(BadgeView("info", "door-open", self.w("door.held")))
        return tuple(found)

    def _door(self, id: str, door: DoorShown) -> DoorView:
        can = (door.get("can_open") or {}).get("staff") or {}
        ok = bool(can.get("ok")) and self.control.connected
        why = "" if ok else self.reason(can.get("reason") or "unknown")
        if not self.control.connected:
            why = self.reason(self.control.away_reason)
        command, answer, result = self._result(door)
        return DoorView(
            id=id,
            name=str(door.get("name") or id),
            state=str(door["state"]),
            state_text=self.w.get(f"state.{door['state']}", str(door["state"])),
            icon=LEAVES.get(str(door["state"]), "help"),
            since=self.seen_since(door.get("since_ms")),
            assumed=bool(door.get("assumed")),
            mode=str(door["mode"]),
            mode_text=self.w.get(f"mode.{door['mode']}", str(door["mode"])),
            mode_icon=MODE_ICONS.get(str(door["mode"]), "clock"),
            mode_until=self._mode_until(door),
            mode_detail=self._mode_detail(door),
            by_hand=door["mode_source"] == "override",
            override_for=self._override_for(id),
            next_change=self._next_change(door),
            service=self.at(door.get("service_until_ms")),
            last_request=self._request(door.get("last_request")),
            last_refusal=self._request(door.get("last_refusal"), refusal=True),
            last_opened=self.at(door.get("last_opened_ms")),
            badges=self._badges(id, door),
            ok=ok,
            needs_reason=bool(can.get("needs_reason")),
            why=why,
            command=command,
            answer=answer,
            settled=result != "pending",
            result=result,
            now="|".join(
                (door["state"], door["mode"], can.get("reason") or "", str(self.control.connected))
            ),
        )

    def _override_for(self, id: str) -> str:
        """How long a mode set by hand lasts where nobody says for how long."""
        for_ms = self.terminals.overrides.get(id)
        return self.w.lasting(for_ms) if for_ms else self.w("until.default")

    def subject(self, subject: str) -> str:
        """A door, room or point as people call it."""
        gateway = self.control.gateway
        if gateway and subject == gateway.get("id"):
            return self.w("life.gateway")
        found = self.control.door(subject) or self.control.rooms.get(subject)
        if subject == "gateway" and not found and subject not in self.control.points:
            return self.w("life.gateway")  # older versions wrote this instead of the id
        return str(found.get("name") or subject) if found else self.terminals.name(self.w, subject)

    def points_about(self, subject: str) -> list[str]:
        """The points that tell most of a door, a room, or a point itself; none of others."""
        known = self.control.points
        if subject in known:
            return [subject]
        door = self.control.door(subject)
        of = self.terminals.of(str(door.get("name") or subject)) if door else []
        return [point for point in of or self.terminals.points_of(subject) if point in known][:4]

    @property
    def alarms(self) -> list[AlarmView]:
        found = [self._alarm(alarm) for alarm in self.control.alarms]
        life = ("active", "cleared", "acknowledged", "shelved")
        return sorted(
            found,
            key=lambda a: (
                a.state == "shelved",
                SEVERITIES.index(a.severity) if a.severity in SEVERITIES else 9,
                life.index(a.state) if a.state in life else 9,
            ),
        )

    @property
    def open_alarms(self) -> list[AlarmView]:
        return [alarm for alarm in self.alarms if alarm.state != "shelved"]

    def alarm_text(self, kind: str, subject: str, text: str) -> str:
        """``text``: what, means or todo."""
        key, _, watch = kind.partition(":")
        if watch and text == "what" and (said := self.terminals.watch(self.w, watch)):
            return said
        if f"kind.{key}.{text}" not in self.w.keys:
            return self.w(f"kind.other.{text}", kind=kind, subject=self.subject(subject))
        return self.w(f"kind.{key}.{text}", subject=self.subject(subject))

    def _alarm(self, alarm: AlarmShown) -> AlarmView:
        kind, subject, state = str(alarm["kind"]), str(alarm["subject"]), str(alarm["state"])
        severity, count = str(alarm["severity"]), int(alarm.get("count") or 1)
        if alarm.get("raised_ms") is not None:
            raised = self.since(alarm["raised_ms"])
        elif alarm.get("raised_utc_ms") is not None:
            raised = self.w("state.since", time=self.utc(alarm["raised_utc_ms"]))
        else:
            raised = ""
        by = self.who(alarm.get("acknowledged_by"))
        return AlarmView(
            id=str(alarm["id"]),
            kind=kind,
            severity=severity,
            severity_text=self.w.get(f"severity.{severity}", severity),
            state=state,
            state_text=self.w.get(
                f"alarm.state_{state}", state, time=self.at(alarm.get("shelved_until_ms"))
            ),
            what=self.alarm_text(kind, subject, "what"),
            means=self.alarm_text(kind, subject, "means"),
            todo=self.alarm_text(kind, subject, "todo"),
            raised=raised,
            count=self.w("alarm.count", count=count) if count > 1 else "",
            detail=detail(self.w, str(alarm.get("detail") or "")),
            seen_by=self.w("alarm.seen_by", who=by) if by else "",
            subject=subject,
            icon=ALARM_ICONS.get(kind, "info" if severity == "notice" else "triangle-alert"),
            can_acknowledge=state in ("active", "cleared"),
            can_shelve=severity in ("fault", "notice") and state != "shelved",
            can_reset=kind == "leak" and self._dry(subject),
        )

    def _dry(self, room: str) -> bool:
        """The water is gone and only the reset is missing."""
        found = self.control.rooms.get(room)
        leak = found.get("leak") if found else None
        return leak is not None and bool(leak.get("latched")) and leak.get("wet") is False

    @property
    def failed(self) -> list[GuaranteeView]:
        """What is known not to work."""
        return [one for one in self.guarantees if one.value == "no"]

    @property
    def nobody_is_told(self) -> bool:
        """A bench without contacts: no fault, but whoever tries a call there should know."""
        found = self.control.guarantees.get("messages")
        return found is not None and found.get("reason") == "bench"

    @property
    def guarantees(self) -> list[GuaranteeView]:
        if not self.known:
            return []
        return [self._guarantee(name, one) for name, one in guarantees(self.control).items()]

    def _guarantee(self, name: str, told: GuaranteeShown) -> GuaranteeView:
        details = []
        value, reason = str(told["value"]), str(told.get("reason") or "")
        if reason:
            details.append(self._why_of(str(told.get("subject") or ""), reason))
        aside = told.get("aside") or 0
        if told.get("aside_count"):
            messages = () if isinstance(aside, int) else aside
            topics = ", ".join(str(topic) for topic, *_ in messages)
            count = self.w.number(told["aside_count"], 0)
            details.append(self.w("guarantee.aside_topics", count=count, topics=topics))
        elif isinstance(aside, int) and aside:
            details.append(self.w.plural("guarantee.aside_points", aside))
        if value == "yes" and (told.get("void_after_ms") or 0) >= SLOW_EVIDENCE_MS:
            time = self.at(told.get("evidence_ms"))
            details.append(self.w("guarantee.evidence", time=time))
        if told.get("backlog") and value != "not_configured":  # what waits for nobody does not wait
            details.append(self.w("guarantee.backlog", count=self.w.number(told["backlog"], 0)))
        if told.get("recorded_until_utc_ms"):
            until = self.utc(told["recorded_until_utc_ms"])
            details.append(self.w("guarantee.recorded_until", time=until))
        return GuaranteeView(
            name,
            self.w.get(f"guarantee.{name}", name),
            value,
            self._guarantee_since(value, told.get("since_ms")),
            "; ".join(detail.rstrip(".") for detail in details),
            self.fails(name),
            REMEDIES.get(reason, ""),
        )

    def fails(self, name: str) -> str:
        """What does not work while a guarantee is *no*: not "Messages arrive" with a cross."""
        text = self.w.get(f"guarantee_fails.{name}")
        return text or self.w("status.fails", what=self.w.get(f"guarantee.{name}", name))

    def guarantee_reason(self, data: Mapping[str, Any]) -> str:
        """Why a guarantee changed, as its fact says."""
        reason, about = str(data.get("reason") or ""), str(data.get("about") or "")
        if not reason:
            return ""
        return self._why_of(about, reason)

    def _why_of(self, about: str, reason: str) -> str:
        """A reason, after the door or room that it is about."""
        named = f"{self.subject(about)}: " if about in self._places else ""
        return named + self.why(reason)

    def _guarantee_since(self, value: str, since_ms: int | None) -> str:
        if value == "not_configured":
            return ""
        since = self.seen_since(since_ms, FIRST_EVIDENCE_MS)
        if value == "unknown":
            return self.w("guarantee.unknown_since", since=since).rstrip()
        return since

    @property
    def _places(self) -> set[str]:
        """Doors and rooms: what a reason is about, where people have a name for it."""
        return {*self.control.doors, *self.control.rooms}

    @property
    def points(self) -> list[PointView]:
        return [point_view(self, id, point) for id, point in self.control.points.items()]
