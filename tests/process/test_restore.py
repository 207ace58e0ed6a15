"""A backup that is put back ends no call, repeats no number, and says that it was put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.parts import BENCH, House, Process, house, until
from tests.process.test_calls import LAMPS, call, committed, lamps, press

pytestmark = pytest.mark.process


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    made = house(tmp_path, BENCH)
    yield made
    made.end()


def cli(place: House, *arguments: str) -> Process:
    done = place.portier(*arguments, "--state", str(place.state))
    done.wait()
    return done


def lines(process: Process) -> str:
    assert process.reader is not None
    process.reader.join(30)
    return "\n".join(process.lines)


def backed_up(place: House, tmp_path: Path) -> str:
    """A backup from a time when there was one call, which was ended in its room."""
    file = str(tmp_path / "before.bak")
    pulled(place, 1)
    press(place, "wc.cancel")
    until(lambda: call(place)["state"] == "quiet", what="ended in the room")
    committed(place, "call_cancelled", 1)
    assert cli(place, "backup", file, "--unencrypted").popen.returncode == 0
    return file


def pulled(place: House, times: int) -> str:
    press(place, "wc.cord")
    committed(place, "call_raised", times)
    name = call(place)["id"]
    assert isinstance(name, str)
    return name


def test_a_standing_call_goes_on_over_a_backup_from_before_it(place: House, tmp_path: Path) -> None:
    control = place.control()
    file = backed_up(place, tmp_path)
    name = pulled(place, 2)
    assert control.stop() == 0
    content = (place.state / "journal.sqlite").read_bytes()

    refused = cli(place, "restore", file)
    assert refused.popen.returncode == 1
    said = " ".join(lines(refused).split())
    assert f"nothing was restored: the call {name} stands, and only its room ends it" in said
    assert "--keep-calls" in said
    assert (place.state / "journal.sqlite").read_bytes() == content

    done = cli(place, "restore", file, "--keep-calls")
    assert done.popen.returncode == 0, lines(done)
    control = place.control()
    assert (call(place)["id"], call(place)["state"]) == (name, "raised")
    assert lamps(place) == LAMPS["raised"]
    assert place.rows("call_cancelled")[1:] == []
    press(place, "wc.cancel")
    until(lambda: call(place)["state"] == "quiet", what="ended in the room")
    assert pulled(place, 2) not in (name, "wc-1"), "a name of its own"
    assert control.stop() == 0
    traces(place, file, stands_on=name)


def test_no_number_of_a_call_comes_again_and_the_restore_leaves_its_trace(
    place: House, tmp_path: Path
) -> None:
    control = place.control()
    file = backed_up(place, tmp_path)
    gone = pulled(place, 2)
    press(place, "wc.cancel")
    until(lambda: call(place)["state"] == "quiet", what="ended in the room")
    committed(place, "call_cancelled", 2)
    assert control.stop() == 0
    done = cli(place, "restore", file)
    assert done.popen.returncode == 0, lines(done)
    place.control()
    assert call(place)["state"] == "quiet"
    assert pulled(place, 2) not in (gone, "wc-1"), "a name of its own"
    traces(place, file)


def traces(place: House, file: str, stands_on: str = "") -> None:
    """What the logbook and the audit chain say of the restore, once."""
    (fact,) = place.rows("journal_recovered")
    assert (fact.subject, fact.data["reason"], fact.lane) == ("csg-office", "restored", "urgent")
    assert fact.utc_ms is not None
    assert cli(place, "audit", "verify").popen.returncode == 0
    listed = [json.loads(line) for line in lines(cli(place, "audit", "list", "--json")).split("\n")]
    (entry,) = (one for one in listed if one["action"] == "restore")
    assert (entry["actor"], entry["outcome"], entry["subject"]) == ("cli", "done", "csg-office")
    assert entry["detail"].startswith(f"{file}; ")
    assert (f"stands on: {stands_on}" in entry["detail"]) is bool(stands_on)
