"""Commands of a centre over a real broker to real gateways, with the keys that were enrolled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gateway.mqtt.settings import BrokerSettings
from gateway.settings.values.secrets import Secret
from gateway.sites import broker as sites_broker
from gateway.sites.commands import Command, Commands
from gateway.sites.handover import SECRET
from gateway.sites.keys import Keys
from gateway.web.building.control_client import Answer
from tests.cli.test_cli_offline import portier
from tests.process.parts import BENCH, BUILDING, House, Process, house, until
from tests.process.parts_mqtt import Mosquitto, eventually

pytestmark = pytest.mark.process

BACK = """
  back:
    activation: {point: back.activation, pulse: 500 ms}
    activators: [{point: back.button, kind: button, side: inside}]
"""
POINTS = """
  back.button: {driver: simulated_contact}
  back.activation: {driver: simulated_relay}
"""
MQTT = """
mqtt:
  host: 127.0.0.1
  port: {port}
  tls: none
  issuers: {{sites: {{key: !secret sites_key, may: [acknowledge, open], doors: [front]}}}}
"""
NEXT = "key: !secret sites_key, next_key: !secret sites_key_new,"


class Gateway:
    """A gateway of its own: two doors, of which the centre may open the front one. ``building``:
    another one."""

    def __init__(self, folder: Path, id: str, broker: Mosquitto, building: str = "") -> None:
        folder.mkdir()
        text = BUILDING.replace("id: test", f"id: {id}")
        text = text.replace("\ndoors:\n", f"{POINTS}\ndoors:{BACK}".replace("\n\n", "\n"))
        text = building or text
        self.secret = folder / "secrets" / SECRET
        self.secret.parent.mkdir()
        self.id, self.house = id, house(folder, text + MQTT.format(port=broker.port))
        self.running: list[Process] = []

    def start(self) -> None:
        self.running = [self.house.control(), self.house.run("link")]
        self.connected()

    def connected(self, expected: bool = True) -> None:
        until(lambda: self.house.snapshot()["guarantees"]["forwarding"]["ok"] is expected)

    def kill(self) -> None:
        for process in reversed(self.running):
            process.kill()

    def restart_link(self) -> None:
        self.running[1].stop()
        self.connected(False)
        self.running[1] = self.house.run("link")
        self.connected()

    def requests(self) -> list[tuple[str, str]]:
        """Door and who asked, for each request that was not refused."""
        return [
            (row.subject, str(row.data["by"]))
            for row in self.house.rows("door_request")
            if row.data["outcome"] != "refused"
        ]


class Centre:
    """A centre at the broker; its event loop has a thread. ``key``: what signs its commands."""

    def __init__(
        self, broker: Mosquitto, keys: Keys, key: Callable[[str], bytes | None], **more: Any
    ) -> None:
        self.audited: list[tuple[Command, Answer]] = []
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever)
        self.thread.start()
        settings = BrokerSettings("centre", "127.0.0.1", broker.port)

        def commands(publish: Callable[[str, bytes], bool]) -> Commands:
            audit = lambda *entry: self.audited.append(entry)  # noqa: E731
            return Commands(publish, key, trusted=lambda: True, audit=audit, **more)

        async def begin() -> tuple[sites_broker.Centre, asyncio.Task[None]]:
            made = sites_broker.Centre(settings, keys.enrolled, commands)
            return made, asyncio.ensure_future(made.run())

        self.at_broker, self.running = asyncio.run_coroutine_threadsafe(begin(), self.loop).result()
        self.connected()

    def connected(self, expected: bool = True) -> None:
        eventually(lambda: self.at_broker.connected is expected)

    def begin(self, gateway: Gateway, door: str = "front", **more: Any) -> Future[Answer]:
        asked = self.at_broker.commands.ask(gateway.id, "open_door", door, by="user:3", **more)
        return asyncio.run_coroutine_threadsafe(asked, self.loop)

    def acknowledge(self, gateway: Gateway, attends: str) -> Answer:
        asked = self.at_broker.commands.ask(
            gateway.id, "acknowledge_call", "wc", by="user:3", attends=attends, ttl_s=30
        )
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(60)

    def call(self, gateway: Gateway) -> dict[str, Any]:
        """The call of the bathroom, as the centre knows it."""
        seen = self.at_broker.picture.gateways[gateway.id].snapshot
        return dict((seen["rooms"]["wc"]["call"] if seen else None) or {})

    def open(self, gateway: Gateway, door: str = "front") -> str:
        """Why it was refused; ``opens``: it was not."""
        answer = self.begin(gateway, door, ttl_s=30).result(60)
        return "opens" if answer.done else answer.reason

    def close(self) -> None:
        async def end() -> None:
            self.at_broker.close()
            await self.running

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Site:
    """A broker, a centre with its keys, and gateways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Mosquitto(folder)
        self.broker.start()
        (folder / "centre").mkdir()
        self.keys = Keys(folder / "centre", Secret("sites_key", (folder / "secrets",)))
        self.centres: list[Centre] = []
        self.gateways: list[Gateway] = []

    def centre(self, key: Callable[[str], bytes | None] | None = None) -> Centre:
        own = {"is_confirmed": self.keys.is_confirmed, "confirm": self.keys.confirm}
        more: dict[str, Any] = own if key is None else {}
        made = Centre(self.broker, self.keys, key or self.keys.key, **more)
        self.centres.append(made)
        return made

    def gateway(self, id: str, building: str = "") -> Gateway:
        made = Gateway(self.folder / id, id, self.broker, building)
        self.gateways.append(made)
        self.enrol(made)
        made.start()
        return made

    def enrol(self, gateway: Gateway, secret: Path | None = None) -> None:
        """As somebody does who sets up a gateway: the file of the command becomes its secret."""
        file = self.folder / f"{gateway.id}.sites-key"
        at = ("--state", self.folder / "centre", "--config", self.folder / "portier.yaml")
        done = portier("site", "enrol", gateway.id, "--out", file, "--yes", *at)
        assert done.exit_code == 0, done.output
        file.replace(secret or gateway.secret)

    def end(self) -> None:
        for gateway in self.gateways:
            gateway.house.end()
        for centre in self.centres:
            centre.close()
        self.broker.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.end()


