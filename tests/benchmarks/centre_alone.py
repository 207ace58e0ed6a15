"""The centre's picture as a process of its own, without a page: ``sites`` starts and measures it.

It writes a line of JSON when everything is complete, and one for each call that it learns of.
``--bare``: the same connection, which counts the messages and forgets them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from typing import cast

from gateway.mqtt.settings import BrokerSettings
from gateway.sites.broker import Centre, filters, own_settings
from gateway.sites.commands import Commands
from tests.benchmarks.many_gateways import names


def say(**told: object) -> None:
    print(json.dumps(told), flush=True)


class Nobody:
    """Asks for nothing."""

    def answered(self, gateway: str, command: str, payload: bytes) -> None:
        """Nothing was asked."""


def bare(settings: BrokerSettings, topics: int) -> None:
    """Count what comes."""
    from gateway.mqtt.subscription import NO_SESSION, Received, Subscription

    wire = Subscription(own_settings(settings), filters(), NO_SESSION)
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    came, is_said = 0, False
    while not ends.is_set():
        wire.pump(0.2)
        while (one := wire.take()) is not None:
            if isinstance(one, Received):
                came += 1
                if one.mid:
                    wire.acknowledge([one])
        if came >= topics and not is_said:
            is_said = True
            say(complete=time.monotonic())
    wire.close()


async def picture(settings: BrokerSettings, gateways: int) -> None:
    centre = Centre(settings, lambda: names(gateways), lambda _: cast("Commands", Nobody()))
    waiting, calls = set(names(gateways)), set[str]()
    asked: list[str] = []
    fetched = centre.picture.fetched

    def note(gateway: str, mono_ms: int) -> None:
        asked.append(gateway)
        fetched(gateway, mono_ms)

    centre.picture.fetched = note  # type: ignore[method-assign]  # how often is a figure

    def changed(gateway: str) -> None:
        if gateway in waiting and centre.picture.gateways[gateway].complete:
            waiting.discard(gateway)
            if not waiting:
                # as the overview: every building is read once
                for one in centre.picture.gateways.values():
                    assert one.snapshot is not None
                say(complete=time.monotonic(), asked=len(asked))
        shown = centre.picture.gateways[gateway].snapshot if gateway and not waiting else None
        rooms = shown["rooms"] if shown else {}
        if gateway not in calls and any(
            room["call"] and room["call"]["state"] == "raised" for room in rooms.values()
        ):
            calls.add(gateway)
            say(call=gateway, at=time.monotonic())

    centre.on_change.append(changed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, centre.close)
    await centre.run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.centre_alone")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateways", type=int, required=True)
    parser.add_argument("--bare", type=int, default=0, metavar="TOPICS")
    options = parser.parse_args()
    settings = BrokerSettings("sites", "127.0.0.1", options.port)
    if options.bare:
        bare(settings, options.bare)
    else:
        asyncio.run(picture(settings, options.gateways))
    sys.exit(0)


if __name__ == "__main__":
    main()
