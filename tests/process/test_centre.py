"""The centre before a real broker, with a real gateway and with many that are played."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.mqtt import reconnection
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import SessionOptions, Subscription
from gateway.sites import broker as sites_broker
from gateway.sites.broker import Centre, filters, own_settings
from gateway.sites.commands import Commands
from gateway.sites.picture.gateway_picture import GatewayPicture
from tests.benchmarks.many_gateways import many, names
from tests.process.parts import BUILDING, House, Process, house
from tests.process.parts_mqtt import Mosquitto, running

pytestmark = pytest.mark.process
WITHIN_S = 60.0
SOON_S = 8.0
"""Before any keep-alive is over: it was the broken connection that told the broker."""


@pytest.fixture(autouse=True)
def _reconnect_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnection, "MOST_S", 1.0)


class Place:
    """A broker, a gateway with its ``control`` and ``link``, and a centre."""

    def __init__(self, folder: Path) -> None:
        self.broker = Mosquitto(folder)
        mqtt = f"mqtt: {{host: 127.0.0.1, port: {self.broker.port}}}\n"
        self.house: House = house(folder, BUILDING + mqtt)
        self.link: Process | None = None
        self.changed: list[str] = []

    def settings(self) -> BrokerSettings:
        return BrokerSettings("portier-sites", "127.0.0.1", self.broker.port)

    def centre(self) -> Centre:
        made = Centre(self.settings(), lambda: ["test"], lambda _: cast("Commands", None))
        made.on_change.append(self.changed.append)
        return made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with running(made.broker), contextlib.ExitStack() as stack:
        stack.callback(made.house.end)
        made.house.control()
        made.link = made.house.run("link")
        yield made


async def until(wanted: Callable[[], object], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not wanted():  # noqa: ASYNC110 - a process tells nobody
            await asyncio.sleep(0.01)


def beside(test: Callable[[], Awaitable[None]], *centres: Centre) -> None:
    """Run a test while these centres follow the broker."""

    async def all_of() -> None:
        running = [asyncio.create_task(centre.run()) for centre in centres]
        try:
            await test()
        finally:
            for centre in centres:
                centre.close()
            await asyncio.gather(*running)

    asyncio.run(all_of())


def shown(gateway: GatewayPicture) -> Any:
    return cast("Any", gateway.snapshot)


def test_a_gateway_is_seen_as_it_is_and_missed_as_soon_as_it_is_gone(place: Place) -> None:
    centre = place.centre()
    gateway = centre.picture.gateways["test"]

    async def test() -> None:
        await until(lambda: gateway.fresh)
        own = place.house.snapshot()
        seen = shown(gateway)
        assert seen["doors"].keys() == own["doors"].keys()
        assert seen["doors"]["front"]["state"] == own["doors"]["front"]["state"]
        assert seen["doors"]["front"]["mode"] == own["doors"]["front"]["mode"]
        assert seen["points"].keys() <= own["points"].keys()
        assert gateway.lacks == []
        assert place.link is not None
        place.link.kill()
        await until(lambda: gateway.presence == "offline", SOON_S)  # the broker has its will
        assert not gateway.fresh
        assert gateway.presence_since_utc_ms is not None
        assert place.changed[-1] == "test"
        place.link = place.house.run("link")
        await until(lambda: gateway.fresh)

    beside(test, centre)


def test_after_the_broker_was_away_everything_is_known_again(place: Place) -> None:
    """It keeps nothing on its disk: all that is retained is gone with it."""
    centre = place.centre()
    gateway = centre.picture.gateways["test"]

    async def test() -> None:
        await until(lambda: gateway.fresh)
        since_utc_ms = centre.since_utc_ms
        place.broker.kill()
        await until(lambda: not centre.connected)
        assert (str(gateway.presence), gateway.fresh) == ("unknown", False)
        assert since_utc_ms < centre.since_utc_ms == gateway.presence_since_utc_ms
        assert centre.reason
        assert shown(gateway)["doors"]["front"]  # as it was known last
        place.broker.start(wait=False)
        await until(lambda: centre.connected)
        assert centre.reason == ""
        await until(lambda: gateway.fresh)
        assert gateway.complete

    beside(test, centre)


def test_two_centres_side_by_side_do_not_throw_each_other_out(place: Place) -> None:
    first, second = place.centre(), place.centre()

    async def test() -> None:
        await until(lambda: all(one.picture.gateways["test"].fresh for one in (first, second)))
        since = [one.since_utc_ms for one in (first, second)]
        assert place.link is not None
        place.link.kill()
        seen = [one.picture.gateways["test"] for one in (first, second)]
        await until(lambda: all(one.presence == "offline" for one in seen), SOON_S)
        assert [one.since_utc_ms for one in (first, second)] == since

    beside(test, first, second)


def test_what_a_broker_drops_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With QoS 1 and its own defaults Mosquitto sends some hundreds of the topics that it keeps,
    and says of the others nothing."""
    monkeypatch.setattr("gateway.sites.picture.gateway_picture.COMPLETE_MS", 500)
    monkeypatch.setattr(sites_broker, "TICK_S", 0.1)
    limits = "max_queued_messages 100\nmax_inflight_messages 20\n"
    broker = Mosquitto(tmp_path, extra=limits)
    settings = BrokerSettings("portier-sites", "127.0.0.1", broker.port)
    wanted = names(40)
    options = SessionOptions(receive_most=20, session_s=0, clean_start=True)
    centre = Centre(
        settings,
        lambda: wanted,
        lambda _: cast("Commands", None),
        wire=lambda: Subscription(
            own_settings(settings), [(name, 1) for name, _ in filters()], options
        ),
    )
    asked: list[str] = []
    fetched = centre.picture.fetched

    def count(gateway: str, mono_ms: int) -> None:
        asked.append(gateway)
        fetched(gateway, mono_ms)

    monkeypatch.setattr(centre.picture, "fetched", count)

    async def test() -> None:
        gateways = centre.picture.gateways.values()
        await until(lambda: all(one.complete and one.fresh for one in gateways))
        assert asked, "the broker has dropped nothing: this proves nothing"

    with running(broker), many(broker.port, 40):
        beside(test, centre)
