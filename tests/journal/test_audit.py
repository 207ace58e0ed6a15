"""The audit chain: what was changed afterwards shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal import audit
from gateway.journal.audit import AuditEntry, Verdict
from gateway.journal.store import Store
from tests.journal.journal_desk import UTC_OFFSET_MS, work


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, "boot-1")
    for at in range(10):
        entry = AuditEntry(f"web:{at % 3}", "open_door", "front", "accepted", at, f"note {at}")
        store.write(work(audit=[entry], utc_offset_ms=UTC_OFFSET_MS))
    yield store
    store.close(clean=False)


def test_an_untouched_chain_holds(store: Store) -> None:
    assert audit.verify(store.connection) == Verdict(10, None)
    first = next(iter(audit.entries(store.connection)))
    assert (first.n, first.previous, first.utc_ms) == (1, audit.FIRST, UTC_OFFSET_MS)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("actor", "web:9", "it was changed"),
        ("action", "set_mode", "it was changed"),
        ("subject", "back", "it was changed"),
        ("outcome", "refused", "it was changed"),
        ("mono_ms", 77, "it was changed"),
        ("utc_ms", 77, "it was changed"),
        ("boot", "boot-7", "it was changed"),
        ("hash", "0" * 64, "it was changed"),
        ("detail_hash", "0" * 64, "its detail was changed"),
        ("detail", "another", "its detail was changed"),
        ("previous", "0" * 64, "it is not bound to the entry before"),
    ],
)
def test_a_changed_entry_is_pinpointed(
    store: Store, column: str, value: object, reason: str
) -> None:
    store.connection.execute(f"UPDATE audit SET {column} = ? WHERE n = 4", (value,))
    assert audit.verify(store.connection) == Verdict(3, 4, reason)


def test_a_missing_entry_is_pinpointed(store: Store) -> None:
    store.connection.execute("DELETE FROM audit WHERE n = 4")
    assert audit.verify(store.connection) == Verdict(3, 5, "entry 4 is missing")


def test_forgetting_takes_the_text_and_leaves_the_chain(store: Store) -> None:
    assert audit.forget(store.connection, "web:1") == 3
    assert audit.verify(store.connection) == Verdict(10, None)
    texts = [entry.detail for entry in audit.entries(store.connection)]
    assert texts[:3] == ["note 0", None, "note 2"]


def test_entries_that_memory_could_not_hold_are_counted(path: Path) -> None:
    store = Store(path, "boot-1", gateway="gw")
    entry = AuditEntry("web:1", "open_door", "front", "accepted", 5)
    store.write(work(audit=[entry], audit_lost=12))
    found = list(audit.entries(store.connection))
    assert [(one.action, one.outcome) for one in found] == [
        ("audit", "lost"),
        ("open_door", "accepted"),
    ]
    assert "12 entries" in (found[0].detail or "")
    assert found[0].subject == "gw"
    assert audit.verify(store.connection).broken is None
    store.close(clean=False)
