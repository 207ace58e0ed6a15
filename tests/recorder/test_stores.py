"""What the recorder may expect of every store that an address can name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints

import pytest

from gateway.core.facts import KINDS
from gateway.recorder.main import open_store
from gateway.recorder.points import Point
from gateway.recorder.stores.store import Store, nothing
from gateway.settings.values.store_address import SCHEMES, StoreAddress, parse
from gateway.web.retention.retention import RECORDED_BY
from tests.recorder.conftest import T0


class Expected(NamedTuple):
    """What a store answers to the recorder's questions."""

    address: str
    forgets_ms: int
    takes_health: bool
    is_file: bool
    expires: bool
    """Whether the recorder removes what is over, and not the server itself."""


STORES = {
    "sqlite": Expected("sqlite", 0, takes_health=False, is_file=True, expires=True),
    "influx": Expected(
        "influx://127.0.0.1:1/o/b", 300_000, takes_health=True, is_file=False, expires=False
    ),
    "influx1": Expected(
        "influx1://127.0.0.1:1/portier", 0, takes_health=True, is_file=False, expires=False
    ),
    "postgresql": Expected(
        "postgresql://p@127.0.0.1:1/portier", 0, takes_health=False, is_file=False, expires=True
    ),
}
"""By the kind of the address. A new store gets a row."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Opens a store as the recorder does; none of them connects before it is asked something."""
    made: list[Store] = []

    def open_one(kind: str) -> Store:
        made.append(open_store(parse(STORES[kind].address), tmp_path))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


def test_each_kind_of_address_is_here() -> None:
    kinds = {*get_args(get_type_hints(StoreAddress)["kind"])} - {"none"}
    assert STORES.keys() == kinds
    user = {"postgresql": "u@"}
    named = {parse(f"{one}://{user.get(one, '')}h/x").kind for one in SCHEMES}
    assert named == kinds - {"sqlite"}, "each kind but the file has a scheme"


@pytest.mark.parametrize("kind", STORES)
def test_a_store_answers_all_that_the_recorder_asks(
    kind: str, opened: Callable[[str], Store], tmp_path: Path
) -> None:
    store, expected = opened(kind), STORES[kind]
    assert isinstance(store, Store)
    assert store.forgets_ms == expected.forgets_ms
    assert store.takes_health == expected.takes_health
    assert store.file == (tmp_path / "record.sqlite" if expected.is_file else None)
    assert (store.known_by_header, store.damaged_file, store.between) == (False, None, nothing)
    assert (type(store).expire is not Store.expire) == expected.expires
    assert (kind in RECORDED_BY) == expected.expires, "who removes is named on the page"


@pytest.mark.parametrize("kind", STORES)
def test_a_store_lets_its_caller_be_called_between_two_requests(
    kind: str, opened: Callable[[str], Store]
) -> None:
    store, other, called = opened(kind), opened(kind), list[str]()
    store.between = lambda: called.append(kind)
    store.between()
    assert called == [kind]
    assert other.between is nothing, "of this store alone"


def test_the_same_point_twice_is_one(tmp_path: Path) -> None:
    """Of the store that needs no server; of the others see ``tests/process``."""
    tags = (("gateway", "g"), ("subject", "front"))
    point = Point(next(iter(KINDS)), tags, {"seq": 1}, T0)
    with closing(open_store(parse("sqlite"), tmp_path)) as store:
        assert store.write([point, point]) == []
        assert store.write([point]) == []
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM points").fetchone() == (1,)