def mode(place: House, mode: str) -> None:
    answer = place.command("set_mode", door="front", mode=mode, for_ms=60_000)
    assert answer["status"] == "accepted", answer


def test_the_gateway_decides_about_each_command_and_answers(site: Site) -> None:
    gateway, centre = site.gateway("bad-1"), site.centre()
    assert not site.keys.is_confirmed("bad-1")
    answer = centre.begin(gateway, reason="Paket für Frau Müller").result(60)
    assert (answer.status, answer.reason) == ("accepted", "")
    until(lambda: gateway.requests() == [("front", "mqtt:sites")])
    (fact,) = gateway.house.rows("door_request")
    assert (
        answer.fact == f"bad-1/{gateway.house.snapshot()['gateway']['journal']}/urgent/{fact.seq}"
    )
    assert site.keys.is_confirmed("bad-1")
    assert centre.open(gateway, "back") == "not_allowed"
    mode(gateway.house, "off")
    assert centre.open(gateway) == "mode_off"
    assert gateway.requests() == [("front", "mqtt:sites")]
    found = [(one.gateway, one.subject, one.by, a.reason) for one, a in centre.audited]
    assert found == [
        ("bad-1", "front", "user:3", ""),
        ("bad-1", "back", "user:3", "not_allowed"),
        ("bad-1", "front", "user:3", "mode_off"),
    ]


