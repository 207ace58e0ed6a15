"""Refusals do not fill the audit chain, and the chain takes no room from the facts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.facts import Fact
from gateway.journal import audit, retention
from gateway.journal import refusals as r
from gateway.journal.audit import AuditEntry, Verdict
from gateway.journal.queue import Batch, Queue
from gateway.journal.store import Store
from tests.journal.journal_desk import UTC_OFFSET_MS, answers, opened, read, reading, work
from tests.journal.test_retention import House
from tests.journal.test_wear import settled, waiting

pytestmark = pytest.mark.thorough


def refused(
    at_ms: int = 5, actor: str = "web:3", reason: str = "unknown", detail: str = ""
) -> AuditEntry:
    return AuditEntry(actor, "acknowledge_alarm", "x/y", f"refused: {reason}", at_ms, detail)


def done(at_ms: int = 5, actor: str = "web:3", outcome: str = "accepted") -> AuditEntry:
    return AuditEntry(actor, "open_door", "front", outcome, at_ms)


def asked(queue: Queue, now_ms: int, *entries: AuditEntry) -> None:
    for entry in entries:
        queue.add(Batch(audit=(entry,)), now_ms)


def counts(entries: list[AuditEntry]) -> list[tuple[str, str, int]]:
    found = [(one, json.loads(one.detail or "{}")) for one in entries]
    return [(one.actor, one.outcome, d["count"]) for one, d in found if "count" in d]


# --- what comes beyond ten a minute -----------------------------------------------------


@pytest.mark.parametrize("outcome", ["refused: unknown", "merged", "extended", "failed: code"])
def test_ten_of_an_issuer_and_reason_are_written_and_the_rest_counted(outcome: str) -> None:
    """A session made 172 entries a second: 135 MB a day, for a year."""
    queue = Queue(100, 0, 0)
    entry = AuditEntry("web:3", "acknowledge_alarm", "x/y", outcome, 5)
    asked(queue, 1_000, *([entry] * 10))
    assert queue.due_ms() == 1_000
    assert queue.take(10, 1_000).audit == [entry] * 10
    asked(queue, 2_000, *([entry] * 990))
    assert queue.due_ms() == 61_000  # for the count, and for nothing before
    assert not queue.take(10, 60_999).audit
    assert queue.due_ms() == 61_000
    found = queue.take(10, 61_000).audit
    assert counts(found) == [("web:3", outcome, 990)]
    assert queue.due_ms() is None
    asked(queue, 62_000, entry)
    assert queue.take(10, 62_000).audit == [entry]


def test_each_issuer_and_each_reason_has_ten_and_what_was_done_is_always_written() -> None:
    queue = Queue(100, 0, 0)
    for at in range(50):
        asked(queue, at, refused(reason="a"), refused(reason="b"), refused(actor="cli:ada"), done())
    found = Counter((one.actor, one.outcome) for one in queue.take(10, 100).audit)
    assert found == {
        ("web:3", "refused: a"): 10,
        ("web:3", "refused: b"): 10,
        ("cli:ada", "refused: unknown"): 10,
        ("web:3", "accepted"): 50,
    }


def test_a_message_makes_no_new_issuers_of_itself() -> None:
    queue = Queue(100, 0, 0)
    for n in range(500):
        asked(queue, 0, refused(actor=f"mqtt:ha (says: person {n})"))
    assert len(queue.take(10, 0).audit) == 10
    assert counts(queue.take(10, 60_000).audit) == [("mqtt:ha", "refused: unknown", 490)]


def test_however_many_issuers_and_reasons_there_are_the_entries_are_bounded() -> None:
    queue = Queue(100, 0, 0)
    for n in range(5_000):
        asked(queue, 0, refused(actor=f"web:{n % 1_000}", reason=f"reason {n % 77}"))
    assert len(queue.take(10, 0).audit) <= r.ISSUERS_MOST * 10
    over = queue.take(10, 60_000).audit
    assert len(over) <= r.ISSUERS_MOST + 1
    told = sum(count for *_, count in counts(over))
    assert told == 5_000 - len({(n % 1_000, n % 77) for n in range(r.ISSUERS_MOST)})
    assert ("others", "refused") in [(one.actor, one.outcome) for one in over]


def test_counts_that_are_not_complete_are_written_at_the_end(path: Path) -> None:
    desk = waiting(path).start()
    settled(desk)
    for _ in range(30):
        desk.append(audit=(refused(),))
    desk.close()
    store = Store(path, "boot-2")
    found = list(audit.entries(store.connection))
    assert len(found) == 11
    assert json.loads(found[-1].detail or "")["count"] == 20
    assert audit.verify(store.connection) == Verdict(11, None)
    store.close(clean=True)


def test_texts_of_an_entry_have_a_length(path: Path) -> None:
    """What a client of the panel says may be 64 kB long."""
    store = Store(path, "boot-1")
    long = "x" * 60_000
    store.write(work(audit=[AuditEntry(long, long, long, long, 5, long)]))
    entry = next(iter(audit.entries(store.connection)))
    assert len(entry.detail or "") == audit.DETAIL_MOST
    assert {len(text) for text in (entry.actor, entry.action, entry.subject, entry.outcome)} == {
        audit.TEXT_MOST
    }
    assert audit.verify(store.connection) == Verdict(1, None)
    store.close(clean=True)


def test_who_is_to_be_forgotten_waits_once() -> None:
    queue = Queue(100, 0, 0)
    for n in range(5_000):
        queue.forget("web:3", 0)
        queue.forget(f"made up {n}", 0)
    assert len(queue.take(10).forget) <= 1_000


# --- the chain's share of the journal -----------------------------------------------------


@pytest.fixture
def house(path: Path) -> Iterator[House]:
    one = House(path)
    one.now_ms = 1_000_000
    yield one
    one.store.close(clean=False)


def written(house: House, *entries: AuditEntry) -> None:
    house.store.write(work(audit=list(entries), utc_offset_ms=UTC_OFFSET_MS))


def flooded(house: House, rounds: int = 40) -> None:
    """Facts, and deeds between many refusals; then a limit of which the chain takes a half."""
    for at in range(rounds):
        house.store.write(work(opened(at), *[reading(at * 60_000 + n) for n in range(20)]))
        written(house, done(at), *[refused(at, detail="x" * 200) for _ in range(60)])
    house.upkeep._limit_bytes = audit.sizes(house.store.connection, 0, 10**6)[0] * 2


def chain_bytes(house: House) -> int:
    return audit.sizes(house.store.connection, 0, 10**6)[0]


def test_refusals_make_room_for_themselves_and_nothing_else_does(house: House) -> None:
    """They filled the journal, and then every routine fact was deleted."""
    flooded(house)
    entries_before = house.store.one("SELECT count(*) FROM audit")
    house.round()
    found = answers(read(house.store.path))
    assert set(found["routine"]) == {"row"}
    assert set(found["urgent"]) == {"row"}
    assert chain_bytes(house) <= retention.AUDIT_SHARE * house.upkeep._limit_bytes
    left = Counter(one.outcome for one in audit.entries(house.store.connection))
    assert left["accepted"] == 40, "what was done stays"
    verdict = audit.verify(house.store.connection)
    assert verdict.broken is None
    assert verdict.removed > 1_000
    notes = left["removed"]
    assert verdict.entries + verdict.removed == entries_before + notes
    # the oldest go, the newest stay
    kept = [
        one.mono_ms for one in audit.entries(house.store.connection) if "refused" in one.outcome
    ]
    assert kept == sorted(kept)
    assert min(kept, default=39) > 20


def test_the_chain_goes_on_after_refusals_were_removed(house: House) -> None:
    flooded(house)
    house.round()
    written(house, done(50), refused(51))
    house.upkeep._limit_bytes //= 4
    house.round()
    written(house, done(52))
    assert audit.verify(house.store.connection).broken is None
    house.store.close(clean=True)
    store = Store(house.store.path, "boot-2")
    store.write(work(audit=[done(1)]))
    assert audit.verify(store.connection).broken is None
    numbers = [one.n for one in audit.entries(store.connection)]
    assert numbers == sorted(set(numbers))
    store.close(clean=True)


def test_a_chain_with_gaps_is_verified_in_pieces(house: House) -> None:
    flooded(house)
    house.round()
    whole = audit.verify(house.store.connection)
    entries = removed = 0
    anchor = None
    while True:
        verdict, anchor = audit.walk(house.store.connection, anchor, 7)
        assert verdict.broken is None
        entries, removed = entries + verdict.entries, removed + verdict.removed
        if verdict.entries < 7:
            break
    assert (entries, removed) == (whole.entries, whole.removed)


def test_life_over_takes_the_beginning_with_its_gaps(house: House) -> None:
    flooded(house)
    house.round()
    upto = audit.drop_ended(house.store.connection, lambda entry: entry.mono_ms < 25, 10**6)
    assert upto > 20
    verdict = audit.verify(house.store.connection)
    assert verdict.broken is None
    audit.drop_ended(house.store.connection, lambda entry: True, 10**6)
    assert house.store.one("SELECT count(*) FROM meta WHERE key LIKE 'audit.removed.%'") == 0
    assert audit.verify(house.store.connection).broken is None


def test_where_deeds_alone_are_too_many_the_oldest_go(house: House) -> None:
    for at in range(2_000):
        written(house, done(at))
    house.upkeep._limit_bytes = chain_bytes(house) * 5
    house.round()
    assert chain_bytes(house) <= retention.AUDIT_SHARE * house.upkeep._limit_bytes
    verdict = audit.verify(house.store.connection)
    assert (verdict.broken, verdict.removed) == (None, 0)
    found = [one.mono_ms for one in audit.entries(house.store.connection)]
    assert found[-1] == 1_999
    assert found == list(range(found[0], 2_000))


def test_within_its_share_nothing_of_the_chain_is_removed(house: House) -> None:
    flooded(house)
    house.upkeep._limit_bytes = int(chain_bytes(house) / retention.AUDIT_SHARE) + 1
    house.round()
    assert audit.verify(house.store.connection) == Verdict(40 * 61, None)


TAMPERED = {
    "a deed": "DELETE FROM audit WHERE outcome = 'accepted' AND mono_ms = 20",
    "a refusal that had stayed": "DELETE FROM audit WHERE n = (SELECT max(n) FROM audit "
    "WHERE outcome LIKE 'refused%')",
    "what says what was removed": "DELETE FROM audit WHERE n = (SELECT min(n) FROM audit "
    "WHERE outcome = 'removed')",
    "its text": "UPDATE audit SET detail = replace(detail, ',', ', ') WHERE n = "
    "(SELECT min(n) FROM audit WHERE outcome = 'removed')",
    "where it is": "DELETE FROM meta WHERE key LIKE 'audit.removed.%'",
}


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED)
def test_what_somebody_else_removed_shows(house: House, statement: str) -> None:
    flooded(house)
    house.round()
    assert house.store.connection.execute(statement).rowcount > 0
    assert audit.verify(house.store.connection).broken is not None


# --- facts --------------------------------------------------------------------------------


def test_routine_facts_are_not_deleted_where_that_makes_no_room(path: Path) -> None:
    """Urgent facts fill the file: without any of routine it would be too large all the same."""
    house = House(path)
    for at in range(400):
        house.store.write(
            work(opened(at, note="x" * 2_000), *[reading(at * 9 + n) for n in range(2)])
        )
    house.upkeep._limit_bytes = house.upkeep.used_bytes() // 2
    house.round()
    found = answers(read(path))
    assert set(found["routine"]) == {"row"}
    assert house.upkeep.used_bytes() <= house.upkeep._limit_bytes
    first = found["urgent"].index("row")
    assert found["urgent"] == ["lost"] * first + ["row"] * (400 - first)
    assert 100 < first < 250, "no more than the room that is missing"
    house.store.close(clean=False)


def test_where_urgent_facts_fill_the_file_calls_and_alarms_go_last(path: Path) -> None:
    """The limit holds, whatever fills it; what is said of it names how many went."""
    house = House(path)
    for at in range(400):
        raised = Fact("call_raised", "wc", at, {"id": f"call-{at}"})
        house.store.write(work(opened(at, note="x" * 2_000), raised))
    house.upkeep._limit_bytes = house.upkeep.used_bytes() // 2
    house.round()
    assert house.upkeep.used_bytes() <= house.upkeep._limit_bytes
    found = answers(read(path))["urgent"]
    assert found[1::2] == ["row"] * 400, "the calls"
    assert found[0] == "lost"
    assert found[-2] == "row"
    assert "dropped_urgent" in str(house.notes[-1].data["detail"])
    house.upkeep._limit_bytes = house.upkeep.used_bytes() // 8
    house.round()
    assert house.upkeep.used_bytes() <= house.upkeep._limit_bytes * 1.1
    assert answers(read(path))["urgent"][0:2] == ["lost", "lost"]
    house.store.close(clean=False)


def test_beside_urgent_facts_that_fill_the_file_routine_keeps_a_share(path: Path) -> None:
    house = House(path)
    for at in range(400):
        changed = Fact("contact_changed", "front.leaf", at, {"active": True, "initial": False})
        house.store.write(work(opened(at, note="x" * 2_000), *([changed] * 20)))
    house.upkeep._limit_bytes = house.upkeep.used_bytes() // 2
    house.round()
    found = answers(read(path))
    assert set(found["urgent"]) == {"row", "lost"}
    rows = found["routine"].count("row")
    assert 0 < rows < 8_000
    assert rows * 85 == pytest.approx(retention.ROUTINE_LEAST * house.upkeep._limit_bytes, rel=0.2)
    house.store.close(clean=False)
