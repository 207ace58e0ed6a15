"""The settings that the page changes, through a real ``control`` that is killed and comes back."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from gateway.panel import client
from tests.process.parts import BENCH, BUILDING, House, roles_of, running, until
from tests.process.sinks import Webhook, serving

pytestmark = pytest.mark.process
SCHEDULED = BENCH.replace("    mode: automatic\n", "")
NIGHT = {"doors": {"front": {"schedule": {"otherwise": "night"}}}}


def ask(house: House, do: str, **args: Any) -> dict[str, Any]:
    message = {"type": "settings", "id": uuid.uuid4().hex, "actor": "web:7", "do": do, "args": args}
    return client.ask(house.panel, message, role="web", timeout_s=60)


def mode(house: House) -> str:
    return str(house.snapshot()["doors"]["front"]["mode"])


@pytest.mark.parametrize("more", [(), ("--bench-start", "2026-03-28T12:00:00+01:00")])
def test_the_clock_of_a_bench_goes_on_when_settings_are_saved(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    with running(tmp_path) as house:
        house.control(*more)
        begun = house.snapshot()
        house.bench("travel", by_ms=10 * 86_400_000)
        before = house.snapshot()
        assert ask(house, "put", version="none", sections=NIGHT)["status"] == "accepted"
        until(lambda: mode(house) == "night", what="the new schedule")
        after = house.snapshot()
        assert after["now_ms"] >= before["now_ms"]
        assert abs(after["utc_offset_ms"] - begun["utc_offset_ms"]) < 1_000
        assert (after["clock_settled"], after["alarms"]) == (True, begun["alarms"])


def test_no_save_and_no_reload_ends_a_test_of_a_room(tmp_path: Path) -> None:
    """The next pull of whoever tests would be a real call."""
    with running(tmp_path, config=SCHEDULED) as house:
        control = house.control()
        before = house.snapshot()["gateway"]
        assert house.command("test_room", room="wc", for_ms=600_000)["status"] == "accepted"
        answer = ask(house, "put", version="none", sections=NIGHT)
        assert (answer["status"], answer["reason"]) == ("refused", "room_test")
        assert ask(house, "preview", version="none", sections=NIGHT)["status"] == "accepted"
        house.config.write_text(
            house.config.read_text().replace("(Prüfstand)", "2"), encoding="utf-8"
        )
        control.popen.send_signal(signal.SIGHUP)
        until(lambda: control.said("a test of the room runs and would end"))
        shown = house.snapshot()
        assert shown["rooms"]["wc"]["test_until_ms"] is not None
        assert shown["gateway"]["boot"] == before["boot"]
        assert house.command("test_room", room="wc", for_ms=0)["status"] == "accepted"
        assert ask(house, "put", version="none", sections=NIGHT)["status"] == "accepted"
        until(lambda: house.snapshot()["gateway"]["configuration"] != before["configuration"])


def test_a_schedule_is_changed_survives_kill_and_is_taken_back(tmp_path: Path) -> None:
    with running(tmp_path, "control") as house:
        shown = ask(house, "show")["settings"]
        assert shown["version"] == "none"
        assert mode(house) == "automatic"
        done = ask(house, "put", version="none", sections=NIGHT)
        assert done["status"] == "accepted"
        until(lambda: mode(house) == "night", what="the new schedule")
        again = until(lambda: ask(house, "put", version="none", sections=NIGHT))
        assert again["settings"]["version"] == done["settings"]["version"], "said twice, done once"
        other = {"doors": {"front": {"schedule": {"otherwise": "off"}}}}
        late = ask(house, "put", version="none", sections=other)
        assert (late["status"], late["reason"]) == ("refused", "changed_meanwhile")
        wrong = {"doors": {"front": {"schedule": {"mo": "nigth"}}}, "points": {}}
        bad = ask(house, "put", version=done["settings"]["version"], sections=wrong)
        assert bad["reason"] == "settings_wrong"
        assert {error["key"] for error in bad["errors"]} == {"points", "doors.front.schedule.mo"}

        house.processes[-1].kill()
        house.control()
        until(lambda: mode(house) == "night", what="the same after a power cut")
        version = ask(house, "show")["settings"]["version"]
        assert ask(house, "undo", version=version)["status"] == "accepted"
        until(lambda: mode(house) == "automatic", what="the schedule of before")
        assert house.processes[-1].stop() == 0
        verified = house.portier("audit", "verify", "--state", str(house.state))
        assert verified.wait() == 0, verified.lines
        changed = [row.data["by"] for row in house.rows("configuration_changed")]
        assert changed == ["web:7", "web:7"]


def test_a_value_that_is_allowed_no_more_stops_no_door_and_no_save(tmp_path: Path) -> None:
    """It is in use since a version that had no such bound."""
    config = BUILDING + "retention: {calls: 1 min}\njournal: {limit: 100 kB}\n"
    with running(tmp_path, "control", "web", config=config) as house:
        control = house.processes[0]
        until(lambda: control.said("1 min keeps nothing; write at least 1 h"))
        until(lambda: control.said("until then 1 MB applies"))
        assert adjusted(house) == {"active"}
        house.bench("press", point="front.button")
        until(lambda: house.snapshot()["doors"]["front"]["leaf"] == "open", what="the door opens")
        assert ask(house, "put", version="none", sections=NIGHT)["status"] == "accepted"
        until(lambda: mode(house) == "night", what="a save takes over all the same")
        house.config.write_text(config.replace("1 min", "2 min"), encoding="utf-8")
        control.popen.send_signal(signal.SIGHUP)
        until(lambda: control.said("2 min keeps nothing"), what="a new one is refused")
        house.config.write_text(BUILDING, encoding="utf-8")
        control.popen.send_signal(signal.SIGHUP)
        until(lambda: adjusted(house) == {"cleared"}, what="a mended one takes over")


def adjusted(house: House) -> set[str]:
    alarms = house.snapshot()["alarms"]
    return {alarm["state"] for alarm in alarms if alarm["kind"] == "setting_adjusted"}


def test_a_broken_overlay_stops_no_door_and_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "overlay.yaml").write_text("doors: {front: {activation: elsewhere}}\n")
    with running(tmp_path, "control", config=BUILDING) as house:
        control = house.processes[-1]
        until(lambda: control.said("overlay.yaml:1:17: doors.front.activation"))
        assert "test/overlay_broken" in {alarm["id"] for alarm in house.snapshot()["alarms"]}
        house.bench("press", point="front.button")
        until(lambda: house.snapshot()["doors"]["front"]["leaf"] == "open", what="the door opens")
        shown = ask(house, "show")["settings"]
        assert "cannot be changed in the overlay" in shown["problems"][0]
        checked = house.portier("check", str(house.config), "--state", str(state))
        assert checked.wait() == 78
        assert checked.said("doors.front.activation: cannot be changed in the overlay")
        assert ask(house, "put", version=shown["version"], sections=NIGHT)["status"] == "accepted"
        until(lambda: mode(house) == "night", what="a good one takes its place")
        alarms = house.snapshot()["alarms"]
        assert [a["state"] for a in alarms if a["kind"] == "overlay_broken"] in ([], ["cleared"])


def test_the_first_contact_starts_notify_and_the_last_one_ends_it(tmp_path: Path) -> None:
    """Nobody has to start the gateway again, and nothing runs while there is nobody to tell."""
    with running(tmp_path) as house:
        secrets = tmp_path / "secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "desk").write_text("json://127.0.0.1:9/\n")
        supervisor = house.run()
        shown = until(lambda: ask(house, "show"), what="control answers")["settings"]
        assert "notify" not in roles_of(supervisor, ["control", "notify"])
        contacts = {"contacts": {"desk": {"channels": [{"secret": "desk"}]}}}
        done = ask(house, "put", version=shown["version"], sections=contacts)
        assert done["status"] == "accepted", done
        until(lambda: "notify" in roles_of(supervisor, ["notify"]), what="notify starts")
        version = done["settings"]["version"]
        gone = until(
            lambda: (
                (answer := ask(house, "put", version=version, sections={}))["status"] == "accepted"
                and answer
            )
        )
        assert gone["settings"]["effective"]["contacts"] == {}
        until(lambda: "notify" not in roles_of(supervisor, ["notify"]), what="notify ends")
        assert "control" in roles_of(supervisor, ["control"])
        assert not supervisor.said("notify has ended")


CALLS = """
rooms: {wc: {cord: [wc.cord], cancel: wc.cancel, escalation: care}}
"""
CORD = """points:
  wc.cord: {driver: simulated_contact, wiring: normally_closed}
  wc.cancel: {driver: simulated_contact}"""


def test_a_contact_of_the_page_whose_secret_has_gone_starts_and_is_named(tmp_path: Path) -> None:
    """With its secret gone, ``notify`` did not run at all after the next start: the overlay was
    left out, and with it the only contact. The secret that comes back is used without a start."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "overlay.yaml").write_text(
        "contacts: {desk: {channels: [!secret desk]}}\n"
        "escalations: {care: [{after: 0 s, notify: desk}, {every: 10 s, notify: desk}]}\n"
    )
    config = BUILDING.replace("points:", CORD, 1) + CALLS
    hook = Webhook()
    with serving(hook), running(tmp_path, config=config) as house:
        supervisor = house.run()
        until(lambda: "notify" in roles_of(supervisor, ["notify"]), what="notify starts")
        until(lambda: supervisor.said("there is no secret desk"), what="it is named")
        (line,) = [one for one in supervisor.lines if "there is no secret desk" in one]
        assert "an address cannot be read" in line
        assert '"receiver": "desk"' in line
        assert str(tmp_path / "secrets") in line
        until(lambda: house.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
        house.bench("set", point="wc.cord", value=True)
        failed = until(lambda: _message(house, "failed"), what="the first attempt")
        assert failed["reason"] == "address"
        assert failed["receiver"] == "desk"
        secrets = tmp_path / "secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "desk").write_text(f"json://{hook.address}/x\n")
        house.bench("travel", by_ms=10_000)
        until(lambda: _message(house, "delivered"), what="the next one goes out")
        assert hook.posted


def test_a_reload_refuses_a_new_contact_without_its_secret_only(tmp_path: Path) -> None:
    """One that was there before has gone missing: anything else can still be changed."""
    desk = "contacts: {desk: {channels: [!secret desk]}}\n"
    with running(tmp_path, config=BUILDING + desk) as house:
        supervisor = house.run()
        until(lambda: "notify" in roles_of(supervisor, ["notify"]), what="notify starts")
        until(house.snapshot, what="control answers")
        new = "contacts: {desk: {channels: [!secret desk]}, night: {channels: [!secret night]}}\n"
        house.config.write_text(BUILDING + new)
        supervisor.popen.send_signal(signal.SIGHUP)
        until(lambda: supervisor.said("contacts.night.channels[0]: there is no secret night"))
        assert supervisor.said("the new configuration is refused, the old one stays")
        assert not supervisor.said("contacts.desk.channels[0]")
        house.config.write_text(BUILDING.replace("Test building", "Other building") + desk)
        supervisor.popen.send_signal(signal.SIGHUP)
        until(lambda: house.snapshot()["gateway"]["name"] == "Other building", what="the change")


def _message(house: House, result: str) -> Any:
    call = house.snapshot()["rooms"]["wc"]["call"]
    found = [one for one in call["messages"] if one["result"] == result]
    return found[0] if found else None