def test_a_call_goes_on_until_the_centre_names_who_goes(site: Site) -> None:
    """Whoever is far away has only seen it: the sounder stays on, and so it is after a restart."""
    gateway, centre = site.gateway("csg-office", BENCH), site.centre()
    place = gateway.house
    place.bench("press", point="wc.cord", for_ms=500)
    until(lambda: centre.call(gateway).get("state") == "raised")

    def sounder() -> bool | None:
        lit: bool | None = place.snapshot()["rooms"]["wc"]["lamps"]["sounder"]
        return lit

    assert centre.acknowledge(gateway, "").done
    until(lambda: centre.call(gateway)["seen_by"] == "mqtt:sites")
    assert (centre.call(gateway)["state"], sounder()) == ("raised", True)
    assert centre.acknowledge(gateway, "").status == "merged"
    until(lambda: place.rows("call_seen"))
    gateway.running[0].kill()
    gateway.running[0] = place.control()
    until(lambda: place.snapshot()["rooms"]["wc"]["call"]["seen_by"] == "mqtt:sites")
    assert sounder() is True
    gateway.connected()
    until(lambda: centre.acknowledge(gateway, "Anna Weber").done, what="acknowledged")
    until(lambda: centre.call(gateway)["attends"] == "Anna Weber")
    call = centre.call(gateway)
    assert (call["state"], call["acknowledged_by"]) == ("acknowledged", "mqtt:sites")
    assert sounder() is False
    (fact,) = until(lambda: place.rows("call_acknowledged"))
    assert (fact.data["attends"], fact.data["by"]) == ("Anna Weber", "mqtt:sites")
    assert len(place.rows("call_seen")) == 1


def test_nothing_that_was_asked_of_a_gateway_that_was_away_moves_a_relay(site: Site) -> None:
    gateway, centre = site.gateway("bad-1"), site.centre()
    assert centre.open(gateway) == "opens"
    gateway.kill()
    waits = centre.begin(gateway, ttl_s=20)  # long enough to be valid when the gateway is back
    gateway.start()
    assert centre.open(gateway) == "opens", "it is back, and what is asked now is done"
    answer = waits.result(60)
    assert (answer.status, answer.reason) == ("refused", "no_answer")
    assert gateway.requests() == [("front", "mqtt:sites")] * 2
    assert [a.reason for _, a in centre.audited] == ["", "", "no_answer"]


def test_without_a_broker_nothing_is_sent_then_or_later(site: Site) -> None:
    gateway, centre = site.gateway("bad-1"), site.centre()
    site.broker.kill()
    centre.connected(False)
    gateway.connected(False)
    assert centre.open(gateway) == "no_broker"
    site.broker.start()
    centre.connected()
    gateway.connected()
    assert centre.open(gateway) == "opens"
    assert gateway.requests() == [("front", "mqtt:sites")]


def test_the_key_of_one_gateway_does_nothing_at_another(site: Site) -> None:
    first, second = site.gateway("bad-1"), site.gateway("bad-2")
    stolen = site.keys.key("bad-1")
    thief = site.centre(lambda _: stolen)
    assert thief.open(second) == "bad_signature"
    assert second.requests() == []
    assert thief.open(first, "back") == "not_allowed", "and no more than it may"
    assert site.centre().open(second) == "opens"


def test_after_enrolling_again_the_key_before_is_refused(site: Site) -> None:
    gateway, centre = site.gateway("bad-1"), site.centre()
    assert centre.open(gateway) == "opens"
    stolen = site.keys.key("bad-1")
    site.enrol(gateway)
    assert centre.open(gateway) == "key_not_taken_over", "its link has not read it yet"
    assert not site.keys.is_confirmed("bad-1")
    gateway.restart_link()
    assert centre.open(gateway) == "opens"
    assert site.keys.is_confirmed("bad-1")
    assert site.centre(lambda _: stolen).open(gateway) == "bad_signature"
    assert len(gateway.requests()) == 2


def test_a_gateway_takes_both_keys_until_the_new_one_has_signed_a_command(site: Site) -> None:
    gateway, centre = site.gateway("bad-1"), site.centre()
    assert centre.open(gateway) == "opens"
    stolen = site.keys.key("bad-1")
    thief = site.centre(lambda _: stolen)
    site.enrol(gateway, gateway.secret.with_name("sites_key_new"))
    config = gateway.house.config
    config.write_text(config.read_text().replace("key: !secret sites_key,", NEXT))
    gateway.restart_link()
    assert thief.open(gateway) == "opens", "nobody can tell yet who it is"
    assert centre.open(gateway) == "opens"
    assert thief.open(gateway) == "bad_signature"
    gateway.restart_link()
    assert thief.open(gateway) == "bad_signature"
    assert centre.open(gateway) == "opens"
