"""Numbers for Prometheus: what is known, in base units, and nothing that is not."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.web.shared import machine
from gateway.web.shared.machine import Machine, MachineReader
from tests.page.fake import alarm, contact, door, guarantee, now_ms, room
from tests.web.conftest import Web, snapshot

ROOT = Path(__file__).parents[2]
UNTIL_S = 1_800_000_000.0


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The machine below, as the test says."""

    def see(web: Web, **values: Any) -> None:
        monkeypatch.setattr(web.site, "machine", MachineReader(lambda: Machine(**values)))

    return see


def numbers(web: Web) -> dict[str, float]:
    """Every sample: name with labels -> value."""
    text = web.call("GET", "/metrics", headers=web.token("view")).text
    found = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def everything(**more: Any) -> dict[str, Any]:
    """A building in which every metric has a sample."""
    now = now_ms()
    told = {
        "call": guarantee(now, "yes"),
        "forwarding": guarantee(now, "no", "unsent", backlog=7, oldest_unsent_ms=12_500)
        | {"aside_count": 2},
        "recording": guarantee(now, "yes", backlog=4, aside=1)
        | {"recorded_until_utc_ms": 1_700_000_000_250},
    }
    wc = room("WC")
    wc["call"] |= {"state": "raised", "id": "wc-1", "raised_utc_ms": 1_700_000_000_000}
    wc["counters"] = {"calls": 5, "tests": 2}
    return snapshot(
        guarantees=told | more,
        rooms={"wc": wc},
        doors={"front": door("Haupteingang")},
        alarms=[alarm("front", "left_open", "fault")],
        points={
            "wc.climate": contact(None, kind="meter", quantities={
                "temperature_c": {"value": 21.5, "at_ms": now}})
        },
    )  # fmt: skip


def test_backlog_age_and_what_is_recorded_are_in_base_units(web: Web) -> None:
    web.see(everything())
    found = numbers(web)
    assert found["portier_unsent_facts"] == 7
    assert found["portier_unsent_oldest_seconds"] == 12.5
    assert found["portier_refused_messages"] == 2
    assert found["portier_unrecorded_facts"] == 4
    assert found["portier_set_aside_points"] == 1
    assert found["portier_recorded_until_timestamp_seconds"] == 1_700_000_000.25
    assert found['portier_call_raised_timestamp_seconds{room="wc"}'] == 1_700_000_000
    assert found['portier_calls_total{room="wc"}'] == 5
    assert found['portier_test_calls_total{room="wc"}'] == 2


@pytest.mark.parametrize("value", ["yes", "no", "unknown", "not_configured"])
def test_a_guarantee_has_one_state_of_four(web: Web, value: str) -> None:
    web.see(snapshot(guarantees={"call": guarantee(now_ms(), value)}))
    found = numbers(web)
    states = {
        state: found[f'portier_guarantee_state{{name="call",state="{state}"}}']
        for state in ("yes", "no", "unknown", "not_configured")
    }
    assert states == {state: float(state == value) for state in states}


BACKLOGS = re.compile(r"portier_(un|refused|set_aside|recorded)")


@pytest.mark.parametrize("reason", ["journal", "not_configured"])
def test_what_nobody_can_know_is_missing_and_not_0(web: Web, reason: str) -> None:
    value = "not_configured" if reason == "not_configured" else "unknown"
    one = guarantee(now_ms(), value, reason, backlog=0, oldest_unsent_ms=0, aside=0)
    web.see(snapshot(guarantees={"forwarding": one, "recording": one}))
    assert [name for name in numbers(web) if BACKLOGS.match(name)] == []


def test_a_recorder_that_has_nothing_yet_has_no_time(web: Web) -> None:
    one = guarantee(now_ms(), "yes", backlog=0) | {"recorded_until_utc_ms": None}
    web.see(snapshot(guarantees={"recording": one}))
    found = numbers(web)
    assert found["portier_unrecorded_facts"] == 0
    assert "portier_recorded_until_timestamp_seconds" not in found


def test_the_machine_has_numbers_while_control_is_away(web: Web, sees: Any) -> None:
    web.see(everything())
    web.away()
    sees(
        web,
        disk_size_bytes=100,
        disk_free_bytes=40,
        device_written_bytes=512,
        written_bytes={"control": 4_096},
        temperatures_c={"cpu-thermal": 48.5},
        certificates={"page": UNTIL_S},
    )
    found = numbers(web)
    assert found == {
        name: value
        for name, value in found.items()
        if name.startswith(("portier_build_info", "portier_live_clients"))
    } | {
        "portier_connected": 0,
        "portier_state_filesystem_size_bytes": 100,
        "portier_state_filesystem_free_bytes": 40,
        "portier_state_device_written_bytes_total": 512,
        'portier_role_written_bytes_total{role="control"}': 4_096,
        'portier_board_temperature_celsius{sensor="cpu-thermal"}': 48.5,
        'portier_certificate_not_after_timestamp_seconds{certificate="page"}': UNTIL_S,
    }


