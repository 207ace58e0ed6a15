"""Introducing the gateway to Home Assistant, step by step. Pure.

Home Assistant refuses an entity that it already has from another topic, and forgets one that is
taken away. So a part of the building that gets a topic of its own (at first every door, room and
meter: they all were in the gateway's message before) moves like this:

1. An empty retained message is sent to the new topic: may we write there? After the first
   refusal (an access list from before names the gateway's topic only) nothing more is tried on
   this connection, and what has no topic of its own stays in the gateway's message, as before.
2. ``{"migrate_discovery": true}`` on the gateway's topic: Home Assistant unloads what it has from
   there, and keeps its names and its history. It has :data:`MIGRATION_MS` for that.
3. The new messages, and the gateway's own without what has moved.

What was published is remembered: a topic that is no more is cleared, and a component that is
no more is published as ``{"p": …}`` once, which removes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.link import discovery
from gateway.link.state import encode
from gateway.mqtt.limits import Limits
from gateway.mqtt.topics import Topics
from gateway.panel.snapshot_types import Snapshot

MIGRATION_MS = 2_000
GONE_MOST = 500
"""Topics of parts that are no more and that the broker does not let us clear."""
REMOVED_MOST = 20
"""Removed components that one message names."""
MIGRATE = encode({"migrate_discovery": True})


class HomeAssistant:
    """``memory``: topic → component → platform, of all that was published. ``dirty``: it has
    changed since it was saved. ``language``: of the entities' names; empty: Home Assistant is
    told nothing, and what it was told before is taken back. ``issuer``: whose topic its commands
    go to, empty: the shared one."""

    def __init__(
        self,
        topics: Topics,
        language: str,
        memory: object = None,
        issuer: str = "",
        described: discovery.Described = discovery.UNDESCRIBED,
    ) -> None:
        self._topics = topics
        self._issuer = issuer
        self._described = described
        self.language = language
        self.own = discovery.topic(topics.gateway)
        self.memory = _read(memory)
        self.dirty = False
        self.due = False
        """Something was answered: there may be a next step."""
        self.too_large: list[str] = []
        """Parts that the broker takes in no message."""
        self._allowed: dict[str, bool] = {}
        self._refused = False
        self._migrated_ms: int | None = None
        self._pause = False

    def connected(self) -> None:
        """A new connection, and perhaps another access list."""
        self._allowed.clear()
        self._refused = False
        self._migrated_ms = None
        self._pause = False

    def answered(self, topic: str, reason: str) -> None:
        """The broker has taken a retained message, or refused it."""
        if topic in self._allowed or not topic.startswith("homeassistant/"):
            return
        self._allowed[topic] = not reason
        self._refused = self._refused or bool(reason)
        self.due = True

    def cleared(self, topic: str) -> None:
        """The broker has an empty message where there shall be none."""
        if self.memory.pop(topic, None) is not None:
            self.dirty = True

    def waits_ms(self, now_ms: int) -> int | None:
        """In how many ms there is a next step, where one is known."""
        if not self._pause or self._migrated_ms is None:
            return None
        return max(0, self._migrated_ms + MIGRATION_MS - now_ms)

    def step(
        self, snapshot: Snapshot, limits: Limits, now_ms: int
    ) -> tuple[dict[str, bytes], bool]:
        """The retained messages that there shall be now, by topic, and whether Home Assistant
        shall unload what it has of the gateway's own topic first."""
        self.due = self._pause = False
        if not self.language:
            return dict.fromkeys(self.memory, b""), False
        before = {key for components in self.memory.values() for key in components}
        messages = discovery.devices(
            self._topics, snapshot, self.language, before, self._issuer, self._described
        )
        current = {key for one in messages.values() for key in one["cmps"]}
        gone = [topic for topic in self.memory if topic not in messages]
        for topic in gone[:-GONE_MOST]:
            del self.memory[topic]
            self.dirty = True
        wanted = dict.fromkeys(gone[-GONE_MOST:], b"")
        fresh = [one for one in messages if one != self.own and one not in self.memory]
        waiting = [] if self._refused else [one for one in fresh if one not in self._allowed]
        wanted |= dict.fromkeys(waiting[:1], b"")
        migrate, inside = False, []
        if not waiting:
            moved = [
                one for one in fresh
                if self._allowed.get(one) and not limits.too_large(one, encode(messages[one]))
            ]  # fmt: skip
            inside = [one for one in fresh if one not in moved]
            if moved and self._moves(messages, moved):
                migrate = self._migrated_ms is None
                self._migrated_ms = now_ms if self._migrated_ms is None else self._migrated_ms
                self._pause = now_ms - self._migrated_ms < MIGRATION_MS
            if not self._pause:
                for one in moved:
                    self._remember(one, messages[one], current)
        for topic in [one for one in messages if one != self.own and one in self.memory]:
            wanted[topic] = encode(self._remember(topic, messages[topic], current))
        if not waiting and not self._pause:
            whole = self._whole(messages, inside)
            self.too_large = []
            if limits.too_large(self.own, encode(whole)):
                whole, self.too_large = messages[self.own], inside
            wanted[self.own] = encode(self._remember(self.own, whole, current))
        return wanted, migrate

    def _moves(self, messages: discovery.Devices, moved: list[str]) -> bool:
        """Whether Home Assistant may have some of it from the gateway's own topic."""
        mine = self.memory.get(self.own)
        return mine is None or any(key in mine for one in moved for key in messages[one]["cmps"])

    def _whole(self, messages: discovery.Devices, inside: list[str]) -> dict[str, Any]:
        """The gateway's own message, with the parts that have no topic of their own."""
        components = dict(messages[self.own]["cmps"])
        for one in inside:
            name = messages[one]["dev"]["name"]
            for key, component in messages[one]["cmps"].items():
                title = component["name"]
                if messages[one]["dev"] is not messages[self.own]["dev"]:
                    title = name if title is None else f"{name}: {title}"
                components[key] = {**component, "name": title}
        return {**messages[self.own], "cmps": components}

    def _remember(self, topic: str, message: dict[str, Any], current: set[str]) -> dict[str, Any]:
        """Note what a message has, and put in what it had and what is in no message any more."""
        had = self.memory.get(topic, {})
        removed = [key for key in had if key not in current][-REMOVED_MOST:]
        components = dict(message["cmps"]) | {key: {"p": had[key]} for key in removed}
        has = {key: str(one["p"]) for key, one in components.items()}
        if has != had:
            self.memory[topic] = has
            self.dirty = True
        return {**message, "cmps": components}


def _read(memory: object) -> dict[str, dict[str, str]]:
    """What was saved; what is not understood is left out."""
    topics = memory if isinstance(memory, Mapping) else {}
    return {
        topic: {str(key): str(platform) for key, platform in components.items()}
        for topic, components in topics.items()
        if isinstance(topic, str)
        and topic.startswith("homeassistant/device/")
        and isinstance(components, Mapping)
    }
