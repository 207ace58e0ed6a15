"""What ``portier doctor`` makes of what it sees; real brokers and stores are in
``tests/process/test_doctor.py``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.app.configuration import load
from gateway.app.doctor import broker as doctor_broker
from gateway.app.doctor import certificates
from gateway.app.doctor import examination as doctor
from gateway.app.doctor import machine as doctor_machine
from gateway.app.doctor import page as doctor_page
from gateway.app.findings import Finding, Look, yes
from gateway.web.identity import repair
from gateway.web.identity.users import Users, users_file

BUILDING = """
gateway: {id: test, name: Test}
points:
  front.button: {driver: gpio_contact, pin: GPIO17}
  front.activation: {driver: gpio_relay, pin: GPIO27}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    activators: [{point: front.button, kind: button, side: inside}]
"""
NOW_MS = 10**12
"""By the clock of a bench that has travelled far."""
LIMITS = {"retain_available": True, "maximum_qos": 2, "maximum_packet_size": None}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "portier.yaml"
    # nobody listens on port 1
    file.write_text(BUILDING + "mqtt: {host: 127.0.0.1, port: 1, tls: none}\n", encoding="utf-8")
    return file


def of_broker(config: Path, link: object) -> list[Finding]:
    settings = load.settings(config)
    shown = {"link": link, "now_ms": NOW_MS}
    return list(doctor_broker.examine(settings, config, config.parent, shown))


def link(**more: Any) -> dict[str, Any]:
    said = {"connected": True, "reason": "", "heard_ms": NOW_MS, "keepalive_ms": 10_000}
    return said | {"aside": [], "aside_count": 0, "broker": LIMITS} | more


def test_a_link_that_runs_is_asked_and_no_connection_is_made(config: Path) -> None:
    findings = of_broker(config, link())
    assert [it.value for it in findings] == ["yes"] * 5
    assert "the broker answered link 0 s ago" in findings[0].evidence


def test_what_link_heard_long_ago_is_no_evidence(config: Path) -> None:
    first, tried = of_broker(config, link(heard_ms=NOW_MS - 21_000))
    assert first.value == "unknown"
    assert "21 s ago" in first.evidence
    assert tried.value == "no"  # by a connection of the doctor's own


@pytest.mark.parametrize("said", [None, [], {}, {"connected": True}, {"connected": "yes"}])
def test_a_link_that_says_nothing_usable_is_never_ok(config: Path, said: object) -> None:
    findings = of_broker(config, said)
    assert findings[0].value in ("unknown", "no")
    assert findings[-1].value == "no"


def test_what_link_has_set_aside_is_named_with_its_topic(config: Path) -> None:
    aside = [["homeassistant/device/test/config", "not authorized"]]
    findings = of_broker(config, link(aside=aside, aside_count=1))
    (wrong,) = [it for it in findings if it.value == "no"]
    assert "homeassistant/device/test/config (not authorized)" in wrong.what
    assert "topic write homeassistant/device/test/config" in wrong.remedy
    only_counted = of_broker(config, link(aside_count=3))
    assert [it.value for it in only_counted].count("no") == 1


def test_limits_that_link_reports_are_judged(config: Path) -> None:
    poor = {"retain_available": False, "maximum_qos": 0, "maximum_packet_size": 1000}
    findings = of_broker(config, link(broker=poor))
    assert [it.value for it in findings].count("no") == 3
    assert of_broker(config, link(broker=None))[1].value == "unknown"


def test_a_link_that_is_not_connected_says_why_and_is_tried(config: Path) -> None:
    first, tried = of_broker(config, link(connected=False, reason="refused"))
    assert (first.value, tried.value) == ("no", "no")
    assert "refused" in first.what
    assert "127.0.0.1:1" in tried.what


@pytest.mark.parametrize(
    ("record", "value", "text"),
    [
        ({"ok": True, "value": "yes", "evidence_ms": 8_000}, "yes", "2 s ago"),
        ({"ok": False, "value": "unknown", "reason": "link_away"}, "unknown", "link_away"),
        ({"ok": True, "value": "not_configured"}, "not_configured", ""),
        ({"ok": False, "value": "no", "reason": "x"}, "no", "x"),
        ({"ok": True, "reason": "not_configured"}, "not_configured", ""),
        ({"ok": True, "reason": ""}, "yes", ""),
        ({"ok": False, "reason": "relay_fault"}, "no", "relay_fault"),
        ({}, "no", ""),
        ({"value": "something new"}, "unknown", ""),
    ],
)
def test_guarantees_are_shown_as_they_are(record: dict[str, Any], value: str, text: str) -> None:
    found = doctor._guarantee("recording", record, 10_000)
    assert found.value == value
    assert text in found.what + found.evidence


def test_points_set_aside_are_said_beside_recording() -> None:
    record = {"ok": False, "value": "no", "reason": "set_aside", "aside": 70}
    found = doctor._guarantee("recording", record, 0)
    assert "70 points set aside" in found.what
    assert "portier record" in found.remedy


def test_nothing_is_ok_without_evidence() -> None:
    with pytest.raises(ValueError, match="yes without evidence"):
        yes("broker", "")


def test_what_hangs_or_fails_is_unknown_and_hides_nothing_else() -> None:
    over = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield yes("before", "seen")
        over.wait()

    def fails() -> Iterator[Finding]:
        yield yes("first", "seen")
        raise RuntimeError("no such thing")

    looks: list[tuple[str, Look]] = [("hangs", hangs), ("fails", fails)]
    found = doctor._all(looks, 0.2)
    over.set()
    assert [(it.what.split(":")[0], it.value) for it in found] == [
        ("before", "yes"), ("hangs", "unknown"), ("first", "yes"), ("fails", "unknown"),
    ]  # fmt: skip


def snapshot(**points: Any) -> dict[str, Any]:
    return {"points": points}


def test_points_are_what_control_knows_of_them(config: Path) -> None:
    settings = load.settings(config)

    def judged(shown: dict[str, Any] | None) -> list[tuple[str, str]]:
        return [
            (it.value, it.what)
            for it in doctor_machine.points(settings, shown)
            if it.what.startswith("points")
        ]

    good = {"active": False, "faults": []}
    both = {"front.button": good, "front.activation": good}
    assert judged({"points": both}) == [("yes", "points: 2 are known")]
    deaf = both | {"front.button": {"active": None, "faults": []}}
    ((value, what),) = judged({"points": deaf})
    assert (value, "front.button" in what) == ("no", True)
    ((value, what),) = judged({"points": {"front.button": good}})
    assert (value, "front.activation" in what) == ("no", True)
    assert judged(None)[0][0] == "unknown"
    meter: dict[str, Any] = {"kind": "meter", "active": None, "raw": None, "faults": []}
    for quantities, value in (
        ({"temperature_c": {"value": 20.4}}, "yes"),
        ({"temperature_c": {"value": 20.4}, "humidity_percent": {"value": None}}, "no"),
        ({}, "no"),
    ):
        air = meter | {"quantities": quantities}
        assert [it[0] for it in judged({"points": both | {"air": air}})] == [value]


class Chips:
    """The kernel's list of lines: who has which."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chip: Path) -> None:
        from drivers import gpiod_lines

        self.users: dict[str, str] = {}
        monkeypatch.setattr(
            gpiod_lines, "find", lambda pin, _chip: gpiod_lines.Line(str(chip), 1, str(pin))
        )
        monkeypatch.setattr(gpiod_lines, "user", lambda line: self.users.get(line.name, ""))
        monkeypatch.setattr(Path, "glob", lambda *_: iter([chip]))


