"""When a new version counts as serving, and when it is taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.panel import client
from gateway.update import services
from gateway.update.layout import Layout, Release
from gateway.update.services import Unit, worse

NEW = Release(Path("/opt/portier/releases/0.2.0"), "0.2.0", "d")
WEB = "portier-web.service"


def one(value: str, reason: str = "") -> dict[str, Any]:
    return {"ok": value in ("yes", "not_configured"), "value": value, "reason": reason}


@pytest.mark.parametrize(
    ("name", "now", "blamed"),
    [
        ("call", one("yes"), False),
        ("call", one("unknown", "loop"), True),
        ("forwarding", one("unknown", "broker_silent"), False),
        ("forwarding", one("no", "link_away"), True),
        ("messages", one("no", "delivery_failed"), False),
        ("messages", one("no", "notify_away"), True),
        ("heartbeat", one("not_configured"), False),
    ],
)
def test_a_guarantee_is_worse_where_the_update_may_be_to_blame(
    name: str, now: dict[str, Any], blamed: bool
) -> None:
    assert bool(worse([name], {name: now})) is blamed
    assert worse([], {name: now}) == [], "it was not yes before"
    assert worse([name], {}) == [], "this version does not promise it any more"


class Machine:
    """The units and the panel, as the next look finds them; the last look stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: dict[str, Any]) -> None:
        self._looks: Iterator[dict[str, Any]] = iter(looks)
        self._look: dict[str, Any] = {}
        self.now_s = 0.0
        monkeypatch.setattr(services, "states", self._states)
        monkeypatch.setattr(client, "snapshot", self._snapshot)
        monkeypatch.setattr("gateway.update.services.time.monotonic", lambda: self.now_s)
        monkeypatch.setattr("gateway.update.services.time.sleep", self._sleep)
        monkeypatch.setattr(
            Unit, "runs", lambda unit, release: self._look.get("release", NEW) == release
        )

    def _states(self) -> dict[str, Unit]:
        self._look = next(self._looks, self._look)
        look = {"state": "active", "pid": 7, "result": "success", "restarts": 0, **self._look}
        return {WEB: Unit(WEB, *(look[key] for key in ("state", "pid", "result", "restarts")))}

    def _snapshot(self, _path: Path) -> Any:
        if self._look.get("away"):
            raise client.ControlAway("away")
        version = self._look.get("version", "0.2.0")
        return {"gateway": {"version": version}, "guarantees": self._look.get("guarantees", {})}

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds


def wait(before: tuple[str, ...] = ()) -> list[str]:
    return services.wait_until_served(NEW, [WEB], before)


def test_it_serves_once_nothing_has_changed_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {"away": True}, {"state": "activating"}, {"pid": 8}, {"pid": 9})
    assert wait() == []
    assert services.STEADY_S <= machine.now_s < services.STEADY_S + 2


@pytest.mark.parametrize(
    ("look", "said"),
    [
        ({"state": "failed", "result": "exit-code"}, "is failed (exit-code): journalctl -u"),
        ({"away": True}, "control does not answer"),
        ({"version": "0.1.0"}, "it is version 0.1.0"),
        ({"release": None}, "still runs another version"),
        ({"guarantees": {"call": one("no", "fault")}}, "guarantee call was yes and is no (fault)"),
    ],
)
def test_what_does_not_serve_in_time_is_named(
    monkeypatch: pytest.MonkeyPatch, look: dict[str, Any], said: str
) -> None:
    machine = Machine(monkeypatch, look)
    (wrong,) = wait(("call",))
    assert said in wrong
    assert machine.now_s > services.WITHIN_S


def test_a_role_that_ends_again_and_again_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = [{"state": "activating", "restarts": number} for number in range(99)]
    machine = Machine(monkeypatch, *looks)
    assert wait() == [f"{WEB} ends again and again: journalctl -u {WEB}"]
    assert machine.now_s < services.WITHIN_S / 2


