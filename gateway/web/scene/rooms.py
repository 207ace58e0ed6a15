"""Rooms and calls in words: what stands first on every page, and the card of a room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.shown import CallShown, MessageShown, PastCallShown, RoomShown
from gateway.web.scene.pictures import spark
from gateway.web.scene.sentences import Sentences
from gateway.web.scene.shapes import (
    CallScene,
    Icon,
    MessageScene,
    RoomScene,
    State,
    TileScene,
)

MESSAGES_SHOWN = 8
TONES: dict[str, State] = {"raised": "call", "acknowledged": "warn", "attended": "warn"}
RESULTS: dict[str, tuple[Icon, State]] = {
    "delivered": ("check", "good"), "sent": ("clock", "info"), "failed": ("x", "bad"),
}  # fmt: skip


def call_scene(scene: Sentences, room_id: str, room: RoomShown) -> CallScene | None:
    """The call that stands in a room; ``None`` where none does."""
    call = room.get("call")
    if not call or call["state"] == "quiet":
        return None
    w, name, state = scene.w, str(room.get("name") or room_id), str(call["state"])
    test, pulls = bool(call.get("test")), int(call.get("pulls") or 1)
    real = state == "raised" and not test
    again = call.get("cause") == "unattended"
    alert = w("call.alert_again" if again else "call.alert", room=name) if real else ""
    following, by = call.get("next_message_ms"), call.get("attend_by_ms")
    begun = _begun(scene, call)
    again_at = scene.civil(by) if state == "acknowledged" else None
    now = scene.house.now_utc_ms
    unreachable = "" if test or _has_chain(scene, room_id) else w("call.unreachable")
    return CallScene(
        id=str(call["id"]),
        room=room_id,
        room_name=name,
        state=state,
        test=test,
        title=w("call.test_title" if test else "call.title", room=name),
        text=_text(scene, call),
        raised_utc_ms=begun,
        lasts="" if begun is None else w("call.lasts", duration=w.running(now - begun)),
        again_utc_ms=again_at,
        again_in="" if again_at is None else w("call.again_in", time=w.running(again_at - now)),
        todo=_todo(scene, call),
        again=w("call.again", count=pulls) if pulls > 1 else "",
        alert=alert,
        ringing=real,
        can_acknowledge=state == "raised",
        messages=tuple(_message(scene, m) for m in (call.get("messages") or [])[-MESSAGES_SHOWN:]),
        no_message=w("call.told_nobody"),
        unreachable=unreachable,
        next_message=w("call.next_message", time=scene.at(following)) if following else "",
    )


def _has_chain(scene: Sentences, room_id: str) -> bool:
    """Whether somebody is named to be notified; ``control`` says so of one room where not."""
    messages = scene.house.guarantees.get("messages")
    if messages is None or messages.get("reason") != "no_contact":
        return True
    return messages.get("subject") not in (None, "", room_id)


def _text(scene: Sentences, call: CallShown) -> str:
    state = call["state"]
    if state == "raised":
        return scene.w("call.raised", time=_raised(scene, call))
    if state == "acknowledged":
        who = scene.who(call.get("acknowledged_by"))
        return scene.w("call.acknowledged", who=who, time=scene.at(call.get("acknowledged_ms")))
    return scene.w("call.attended", time=scene.at(call.get("attended_ms")))


def _raised(scene: Sentences, call: CallShown) -> str:
    raised_ms, raised_utc_ms = call.get("raised_ms"), call.get("raised_utc_ms")
    return scene.utc(raised_utc_ms) if raised_utc_ms is not None else scene.at(raised_ms)


def _begun(scene: Sentences, call: CallShown) -> int | None:
    known = call.get("raised_utc_ms")
    return known if known is not None else scene.civil(call.get("raised_ms"))


def _todo(scene: Sentences, call: CallShown) -> str:
    w = scene.w
    if call.get("test"):
        return w("call.todo_test")
    if call["state"] != "acknowledged":
        return w(f"call.todo_{call['state']}")
    return w("call.todo_acknowledged")


def _message(scene: Sentences, message: MessageShown) -> MessageScene:
    result = str(message["result"])
    at_utc_ms = message.get("at_utc_ms")
    return MessageScene(
        time=scene.utc(at_utc_ms) if at_utc_ms is not None else scene.at(message.get("at_ms")),
        receiver=scene.receiver(str(message["receiver"])),
        result=scene.message_result(result, str(message.get("medium") or "")),
        reason=scene.message_reason(str(message.get("reason") or "")),
        delivered=result == "delivered",
        icon=RESULTS.get(result, ("clock", "info"))[0],
        tone=RESULTS[result][1] if result in RESULTS else "",
    )


def room_scene(scene: Sentences, id: str, room: RoomShown) -> RoomScene:
    """A room of the snapshot as its card shows it."""
    w, call = scene.w, room.get("call")
    state = str(call["state"]) if call else ""
    seen = scene.seen_since if state == "quiet" else scene.since
    tested = bool(call and call.get("test")) and state != "quiet"
    return RoomScene(
        id=id,
        name=str(room.get("name") or id),
        state="test" if tested else state,
        state_text=w("call_state.test") if tested else w.get(f"call_state.{state}", state),
        since=seen(call.get("since_ms")) if call else "",
        notes=tuple(_notes(scene, room)),
        tiles=tuple(_tiles(scene, room)),
        cords=tuple(
            (scene.terminals.part(w, point), w.get(f"cord.{level}", level), level == "normal")
            for point, level in _cords(scene, room).items()
        ),
        lamps=_lamps(scene, room),
        records=tuple(
            (str(one["id"]), _record(scene, one)) for one in reversed(room.get("last_calls") or [])
        ),
        spark=spark(w, scene.today.climates.get(id, ()) if scene.today else ()),
        has_call=call is not None,
        test=room.get("test_until_ms") is not None,
    )


def _cords(scene: Sentences, room: RoomShown) -> Mapping[str, str]:
    """A cord is in order only while ``control`` says so."""
    cords: Mapping[str, str] = room.get("cords") or {}
    return dict.fromkeys(cords, "unknown") if scene.house.stale else cords


def _notes(scene: Sentences, room: RoomShown) -> Iterator[str]:
    w = scene.w
    if room.get("test_until_ms") is not None:
        yield w("room.test_running", time=scene.at(room["test_until_ms"]))
    climate, leak = room.get("climate"), room.get("leak")
    if climate and climate.get("fan"):
        yield w("room.fan_on")
    if leak and leak.get("valve_closed"):
        yield w("room.valve_closed")


def _lamps(scene: Sentences, room: RoomShown) -> str:
    lamps = room.get("lamps") or {}
    if all(level is None for level in lamps.values()):
        return ""
    lit = [f"{name}_on" for name in ("reassurance", "sounder", "unlock") if lamps.get(name)]
    if lamps.get("lamp") == "flashing":
        lit.insert(0, "lamp_flashing")
    return ", ".join(scene.w(f"room.{name}") for name in lit) or scene.w("room.lamps_off")


def _tiles(scene: Sentences, room: RoomShown) -> Iterator[TileScene]:
    w = scene.w
    if call := room.get("call"):
        yield _call_tile(scene, room, call)
    belief = room.get("occupancy")
    if belief is not None and scene.private:  # who cannot help has no need to know
        yield TileScene(
            "occupancy",
            {"occupied": "user", "vacant": "door-open"}.get(belief, "help"),  # type: ignore[arg-type]  # icons
            w("room.occupancy"),
            w.get(f"occupancy.{belief}", str(belief)),
            scene.seen_since(room.get("occupancy_since_ms")),
            "info" if belief == "occupied" else "",
        )
    if room.get("climate"):
        text, note = _climate(scene, room)
        yield TileScene("climate", "thermometer", w("room.climate"), text, note)
    if leak := room.get("leak"):
        wet = bool(leak.get("wet") or leak.get("latched"))
        tone: State = "bad" if leak.get("wet") else "warn"
        yield TileScene(
            "leak", "droplet", w("room.leak"), _leak(scene, room), "", tone if wet else ""
        )


def _call_tile(scene: Sentences, room: RoomShown, call: CallShown) -> TileScene:
    """The call system: what stands, else whether its cords are well."""
    w, state = scene.w, str(call["state"])
    since = scene.since(call.get("since_ms"))
    if state != "quiet":
        if call.get("test"):
            return TileScene("call", "flask", w("room.call"), w("call_state.test"), since, "info")
        words = w.get(f"call_state.{state}", state)
        return TileScene("call", "siren", w("room.call"), words, since, TONES.get(state, "warn"))
    broken = [level for level in _cords(scene, room).values() if level != "normal"]
    if broken:
        words = w.get(f"cord.{broken[0]}", broken[0])
        return TileScene("call", "triangle-alert", w("room.call"), words, "", "warn")
    since = scene.seen_since(call.get("since_ms"))
    return TileScene("call", "bell", w("room.call"), w("call_state.quiet"), since)


def _climate(scene: Sentences, room: RoomShown) -> tuple[str, str]:
    """The temperature, and beside it the rest."""
    climate = room.get("climate")
    if not climate:
        return "", ""
    values = {
        key: "–" if value is None else scene.w.value(value, quantity)
        for key, quantity, value in (
            ("temperature", "temperature_c", climate.get("temperature_c")),
            ("humidity", "humidity_percent", climate.get("humidity_percent")),
            ("dew_point", "dew_point_c", climate.get("dew_point_c")),
        )
    }
    if set(values.values()) == {"–"}:
        return scene.w("room.no_value"), ""
    return (
        scene.w("room.climate_line", **values),
        scene.w("room.climate_note", **values),
    )


def _leak(scene: Sentences, room: RoomShown) -> str:
    leak = room.get("leak")
    if not leak:
        return ""
    if leak.get("wet") is None or (scene.house.stale and not leak["wet"]):
        return scene.w("cord.unknown")
    if leak["wet"]:
        return scene.w("room.leak_wet")
    return scene.w("room.leak_latched" if leak.get("latched") else "room.leak_dry")


def _record(scene: Sentences, record: PastCallShown) -> str:
    w, time = scene.w, scene.utc(record.get("raised_utc_ms")) or "–"
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
