"""What ``control`` reads at its start is there and cannot be read, is gone, or is something else
than a file: it starts, what stood is taken for unknown, and that is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.parts import BENCH, House, Process, house, until

pytestmark = pytest.mark.process

NOBODY = 65534
DOUBTS = {"gateway/state_unread", "wc/call_unread"}
PRIVILEGES = "-dac_override,-dac_read_search"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    made = house(tmp_path, BENCH)
    yield made
    made.end()


@pytest.fixture
def stood(place: House) -> House:
    """A house that was stopped in order while a call stood and a door was *off*."""
    control = place.control()
    place.bench("press", point="wc.cord", for_ms=500)
    until(lambda: place.rows("call_raised"))
    assert place.command("set_mode", door="front", mode="off")["status"] == "accepted"
    until((place.state / "journal.sqlite.reserve").exists)
    assert control.stop() == 0
    return place


def like_the_service(place: House) -> Process:
    """``control`` without root's right to read what is others'."""
    words = ["-m", "gateway", "run", "control", "--config", str(place.config)]
    command = [sys.executable, *words, "--state", str(place.state)]
    if os.geteuid() == 0:
        drop = ["--bounding-set", PRIVILEGES, "--inh-caps", PRIVILEGES]
        command = ["setpriv", *drop, *command]
    process = place.start(*command)
    until(lambda: process.popen.poll() is not None or place.snapshot(), what="no answer")
    return process


def rights(place: House, *, given: bool) -> None:
    for file in place.state.glob("journal.sqlite*"):
        file.chmod(0o640 if given else 0)
        if os.geteuid() == 0:
            os.chown(file, *((0, 0) if given else (NOBODY, NOBODY)))


def alarms(place: House) -> set[str]:
    return {f"{one['subject']}/{one['kind']}" for one in place.snapshot()["alarms"]}


def in_doubt(place: House) -> Any:
    """What is shown once the worst is assumed."""
    kinds = {"state_unread", "call_unread"}
    until(lambda: {one.rpartition("/")[2] for one in alarms(place)} >= kinds, 30, "no alarm")
    shown = place.snapshot()
    assert shown["guarantees"]["call"]["value"] != "yes"
    assert shown["guarantees"]["door_by_button"]["value"] == "no"
    assert shown["doors"]["front"]["mode"] in ("off", "night"), "no door opens by itself"
    return shown


def test_a_journal_that_may_not_be_read_hides_no_call(stood: House) -> None:
    rights(stood, given=False)
    control = like_the_service(stood)
    in_doubt(stood)
    assert stood.snapshot()["guarantees"]["journal"]["value"] == "no"
    rights(stood, given=True)
    until(lambda: stood.snapshot()["guarantees"]["journal"]["value"] == "yes")
    in_doubt(stood)
    assert control.stop() == 0
    stood.control()
    in_doubt(stood)


def removed(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def a_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("lost", [removed, emptied, a_pipe])
def test_a_journal_that_is_gone_hides_no_call(stood: House, lost: Callable[[Path], None]) -> None:
    lost(stood.state / "journal.sqlite")
    stood.control()
    in_doubt(stood)
    until(lambda: stood.rows("journal_recovered"))


def plans_of(place: House) -> list[Path]:
    return [*(place.state / "plan").glob("*.json")]


STAY = ("overlay.yaml", "accepted-wiring.json")
"""Nobody writes these at a start."""


@pytest.mark.parametrize("name", ["outputs.json", "plan", "journal.sqlite.reserve", *STAY])
def test_a_pipe_under_the_name_of_a_file_holds_up_no_start(stood: House, name: str) -> None:
    files = plans_of(stood) if name == "plan" else [stood.state / name]
    assert files
    if name in STAY:
        for plan in plans_of(stood):  # else they are not read
            plan.unlink()
    for file in files:
        a_pipe(file)
        a_pipe(file.with_suffix(".new") if file.suffix == ".json" else Path(f"{file}.new"))
    stood.control()
    until(lambda: stood.snapshot()["rooms"]["wc"]["call"]["state"] == "raised")
    assert stood.snapshot()["doors"]["front"]["mode"] == "off"
    until(lambda: stood.rows("gateway_started"))
    told = {one.rpartition("/")[2] for one in alarms(stood)}
    assert ("state_unread" in told) == (name == "journal.sqlite.reserve")
    if name not in STAY:
        until(lambda: all(file.is_file() for file in files), what="made anew")


def test_a_first_start_has_no_doubts(place: House) -> None:
    place.control()
    until(lambda: place.rows("gateway_started"))
    told = {one.rpartition("/")[2] for one in alarms(place)}
    assert not told & {"state_unread", "call_unread"}
    assert not place.rows("journal_recovered")
