"""Fixtures of the process tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.parts import House, house


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    """A house of its own; whatever the test starts on it is ended afterwards."""
    made = house(tmp_path)
    yield made
    made.end()
