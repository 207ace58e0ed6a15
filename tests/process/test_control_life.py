"""``control`` as a process: started, killed, locked, reloaded, and without any network."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from gateway.panel import client
from tests.process.parts import BUILDING, House, hear, until

pytestmark = pytest.mark.process


def accepted(place: House) -> list[str]:
    return [
        str(row.data["outcome"])
        for row in place.rows("door_request")
        if row.data["outcome"] == "accepted"
    ]


def test_a_press_comes_through_to_the_journal_and_the_panel(place: House) -> None:
    place.control()
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "open")
    until(lambda: "door_opened" in [row.kind for row in place.rows()])
    shown = place.snapshot()
    assert shown["doors"]["front"]["last_request"]["activator"] == "front.button"
    assert shown["gateway"]["name"] == "Test building"
    until(lambda: not doubtful(place))


def doubtful(place: House) -> dict[str, str]:
    """What does not hold, or is not known to, and why."""
    told = place.snapshot()["guarantees"]
    return {
        n: it["reason"] for n, it in told.items() if it["value"] not in ("yes", "not_configured")
    }


def test_a_command_is_answered_with_its_fact_and_audited(place: House) -> None:
    place.control()
    reply = place.command("open_door", door="front", reason="delivery")
    assert reply["status"] == "accepted"
    gateway, _, lane, seq = reply["fact"].split("/")
    assert (gateway, lane) == ("test", "urgent")
    (row,) = [row for row in place.rows("door_request") if row.seq == int(seq)]
    assert row.data["command"] == reply["id"]
    refused = place.command("open_door", door="nowhere")
    assert (refused["status"], refused["reason"]) == ("refused", "unknown_door")
    journal = f"file:{place.state / 'journal.sqlite'}?mode=ro"
    with contextlib.closing(sqlite3.connect(journal, uri=True)) as db:
        chain = db.execute("SELECT action, outcome FROM audit ORDER BY n").fetchall()
    assert chain == [("open_door", "accepted"), ("open_door", "refused: unknown_door")]


EAGER = """
import uuid
from gateway.__main__ import main
from gateway.panel import client, server

start = server.Server.start


def asked_at_once(panel):
    start(panel)
    one = client.command("open_door", {"door": "front"}, id=uuid.uuid4().hex, actor="x", via="cli")
    print("eager:", client.ask(panel._path, one)["status"], flush=True)


server.Server.start = asked_at_once
main()
"""


def test_who_asks_in_the_moment_the_panel_listens_is_answered(place: House) -> None:
    """There was a moment in which an answer found no panel and was lost for good."""
    folders = ("--config", str(place.config), "--state", str(place.state))
    control = place.start(sys.executable, "-c", EAGER, "run", "control", *folders)
    until(lambda: control.said("eager:") or control.said("Traceback"))
    assert control.said("eager: accepted"), control.lines


def test_killed_in_the_middle_of_a_pulse_nothing_is_replayed(place: House) -> None:
    """Relays that fire at boot (mqtt-io#283, esphome/issues#3094)."""
    place.config.write_text(BUILDING.replace("pulse: 500 ms", "pulse: 5 s"))
    first = place.control()
    place.command("set_mode", door="front", mode="exit_only", for_ms=3_600_000)
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["points"]["front.activation"]["active"])
    until(lambda: accepted(place))
    first.kill()
    place.control()
    shown = place.snapshot()["doors"]["front"]
    assert (shown["mode"], shown["mode_source"]) == ("exit_only", "override")
    starts = place.rows("gateway_started")
    until(lambda: len(place.rows("gateway_started")) == 2)
    since = place.rows("gateway_started")[-1].row
    assert starts[0].row < since
    place.bench("travel", by_ms=10_000)  # longer than the pulse: nothing comes
    place.command("open_door", door="nowhere")  # answered with its fact: all before is durable
    later = [
        row.subject for row in place.rows("relay_changed") if row.row > since and row.data["on"]
    ]
    assert later == []
    assert len(accepted(place)) == 1
    assert place.rows("gateway_started")[-1].data["clean"] is False


def test_an_orderly_stop_is_a_fact(place: House) -> None:
    control = place.control()
    assert control.stop() == 0
    assert [row.data["reason"] for row in place.rows("gateway_stopped")] == ["SIGTERM"]
    assert not place.panel.exists()
    place.control()
    until(lambda: len(place.rows("gateway_started")) == 2)
    assert place.rows("gateway_started")[-1].data["clean"] is True


def test_a_second_control_on_the_same_folder_is_refused(place: House) -> None:
    place.control()
    second = place.run("control")
    assert second.wait() == 1
    assert second.said("control already runs on")
    assert place.snapshot()


def test_a_killed_control_leaves_nothing_in_the_way(place: House) -> None:
    place.control().kill()
    assert place.panel.exists()  # the stale socket of the dead one
    place.control()


def test_it_has_no_network(place: House) -> None:
    """The one that moves relays has no socket but Unix ones."""
    control = place.control()
    inodes = set()
    for fd in Path(f"/proc/{control.pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except FileNotFoundError:
            continue  # it was closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    assert inodes
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "netlink"):
        path = Path(f"/proc/{control.pid}/net/{table}")
        if not path.exists():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        used = {line.split()[9 if table != "netlink" else -1] for line in lines}
        assert not used & inodes, table


def test_it_starts_from_the_cache_without_the_heavy_libraries(place: House) -> None:
    place.control().stop()
    again = place.control()
    maps = Path(f"/proc/{again.pid}/maps").read_text(encoding="utf-8")
    assert "journal.sqlite" in maps
    assert "pydantic_core" not in maps
    assert "_yaml" not in maps
    children = Path(f"/proc/{again.pid}/task/{again.pid}/children").read_text(encoding="utf-8")
    assert children == ""


