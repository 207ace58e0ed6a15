"""A call over kill -9: never lost, never doubled, and its lamps are right again at once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.parts import BENCH, CALLING_BENCH, House, Process, house, roles_of, until
from tests.process.parts_mqtt import free_port
from tests.process.sinks import Webhook, serving

pytestmark = pytest.mark.process

LAMPS = {
    "quiet": (False, False, False),
    "raised": (True, True, True),
    "acknowledged": (True, True, False),
    "attended": (True, True, False),
}
"""State -> reassurance, lamp over the door (flashing), sounder."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    made = house(tmp_path, BENCH)
    yield made
    made.end()


def call(place: House) -> dict[str, Any]:
    found: dict[str, Any] = place.snapshot()["rooms"]["wc"]["call"]
    return found


def lamps(place: House) -> tuple[bool, bool, bool]:
    shown = place.snapshot()["rooms"]["wc"]["lamps"]
    return shown["reassurance"], shown["lamp"] == "flashing", shown["sounder"]


def committed(place: House, kind: str, count: int) -> None:
    until(lambda: len(place.rows(kind)) == count, what=f"{count} {kind}")


def press(place: House, point: str) -> None:
    """Press a button of the room. What is found pressed right after a start presses nothing."""
    until(lambda: place.snapshot()["points"][point]["active"] is False, what=f"{point} is seen")
    place.bench("press", point=point)


def bring(place: House, state: str) -> None:
    """Bring the call of the room into a state, durably."""
    place.bench("press", point="wc.cord", for_ms=500)
    committed(place, "call_raised", 1)
    if state in ("acknowledged", "attended"):
        assert place.command("acknowledge_call", call="wc")["status"] == "accepted"
        committed(place, "call_acknowledged", 1)
    if state == "attended":
        press(place, "wc.presence")
        committed(place, "call_attended", 1)
    assert call(place)["state"] == state


@pytest.mark.parametrize("state", ["raised", "acknowledged", "attended"])
def test_killed_in_every_state_the_call_stands_again(place: House, state: str) -> None:
    control = place.control()
    bring(place, state)
    before = call(place)
    for _ in range(3):
        control.kill()
        control = place.control()
        after = call(place)
        assert (after["id"], after["state"], after["pulls"]) == (before["id"], state, 1)
        assert after["raised_utc_ms"] == before["raised_utc_ms"]
        assert lamps(place) == LAMPS[state]
        shown = place.bench("show")["points"]
        assert shown["wc.lamp"]["on"] is True
        assert shown["wc.sounder"]["on"] is LAMPS[state][2]
    assert [row.data["call"] for row in place.rows("call_raised")] == [before["id"]]
    press(place, "wc.cancel")
    committed(place, "call_cancelled", 1)
    assert lamps(place) == LAMPS["quiet"]
    control.kill()
    place.control()
    assert (call(place)["state"], lamps(place)) == ("quiet", LAMPS["quiet"])


def test_killed_at_any_moment_what_was_told_is_never_lost_and_never_doubled(place: House) -> None:
    """What is in the journal stood; what is not may not have been: nothing between."""
    chance = random.Random(7)
    steps = (("call_raised", "wc.cord"), ("call_attended", "wc.presence"),
             ("call_cancelled", "wc.cancel"))  # fmt: skip
    for round_ in range(9):
        control = place.control()
        until(lambda: all(
            level is False
            for point, level in (
                (p, place.snapshot()["points"][p]["active"])
                for p in ("wc.cord", "wc.presence", "wc.cancel")
            )
        ), what="levels are known")  # fmt: skip
        _, point = steps[round_ % 3]
        place.bench("press", point=point, for_ms=200)
        time.sleep(chance.uniform(0, 0.15))  # the moment is drawn, nothing is awaited
        control.kill()
        control = place.control()
        rows = place.rows("call_raised", "call_attended", "call_cancelled")
        assert call(place)["state"] == _told(rows)
        raised = [row.data["call"] for row in rows if row.kind == "call_raised"]
        assert len(set(raised)) == len(raised)
        assert lamps(place) == LAMPS[call(place)["state"]]
        control.kill()


def _told(rows: list[Any]) -> str:
    """The state in which the facts leave the call."""
    after = {"call_raised": "raised", "call_attended": "attended", "call_cancelled": "quiet"}
    return after[rows[-1].kind] if rows else "quiet"


