"""Two recorders that divide the gateways by share, before a real broker and a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.recorder.state import RecorderState
from gateway.settings.values.share import share_of
from tests.process.parts_mqtt import Mosquitto, Role, eventually, running
from tests.process.parts_postgresql import PASSWORD, Postgresql
from tests.process.stand_in import StandIn
from tests.process.test_delivery import Stream

pytestmark = pytest.mark.process

FIRST, SECOND = "a", "gateway-17"
"""Of shares 1 and 2, where there are two."""


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Mapping[str, StandIn]]:
    with ExitStack() as stack:
        made = {}
        for name in (FIRST, SECOND):
            (tmp_path / name).mkdir()
            made[name] = one = StandIn(tmp_path / name, gateway=name)
            one.start()
            stack.callback(one.close)
        yield made


def recorder(folder: Path, broker: Mosquitto, server: Postgresql, number: int, share: str) -> Role:
    """A recorder with a state and a client id of its own, and the name that all of them have."""
    settings: dict[str, Any] = {
        "name": "centre",
        "client": f"centre-{number}",
        "broker": {"host": "127.0.0.1", "port": broker.port},
        "state": str(folder / f"state-{number}"),
        "store": server.store,
        "secret": PASSWORD,
        "share": share,
    }
    return Role(folder, f"record-{number}", "record", settings)


def stored(server: Postgresql, gateway: str) -> list[tuple[str, int]]:
    """Lane and number of each event of a gateway, those that were there twice under another lane,
    too."""
    rows = server.query(
        f"SELECT lane, sequence FROM portier.events WHERE gateway = '{gateway}' AND journal <> ''"
    )
    return sorted((str(lane), int(seq)) for lane, seq in rows)


def asked_of(record: Role) -> set[str]:
    """Of which gateways it has asked for something again."""
    return set(re.findall(r"asked again +gateway=([\w-]+)", record.log()))


def wait_for_everything(server: Postgresql, control: StandIn, record: Role) -> None:
    """Until the store has the gateway's journal, and the gateway has heard so."""

    def is_complete() -> bool:
        wanted = sorted((row.lane, row.seq) for row in control.rows())
        heads = control.reader.heads()
        told = control.reader.cursors().recorded.get("centre", ("", {}))[1]
        is_told = told == {"urgent": heads["urgent"], "routine": heads["routine"]}
        return is_told and stored(server, control.gateway) == wanted

    eventually(is_complete, 60, lambda: record.log()[-3000:])


def test_gateways_that_move_between_recorders_lose_nothing_and_have_nothing_twice(
    tmp_path: Path, postgresql: Postgresql, gateways: Mapping[str, StandIn]
) -> None:
    """One recorder becomes two and one again, while events come."""
    assert (share_of(FIRST, 2), share_of(SECOND, 2)) == (1, 2)
    broker = Mosquitto(tmp_path)
    at = {"host": "127.0.0.1", "port": broker.port}
    links = [
        Role(one.folder, "link", "link", {"gateway": name, "broker": at, "state": str(one.folder)})
        for name, one in gateways.items()
    ]
    alone, one, two = (
        recorder(tmp_path, broker, postgresql, number, share)
        for number, share in ((1, "1/1"), (3, "1/2"), (2, "2/2"))
    )
    with running(broker, postgresql, alone, *links), ExitStack() as streams:
        first, second = (streams.enter_context(Stream(each)) for each in gateways.values())
        second.more(300)
        eventually(lambda: stored(postgresql, SECOND), 60, lambda: alone.log()[-3000:])
        alone.stop()
        # the same recorder goes on, with what it knew and with a smaller share
        (tmp_path / "state-1").rename(tmp_path / "state-3")
        with running(one):
            second.more(300)  # nobody takes these: its recorder is not there yet
            with running(two):
                first.more(300)
                two.kill()
                second.more(100)
                two.start()
                first.more(100)
                streams.close()
                wait_for_everything(postgresql, gateways[FIRST], one)
                wait_for_everything(postgresql, gateways[SECOND], two)
            assert SECOND not in asked_of(one)
            assert asked_of(two) == {SECOND}
            state = RecorderState(tmp_path / "state-2" / "recorder-centre.sqlite")
            assert {key.gateway for key in state.lanes()} == {SECOND}
            state.close()
        (tmp_path / "state-3").rename(tmp_path / "state-1")
        with running(alone):
            for control in gateways.values():
                control.opening(1)
                wait_for_everything(postgresql, control, alone)
