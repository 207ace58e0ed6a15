"""A small journal, cut at every byte and flipped in every page: what is left is read, and the
journal goes on. ``make test`` draws some of each; ``make faults`` takes all."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.schema import PAGE_BYTES
from gateway.journal.store import Store
from tests.journal.journal_desk import opened, reading, work
from tests.journal.test_recovery import _broken, _facts, _opened

pytestmark = pytest.mark.process

FACTS = 16
PARTS = 8
"""Of all bytes, each to be tried by a worker of its own."""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Half of its facts in the file, half in the log beside it."""
    path = tmp_path / "whole" / "journal.sqlite"
    path.parent.mkdir()
    store = Store(path, "boot-1")
    for at in range(FACTS // 2):
        store.write(work(opened(at), reading(at, at / 7)))
        if at == FACTS // 4:
            store.checkpoint()
    copy = path.with_name("copy.sqlite")
    for ending in ("", "-wal"):
        copy.with_name(copy.name + ending).write_bytes(
            path.with_name(path.name + ending).read_bytes()
        )
    store.close(clean=False)
    return copy


def cut(small: Path, folder: Path, lengths: list[int], *, log: bool) -> None:
    for length in lengths:
        path = _broken(
            small,
            folder,
            lambda main, wal, end=length: (main, wal[:end]) if log else (main[:end], wal),
        )
        store, _ = _opened(path)
        found = _facts(store)
        assert store.one("PRAGMA integrity_check") == "ok", length
        assert found <= FACTS, length
        if log:  # a transaction as a whole or not at all
            assert found % 2 == 0, length
        store.write(work(opened(1_000)))
        assert _facts(store) == found + 1, length
        store.close(clean=False)


def flip(small: Path, folder: Path, pages: list[int]) -> None:
    dice = random.Random(5)
    for page in pages:
        at = page * PAGE_BYTES + dice.randrange(PAGE_BYTES)
        bit = 1 << dice.randrange(8)

        def edit(
            main: bytearray, wal: bytearray, at: int = at, bit: int = bit
        ) -> tuple[bytearray, bytearray]:
            main[at] ^= bit
            return main, wal

        store, reason = _opened(_broken(small, folder, edit))
        assert _facts(store) >= FACTS - 2, (at, reason)
        assert store.one("PRAGMA integrity_check") == "ok", at
        store.close(clean=False)


def sizes(small: Path) -> tuple[int, int]:
    return small.stat().st_size, small.with_name(small.name + "-wal").stat().st_size


def test_cut_or_flipped_at_drawn_places_the_journal_goes_on(small: Path, tmp_path: Path) -> None:
    dice = random.Random(3)
    main, wal = sizes(small)
    cut(small, tmp_path / "main", dice.sample(range(main), 20), log=False)
    cut(small, tmp_path / "wal", dice.sample(range(wal), 20), log=True)
    flip(small, tmp_path / "flip", list(range(main // PAGE_BYTES)))


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what lies there is tried, not how fast a disk is."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
def test_cut_at_every_byte_the_journal_goes_on(small: Path, quick: Path, part: int) -> None:
    main, wal = sizes(small)
    cut(small, quick / "main", list(range(part, main, PARTS)), log=False)
    cut(small, quick / "wal", list(range(part, wal, PARTS)), log=True)
