"""The way to the broker at its worst, over real TCP: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.mqtt.settings import BrokerSettings
from tests.process.network import Cable
from tests.process.parts_mqtt import Mosquitto, Role, eventually, running, sqlite_points
from tests.process.stand_in import StandIn, links
from tests.process.test_delivery import Stream, everything_once

pytestmark = pytest.mark.process

HERE, THERE = 0, 1


class FarMosquitto(Mosquitto):
    """At the other end of the cable."""

    def __init__(self, folder: Path, cable: Cable) -> None:
        super().__init__(folder)
        self.cable = cable
        conf = self.folder / "mosquitto.conf"
        conf.write_text(conf.read_text().replace("127.0.0.1", "0.0.0.0"))

    def command(self) -> list[str]:
        return [*self.cable.inside(THERE), *super().command()]

    def ready(self) -> bool:
        return "running" in self.log()[self.began_at :]


class NearRole(Role):
    """At our end of it."""

    cable: Cable

    def command(self) -> list[str]:
        return [*self.cable.inside(HERE), *super().command()]


def parts(
    folder: Path, cable: Cable, keepalive_s: int = 5
) -> tuple[FarMosquitto, NearRole, NearRole]:
    broker = FarMosquitto(folder, cable)
    at = {"host": cable.hosts[THERE], "port": broker.port, "keepalive_s": keepalive_s}
    link = NearRole(folder, "link", "link", {"gateway": "csg", "broker": at, "state": str(folder)})
    record = NearRole(
        folder,
        "record",
        "record",
        {"name": "main", "broker": at, "state": str(folder / "record"), "store": "sqlite"},
    )
    link.cable = record.cable = cable
    return broker, link, record


@pytest.fixture
def cable() -> Iterator[Cable]:
    with Cable() as one:
        yield one


def last_told(control: StandIn) -> tuple[bool, str]:
    """Whether the link was connected when it was heard last, and why not."""
    return (links(control) or [(False, "")])[-1]


@pytest.mark.faults
def test_a_cable_that_loses_and_delays_costs_time_and_nothing_else(
    tmp_path: Path, cable: Cable, control: StandIn
) -> None:
    """Each tenth packet lost and 200 ms each way, from before the first connection on."""
    cable.loss, cable.delay_s = 0.1, 0.2
    broker, link, record = parts(tmp_path, cable)
    with running(broker, link, record):
        with Stream(control) as stream:
            stream.more(600)
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )
    assert cable.lost > 0


@pytest.mark.faults
def test_two_seconds_each_way_are_no_frozen_broker(
    tmp_path: Path, cable: Cable, control: StandIn
) -> None:
    """A handshake takes eight seconds then; nothing gives up before its answer can be there."""
    cable.delay_s = 2.0
    broker, link, record = parts(tmp_path, cable, keepalive_s=BrokerSettings("", "", 0).keepalive_s)
    with running(broker, link, record):
        eventually(lambda: last_told(control) == (True, ""), 60, link.log)
        with Stream(control) as stream:
            stream.more(300)
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )
        assert last_told(control) == (True, "")


def test_a_half_open_connection_is_noticed_and_begun_anew(
    tmp_path: Path, cable: Cable, control: StandIn
) -> None:
    """The cable is cut, the broker dies meanwhile, and no end is told of it: neither may trust
    a connection that only looks alive."""
    broker, link, record = parts(tmp_path, cable)
    with running(broker, link, record):
        eventually(lambda: last_told(control) == (True, ""))
        with Stream(control) as stream:
            stream.more(100)
            cable.cut = True
            stream.more(100)
            broker.kill()
            broker.start()
            eventually(lambda: last_told(control)[1], 60, link.log)
            cable.cut = False
            stream.more(100)
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )
