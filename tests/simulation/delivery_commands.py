"""Commands over the broker, most of which nobody may obey: late, repeated, kept by the broker,
unsigned, forged, from the future, from before the start, from nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.link.commands import Issuer
from gateway.link.mqtt import Message
from gateway.mqtt.signature import sign
from tests.simulation.delivery_net import GATEWAY

if TYPE_CHECKING:
    from tests.simulation.delivery import Delivery

KEY = b"a key that only reception has"
TOPIC = f"portier/{GATEWAY}/command/door/front/open"
TTL_S = 5
SOON_MS = 200
WAYS = ("good", "good", "late", "again", "kept", "unsigned", "forged", "future", "nobody", "early")


class Commands:
    """What was sent, in truth, and what reached ``control``."""

    def __init__(self, world: Delivery) -> None:
        self.world = world
        self.issuers = {"reception": Issuer(KEY)}
        self.started_ms = 0
        self.number = 0
        self.good: dict[str, int] = {}
        """Id of a command that may be obeyed -> when it was issued."""
        self.obeyed: set[str] = set()

    def somebody_commands(self) -> None:
        """One message on the way to the link."""
        world = self.world
        if world.healing:
            return
        self.number += 1
        way = world.chance.choice(WAYS)
        name, at_ms = f"m{self.number}", world.agenda.now
        at_ms += {"late": -60_000, "future": 60_000, "early": -4_000}.get(way, 0)
        told: dict[str, Any] = {
            "id": name,
            "issued_at": _text(world.utc_ms + at_ms - world.agenda.now),
            "ttl": TTL_S,
            "by": "somebody",
            "issuer": "nobody" if way == "nobody" else "reception",
        }
        if way != "unsigned":
            told["sig"] = sign(b"guessed" if way == "forged" else KEY, TOPIC, told)
        if way in ("good", "again", "early"):
            self.good[name] = at_ms
        payload = json.dumps(told).encode()
        for _ in range(3 if way == "again" else 1):
            world.net.later(
                lambda: world.net.link.give(Message(TOPIC, payload, way == "kept")),
            )

    def came(self, message: dict[str, Any]) -> None:
        """The link let it through to ``control``."""
        world, name, now = self.world, str(message["id"]), self.world.agenda.now
        issued_ms = self.good.get(name)
        world.judge("only_good_commands", issued_ms is not None, f"{name} was let through")
        world.judge("obeyed_once", name not in self.obeyed, f"{name} was let through again")
        self.obeyed.add(name)
        if issued_ms is not None:
            fresh = now - issued_ms < TTL_S * 1000
            world.judge("fresh_commands", fresh, f"{name} is {now - issued_ms} ms old")
            early = issued_ms < self.started_ms - 2_000
            world.judge("after_the_start", not early, f"{name} is older than this start")
            left_ms = message["expires_monotonic_ms"] - now
            ends = 0 < left_ms <= TTL_S * 1000 - (now - issued_ms)
            world.judge("ends_with_its_ttl", ends, f"{name} lives for {left_ms} ms more")
        world.judge("clock_is_trusted", world.trusted, f"{name} came without a clock")


def _text(utc_ms: int) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=utc_ms)
    return instant.isoformat(timespec="milliseconds")
