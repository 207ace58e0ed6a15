"""Passes values that came over MQTT to the points of this process, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from drivers import Report


class Listener(Protocol):
    """A point. One call at a time."""

    def told(self, report: Report) -> None:
        """A value, as far as it is of the point's sort."""

    def lost(self, reason: str) -> None:
        """Nobody tells any more."""


_listeners: dict[str, Listener] = {}
_telling = threading.Lock()


def join(point: str, listener: Listener) -> Callable[[], None]:
    """Tell this one what is said for ``point``, from now on. Gives what ends it."""
    with _telling:
        _listeners[point] = listener
        listener.lost("no message yet")

    def leave() -> None:
        with _telling:
            if _listeners.get(point) is listener:
                del _listeners[point]

    return leave


def tell(point: str, report: Report) -> bool:
    """Hand a value over; ``False`` where no such point is open."""
    with _telling:
        listener = _listeners.get(point)
        if listener is not None:
            listener.told(report)
        return listener is not None


def lose(reason: str) -> None:
    """Tell every point that nobody knows its value now."""
    with _telling:
        for listener in _listeners.values():
            listener.lost(reason)