def test_the_panel_is_for_owner_and_group(place: House) -> None:
    place.control()
    assert stat.S_IMODE(place.panel.stat().st_mode) == 0o660


def test_a_wrong_configuration_is_refused_at_the_start(place: House) -> None:
    place.config.write_text("gateway: {id: test}\npoints: {}\ndors: {}\nweb: {listen: 80}\n")
    control = place.run("control")
    assert control.wait() == 78
    assert control.said("dors")
    assert control.said("web.listen")


def test_a_reload_of_a_wrong_configuration_keeps_the_old_one(place: House) -> None:
    control = place.control()
    before = place.snapshot()["gateway"]
    place.config.write_text(place.config.read_text().replace("simulated_relay", "simulated_rely"))
    control.popen.send_signal(signal.SIGHUP)
    until(lambda: control.said("is refused, the old one stays"))
    assert control.said("did you mean simulated_relay")
    assert place.snapshot()["gateway"]["boot"] == before["boot"]
    assert place.command("open_door", door="front")["status"] == "accepted"


def test_a_reload_of_a_good_configuration_takes_over(place: House) -> None:
    control = place.control()
    place.command("set_mode", door="front", mode="night", for_ms=3_600_000)
    before = place.snapshot()["gateway"]["configuration"]
    place.config.write_text(place.config.read_text().replace("Test building", "New building"))
    control.popen.send_signal(signal.SIGHUP)
    until(lambda: place.snapshot()["gateway"]["name"] == "New building")
    after = place.snapshot()
    assert after["gateway"]["configuration"] != before
    assert after["doors"]["front"]["mode"] == "night"
    assert control.popen.poll() is None  # it is the same process
    (changed,) = place.rows("configuration_changed")
    assert changed.data["digest"] == after["gateway"]["configuration"]


def test_a_journey_of_a_day_takes_seconds_and_is_exact(place: House) -> None:
    place.control("--bench-start", "2026-03-28T12:00:00+01:00")
    shown = place.snapshot()
    at_ms = shown["now_ms"] + 3_600_000
    offset = shown["utc_offset_ms"]
    assert abs(shown["now_ms"] + offset - 1_774_695_600_000) < 60_000
    result = place.bench(
        "play", edges=[[at_ms, "front.button", True], [at_ms + 40, "front.button", False]]
    )
    assert result["now_ms"] >= at_ms + 40
    place.bench("travel", by_ms=86_400_000)
    until(lambda: place.rows("door_closed"))
    facts = {row.kind: row for row in place.rows("door_request", "door_opened", "door_closed")}
    assert facts["door_request"].mono_ms == at_ms
    assert facts["door_request"].utc_ms == at_ms + offset
    assert facts["door_opened"].data["press_to_open_ms"] == 330
    assert place.snapshot()["now_ms"] >= at_ms + 86_400_000


def test_a_journal_that_takes_nothing_does_not_stop_the_door(place: House) -> None:
    """Somebody holds the file; the answer comes all the same, without a fact's name."""
    place.control()
    holder = sqlite3.connect(place.state / "journal.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        reply = place.command("open_door", door="front")
        assert (reply["status"], reply["fact"]) == ("accepted", None)
        assert place.snapshot()["points"]["front.activation"]["changes"] >= 1
        until(lambda: not place.snapshot()["guarantees"]["journal"]["ok"])
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    until(lambda: place.snapshot()["guarantees"]["journal"]["ok"])
    assert accepted(place)


def test_the_watchdog_is_fed_by_the_loop_and_starves_with_it(place: House) -> None:
    notify = place.state.parent / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(60)
        place.environment = {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "1000000"}
        control = place.run("control")
        hear(manager, b"READY=1")
        hear(manager, b"WATCHDOG=1")
        control.popen.send_signal(signal.SIGSTOP)
        manager.settimeout(0.7)
        starved = False
        while not starved:
            try:
                manager.recv(100)  # what was on its way
            except TimeoutError:
                starved = True
        control.popen.send_signal(signal.SIGCONT)
        manager.settimeout(60)
        hear(manager, b"WATCHDOG=1")


def test_a_reload_is_no_end_and_takes_what_comes_meanwhile(place: House) -> None:
    """The same process goes on: it never says that it stops, and a second reload that comes
    while the first takes over ends nothing and is not lost."""
    notify = place.state.parent / "notify"
    said: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(60)
        place.environment = {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "1000000"}
        control = place.run("control")
        hear(manager, b"READY=1")
        place.config.write_text(BUILDING.replace("Test building", "Second"))
        control.popen.send_signal(signal.SIGHUP)
        while not said or not said[-1].startswith(b"RELOADING=1\n"):
            said.append(manager.recv(300))
        place.config.write_text(BUILDING.replace("Test building", "Third"))
        manager.settimeout(0.05)
        while b"READY=1" not in said:
            assert control.popen.poll() is None, control.lines
            control.popen.send_signal(signal.SIGHUP)
            with contextlib.suppress(TimeoutError):
                said.append(manager.recv(300))
        until(lambda: place.snapshot()["gateway"]["name"] == "Third")
        assert b"STOPPING=1" not in said
        assert control.popen.poll() is None, control.lines
        manager.settimeout(60)
        control.popen.send_signal(signal.SIGTERM)
        hear(manager, b"STOPPING=1")
        assert control.wait() == 0


def test_nobody_else_hears_of_a_press_while_control_is_away(place: House) -> None:
    with pytest.raises(client.ControlAway):
        place.command("open_door", door="front")
