"""Rooms and calls in words: what stands first on every page, and the card of a room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.snapshot_types import CallShown, MessageShown, PastCallShown, RoomShown
from gateway.web.presenter.pictures import spark
from gateway.web.presenter.sentences import Sentences
from gateway.web.presenter.view_models import (
    CallView,
    Icon,
    MessageView,
    RoomView,
    State,
    TileView,
)

MESSAGES_SHOWN = 8
TONES: dict[str, State] = {"raised": "call", "acknowledged": "warn", "attended": "warn"}
RESULTS: dict[str, tuple[Icon, State]] = {
    "delivered": ("check", "good"), "sent": ("clock", "info"), "failed": ("x", "bad"),
}  # fmt: skip


def call_view(presenter: Sentences, room_id: str, room: RoomShown) -> CallView | None:
    """The call that stands in a room; ``None`` where none does."""
    call = room.get("call")
    if not call or call["state"] == "quiet":
        return None
    w, name, state = presenter.w, str(room.get("name") or room_id), str(call["state"])
    test, pulls = bool(call.get("test")), int(call.get("pulls") or 1)
    real = state == "raised" and not test
    again = call.get("cause") == "unattended"
    alert = w("call.alert_again" if again else "call.alert", room=name) if real else ""
    following, by = call.get("next_message_ms"), call.get("attend_by_ms")
    begun = _begun(presenter, call)
    again_at = presenter.civil(by) if state == "acknowledged" else None
    now = presenter.control.now_utc_ms
    unreachable = "" if test or _has_chain(presenter, room_id) else w("call.unreachable")
    return CallView(
        id=str(call["id"]),
        room=room_id,
        room_name=name,
        state=state,
        test=test,
        title=w("call.test_title" if test else "call.title", room=name),
        text=_text(presenter, call),
        raised_utc_ms=begun,
        lasts="" if begun is None else w("call.lasts", duration=w.running(now - begun)),
        again_utc_ms=again_at,
        again_in="" if again_at is None else w("call.again_in", time=w.running(again_at - now)),
        todo=_todo(presenter, call),
        again=w("call.again", count=pulls) if pulls > 1 else "",
        alert=alert,
        ringing=real,
        can_acknowledge=state == "raised",
        messages=tuple(
            _message(presenter, m) for m in (call.get("messages") or [])[-MESSAGES_SHOWN:]
        ),
        no_message=w("call.told_nobody"),
        unreachable=unreachable,
        next_message=w("call.next_message", time=presenter.at(following)) if following else "",
    )


def _has_chain(presenter: Sentences, room_id: str) -> bool:
    """Whether somebody is named to be notified; ``control`` says so of one room where not."""
    messages = presenter.control.guarantees.get("messages")
    if messages is not None and messages.get("reason") == "bench":  # it has no contact at all
        return False
    if messages is None or messages.get("reason") != "no_contact":
        return True
    return messages.get("subject") not in (None, "", room_id)


def _text(presenter: Sentences, call: CallShown) -> str:
    state = call["state"]
    if state == "raised":
        text = presenter.w("call.raised", time=_raised(presenter, call))
        if call.get("seen_by"):
            who, at = presenter.who(call.get("seen_by")), presenter.at(call.get("seen_ms"))
            text = presenter.w("call.seen", who=who, time=at)
        return text
    if state == "acknowledged":
        who = presenter.goes(call.get("attends"), call.get("acknowledged_by"))
        return presenter.w(
            "call.acknowledged", who=who, time=presenter.at(call.get("acknowledged_ms"))
        )
    return presenter.w("call.attended", time=presenter.at(call.get("attended_ms")))


def _raised(presenter: Sentences, call: CallShown) -> str:
    raised_ms, raised_utc_ms = call.get("raised_ms"), call.get("raised_utc_ms")
    return presenter.utc(raised_utc_ms) if raised_utc_ms is not None else presenter.at(raised_ms)


def _begun(presenter: Sentences, call: CallShown) -> int | None:
    known = call.get("raised_utc_ms")
    return known if known is not None else presenter.civil(call.get("raised_ms"))


def _todo(presenter: Sentences, call: CallShown) -> str:
    w = presenter.w
    if call.get("test"):
        return w("call.todo_test")
    if call["state"] != "acknowledged":
        return w(f"call.todo_{call['state']}")
    return w("call.todo_acknowledged")


def _message(presenter: Sentences, message: MessageShown) -> MessageView:
    result = str(message["result"])
    at_utc_ms = message.get("at_utc_ms")
    return MessageView(
        time=presenter.utc(at_utc_ms)
        if at_utc_ms is not None
        else presenter.at(message.get("at_ms")),
        receiver=presenter.receiver(str(message["receiver"])),
        result=presenter.message_result(result, str(message.get("medium") or "")),
        reason=presenter.message_reason(str(message.get("reason") or "")),
        delivered=result == "delivered",
        icon=RESULTS.get(result, ("clock", "info"))[0],
        tone=RESULTS[result][1] if result in RESULTS else "",
    )


def room_view(presenter: Sentences, id: str, room: RoomShown) -> RoomView:
    """A room of the snapshot as its card shows it."""
    w, call = presenter.w, room.get("call")
    state = str(call["state"]) if call else ""
    seen = presenter.seen_since if state == "quiet" else presenter.since
    tested = bool(call and call.get("test")) and state != "quiet"
    return RoomView(
        id=id,
        name=str(room.get("name") or id),
        state="test" if tested else state,
        state_text=w("call_state.test") if tested else w.get(f"call_state.{state}", state),
        since=seen(call.get("since_ms")) if call else "",
        notes=tuple(_notes(presenter, room)),
        tiles=tuple(_tiles(presenter, room)),
        cords=tuple(
            (presenter.terminals.part(w, point), w.get(f"cord.{level}", level), level == "normal")
            for point, level in _cords(presenter, room).items()
        ),
        lamps=_lamps(presenter, room),
        records=tuple(
            (str(one["id"]), _record(presenter, one))
            for one in reversed(room.get("last_calls") or [])
        ),
        spark=spark(w, presenter.today.climates.get(id, ()) if presenter.today else ()),
        has_call=call is not None,
        test=room.get("test_until_ms") is not None,
    )


def _cords(presenter: Sentences, room: RoomShown) -> Mapping[str, str]:
    """A cord is in order only while ``control`` says so."""
    cords: Mapping[str, str] = room.get("cords") or {}
    return dict.fromkeys(cords, "unknown") if presenter.control.stale else cords


def _notes(presenter: Sentences, room: RoomShown) -> Iterator[str]:
    w = presenter.w
    if room.get("test_until_ms") is not None:
        yield w("room.test_running", time=presenter.at(room["test_until_ms"]))
    climate, leak = room.get("climate"), room.get("leak")
    if climate and climate.get("fan"):
        yield w("room.fan_on")
    if leak and leak.get("valve_closed"):
        yield w("room.valve_closed")


def _lamps(presenter: Sentences, room: RoomShown) -> str:
    lamps = room.get("lamps") or {}
    if all(level is None for level in lamps.values()):
        return ""
    lit = [f"{name}_on" for name in ("reassurance", "sounder", "unlock") if lamps.get(name)]
    if lamps.get("lamp") == "flashing":
        lit.insert(0, "lamp_flashing")
    return ", ".join(presenter.w(f"room.{name}") for name in lit) or presenter.w("room.lamps_off")


def _tiles(presenter: Sentences, room: RoomShown) -> Iterator[TileView]:
    w = presenter.w
    if call := room.get("call"):
        yield _call_tile(presenter, room, call)
    belief = room.get("occupancy")
    if belief is not None and presenter.private:  # who cannot help has no need to know
        yield TileView(
            "occupancy",
            {"occupied": "user", "vacant": "door-open"}.get(belief, "help"),  # type: ignore[arg-type]  # icons
            w("room.occupancy"),
            w.get(f"occupancy.{belief}", str(belief)),
            presenter.seen_since(room.get("occupancy_since_ms")),
            "info" if belief == "occupied" else "",
        )
    if room.get("climate"):
        text, note = _climate(presenter, room)
        yield TileView("climate", "thermometer", w("room.climate"), text, note)
    if leak := room.get("leak"):
        wet = bool(leak.get("wet") or leak.get("latched"))
        tone: State = "bad" if leak.get("wet") else "warn"
        yield TileView(
            "leak", "droplet", w("room.leak"), _leak(presenter, room), "", tone if wet else ""
        )


def _call_tile(presenter: Sentences, room: RoomShown, call: CallShown) -> TileView:
    """The call system: what stands, else whether its cords are well."""
    w, state = presenter.w, str(call["state"])
    since = presenter.since(call.get("since_ms"))
    if state != "quiet":
        if call.get("test"):
            return TileView("call", "flask", w("room.call"), w("call_state.test"), since, "info")
        words = w.get(f"call_state.{state}", state)
        return TileView("call", "siren", w("room.call"), words, since, TONES.get(state, "warn"))
    broken = [level for level in _cords(presenter, room).values() if level != "normal"]
    if broken:
        words = w.get(f"cord.{broken[0]}", broken[0])
        return TileView("call", "triangle-alert", w("room.call"), words, "", "warn")
    since = presenter.seen_since(call.get("since_ms"))
    return TileView("call", "bell", w("room.call"), w("call_state.quiet"), since)


def _climate(presenter: Sentences, room: RoomShown) -> tuple[str, str]:
    """The temperature, and beside it the rest."""
    climate = room.get("climate")
    if not climate:
        return "", ""
    values = {
        key: "–" if value is None else presenter.w.value(value, quantity)
        for key, quantity, value in (
            ("temperature", "temperature_c", climate.get("temperature_c")),
            ("humidity", "humidity_percent", climate.get("humidity_percent")),
            ("dew_point", "dew_point_c", climate.get("dew_point_c")),
        )
    }
    if set(values.values()) == {"–"}:
        return presenter.w("room.no_value"), ""
    return (
        presenter.w("room.climate_line", **values),
        presenter.w("room.climate_note", **values),
    )


def _leak(presenter: Sentences, room: RoomShown) -> str:
    leak = room.get("leak")
    if not leak:
        return ""
    if leak.get("wet") is None or (presenter.control.stale and not leak["wet"]):
        return presenter.w("cord.unknown")
    if leak["wet"]:
        return presenter.w("room.leak_wet")
    return presenter.w("room.leak_latched" if leak.get("latched") else "room.leak_dry")


def _record(presenter: Sentences, record: PastCallShown) -> str:
    w, time = presenter.w, presenter.utc(record.get("raised_utc_ms")) or "–"
    if record.get("test"):
        return w("call.record_test", time=time)
    after = {
        name: w(f"call.record_not_{name}") if after_ms is None
        # to the nearest second, as events and maintenance show it
        else w(f"call.record_{name}", duration=w.ago(after_ms + 500))
        for name, after_ms in (
            ("seen", record.get("acknowledged_after_ms")),
            ("attended", record.get("attended_after_ms")),
            ("cancelled", record.get("cancelled_after_ms")),
        )
    }  # fmt: skip
    return w("call.record_line", time=time, **after)
