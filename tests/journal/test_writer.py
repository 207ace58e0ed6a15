"""The writer: what is durable when, in which order, under which number."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.core.effects import Reply
from gateway.core.facts import Fact, Json
from gateway.journal import pending_replies, writer
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Batch, Queue
from tests.journal.journal_desk import UTC_OFFSET_MS, Desk, answers, opened, read, reading


def test_a_fact_is_on_the_disk_before_it_is_told(path: Path) -> None:
    seen: list[int] = []
    desk = Desk(path)
    inner = desk.journal._on_commit

    def on_commit(committed: writer.Committed) -> None:
        seen.append(read(path).head_row())
        inner(committed)

    desk.journal._on_commit = on_commit
    desk.start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    desk.close()
    assert seen[0] >= 1


def test_the_file_is_in_wal_mode_with_full_synchronous_and_secure_delete(desk: Desk) -> None:
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    store = desk.journal._store
    assert store is not None
    pragmas = ("journal_mode", "synchronous", "secure_delete", "auto_vacuum")
    assert [store.one(f"PRAGMA {name}") for name in pragmas] == ["wal", 2, 1, 2]


def test_numbers_count_up_by_one_within_each_lane(desk: Desk) -> None:
    for at in range(200):
        desk.append(opened(at), reading(at), reading(at + 1))
    desk.until(lambda: len(desk.rows) == 600)
    for lane, count in (("urgent", 200), ("routine", 400)):
        assert [seq for _, its, seq, _ in desk.rows if its == lane] == list(range(1, count + 1))
    assert [row for row, *_ in desk.rows] == list(range(1, 601))
    assert answers(read(desk.path))["routine"] == ["row"] * 400


def test_facts_come_back_as_they_were_told(desk: Desk) -> None:
    facts = [
        opened(1, press_to_open_ms=420),
        reading(2, 21.25),
        reading(3, None),
        Fact("reading", "m", 4, {"quantity": "co2", "value": 417}),
        Fact("reading", "m", 5, {"quantity": "co2", "value": None, "reason": "crc"}),
        Fact("contact_changed", "front.leaf", 6, {"active": None, "initial": True}),
        Fact("relay_changed", "front.activation", 7, {"on": True}),
        Fact("door_request", "front", 8, {"outcome": "refused", "note": "Größe 😀"}),
    ]
    desk.append(*facts)
    desk.until(lambda: len(desk.rows) == len(facts))
    found = read(desk.path).after_row(0, 100)
    assert [(row.kind, row.subject, row.mono_ms, dict(row.data)) for row in found] == [
        (fact.kind, fact.subject, fact.at_ms, dict(fact.data)) for fact in facts
    ]


def test_what_json_cannot_say_is_kept_as_well_as_it_can_be(desk: Desk) -> None:
    desk.append(
        reading(1, float("nan")),
        Fact("door_request", "front\ud800", 2, {"outcome": "refused", "note": "half \ud800"}),
        Fact("door_request", "front", 3, {"outcome": "x", "count": 2**80}),
    )
    desk.until(lambda: len(desk.rows) == 3)
    found = read(desk.path).after_row(0, 10)
    assert found[0].data == {"quantity": "temperature", "value": None}
    assert (found[1].subject, found[1].data["note"]) == ("front?", "half \ud800")
    assert desk.states == []


def test_no_text_and_no_number_ends_the_thread(desk: Desk) -> None:
    """Half a character in an audit entry did, and two readings that have no sum."""
    entry = AuditEntry("web:\ud800", "open_door", "front", "accepted", 5, "says \udfff")
    huge: dict[str, Json] = {"quantity": "t_c", "value": 1.7e308}
    desk.append(Fact("reading", "a", 5, huge), Fact("reading", "a", 6, huge), audit=(entry,))
    desk.append(Fact("reading", "a", 7, {"quantity": "t_c", "value": 10**400}))
    desk.append(opened(8))
    desk.until(lambda: len(desk.rows) == 4)
    assert desk.states in ([], [""])


def test_a_reply_names_the_fact_that_answers_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_replies, "WITHIN_MS", 60_000)  # however busy this machine is
    desk.append(
        reading(1),
        Fact("door_request", "front", 2, {"outcome": "accepted", "command": "c-1"}),
        replies=(Reply("c-1", "accepted"), Reply("c-2", "refused", "limit")),
    )
    desk.until(lambda: sum(len(c.replies) for c in desk.commits) == 2)
    journal = read(desk.path).journal_id()
    assert [pair for c in desk.commits for pair in c.replies] == [
        (Reply("c-1", "accepted"), f"gw/{journal}/urgent/1"),
        (Reply("c-2", "refused", "limit"), None),
    ]


def test_routine_facts_are_durable_with_nothing_urgent_behind_them(desk: Desk) -> None:
    for at in range(10):
        desk.append(reading(at))
    desk.until(lambda: len(desk.rows) == 10)


def test_kept_state_is_there_after_a_restart(path: Path) -> None:
    desk = Desk(path).start()
    assert desk.journal.saved_state(30.0) is None
    desk.append(opened(1), saved_state={"modes": {"front": "night"}, "n": 1})
    desk.append(opened(2), saved_state={"modes": {"front": "off"}, "n": 2})
    desk.until(lambda: len(desk.rows) == 2)
    desk.close()
    again = Desk(path, "boot-2").start()
    assert again.journal.saved_state(30.0) == {"modes": {"front": "off"}, "n": 2}
    assert again.journal.was_clean is True
    again.close()


def test_kept_is_none_as_long_as_the_file_is_not_open(path: Path) -> None:
    desk = Desk(path)
    assert desk.journal.saved_state(0.0) is None
    assert not desk.journal.readable
    assert desk.journal.was_clean is None


def test_without_an_orderly_stop_the_mark_is_missing(path: Path) -> None:
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy.sqlite-wal").write_bytes(Path(f"{path}-wal").read_bytes())
    desk.close()
    again = Desk(copy, "boot-2").start()
    again.journal.saved_state(30.0)
    assert again.journal.was_clean is False
    again.close()


def test_numbers_and_id_go_on_after_a_restart(path: Path) -> None:
    ids = []
    for boot in ("boot-1", "boot-2", "boot-2"):
        desk = Desk(path, boot).start()
        desk.append(opened(1), reading(1))
        desk.until(lambda desk=desk: len(desk.rows) == 2)
        desk.close()
        ids.append(read(path).journal_id())
    assert len(set(ids)) == 1
    rows = read(path).after_row(0, 10)
    assert [(row.lane, row.seq, row.boot) for row in rows if row.lane == "urgent"] == [
        ("urgent", 1, "boot-1"),
        ("urgent", 2, "boot-2"),
        ("urgent", 3, "boot-2"),
    ]


def test_every_new_journal_has_an_id_of_its_own(tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        desk = Desk(tmp_path / name).start()
        desk.append(opened(1))
        desk.until(lambda desk=desk: desk.rows)
        ids.add(desk.commits[-1].journal)
        desk.close()
    assert len(ids) == 2


def test_cursors_are_kept_and_never_go_back(desk: Desk) -> None:
    desk.append(*(opened(at) for at in range(5)))
    desk.until(lambda: len(desk.rows) == 5)
    desk.journal.sent("urgent", 4)
    desk.journal.sent("urgent", 3)
    journal = desk.commits[-1].journal
    desk.journal.recorded("server", journal, {"urgent": 2, "routine": 0})
    desk.close()
    cursors = read(desk.path).cursors()
    assert cursors.sent["urgent"] == 4
    assert cursors.recorded == {"server": (journal, {"urgent": 2, "routine": 0})}
    assert read(desk.path).journal_id() == journal


@pytest.mark.parametrize("who", ["sent", "recorded"])
def test_a_cursor_ahead_of_the_journal_gives_it_a_new_id(desk: Desk, who: str) -> None:
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    desk.journal.sent("urgent", 1)
    if who == "sent":
        desk.journal.sent("urgent", 99)
    else:
        desk.journal.recorded("server", old, {"urgent": 99})
    desk.append(opened(2))
    desk.close()
    reader = read(desk.path)
    assert reader.journal_id() != old
    assert reader.cursors().sent["urgent"] == 0  # all of it is sent again under the new id
    assert answers(reader)["urgent"] == ["row", "row"]


def test_after_a_failed_write_the_newest_kept_state_is_written() -> None:
    """A call that was ended while the disk took nothing would stand again after a restart."""
    queue = Queue(100, 0, 0)
    for newer, wanted in (({"n": 2}, {"n": 2}), (None, {"n": 1})):
        queue.add(Batch(saved_state={"n": 1}), 0)
        failed = queue.take(10)
        queue.add(Batch(saved_state=newer), 1)
        queue.put_back(failed, 1, 0)
        kept = queue.take(10).saved_state
        assert kept is not None
        assert kept.state == wanted


def test_that_somebody_is_ahead_is_believed_once_for_each_opening(desk: Desk) -> None:
    """Else a stranger at the broker has everything sent again, as often as he likes."""
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    desk.journal.recorded("stranger", old, {"urgent": 99})
    desk.until(lambda: desk.commits[-1].journal != old)
    renewed = desk.commits[-1].journal
    desk.journal.sent("urgent", 1)
    desk.journal.recorded("stranger", renewed, {"urgent": 100})
    desk.close()
    assert read(desk.path).journal_id() == renewed
    assert read(desk.path).cursors().sent["urgent"] == 1
    again = Desk(desk.path).start()
    again.journal.recorded("server", renewed, {"urgent": 2})
    again.until(lambda: again.commits)
    again.close()
    assert read(desk.path).journal_id() != renewed


def test_a_number_that_no_journal_can_have_reached_changes_nothing(desk: Desk) -> None:
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    desk.journal.recorded("stranger", old, {"urgent": 2**53})
    desk.close()
    assert read(desk.path).journal_id() == old


def test_recorders_that_nobody_expects_are_not_kept_but_show_an_older_copy(desk: Desk) -> None:
    """Whoever may publish makes up names: the journal would grow with each."""
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    for number in range(300):
        desk.journal.recorded(f"stranger{number}", old, {"urgent": 1}, keep=False)
    desk.journal.recorded("server", old, {"urgent": 1})
    desk.journal.recorded("stranger0", old, {"urgent": 2}, keep=False)
    desk.close()
    reader = read(desk.path)
    assert set(reader.cursors().recorded) == {"server"}
    assert reader.journal_id() != old


def test_a_cursor_of_another_journal_changes_nothing(desk: Desk) -> None:
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    desk.journal.recorded("server", "0123456789ab", {"urgent": 99})
    desk.close()
    assert read(desk.path).journal_id() == old


def test_time_is_given_to_a_boot_once_and_stamps_what_came_before(desk: Desk) -> None:
    desk.append(opened(1_000))
    desk.until(lambda: desk.rows)
    assert read(desk.path).after_row(0, 1)[0].utc_ms is None
    desk.journal.clock(UTC_OFFSET_MS, trusted=False)
    desk.journal.clock(UTC_OFFSET_MS)
    desk.append(opened(2_000))
    desk.until(lambda: len(desk.rows) == 2)
    desk.journal.clock(5)
    desk.append(opened(3_000))
    desk.close()
    stamped = [row.utc_ms for row in read(desk.path).after_row(0, 9)]
    assert stamped == [UTC_OFFSET_MS + at for at in (1_000, 2_000, 3_000)]


def test_a_step_of_the_clock_counts_from_its_instant_on(desk: Desk) -> None:
    trusted = Fact("clock_trusted", "gateway", 500, {"utc_offset_ms": UTC_OFFSET_MS})
    stepped = Fact(
        "clock_stepped", "gateway", 2_000, {"by_ms": -7, "utc_offset_ms": UTC_OFFSET_MS - 7}
    )
    desk.append(opened(100), trusted, opened(1_999), stepped, opened(2_000), opened(1_500))
    desk.close()
    rows = read(desk.path).after_row(0, 9, kinds=["door_opened"])
    assert [row.utc_ms for row in rows] == [
        UTC_OFFSET_MS + 100,
        UTC_OFFSET_MS + 1_999,
        UTC_OFFSET_MS - 7 + 2_000,
        UTC_OFFSET_MS + 1_500,
    ]


def test_append_never_waits_for_the_disk_and_replies_come_without_it(path: Path) -> None:
    stuck, free = threading.Event(), threading.Event()

    class Stuck(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and stuck.is_set():
                free.wait(120)
            return super().execute(sql, *values)

    desk = Desk(path, factory=Stuck).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    stuck.set()
    desk.append(opened(2))
    began = time.monotonic()
    desk.append(opened(3, command="c"), replies=(Reply("c", "accepted"),))
    for at in range(2_000):
        desk.append(reading(at))
    assert time.monotonic() - began < 20  # the disk answers after two minutes
    desk.until(lambda: any(c.replies for c in desk.commits))
    assert desk.commits[-1].replies == ((Reply("c", "accepted"), None),)
    stuck.clear()
    free.set()
    desk.until(lambda: len(desk.rows) == 2_003)
    desk.close()
    assert sum(len(c.replies) for c in desk.commits) == 1


def test_memory_is_bounded_and_what_is_dropped_is_lost_by_name(path: Path) -> None:
    full = threading.Event()

    class Full(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and full.is_set():
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *values)

    desk = Desk(path, factory=Full, memory_facts=100).start()
    desk.journal.saved_state(30.0)
    full.set()
    for at in range(60):
        desk.append(opened(at), reading(at), reading(at))
    desk.until(lambda: desk.states)
    assert desk.journal.backlog <= 100
    full.clear()
    desk.until(lambda: desk.states[-1] == "" and desk.journal.backlog == 0)
    desk.close()
    reader = read(path)
    found = answers(reader)
    assert found["urgent"] == ["row"] * 60
    assert found["routine"].count("row") <= 40
    assert len(found["routine"]) == 120
    kept = [row.mono_ms for row in reader.lane("routine", 1, 999)]
    assert max(kept) == 59, "the oldest go, the newest stay"


def test_the_audit_is_written_with_the_facts(desk: Desk) -> None:
    entry = AuditEntry("web:3", "open_door", "front", "accepted", 5, "reason: delivery")
    desk.append(opened(1), audit=(entry,))
    desk.until(lambda: desk.rows)
    desk.close()
    connection = sqlite3.connect(desk.path)
    assert connection.execute("SELECT actor, action, detail FROM audit").fetchall() == [
        ("web:3", "open_door", "reason: delivery")
    ]
    connection.close()


def test_close_writes_what_waits(path: Path) -> None:
    desk = Desk(path).start()
    for at in range(5_000):
        desk.append(reading(at))
    desk.close()
    assert len(desk.rows) == 5_000
    assert read(path).heads()["routine"] == 5_000


def test_closing_a_journal_that_never_started_is_harmless(path: Path) -> None:
    Desk(path).close()
    assert not path.exists()


@pytest.mark.parametrize("urgent", [True, False])
def test_of_ten_thousand_facts_at_once_each_is_durable(path: Path, urgent: bool) -> None:
    desk = Desk(path).start()
    desk.journal.saved_state(30.0)
    for at in range(10_000):
        desk.append(opened(at) if urgent else reading(at))
    desk.until(lambda: len(desk.rows) == 10_000, 60.0)
    desk.close()
    assert sorted(row[2] for row in desk.rows) == list(range(1, 10_001))
