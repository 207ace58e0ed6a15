"""The settings that the page changes, through a real ``control`` that is killed and comes back."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from gateway.panel import client
from tests.process.parts import BUILDING, House, roles_of, running, until

pytestmark = pytest.mark.process
NIGHT = {"doors": {"front": {"schedule": {"otherwise": "night"}}}}


def ask(house: House, do: str, **args: Any) -> dict[str, Any]:
    message = {"type": "settings", "id": uuid.uuid4().hex, "actor": "web:7", "do": do, "args": args}
    return client.ask(house.panel, message, role="web", timeout_s=60)


def mode(house: House) -> str:
    return str(house.snapshot()["doors"]["front"]["mode"])


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
