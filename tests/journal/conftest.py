"""A fresh journal for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.journal_desk import Desk, close_readers


@pytest.fixture(autouse=True)
def _readers() -> Iterator[None]:
    yield
    close_readers()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def desk(path: Path) -> Iterator[Desk]:
    desk = Desk(path).start()
    yield desk
    desk.close()
