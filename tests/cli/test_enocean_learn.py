"""``portier enocean learn``: what a stick hears, as lines for the configuration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway.app.cli import radio as commands_radio
from gateway.app.configuration.load import drivers
from gateway.settings.load import load
from tests.drivers.enocean_bench import BO_PRESSED, LEARN_A5, FakeStick, radio, rocker, window

cli = typer.Typer()
commands_radio.add(cli)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[FakeStick]:
    made = FakeStick(tmp_path)
    yield made
    made.close()


def learn(port: str, for_: str = "2 s") -> Result:
    return CliRunner().invoke(cli, ["enocean", "learn", "--port", port, "--for", for_])


def listening() -> None:
    """Wait until the port is open: what was said before is thrown away."""
    deadline = time.monotonic() + 30
    while not any(thread.name.startswith("enocean ") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def learned(stick: FakeStick, *telegrams: bytes) -> Result:
    def speak() -> None:
        listening()
        stick.says(*telegrams)

    speaker = threading.Thread(target=speak)
    speaker.start()
    result = learn(stick.path)
    speaker.join()
    return result


def test_what_is_heard_becomes_a_configuration_that_is_in_order(
    stick: FakeStick, tmp_path: Path
) -> None:
    result = learned(stick, BO_PRESSED, rocker(0), window(True, "01862F3C"), LEARN_A5)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    device = f'port: {stick.path}, device: "018DF8BD"'
    pressed = f"  radio.018df8bd: {{driver: enocean_contact, {device}, profile: F6-02-01, "
    assert lines[0] == pressed + "button: BO}  # BO pressed, -85 dBm"
    assert lines[1] == "  # 018DF8BD: released, -60 dBm"
    assert "profile: D5-00-01}  # closed" in lines[2]
    assert "driver: enocean_meter" in lines[3]
    assert "profile: A5-04-01}  # learn button pressed, -40 dBm" in lines[3]
    watch = "".join(
        f"  w{n}: {{point: {line.split(':')[0].strip()}{more}}}\n"
        for n, line, more in (
            (1, lines[0], ""),
            (2, lines[2], ""),
            (3, lines[3], ", quantity: temperature_c, above: 30"),
        )
    )
    file = tmp_path / "learned.yaml"
    file.write_text("gateway: {id: x}\npoints:\n" + "\n".join(lines) + "\nwatch:\n" + watch)
    settings = load(file, drivers())
    assert len(settings.points) == 3


def test_what_cannot_become_a_point_is_a_comment(stick: FakeStick) -> None:
    """A sensor of another profile, values without a profile, an encrypted device."""
    other = radio(0xA5, bytes((0x08, 0x28, 0x00, 0x80)))
    values = radio(0xA5, bytes((0, 0, 100, 0x08)))
    result = learned(stick, other, values, radio(0x30, b"\x01\x02\x03"))
    assert [text.split(", -60")[0] for text in result.stdout.splitlines()] == [
        "  # 018DF8BD: A5-02-05 is not understood, learn button pressed",
        "  # 018DF8BD: values; press the learn button of the device to see its profile",
        "  # 018DF8BD: a telegram of the sort 30, which Portier does not understand",
    ]


def test_a_port_that_is_not_there_is_told_with_the_remedy() -> None:
    result = learn("/dev/none")
    assert result.exit_code == 1
    assert "there is no serial port /dev/none: plug the stick in" in result.stderr


def test_a_port_that_the_gateway_has_is_told_with_the_remedy(stick: FakeStick) -> None:
    from drivers.enocean.stick import Stick

    running = Stick(stick.path)  # as long as it lives, nobody else can open it
    try:
        result = learn(stick.path)
    finally:
        running.close()
    assert result.exit_code == 1
    assert "is in use by another program" in result.stderr
    assert "systemctl stop portier-control" in result.stderr


def test_silence_and_a_stick_that_is_pulled_out_are_told(stick: FakeStick) -> None:
    assert "Nothing was heard" in learn(stick.path, "50 ms").stderr

    def pull() -> None:
        listening()
        stick.unplug()

    puller = threading.Thread(target=pull)
    puller.start()
    result = learn(stick.path, "20 s")
    puller.join()
    assert result.exit_code == 1
    assert "plug the stick in again" in result.stderr


def test_the_doctor_looks_for_the_stick(stick: FakeStick, tmp_path: Path) -> None:
    from gateway.app.doctor.examination import examine

    file = tmp_path / "radio.yaml"
    file.write_text(
        "gateway: {id: x, bench: yes}\npoints:\n"
        f'  a: {{driver: enocean_contact, port: {stick.path}, device: "018DF8BD", '
        "profile: D5-00-01}\nwatch: {a: {point: a}}\n"
    )

    def radio() -> list[tuple[str, bool, bool]]:
        found = examine(file, tmp_path / "state")
        return [(f.what, f.ok, bool(f.remedy)) for f in found if f.what.startswith("radio")]

    assert radio() == [(f"radio: {stick.path}", True, False)]
    stick.unplug()
    assert radio() == [(f"radio: there is no {stick.path}", False, True)]
