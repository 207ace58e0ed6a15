"""What stands is kept while the journal does not take it: the disk is full, fails or hangs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Json
from gateway.journal import reserve_keeper, writer
from gateway.journal.reserve import SLOT_BYTES, NumberedState, Reserve
from gateway.journal.store import Store
from tests.journal.journal_desk import Desk, earlier, opened, work
from tests.living_files import contents

pytestmark = pytest.mark.thorough

CALL: dict[str, Json] = {"calls": {"wc": {"state": "raised"}}}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_MS", 20)


class Card(sqlite3.Connection):
    """Commits wait while ``answers`` is clear, or fail while ``full`` is set."""

    answers = threading.Event()
    full = False
    read_only = False
    waits = threading.Event()

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if Card.read_only and sql == "BEGIN IMMEDIATE":
            raise sqlite3.OperationalError("attempt to write a readonly database")
        if sql == "COMMIT":
            if Card.full:
                raise sqlite3.OperationalError("database or disk is full")
            if not Card.answers.is_set():
                Card.waits.set()
                assert Card.answers.wait(60)
        return super().execute(sql, *values)


@pytest.fixture(autouse=True)
def _card() -> None:
    Card.answers.set()
    Card.waits.clear()
    Card.full = Card.read_only = False


def held(path: Path) -> dict[str, object] | None:
    found = Reserve(path).read()
    return None if found is None else dict(found[1].state)


def killed(path: Path, to: Path) -> Path:
    """The files as they are when ``control`` is killed now."""
    to.mkdir()
    for file, content in contents(path.parent, "journal.sqlite*"):
        (to / file.name).write_bytes(content)
    return to / path.name


def begun(path: Path) -> Desk:
    desk = Desk(path, factory=Card).start()
    desk.append(opened(1), saved_state={"calls": {}})
    desk.until(lambda: desk.rows)
    desk.until(lambda: path.with_name("journal.sqlite.reserve").exists())
    return desk


@pytest.mark.parametrize("fault", ["full", "slow"])
def test_what_the_journal_does_not_take_is_kept_all_the_same(
    path: Path, tmp_path: Path, fault: str
) -> None:
    desk = begun(path)
    Card.full = fault == "full"
    if fault == "slow":
        Card.answers.clear()
        desk.append(opened(2))
        assert Card.waits.wait(30)  # the state comes behind a transaction that hangs
    desk.append(opened(3), saved_state=CALL)
    desk.until(lambda: held(path) == CALL)
    copy = killed(path, tmp_path / "killed")
    again = Desk(copy).start()
    assert again.journal.saved_state(30.0) == CALL
    again.append(opened(4), saved_state={"calls": {}})
    again.until(lambda: again.rows and held(copy) is None)
    again.close()
    third = Desk(copy).start()
    assert third.journal.saved_state(30.0) == {"calls": {}}
    third.close()
    Card.answers.set()
    Card.full = False
    desk.until(lambda: desk.journal.backlog == 0 and held(path) is None)
    desk.close()


def test_it_takes_no_room_that_is_not_reserved_yet(path: Path) -> None:
    desk = begun(path)
    reserve = path.with_name("journal.sqlite.reserve")
    size, blocks = reserve.stat().st_size, reserve.stat().st_blocks
    assert size == 2 * SLOT_BYTES
    assert blocks * 512 >= size
    Card.full = True
    desk.append(opened(2), saved_state=CALL)
    desk.until(lambda: held(path) == CALL)
    assert (reserve.stat().st_size, reserve.stat().st_blocks) == (size, blocks)
    Card.full = False
    desk.until(lambda: held(path) is None)
    desk.close()
    assert b"raised" not in reserve.read_bytes()


def test_what_was_kept_stands_before_the_start_is_committed(path: Path) -> None:
    """A card that hangs, or is full, when ``control`` starts: the lamps burn at once."""
    desk = begun(path)
    desk.append(opened(2), saved_state=CALL)
    desk.until(lambda: len(desk.rows) == 2)
    desk.close()
    for slow in (True, False):
        Card.full = not slow
        if slow:
            Card.answers.clear()
        again = Desk(path, factory=Card).start()
        assert again.journal.saved_state(30.0) == CALL
        Card.answers.set()
        again.append(opened(3))
        if not slow:
            again.until(lambda again=again: "journal_unavailable" in again.states)
            Card.full = False
        again.until(lambda again=again: again.rows)
        again.close()


def test_what_was_kept_stands_on_a_disk_that_has_become_read_only(path: Path) -> None:
    desk = begun(path)
    desk.append(opened(2), saved_state=CALL)
    desk.until(lambda: len(desk.rows) == 2)
    desk.close()
    Card.read_only = True
    again = Desk(path, factory=Card).start()
    assert again.journal.saved_state(30.0) == CALL
    Card.read_only = False
    again.append(opened(3))
    again.until(lambda: again.rows)
    again.close()


def test_a_state_that_an_earlier_version_has_kept_last_is_the_newest(path: Path) -> None:
    """It does not know the reserve: what is there is older, whatever its number says."""
    desk = begun(path)
    desk.close()
    store = Store(path, "boot-1")
    store.write(work(opened(2), saved_state={"calls": {"by": "number"}}))
    before = earlier(calls={"by": "the version before"})
    with store.transaction():
        store.put_meta("kept", json.dumps(before))
    store.close(clean=True)
    reserve = Reserve(path)
    reserve.prepare()
    reserve.save(store.journal, NumberedState(99, CALL), durable=True)
    again = Desk(path).start()
    assert again.journal.saved_state(30.0) == before
    again.until(lambda: held(path) is None)
    again.close()


def test_a_reserve_of_another_journal_is_not_taken(path: Path) -> None:
    desk = begun(path)
    desk.close()
    reserve = Reserve(path)
    reserve.prepare()
    reserve.save("another", NumberedState(99, CALL), durable=True)
    again = Desk(path).start()
    assert again.journal.saved_state(30.0) == {"calls": {}}
    again.close()


def test_a_torn_slot_leaves_the_state_before(path: Path) -> None:
    reserve = Reserve(path)
    reserve.prepare()
    for number in (1, 2, 3):
        reserve.save("j", NumberedState(number, {"at": number}), durable=False)
        file = path.with_name("journal.sqlite.reserve")
        whole = file.read_bytes()
        start = (number % 2) * SLOT_BYTES
        for cut in (0, 20, 40, 50):
            torn = whole[: start + cut] + b"\xff" * 8 + whole[start + cut + 8 :]
            file.write_bytes(torn)
            assert held(path) in ({"at": number}, None if number == 1 else {"at": number - 1})
            assert held(path) != {"at": number} or cut >= 50
        file.write_bytes(whole)
    assert held(path) == {"at": 3}
    reserve.empty()
    assert held(path) is None
    file.write_bytes(b"\0" * 100)
    assert held(path) is None


def test_a_large_state_has_room_as_well(path: Path) -> None:
    import secrets

    reserve = Reserve(path)
    reserve.prepare()
    large = {"text": secrets.token_hex(SLOT_BYTES)}
    reserve.save("j", NumberedState(1, {"at": 1}), durable=False)
    reserve.save("j", NumberedState(2, large), durable=True)
    assert held(path) == large
    again = Reserve(path)
    again.prepare()
    again.save("j", NumberedState(3, {"at": 3}), durable=True)
    assert held(path) == {"at": 3}


def test_without_room_for_the_reserve_it_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve_keeper, "RETRY_FIRST_MS", 20)
    blocker = path.with_name("journal.sqlite.reserve.new")
    blocker.mkdir()
    desk = Desk(path).start()
    desk.append(opened(1), saved_state=CALL)
    desk.until(lambda: desk.rows)
    assert not path.with_name("journal.sqlite.reserve").exists()
    blocker.rmdir()
    desk.until(lambda: path.with_name("journal.sqlite.reserve").exists())
    desk.close()
    with contextlib.suppress(FileNotFoundError):
        blocker.rmdir()
