"""What is deleted when the clock is wrong: only what is over its life by the uptime since it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.core.facts import Fact
from gateway.core.signals.clock import Past
from gateway.journal import uptime
from gateway.journal.audit import AuditEntry, verify
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store
from tests.journal.journal_desk import (
    UTC_OFFSET_MS,
    YEAR_MS,
    Desk,
    answers,
    opened,
    read,
    reading,
    work,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
LIVES = {"doors": 90 * DAY_MS, "audit": YEAR_MS}


def boot(kernel: int, started_ms: int = 0) -> str:
    return f"{kernel:08d}-0000-4000-8000-000000000000-{started_ms}"


class Machine:
    """A journal over boots: in each of them facts, audit entries, and offsets of the clock."""

    store: Store

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kernel = 0
        self.settled = True
        self.now_ms = 0
        self.boots(0)

    def boots(self, started_ms: int = 0, *, power: bool = True) -> None:
        if self.kernel:
            self.store.close(clean=True)
        self.kernel += power
        self.store = Store(self.path, boot(self.kernel, started_ms))
        self.upkeep = Upkeep(
            self.store,
            lives=LIVES,
            limit_bytes=10**9,
            now_ms=lambda: self.now_ms,
            settled=lambda: self.settled,
            on_written=lambda rows: None,
            note=lambda fact: None,
        )

    def writes(self, at_ms: int, offset_ms: int | None = None) -> None:
        """A fact and an audit entry; ``offset_ms``: what the clock shows from then on."""
        facts = [opened(at_ms)]
        known = self.store.utc_offset_ms
        if offset_ms is not None and known is not None and offset_ms != known:
            data = {"by_ms": offset_ms - known, "utc_offset_ms": offset_ms}
            facts.insert(0, Fact("clock_stepped", "gw", at_ms, data))
        entry = AuditEntry("web:1", "open_door", "front", "accepted", at_ms)
        self.store.write(work(*facts, audit=[entry], utc_offset_ms=offset_ms))

    def expires(self, now_ms: int) -> list[str]:
        """An hour of housekeeping; what is left of the urgent lane."""
        self.now_ms = now_ms
        for _ in self.upkeep.expire():
            pass
        assert verify(self.store.connection).broken is None
        return list(answers(read(self.path))["urgent"])

    @property
    def audited(self) -> int:
        return verify(self.store.connection).entries


@pytest.fixture
def machine(path: Path) -> Machine:
    return Machine(path)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("years", [1, 10, 100])
def test_a_clock_that_steps_ahead_deletes_nothing_of_this_boot(
    machine: Machine, years: int, settled: bool
) -> None:
    """Its monotonic clock says how old everything is, also once the new time is settled."""
    machine.writes(0, UTC_OFFSET_MS)
    machine.writes(HOUR_MS, UTC_OFFSET_MS + years * YEAR_MS)
    machine.settled = settled
    assert "expired" not in machine.expires(2 * HOUR_MS)
    assert machine.audited == 2


def test_nothing_of_earlier_boots_goes_by_a_clock_in_doubt(machine: Machine) -> None:
    machine.writes(0, UTC_OFFSET_MS)
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS + 10 * YEAR_MS)
    machine.settled = False
    assert machine.expires(HOUR_MS) == ["row", "row"]
    assert machine.audited == 2
    machine.settled = True  # somebody has confirmed that ten years have passed
    assert machine.expires(HOUR_MS) == ["expired", "row"]
    assert machine.audited == 1


def test_what_was_written_under_a_clock_that_was_behind_lives_as_long_as_all(
    machine: Machine,
) -> None:
    machine.writes(0, UTC_OFFSET_MS)
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS - 5 * YEAR_MS)
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS + DAY_MS)
    assert machine.expires(HOUR_MS) == ["row", "row", "row"]
    assert machine.audited == 3
    assert machine.expires(91 * DAY_MS) == ["expired", "expired", "expired"]


def test_what_was_written_under_a_clock_that_was_ahead_does_not_live_for_ever(
    machine: Machine,
) -> None:
    machine.writes(0, UTC_OFFSET_MS)
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS + 50 * YEAR_MS)
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS + 100 * DAY_MS)
    assert machine.expires(HOUR_MS) == ["expired", "row", "row"]
    machine.boots()
    machine.writes(0, UTC_OFFSET_MS + 300 * DAY_MS)
    assert machine.expires(HOUR_MS) == ["expired", "expired", "expired", "row"]


def test_a_clock_that_was_behind_and_was_set_within_the_boot_is_known_afterwards(
    machine: Machine,
) -> None:
    machine.writes(0, UTC_OFFSET_MS - 5 * YEAR_MS)
    machine.writes(HOUR_MS, UTC_OFFSET_MS)
    assert "expired" not in machine.expires(2 * HOUR_MS)
    machine.boots(3 * HOUR_MS, power=False)  # a start later in the same boot of the kernel
    machine.writes(3 * HOUR_MS, UTC_OFFSET_MS)
    assert "expired" not in machine.expires(4 * HOUR_MS)


def test_life_is_over_by_uptime_summed_over_boots_whatever_the_clock_says(
    machine: Machine,
) -> None:
    machine.settled = False
    machine.writes(10 * DAY_MS)
    for _ in range(3):
        machine.boots()
        machine.writes(20 * DAY_MS)
    machine.boots()
    machine.writes(0)
    assert machine.expires(30 * DAY_MS) == ["row"] * 5
    assert machine.expires(30 * DAY_MS + 1) == ["expired"] + ["row"] * 4
    assert machine.audited == 5
    assert machine.expires(400 * DAY_MS) == ["expired"] * 5
    assert machine.audited == 0


def test_starts_within_one_boot_of_the_kernel_count_its_uptime_once(machine: Machine) -> None:
    machine.writes(10 * DAY_MS)
    machine.boots(20 * DAY_MS, power=False)
    machine.writes(20 * DAY_MS)
    assert machine.store.past == Past(f"{boot(1)[:36]}/1", 0, "", 0, None)
    assert machine.expires(99 * DAY_MS) == ["row", "row"]
    assert machine.expires(101 * DAY_MS) == ["expired", "row"]


def test_a_bench_whose_clock_fell_back_is_another_boot(machine: Machine) -> None:
    machine.writes(10 * DAY_MS, UTC_OFFSET_MS)
    machine.boots(5_000, power=False)
    names = [f"{boot(1)[:36]}/{first}" for first in (1, 2)]
    last_utc_ms = UTC_OFFSET_MS + 10 * DAY_MS
    assert machine.store.past == Past(names[1], 10 * DAY_MS, names[0], 10 * DAY_MS, last_utc_ms)


def test_the_past_is_the_same_however_often_control_starts_again(machine: Machine) -> None:
    machine.writes(DAY_MS, UTC_OFFSET_MS)
    machine.boots()
    machine.writes(7)
    before = machine.store.past
    machine.boots(8, power=False)
    assert machine.store.past == before
    assert (before.uptime_ms, before.last_ms) == (DAY_MS, DAY_MS)


def test_facts_from_before_uptime_was_counted_are_older_than_all_that_is(
    machine: Machine,
) -> None:
    machine.writes(0)
    machine.boots()
    machine.writes(0)
    with machine.store.transaction():
        machine.store.connection.execute("DELETE FROM meta WHERE key = ?", (uptime.KEY,))
    machine.boots()
    machine.writes(0)
    assert machine.expires(90 * DAY_MS) == ["row"] * 3
    assert machine.expires(90 * DAY_MS + 1) == ["expired"] * 3


@pytest.mark.parametrize("text", ["", "7", '[["x"]]', "[1]"])
def test_an_uptime_that_cannot_be_read_begins_anew(machine: Machine, text: str) -> None:
    with machine.store.transaction():
        machine.store.put_meta(uptime.KEY, text)
    machine.boots()
    assert machine.store.past.uptime_ms == 0


def test_so_many_boots_are_remembered_and_no_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uptime, "MOST", 3)
    for _ in range(6):
        machine.writes(10)
        machine.boots()
    assert len(json.loads(machine.store.meta(uptime.KEY) or "")) == 3
    assert machine.store.past.uptime_ms == 60


@pytest.mark.parametrize("settled", [False, True])
def test_the_writer_asks_whether_the_clock_is_settled(path: Path, settled: bool) -> None:
    first = Desk(path, boot(1)).start()
    first.append(opened(0), reading(0))
    first.journal.clock(UTC_OFFSET_MS)
    first.until(lambda: first.facts("reading"))
    first.close()
    lives = {"doors": DAY_MS, "climate": 1}
    desk = Desk(path, boot(2), lives=lives, now_ms=lambda: HOUR_MS, upkeep_first_ms=0)
    desk.journal.settled(settled)
    desk.append(opened(HOUR_MS))
    desk.journal.clock(UTC_OFFSET_MS + YEAR_MS)
    desk.start()
    desk.until(lambda: desk.facts("retention_ran"))
    desk.close()
    (ran,) = desk.facts("retention_ran")
    assert ran.data["detail"] == ("climate 1, doors 1" if settled else "climate 1")
    assert desk.journal.past.last_boot == f"{boot(1)[:36]}/1"
