"""The configurations that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.load import load
from gateway.settings.plan.building import plan
from tests.settings.house import DRIVERS, NOW, ROOT, SMALL, changed, loaded, write


def test_the_digest_is_of_what_is_written_and_not_of_its_layout(tmp_path: Path) -> None:
    one = loaded(tmp_path, SMALL).digest
    assert (
        loaded(
            tmp_path, "# a comment\n" + changed(SMALL, ("side: outside", "side:  'outside'"))
        ).digest
        == one
    )
    assert loaded(tmp_path, changed(SMALL, ("side: outside", "side: inside"))).digest != one
    assert len(one) == 64


@pytest.mark.parametrize("name", ["office.yaml", "bench.yaml", "demo.yaml"])
def test_the_files_of_the_project_are_in_order(name: str) -> None:
    settings = load(ROOT / "config" / name, DRIVERS)
    assert [hint for hint in settings.hints if "no escalation" not in hint] == []
    assert bool(settings.hints) == (name == "office.yaml"), "its contacts want to be filled in"
    assert list(settings.doors) == ["front"]
    assert list(settings.rooms) == ["wc"]


def office(tmp_path: Path) -> Path:
    """The office with every optional part that stands in it wired."""
    text = (ROOT / "config" / "office.yaml").read_text().replace("#+ ", "")
    text = changed(
        text, ("pin: GPIO27,", "pin: GPIO27, max_on: unlimited,"), ("action: close", "action: open")
    )
    (tmp_path / "secrets").mkdir()
    for name in (
        "caretaker_url",
        "reception_url",
        "care_service_url",
        "heartbeat_url",
        "mail_account",
        "sms_account",
    ):
        (tmp_path / "secrets" / name).write_text("x")
    return write(tmp_path, text)


def test_the_optional_parts_of_the_office_are_in_order_too(tmp_path: Path) -> None:
    settings = load(office(tmp_path), DRIVERS)
    assert settings.hints == ()
    assert settings.rooms["wc"].escalation == "care"
    assert settings.doors["front"].strike is not None
    assert plan(settings, now_utc_ms=NOW).doors[0].fire is not None


PROMISED = {
    "front": "button_inside button_outside remote leaf activation",
    "wc": "cord cancel presence lamp room_lamp sounder pir door leak climate",
}


def test_bench_and_office_have_the_promised_names(tmp_path: Path) -> None:
    bench = load(ROOT / "config" / "bench.yaml", DRIVERS)
    whole = load(office(tmp_path), DRIVERS)
    promised = {f"{of}.{name}" for of, names in PROMISED.items() for name in names.split()}
    assert promised <= set(bench.points) <= set(whole.points)
    optional = (
        "front.strike fire.alarm front.remote_radio wc.window wc.window_radio hall.climate "
        "cellar.climate heating.flow front.tamper wc.fan mains.battery wc.cord_line meeting.window "
        "server.climate"
    )
    assert set(whole.points) - set(bench.points) == set(optional.split())
    assert all(point.driver.startswith("simulated") for point in bench.points.values())
    assert bench.gateway.id == whole.gateway.id
    assert bench.mqtt is not None
    assert bench.mqtt.embedded
    assert bench.record is not None
    assert bench.record.store == "sqlite"
    assert bench.web is not None
    assert (bench.web.host, bench.web.port) == ("127.0.0.1", 8080)