def test_a_line_that_somebody_else_has(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load.settings(config)
    chip = tmp_path / "gpiochip0"
    chip.touch()
    chips = Chips(monkeypatch, chip)

    def judged(running: bool) -> list[tuple[str, str]]:
        return [(it.value, it.what) for it in doctor_machine._gpio(settings, running=running)]

    assert judged(False) == [("yes", "GPIO: 2 lines are free")]
    assert judged(True)[0][0] == "no"  # control runs and has not opened them
    chips.users["GPIO17"] = "led-blinker"
    (busy, free) = judged(False)
    assert busy == ("no", "GPIO: front.button: GPIO17 is in use by led-blinker")
    assert free[0] == "yes"
    chips.users = {"GPIO17": "portier", "GPIO27": "portier"}
    assert judged(True) == [("yes", "GPIO: 2 lines are in use by portier")]


@pytest.mark.parametrize(
    ("kernel", "service", "value"),
    [(True, "", "yes"), (False, "no", "no"), (None, "", "unknown"), (None, "no", "no")],
)
def test_the_clock(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernel: bool | None,
    service: str,
    value: str,
) -> None:
    monkeypatch.setattr("gateway.panel.time_service.kernel_synchronized", lambda: kernel)
    monkeypatch.setattr("gateway.panel.time_service.TIMESYNC_MARK", tmp_path / "none")
    monkeypatch.setattr(doctor_machine, "_timedatectl", lambda: service)
    settings = load.settings(config)
    (found,) = doctor_machine.clock(settings.gateway.bench, {"clock_trusted": True})
    assert found.value == value
    unheard = list(doctor_machine.clock(settings.gateway.bench, {"clock_trusted": False}))
    assert unheard[-1].value == ("no" if kernel else value)


def test_contacts_of_the_page_are_examined_and_a_broken_overlay_is_said(
    config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "overlay.yaml").write_text("doors: [", encoding="utf-8")
    found = doctor.examine(config, state)
    (broken,) = [it for it in found if it.what.startswith("changes of the page")]
    assert broken.value == "no"


def test_that_nobody_is_named_is_one_line_whatever_the_rooms(tmp_path: Path) -> None:
    def said(more: str) -> list[tuple[str, str]]:
        file = tmp_path / "portier.yaml"
        file.write_text(more, encoding="utf-8")
        settings = load.settings(file, judge=None, need=())
        found = [(it.value, it.what) for it in doctor._people(settings)]
        return [one for one in found if one[1].startswith("messages")]

    ((value, _),) = said(BUILDING)
    assert value == "not_configured"
    bench = (Path(__file__).parents[2] / "config" / "bench.yaml").read_text(encoding="utf-8")
    assert said(bench) == [
        ("no", "messages: a call in wc is announced to nobody outside of the room")
    ]


def test_an_address_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "portier.yaml"
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "phone"
    secret.write_text("json://127.0.0.1:1/\n", encoding="utf-8")
    file.write_text(
        BUILDING + "contacts: {reception: {channels: [!secret phone]}}\n"
        "escalations: {service: [{notify: reception, after: 0 s}]}\n",
        encoding="utf-8",
    )
    settings = load.settings(file, judge=None, need=())
    assert next(doctor._people(settings)).value == "yes"
    secret.unlink()
    assert next(doctor._people(settings)).value == "no"


def test_json_holds_value_and_evidence(config: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from gateway.app.cli.main import cli

    result = CliRunner().invoke(
        cli, ["doctor", "--json", "--config", str(config), "--state", str(tmp_path / "state")]
    )
    findings = json.loads(result.stdout)
    assert result.exit_code == 1
    assert all(set(it) == {"what", "ok", "value", "evidence", "remedy"} for it in findings)
    assert all(it["evidence"] for it in findings if it["value"] == "yes")
    assert {it["value"] for it in findings} <= {"yes", "no", "unknown", "not_configured"}


def test_a_damaged_file_of_the_users_has_a_way_back(tmp_path: Path) -> None:
    assert list(doctor_page.users(tmp_path)) == [], "there is none"
    file = users_file(tmp_path)
    with closing(Users(file)) as users:
        users.add_user("anna", "admin", "a good password")
    (whole,) = doctor_page.users(tmp_path)
    assert whole.value == "yes"
    file.write_bytes(b"what the card has left " * 4096)
    (damaged,) = doctor_page.users(tmp_path)
    assert (damaged.value, "restart portier-web" in damaged.remedy) == ("no", True)
    assert repair.repair(file, wants_factors=False) is not None
    (repaired,) = doctor_page.users(tmp_path)
    assert (repaired.value, "portier user add" in repaired.remedy) == ("no", True)
    repair.mark_seen(file)
    (whole,) = doctor_page.users(tmp_path)
    assert whole.value == "yes"


def test_a_certificate_that_is_not_valid_yet_is_not_fine() -> None:
    now = time.time()
    early = certificates.lasts("it", now + 9e6, "make another", "the file", now + 86_400)
    assert (early.value, early.remedy) == ("no", "check the clock, then: make another")
    assert "is not valid before 20" in early.what
    assert certificates.lasts("it", now + 9e6, "make another", "the file", now - 1).value == "yes"
