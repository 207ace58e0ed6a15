"""What a gateway publishes of a snapshot, as its ``link`` writes it."""

from __future__ import annotations

from typing import Any

from gateway.link import state
from gateway.mqtt.topics import Topics
from gateway.sites.picture.picture import Picture

MONO_MS, UTC_MS = 5_000_000, 1_800_000_000_000
"""An instant at the centre."""
OFFSET_MS = UTC_MS - MONO_MS


def health(snapshot: Any) -> bytes:
    return state.health(
        snapshot,
        journal="j1",
        sent={"urgent": 5},
        heads={"urgent": 9},
        backlog=4,
        oldest_unsent_ms=1_500,
        disk={"free_bytes": 1_000},
        temperature_c=40.5,
        places={"wc.cord": {"room": "wc", "part": "cord"}},
    )


def retained(gateway: str, snapshot: Any) -> dict[str, bytes]:
    """Every topic that the broker keeps of a gateway. One that is empty is not kept."""
    topics = Topics(gateway)
    texts = {
        topics.availability: b"online",
        topics.info: state.info(snapshot, 8, "s1"),
        **state.states(topics, snapshot),
    }
    return {topic: payload for topic, payload in texts.items() if payload}


class Centre:
    """A picture and the clock beside it."""

    def __init__(self, *gateways: str) -> None:
        self.mono_ms = MONO_MS
        self.offset_ms = OFFSET_MS
        self.picture = Picture(gateways)

    @property
    def utc_ms(self) -> int:
        return self.mono_ms + self.offset_ms

    def connect(self) -> None:
        self.picture.connected(mono_ms=self.mono_ms, utc_ms=self.utc_ms)

    def lose(self) -> None:
        self.picture.lost(mono_ms=self.mono_ms, utc_ms=self.utc_ms)

    def take(self, topic: str, payload: bytes, *, kept: bool = False) -> str | None:
        """``kept``: the broker had it."""
        return self.picture.take(
            topic, payload, retained=kept, mono_ms=self.mono_ms, utc_ms=self.utc_ms
        )

    def take_all(self, texts: dict[str, bytes], *, kept: bool = True) -> None:
        for topic, payload in texts.items():
            self.take(topic, payload, kept=kept)

    def wait(self, ms: int) -> list[str]:
        """Time passes: the gateways that changed by it."""
        self.mono_ms += ms
        return list(self.picture.pass_time(mono_ms=self.mono_ms, utc_ms=self.utc_ms))
