"""The names of topics. Pure."""

from __future__ import annotations

from dataclasses import dataclass


def slashes(name: str) -> str:
    """A name as a part of a topic: dots become slashes, what a topic may not hold goes."""
    return name.replace(".", "/").replace("+", "_").replace("#", "_").replace("\0", "_")


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one gateway."""

    gateway: str

    @staticmethod
    def slashes(name: str) -> str:
        """A name as a part of a topic."""
        return slashes(name)

    @property
    def root(self) -> str:
        return f"portier/{self.gateway}"

    @property
    def availability(self) -> str:
        return f"{self.root}/availability"

    @property
    def info(self) -> str:
        return f"{self.root}/info"

    @property
    def health(self) -> str:
        return f"{self.root}/health"

    @property
    def absent(self) -> str:
        return f"{self.root}/absent"

    @property
    def states(self) -> str:
        return f"{self.root}/state/#"

    @property
    def alarms(self) -> str:
        return f"{self.root}/state/alarms"

    @property
    def commands(self) -> str:
        return f"{self.root}/command/#"

    @property
    def issuer_commands(self) -> str:
        return f"{self.root}/issuer/+/command/#"

    def command(self, what: str, issuer: str = "") -> str:
        """A command, ``door/front/open``; of an issuer without a key on a topic of its own."""
        return f"{self.root}/{f'issuer/{issuer}/' if issuer else ''}command/{what}"

    @property
    def events(self) -> str:
        return f"{self.root}/event"

    def replay(self, recorder: str) -> str:
        return f"{self.root}/replay/{recorder}"

    def recorded(self, recorder: str) -> str:
        return f"{self.root}/recorded/{recorder}"

    @staticmethod
    def commanded(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...] | None]:
        """The issuer whose topic it is (empty: the topic of all), and what is asked for; ``None``
        where this is no command."""
        if parts[:1] == ("command",):
            return "", parts[1:]
        if parts[:1] == ("issuer",) and parts[2:3] == ("command",):
            return parts[1], parts[3:]
        return "", None

    def door(self, door: str) -> str:
        return f"{self.root}/state/door/{slashes(door)}"

    def room(self, room: str) -> str:
        return f"{self.root}/state/room/{slashes(room)}"

    def point(self, point: str) -> str:
        return f"{self.root}/state/point/{slashes(point)}"

    def event(self, kind: str, subject: str) -> str:
        return f"{self.events}/{kind}/{slashes(subject)}"

    def response(self, command: str) -> str:
        return f"{self.root}/response/{slashes(command)}"

    def inside(self, topic: str) -> tuple[str, ...]:
        """The parts of a topic below this gateway; none for a topic of somebody else."""
        if not topic.startswith(self.root + "/"):
            return ()
        return tuple(topic[len(self.root) + 1 :].split("/"))
