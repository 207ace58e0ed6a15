"""Searches events for words, as the page shows them, forwards or backwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.journal.queries.reader import Found
from gateway.web.presenter.facts import tell
from gateway.web.presenter.presenter import Presenter
from gateway.wire import Row

PIECE = 500
MOST = 20_000
"""So many events are looked through for one answer; the next one goes on from there."""


def words_of(query: str) -> list[str]:
    """What has to be in an event, all of it, in any order."""
    return query.casefold().split()


async def search(
    read: Callable[[int | None, int], Awaitable[Found]],
    presenter: Presenter,
    words: list[str],
    cursor: int | None,
    wanted: int,
) -> tuple[list[Row], int | None]:
    """At most ``wanted`` rows with all of ``words``, in the order in which ``read(cursor, size)``
    gives them, and the row to go on from; ``None`` where there are no more."""
    found: list[Row] = []
    size = PIECE if words else wanted
    for _ in range(0, MOST, size):
        rows = await read(cursor, size)
        for row in rows:
            cursor = row.row
            if not words or _has(row, presenter, words):
                found.append(row)
            if len(found) == wanted:
                return found, cursor
        if rows.reached is not None:
            return found, rows.reached  # the next answer goes on from there
        if len(rows) < size:
            return found, None
        await asyncio.sleep(0)  # others are waiting, too
    return found, cursor


def _has(row: Row, presenter: Presenter, words: list[str]) -> bool:
    searched = tell(row, presenter).searched
    return all(word in searched for word in words)
