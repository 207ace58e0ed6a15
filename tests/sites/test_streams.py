"""The live stream of the centre: what has changed, for those who may see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.sites.grants import Grant
from gateway.sites.streams import Seeing
from gateway.web.identity.accounts import Who
from gateway.web.live.streams import Client
from tests.sites.centre_web import CentreWeb
from tests.sites.conftest import STAFF


class Wire:
    """The connection of a client, which takes everything."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.came = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.came.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None: ...

    async def next(self) -> list[tuple[str, Any]]:
        """The frames of the next piece."""
        await asyncio.wait_for(self.came.wait(), 10)
        self.came.clear()
        text = b"".join(self.written).decode()
        self.written.clear()
        return frames(text)


def frames(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def asks(web: CentreWeb, name: str, *grants: Grant) -> Who:
    web.user(name, *grants)
    user = web.users.by_name(name)
    (session,) = (
        row[0] for row in web.users._all("SELECT hash FROM sessions WHERE user = ?", user.id)
    )
    return Who(f"web:{user.id}", name, "view", user.id, session=session)


def follow(
    web: CentreWeb, who: Who, language: str, then: Callable[[Wire, Any], Awaitable[None]]
) -> None:
    """Open a stream, and go on with its connection and with what it began with."""

    async def run() -> None:
        hub = web.page.hub
        work = asyncio.create_task(hub.run())
        client: Client = hub.join(Seeing(language, web.page.rights(who)), who)
        wire = Wire()
        client.wire = wire
        begun = b"".join([one async for one in hub.opening(client, None)]).decode()
        client.follow()
        try:
            await then(wire, frames(begun))
        finally:
            hub.leave(client)
            work.cancel()

    web.runner.run(run())


def test_a_call_is_sent_to_who_may_see_it_within_a_second(web: CentreWeb) -> None:
    async def then(wire: Wire, begun: Any) -> None:
        ((event, values),) = begun
        assert event == "page"
        assert values["calls"] == {"ringing": False, "standing": False}
        web.gateway("bad-1").call()
        web.centre.changed("bad-1")
        ((event, changed),) = await wire.next()
        assert changed["calls"]["ringing"] is True
        assert "Bad 1" in changed["html:calls"]
        assert changed["site:bad-1"] == 2
        assert "html:wrong" not in changed  # only what has changed

    who = asks(web, "anna", STAFF)
    follow(web, who, "de", then)
    assert (who.actor, "call_looked_at", "bad-1") in web.audited()


def test_who_may_not_see_a_site_is_sent_nothing_of_it(web: CentreWeb) -> None:
    async def then(wire: Wire, begun: Any) -> None:
        for id in ("office", "bad-2"):
            web.gateway(id).call()
            web.gateway(id).raise_alarm()
            web.centre.changed(id)
        web.gateway("bad-1").raise_alarm()
        web.centre.changed("bad-1")
        ((_, changed),) = await wire.next()
        text = json.dumps(changed)
        assert "bad-1" in text
        assert "bad-2" not in text
        assert "office" not in text
        assert "calls" not in changed

    follow(web, asks(web, "ben", Grant("site", "bad-1", "staff")), "de", then)


def test_a_program_gets_the_sites_and_then_those_that_changed(web: CentreWeb) -> None:
    async def then(wire: Wire, begun: Any) -> None:
        ((event, sites),) = begun
        assert (event, sorted(sites)) == ("sites", ["bad-1", "bad-2", "office"])
        web.gateway("bad-2").call()
        web.centre.changed("bad-2")
        ((event, changed),) = await wire.next()
        assert (event, list(changed)) == ("sites", ["bad-2"])
        assert changed["bad-2"]["calls"] == 1
        del web.centre.picture.gateways["office"]
        web.centre.changed("bad-2")
        ((event, changed),) = await wire.next()
        assert changed["office"] is None

    follow(web, asks(web, "anna", STAFF), "", then)


def test_who_sees_the_same_shares_what_is_made_for_it(web: CentreWeb) -> None:
    anna, ben = asks(web, "anna", STAFF), asks(web, "ben", STAFF)
    carla = asks(web, "carla", Grant("group", "Park", "staff"))

    async def join() -> int:
        hub = web.page.hub
        clients = [hub.join(Seeing("de", web.page.rights(who)), who) for who in (anna, ben, carla)]
        channels = {client.channel for client in clients}
        for client in clients:
            hub.leave(client)
        return len(channels)

    assert web.runner.run(join()) == 2


def test_changes_of_many_gateways_are_one_frame(web: CentreWeb) -> None:
    async def then(wire: Wire, begun: Any) -> None:
        for _ in range(50):
            for id in ("bad-1", "bad-2", "office"):
                web.centre.changed(id)
        ((_, first),) = await wire.next()
        assert {key for key in first if key.startswith("site:")} == {
            "site:bad-1", "site:bad-2", "site:office",
        }  # fmt: skip

    follow(web, asks(web, "anna", STAFF), "de", then)