ROLES = ("control", "broker", "link", "record", "notify", "web")
PEOPLE = """
contacts: {care: {channels: [!secret care]}}
escalations: {care: [{after: 0 s, notify: care}]}
mqtt: embedded
"""


def roles(supervisor: Process) -> dict[str, int]:
    return roles_of(supervisor, ROLES)


def test_every_role_is_killed_in_every_state_and_the_call_stands(place: House) -> None:
    """The supervisor starts again what fell; whoever fell knows the call again."""
    hook = Webhook()
    assert CALLING_BENCH != BENCH
    web = f"web: {{listen: 127.0.0.1:{free_port()}}}\n"
    place.config.write_text(CALLING_BENCH + PEOPLE + web)
    secrets = place.config.parent / "secrets"
    secrets.mkdir()
    (secrets / "care").write_text(f"json://{hook.address}/care\n")
    with serving(hook):
        supervisor = place.run()
        until(lambda: supervisor.said("Ready after"))
        until(lambda: set(roles(supervisor)) == set(ROLES))
        until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
        for state, kind, do in (
            ("raised", "call_raised", lambda: place.bench("press", point="wc.cord", for_ms=500)),
            ("acknowledged", "call_acknowledged",
             lambda: place.command("acknowledge_call", call="wc")),
            ("attended", "call_attended", lambda: press(place, "wc.presence")),
        ):  # fmt: skip
            do()
            committed(place, kind, 1)
            before = call(place)
            for role in ROLES:
                until(lambda: set(roles(supervisor)) == set(ROLES), what="all are there")
                pid = roles(supervisor)[role]
                os.kill(pid, signal.SIGKILL)
                until(lambda: roles(supervisor).get(role, pid) != pid, what=f"{role} is back")  # noqa: B023 - awaited here
                until(place.snapshot)
                after = call(place)
                assert (role, after["id"], after["state"]) == (role, before["id"], state)
                assert (role, lamps(place)) == (role, LAMPS[state])
        until(lambda: hook.posted)
        assert len(place.rows("call_raised")) == 1
        press(place, "wc.cancel")
        committed(place, "call_cancelled", 1)
        assert lamps(place) == LAMPS["quiet"]


def test_a_cord_that_is_pulled_at_start_calls_once(place: House) -> None:
    control = place.control()
    place.bench("set", point="wc.cord", value=True)
    committed(place, "call_raised", 1)
    before = call(place)["id"]
    control.stop()
    place.control()
    assert (call(place)["id"], call(place)["state"]) == (before, "raised")
    assert len(place.rows("call_raised")) == 1


def test_nobody_can_end_a_call_over_the_panel(place: House) -> None:
    """Every command that there is, and some that are not."""
    from gateway.panel import client
    from gateway.panel.commands import COMMANDS

    place.control()
    bring(place, "raised")
    for name in COMMANDS:
        assert not {"cancel", "clear", "end"} & set(name.split("_"))
    place.command("test_room", room="wc", for_ms=600_000)
    place.command("test_room", room="wc", for_ms=0)
    place.command("reset_alarm", alarm="wc/call")
    place.command("acknowledge_alarm", alarm="wc/call")
    place.command("test_relay", point="wc.lamp", for_ms=100)
    assert call(place)["state"] == "raised"
    assert lamps(place) == LAMPS["raised"]
    with pytest.raises(client.NotTaken):
        place.command("cancel_call", call="wc")
    assert call(place)["state"] == "raised"


def test_a_room_with_a_standing_call_cannot_be_taken_out_of_the_configuration(
    place: House,
) -> None:
    """A reload is refused with the reason; where a start cannot refuse, an emergency stands."""
    control = place.control()
    bring(place, "raised")
    name = call(place)["id"]
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(text.replace("\n  wc:\n", "\n  ward:\n"), encoding="utf-8")
    control.popen.send_signal(signal.SIGHUP)
    until(lambda: control.said("rooms: wc: an emergency call stands there"))
    assert call(place)["state"] == "raised"
    control.kill()
    control = place.control()
    (alarm,) = [one for one in place.snapshot()["alarms"] if one["kind"] == "call_orphaned"]
    assert (alarm["subject"], alarm["severity"], alarm["detail"]) == ("wc", "emergency", name)
    done = place.command("acknowledge_alarm", alarm="wc/call_orphaned")
    assert done["status"] == "accepted"
    until(lambda: "wc/call_orphaned" not in [one["id"] for one in place.snapshot()["alarms"]])
