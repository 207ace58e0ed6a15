"""Whatever bytes stand in the journal's notes about itself: it opens, and a state that is lost or
was changed is unreadable, not none."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.facts import Json
from gateway.journal import recovery, writer
from gateway.journal.reserve import NumberedState, Reserve
from gateway.journal.store import STATE_NUMBER, Store
from tests.journal.journal_desk import Desk, earlier, opened, read, work

pytestmark = pytest.mark.thorough

STATE: dict[str, Json] = {
    "format": 1,
    "calls": {"wc": {"call": {"id": "wc-1", "state": "raised"}}},
    "overrides": {"front": {"mode": "off", "by": "web:3", "until_utc_ms": 1_800_000_000_000}},
}
UNREADABLE: dict[str, Json] = {"format": "unreadable"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_MS", 20)
    monkeypatch.setattr(writer, "SALVAGE_AGAIN_MS", 20)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal with a standing call and notes of every sort, closed in order."""
    path = tmp_path_factory.mktemp("whole") / "journal.sqlite"
    begun = Store(path, "kernel-1/5", machine="1234abcd 5678abcd")
    begun.write(
        work(
            opened(1),
            opened(2),
            saved_state=STATE,
            sent={"urgent": 1},
            recorded={"main": (begun.journal, {"urgent": 1}, True)},
        )
    )
    begun.put_heartbeats({"wc.climate": 60_000})
    begun.close(clean=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
    return path.read_bytes()


def keys(whole: bytes, folder: Path) -> list[str]:
    path = folder / "keys.sqlite"
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as db:
        return sorted(key for (key,) in db.execute("SELECT key FROM meta"))


def started(path: Path) -> dict[str, object] | None:
    """What the next run gets; its journal takes facts, and its threads live."""
    desk = Desk(path, "kernel-2/5", machine="1234abcd 5678abcd").start()
    kept = desk.journal.saved_state(10.0)
    assert desk.journal.readable
    desk.append(opened(7), saved_state={"format": 1, "calls": {}})
    desk.journal.sent("urgent", 1)
    desk.until(lambda: any(fact.at_ms == 7 for _, _, _, fact in desk.rows))
    assert desk.journal.alive
    desk.close()
    reader = read(path)
    reader.cursors()
    assert reader.heads()["urgent"] >= 1
    return None if kept is None else dict(kept)


VALUES = {
    "bytes": "x'ff00fe'",
    "the same as bytes": "CAST(value AS BLOB)",
    "not UTF-8": "CAST(x'7bff7d' AS TEXT)",
    "null": "NULL",
    "empty": "''",
    "a number": "-5",
    "a huge number": "'99999999999999999999999'",
    "infinity": "'[[1e999,2,3]]'",
    "another JSON": "'[[1,2],3]'",
    "deep": "'" + "[" * 100_000 + "'",
    "a word": "'x y'",
}


def test_every_note_has_something_to_be_damaged(whole: bytes, tmp_path: Path) -> None:
    assert {"kept", STATE_NUMBER, "schema", "journal", "clean", "machine"} <= set(
        keys(whole, tmp_path)
    )


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_whatever_a_note_holds_the_journal_opens_and_hides_no_call(
    whole: bytes, tmp_path: Path, value: str
) -> None:
    for number, key in enumerate(keys(whole, tmp_path)):
        path = tmp_path / str(number) / "journal.sqlite"
        path.parent.mkdir()
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(f"UPDATE meta SET value = {value} WHERE key = ?", (key,))
        kept = started(path)
        assert kept is not None, key
        if key in ("kept", STATE_NUMBER) and value != "CAST(value AS BLOB)":
            assert kept == UNREADABLE, key
        else:
            assert kept["calls"] == STATE["calls"], key


def flips(whole: bytes) -> Iterator[bytes]:
    """The journal with one flipped bit, in and around the saved state and anywhere."""
    draw = random.Random(7)
    state = whole.find(b'{"format":1')
    near = range(state - 150, state + 60)
    for n in range(160):
        at = draw.choice(near) if n % 2 else draw.randrange(len(whole))
        yield whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]