def test_a_disk_that_hangs_holds_up_no_metrics() -> None:
    asked = 0
    answer = threading.Event()

    def hang() -> Machine:
        nonlocal asked
        asked += 1
        answer.wait()
        return Machine(disk_free_bytes=1)

    async def follow() -> list[int | None]:
        reader = MachineReader(hang)
        first = [(await reader.read(0.01)).disk_free_bytes for _ in range(3)]
        answer.set()
        return [*first, (await reader.read(60)).disk_free_bytes]

    assert asyncio.run(follow()) == [None, None, None, 1]
    assert asked == 1  # one thread, however often somebody asks


# --- what the kernel says ---------------------------------------------------------------------


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def look(folder: Path) -> Machine:
    return machine.look(folder, dict, folder / "proc", folder / "sys")


def test_disk_and_device_are_those_of_the_state_folder(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    stat = "9 0 0 0 5 0 24 0 0 0 0"
    put(tmp_path / f"sys/dev/block/{os.major(device)}:{os.minor(device)}/stat", stat)
    found = look(tmp_path)
    assert found.device_written_bytes == 24 * 512
    assert found.disk_size_bytes == shutil.disk_usage(tmp_path).total
    assert found.disk_free_bytes is not None


def test_under_systemd_wear_is_told_by_unit(tmp_path: Path) -> None:
    units = tmp_path / "sys/fs/cgroup/system.slice"
    two = "179:0 rbytes=1 wbytes=4096 rios=1\n8:0 rbytes=0 wbytes=512 rios=0\n"
    put(units / "portier-control.service/io.stat", two)
    put(units / "portier-link.service/io.stat", "")
    assert look(tmp_path).written_bytes == {"control": 4_608}


def test_under_the_supervisor_wear_is_told_by_process(tmp_path: Path) -> None:
    proc, parent = tmp_path / "proc", os.getppid()
    put(proc / f"{parent}/task/{parent}/children", "11 12 13 ")
    put(proc / "11/cmdline", "python\0-m\0gateway\0run\0control\0--state\0link\0")
    put(proc / "11/io", "rchar: 5\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n")
    put(proc / "12/cmdline", "python\0-m\0gateway\0run\0link\0")  # its io is not for us
    put(proc / "13/cmdline", "sh\0-c\0control\0")
    put(proc / "13/io", "write_bytes: 7\n")
    put(proc / "self/io", "write_bytes: 1\n")
    assert look(tmp_path).written_bytes == {"control": 8_192, "web": 1}


def test_sensors_are_told_by_their_names(tmp_path: Path) -> None:
    zones = tmp_path / "sys/class/thermal"
    put(zones / "thermal_zone0/type", "cpu-thermal\n")
    put(zones / "thermal_zone0/temp", "48312\n")
    put(zones / "thermal_zone1/type", "broken\n")
    put(zones / "thermal_zone1/temp", "\n")
    assert look(tmp_path).temperatures_c == {"cpu-thermal": 48.312}


def test_a_kernel_that_says_nothing_gives_no_numbers(tmp_path: Path) -> None:
    found = machine.look(tmp_path / "gone", dict, tmp_path / "proc", tmp_path / "sys")
    assert found == Machine()


# --- conventions ------------------------------------------------------------------------------


@pytest.fixture
def exposition(web: Web, sees: Any) -> str:
    """Every metric once, as Prometheus reads it."""
    web.see(everything())
    sees(
        web, disk_size_bytes=1, disk_free_bytes=1, device_written_bytes=1,
        written_bytes={"web": 1}, temperatures_c={"cpu": 1.0},
        certificates={"page": time.time()},
    )  # fmt: skip
    return str(web.call("GET", "/metrics", headers=web.token("view")).text)


def test_the_document_names_every_metric_and_none_that_is_not_there(exposition: str) -> None:
    text = (ROOT / "deploy" / "prometheus" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `portier_")]
    named = {name for row in rows for name in re.findall(r"`(portier_\w+)`", row.split("|")[1])}
    assert named == set(re.findall(r"^# TYPE (portier_\w+)", exposition, re.M))


def test_rules_ask_for_metrics_that_there_are(exposition: str) -> None:
    rules = (ROOT / "deploy" / "prometheus" / "portier.rules.yml").read_text(encoding="utf-8")
    asked = {name for line in re.findall(r"expr: (.*)", rules)
             for name in re.findall(r"\bportier_\w+", line)}  # fmt: skip
    assert asked <= set(re.findall(r"^# TYPE (portier_\w+)", exposition, re.M))


@pytest.mark.process
def test_promtool_finds_nothing_to_say(exposition: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposition,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
