"""Fixtures of the process tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.parts import House, house
from tests.process.parts_postgresql import Postgresql
from tests.process.stand_in import StandIn


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    """A house of its own; whatever the test starts on it is ended afterwards."""
    made = house(tmp_path)
    yield made
    made.end()


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Postgresql]:
    """A server of its own, not started yet."""
    one = Postgresql(tmp_path)
    yield one
    one.remove()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[StandIn]:
    """What stands in for ``control`` before ``link``: a journal and a panel of the test's own."""
    one = StandIn(tmp_path)
    one.start()
    yield one
    one.close()
