"""What the recorder asks of a time-series store, and how it lives with a bad one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.recorder.points import Point

T = TypeVar("T")


class StoreDownError(Exception):
    """The store did not take the points now and may later: refused, slow, 429, 5xx.

    ``retry_after_s`` is what the store asked for, if it did. ``lost`` says that the
    connection itself broke, so that the store may have been killed.
    """

    def __init__(
        self, reason: str, retry_after_s: float | None = None, *, lost: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.lost = lost


class BadPointsError(Exception):
    """The store will never take these points as they are: 400, 413, 422."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One point that the store will not take."""

    index: int
    reason: str


class Store(Protocol):
    """A store of points. Writing the same point twice changes nothing."""

    forgets_ms: int
    """How far back a killed store may have forgotten what it had acknowledged."""

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Store the points. Those that it will never take are returned.

        :raises StoreDownError: none of them counts as stored
        """

    def identity(self) -> str | None:
        """Something that changes when the store was restarted or is another one; ``None``
        where it does not tell.

        :raises StoreDownError: it cannot be asked
        """

    def close(self) -> None:
        """Close the connection."""


def bisect(items: Sequence[T], send: Callable[[Sequence[T]], None]) -> list[Rejected]:
    """Send all; when the store calls them bad, find the bad ones by halves.

    Sending a good item again while searching changes nothing.

    :raises StoreDownError: from ``send``
    """
    rejected: list[Rejected] = []
    todo: list[tuple[int, int]] = [(0, len(items))] if items else []
    while todo:
        low, high = todo.pop()
        try:
            send(items[low:high])
        except BadPointsError as bad:
            if high - low == 1:
                rejected.append(Rejected(low, str(bad)))
            else:
                middle = (low + high) // 2
                todo += [(middle, high), (low, middle)]
    return rejected