def test_the_process_says_which_version_it_is_of() -> None:
    command = [sys.executable, "-c", "input(0)"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.read(1)  # the kernel shows a command line once the program runs
        running = Unit(WEB, "active", process.pid, "success", 0)
        assert running.runs(Release(Path(sys.executable).parent, "0.2.0", "d"))
        assert not running.runs(NEW)
    assert not Unit(WEB, "inactive", 0, "success", 0).runs(NEW)


def test_the_door_starts_first_and_what_somebody_has_stopped_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []
    stopped_us = 5_000_000

    def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        times = f"ActiveExitTimestampMonotonic={stopped_us}\nActiveEnterTimestampMonotonic=5700000"
        return subprocess.CompletedProcess(words, 0, times)

    monkeypatch.setattr(services, "systemctl", systemctl)
    inactive = ("portier-record.service", "portier-notify.service")
    monkeypatch.setattr(
        services,
        "states",
        lambda: {
            name: Unit(name, "inactive" if name in inactive else "active", 0, "success", 0)
            for name in services.ROLES
        },
    )
    (tmp_path / "deploy/systemd").mkdir(parents=True)
    (tmp_path / "deploy/systemd/portier-corrected.path").touch()
    (tmp_path / "deploy/systemd/portier-certificates.timer").touch()
    release = Release(tmp_path, "0.2.0", "d")

    def started() -> list[tuple[str, ...]]:
        found = [words for words in asked if words[0] in ("restart", "try-restart")]
        asked.clear()
        return found

    services.start(release, ["portier-record.service"])
    assert started() == [
        ("restart", "portier-control.service"),
        ("restart", "portier-link.service", "portier-web.service", "portier-record.service"),
        ("try-restart", "portier-certificates.timer"),
        ("try-restart", "portier-corrected.path"),
    ]
    assert "was away for 700 ms" in capsys.readouterr().out
    stopped_us = 5_800_000
    services.start(release, all_of_them=True)
    assert capsys.readouterr().out == "", "it is not back: nothing is claimed"
    assert started() == [
        ("restart", "portier-control.service"),
        ("restart", *services.OTHERS),
        ("restart", "portier-certificates.timer"),
        ("restart", "portier-corrected.path"),
    ]
    monkeypatch.setattr(Unit, "runs", lambda *_: True)
    services.start(release)
    assert started() == [
        ("try-restart", "portier-certificates.timer"),
        ("try-restart", "portier-corrected.path"),
    ], "they run already"


def test_units_go_through_the_link_and_those_of_before_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(services, "systemctl", lambda *words: asked.append(words))
    for name in ("UNITS", "PORTIER", "UPDATE"):
        monkeypatch.setattr(services, name, tmp_path / "system" / name.lower())
    units = tmp_path / "system/units"
    units.mkdir(parents=True)
    layout = Layout(tmp_path / "home")
    folder = layout.releases / "0.2.0"
    (folder / "deploy/systemd").mkdir(parents=True)
    for name in ("portier-web.service", "portier-new.path"):
        (folder / "deploy/systemd" / name).write_text("[Install]\n")
    (folder / services.SCRIPT).touch()
    (units / "portier-web.service").write_text("[Unit]\n")
    (units / "portier-gone.service").symlink_to(layout.home / "current/deploy/x")
    (units / "portier-mine.service").write_text("of its owner\n")
    (units / "portier-alias.service").symlink_to("/lib/systemd/system/other.service")
    release = layout.complete(folder, "0.2.0", "d")
    assert services.lay_units(layout, release) == ["portier-new.path"], "to be enabled"
    services.enable(["portier-new.path"], release)
    assert asked == [
        ("disable", "-q", "--now", "portier-gone.service"),
        ("daemon-reload",),
        ("enable", "-q", "portier-new.path"),
    ]
    assert os.readlink(units / "portier-web.service") == (
        f"{layout.home}/current/deploy/systemd/portier-web.service"
    )
    assert sorted(one.name for one in units.iterdir()) == [
        "portier-alias.service",
        "portier-mine.service",
        "portier-new.path",
        "portier-web.service",
    ]
    assert services.lay_units(layout, release) == []