def test_one_flipped_bit_hides_no_call_and_changes_no_state(whole: bytes, tmp_path: Path) -> None:
    for number, content in enumerate(flips(whole)):
        path = tmp_path / str(number) / "journal.sqlite"
        path.parent.mkdir()
        path.write_bytes(content)
        kept = started(path)
        assert kept is not None, number
        rest = {key: value for key, value in kept.items() if key != "journal_aside"}
        assert rest in (STATE, UNREADABLE), number


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM meta WHERE key = 'kept'",
        "DELETE FROM meta WHERE key IN ('kept', 'kept.number')",
        "UPDATE meta SET key = 'keqt' WHERE key = 'kept'",
        "UPDATE meta SET key = 'kept.nvmber' WHERE key = 'kept.number'",
        "UPDATE meta SET value = replace(value, 'wc', 'wb') WHERE key = 'kept'",
        "UPDATE meta SET value = replace(value, '1 ', '2 ') WHERE key = 'kept.number'",
        "UPDATE meta SET value = '{}' WHERE key = 'kept'",
        "UPDATE meta SET value = rtrim(value) WHERE key = 'kept'",
        'UPDATE meta SET value = \'{"format":1,"alarms":[],"calls":{}}\' WHERE key = \'kept\'',
    ],
)
def test_a_state_that_is_missing_or_changed_is_unreadable(
    whole: bytes, path: Path, statement: str
) -> None:
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    assert started(path) == UNREADABLE


@pytest.mark.parametrize("format", [{}, {"format": 1}], ids=["0.1", "before the reserve"])
def test_a_state_of_an_earlier_version_beside_the_number_of_this_one_is_read(
    whole: bytes, path: Path, format: dict[str, Json]
) -> None:
    """After a way back: an earlier version writes the state, and leaves the number as it is."""
    path.write_bytes(whole)
    text = json.dumps({**format, **earlier(calls=STATE["calls"])}, separators=(",", ":"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'kept'", (text,))
    kept = started(path)
    assert kept is not None
    assert kept["calls"] == STATE["calls"]
    assert kept.get("format", 1) == 1


def test_a_journal_that_is_new_has_no_state_and_that_is_none(path: Path) -> None:
    desk = Desk(path).start()
    assert desk.journal.saved_state(10.0) is None
    assert desk.journal.readable
    desk.close()


@pytest.mark.parametrize("both", [True, False])
def test_a_mended_journal_without_its_state_says_so(whole: bytes, path: Path, both: bool) -> None:
    path.write_bytes(whole)
    names = ("kept", "kept.number") if both else ("kept",)
    with closing(sqlite3.connect(path)) as db, db:
        for name in names:
            db.execute("DELETE FROM meta WHERE key = ?", (name,))
        db.execute("DELETE FROM fact")
    recovery.salvage(path, "a test", "boot-2")
    assert started(path) == UNREADABLE


def test_of_a_journal_that_is_damaged_and_cannot_be_mended_the_worst_is_assumed(
    whole: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(whole.replace(b'"format":1', b'"format":\xff', 1).replace(b"boot", b"bo\xfft"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(recovery, "salvage", full)
    desk = Desk(path, "boot-2").start()
    assert desk.journal.saved_state(10.0) == UNREADABLE
    monkeypatch.undo()
    desk.close()


def test_beside_an_unreadable_state_the_reserve_is_what_is_left_and_not_believed(
    whole: bytes, path: Path
) -> None:
    path.write_bytes(whole)
    journal = read(path).journal_id()
    reserve = Reserve(path)
    reserve.prepare()
    reserve.save(journal, NumberedState(9, STATE), durable=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 'x' WHERE key = 'kept'")
    assert started(path) == {**STATE, **UNREADABLE}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_reserve_holds_the_state_of_the_journal_stands(
    whole: bytes, path: Path, seed: int
) -> None:
    path.write_bytes(whole)
    reserve = Reserve(path)
    reserve.prepare()
    reserve.save(read(path).journal_id(), NumberedState(9, {"calls": {}}), durable=True)
    file = path.with_name("journal.sqlite.reserve")
    content = bytearray(file.read_bytes())
    slot = content.find(b"portier1")
    draw = random.Random(seed)
    content[slot + draw.randrange(60)] ^= 1 << draw.randrange(8)
    file.write_bytes(content if seed else b"")
    assert started(path) in (STATE, {"calls": {}})
