"""What the recorder needs of a store, and how it goes on where the store refuses points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.recorder.points import Point

T = TypeVar("T")


class StoreDownError(Exception):
    """The store did not take the points now and may later. Nothing of them counts as stored.

    ``code`` says what kind of trouble it is: ``store_down`` (refused, slow, 429, 5xx),
    ``store_refuses`` (it does not even take the recorder's own probe, or not these credentials,
    or it has no such database) or ``not_the_store`` (something else has answered: a proxy, a
    log-in page, a redirect). ``retry_after_s`` is what the store asked for, if it did. ``lost``
    says that the connection itself broke, so that the store may have been killed.
    """

    def __init__(
        self,
        reason: str,
        retry_after_s: float | None = None,
        *,
        lost: bool = False,
        code: str = "store_down",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.lost = lost
        self.code = code


class BadPointsError(Exception):
    """The store refuses at least one of these points: HTTP 400, 422 or a partial write; in
    PostgreSQL an error of the data (SQLSTATE class 22 or 54).

    ``lines`` are the places of refused points among those that were sent, counted from 0, where
    the store names them.
    """

    def __init__(self, reason: str, lines: Iterable[int] = ()) -> None:
        super().__init__(reason)
        self.lines = tuple(lines)


class TooLargeError(Exception):
    """Something on the way to the store calls the request too large; fewer points may pass."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One point that the store will not take."""

    index: int
    reason: str


def nothing() -> None:
    """The default of :attr:`Store.between`."""


class Store(ABC):
    """A store of points. Writing the same point twice changes nothing.

    A new store derives from this class. ``write``, ``identity`` and ``close`` it must write itself;
    each other name has a default, and its sentence says for which stores that is right.
    """

    forgets_ms: int = 0
    """How far back a killed store may have forgotten what it had acknowledged; 0: what it
    acknowledges is on its disk."""
    between: Callable[[], None] = staticmethod(nothing)
    """Called between two requests of one write, so that the caller stays alive meanwhile. What it
    raises ends the write. The recorder sets it."""
    takes_health: bool = False
    """Whether the recorder also writes how gateways are, once a minute: right where dashboards
    read the store, and no card is worn by it."""
    known_by_header: bool = False
    """Whether answers of this store have a header that only it writes; an answer without one is
    then not taken for the store's. The store finds that out; the recorder saves it and sets it
    again at its next start. Stays ``False`` where the protocol itself says who answers."""
    file: Path | None = None
    """The file, where the store is one that somebody may remove or replace; ``None``: a server, or
    in memory."""
    damaged_file: Path | None = None
    """Where the store has put its file after it was damaged. The recorder reports that, and sets
    ``None`` again. Stays ``None`` where the store is no file."""

    @abstractmethod
    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Store the points. Returned are those that the store has refused twice: the second time
        right after it has taken the recorder's own probe.

        :raises StoreDownError: none of them counts as stored
        """

    @abstractmethod
    def identity(self) -> str | None:
        """Something that changes when the store was restarted or is another one; ``None``
        where it does not tell.

        :raises StoreDownError: it cannot be asked
        """

    def expire(self, now_ms: int, utc_ms: int | None) -> None:  # noqa: B027 - a server may do it
        """One step of what is to be done beside writing, such as removing what is older than its
        retention class allows. Called in each turn of the recorder, so it returns soon. Does
        nothing where the server itself removes what is old.

        :param now_ms: monotonic
        :param utc_ms: ``None`` while the clock is in doubt: then nothing is removed by it
        :raises StoreDownError: it cannot be done now
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


def bisect(
    items: Sequence[T],
    send: Callable[[Sequence[T]], None],
    probe: Callable[[], None] = nothing,
    between: Callable[[], None] = nothing,
    suspects: set[int] | None = None,
) -> list[Rejected]:
    """Send all; when the store refuses some, find them by halves and judge each alone.

    An item is rejected only when the store refuses it again right after it has taken ``probe``.
    A probe that is refused raises: then the fault is not the item's. At most four requests an
    item are made. Sending a good item again while searching changes nothing.

    :param suspects: places of items refused before, in an attempt that was cut short; what this
        attempt finds is added
    :raises StoreDownError: from ``send``, or because the probe was refused
    """
    suspects = set() if suspects is None else suspects
    refused = _search(items, send, probe, between, suspects)
    rejected: list[Rejected] = []
    for index in sorted(suspects):
        between()
        reason = _refusal(items[index], send, probe, refused=index in refused)
        if reason is None:
            suspects.discard(index)
        else:
            rejected.append(Rejected(index, reason))
    return rejected


def _search(
    items: Sequence[T],
    send: Callable[[Sequence[T]], None],
    probe: Callable[[], None],
    between: Callable[[], None],
    suspects: set[int],
) -> set[int]:
    """Send all but the suspects, and add to them what is refused; those refused alone."""
    alone: set[int] = set()
    first = [index for index in range(len(items)) if index not in suspects]
    todo = [first] if first else []
    asked = False
    while todo:
        part = todo.pop()
        try:
            send([items[index] for index in part])
        except BadPointsError as bad:
            if not asked:  # before searching: is it the points at all?
                _take_probe(probe)
                asked = True
            named = {part[line] for line in bad.lines if 0 <= line < len(part)}
            if named or len(part) == 1:
                suspects |= named or set(part)
                alone |= set(part) if len(part) == 1 else set()
                part = [index for index in part if index not in suspects]
            todo += _halves(part) if not named else [part] if part else []
        except TooLargeError as error:
            if len(part) == 1:
                raise StoreDownError(str(error), code="not_the_store") from error
            todo += _halves(part)
        if todo:
            between()
    return alone


def _halves(part: list[int]) -> list[list[int]]:
    middle = (len(part) + 1) // 2
    return [half for half in (part[middle:], part[:middle]) if half]


def _refusal(
    item: T, send: Callable[[Sequence[T]], None], probe: Callable[[], None], *, refused: bool
) -> str | None:
    """Why the store refuses this item right after taking the probe; ``None``: it takes it.
    ``refused``: it has just refused it alone."""
    try:
        if not refused:
            send([item])
            return None
    except BadPointsError:
        pass
    except TooLargeError as error:
        raise StoreDownError(str(error), code="not_the_store") from error
    _take_probe(probe)
    try:
        send([item])
    except BadPointsError as bad:
        return str(bad)
    except TooLargeError as error:
        raise StoreDownError(str(error), code="not_the_store") from error
    return None


def _take_probe(probe: Callable[[], None]) -> None:
    try:
        probe()
    except (BadPointsError, TooLargeError) as error:
        raise StoreDownError(
            f"the recorder's own probe is refused, too: {error}", code="store_refuses"
        ) from error
