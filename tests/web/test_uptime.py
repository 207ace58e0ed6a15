"""How old log-ins, tokens and proofs are where the civil clock is wrong: at least the uptime
since, summed over boots."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.identity.auth import PROOF_LIFE_S
from gateway.web.identity.sessions import SESSION_IDLE_S, SESSION_LIFE_S
from gateway.web.identity.users import Users, hashed
from gateway.web.storage.store import Uptime
from tests.identity import start_session

DAY_S = 86_400.0
NOW_S = 1_900_000_000.0


class Machine:
    """Its clock and its uptime, and the users' file on its disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = NOW_S
        self.up_s = 100.0
        self.boot = "boot-1"
        self.users = self.start()

    def start(self) -> Users:
        return Users(self.path, lambda: self.now_s, lambda: Uptime(self.boot, self.up_s))

    def pass_s(self, s: float) -> None:
        self.now_s += s
        self.up_s += s

    def reboot(self, *, clock_s: float | None = None) -> None:
        """``clock_s``: what the clock says afterwards; it has no battery."""
        self.users.close()
        self.boot, self.up_s = f"{self.boot}'", 5.0
        self.now_s = self.now_s if clock_s is None else clock_s
        self.users = self.start()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "web.sqlite")
    made.users.add_user("anna", "admin", "correct horse battery")
    try:
        yield made
    finally:
        made.users.close()


def use_daily(machine: Machine, session: str, days: float) -> bool:
    """Whether a log-in that is used each day lasts so long."""
    for _ in range(int(days)):
        machine.pass_s(DAY_S)
        if machine.users.session(session) is None:
            return False
    return True


def test_a_clock_that_was_set_back_makes_no_log_in_last_longer(machine: Machine) -> None:
    session = hashed(start_session(machine.users, 1))
    machine.now_s -= 3650 * DAY_S
    assert use_daily(machine, session, 29), "and none shorter, while it is used"
    assert not use_daily(machine, session, 2)
    assert machine.users.list_sessions(1) == []


def test_a_log_in_that_nobody_uses_ends_by_uptime(machine: Machine) -> None:
    session = hashed(start_session(machine.users, 1))
    machine.now_s -= 3650 * DAY_S
    machine.pass_s(SESSION_IDLE_S + 1)
    assert machine.users.session(session) is None


def test_a_token_that_was_made_under_a_clock_ahead_ends_after_its_days(machine: Machine) -> None:
    machine.now_s += 3650 * DAY_S
    token = hashed(machine.users.add_token("display", "view", 30, "cli"))
    machine.now_s -= 3650 * DAY_S
    machine.pass_s(29 * DAY_S)
    assert machine.users.token(token) is not None
    machine.pass_s(2 * DAY_S)
    assert machine.users.token(token) is None


def test_a_proof_under_a_clock_that_goes_back_is_not_fresh_for_ever(machine: Machine) -> None:
    session = hashed(start_session(machine.users, 1))
    machine.users.prove(session)
    machine.now_s -= 3650 * DAY_S
    machine.pass_s(PROOF_LIFE_S + 1)
    ago_s = machine.users.proved_ago_s(session)
    assert ago_s is not None
    assert ago_s > PROOF_LIFE_S


def test_uptime_is_summed_over_boots_and_never_too_high(machine: Machine) -> None:
    """Each boot begins with the clock of the image; what passed after the last write of a boot
    that lost its power is not known and does not count."""
    session = hashed(start_session(machine.users, 1))
    for _ in range(5):
        assert use_daily(machine, session, 5)
        machine.pass_s(3600)  # nothing is written any more before the power is lost
        machine.reboot(clock_s=NOW_S)
        assert machine.users.session(session) is not None
    assert use_daily(machine, session, 4), "29 days and a bit"
    assert not use_daily(machine, session, 2)


def test_what_is_over_by_uptime_is_removed_whatever_the_clock_says(machine: Machine) -> None:
    """Where the clock is in doubt, nothing is removed by it, but by the uptime."""
    start_session(machine.users, 1)
    machine.users.add_token("display", "view", 10, "cli")
    machine.now_s += 3650 * DAY_S
    machine.users.tidy(settled=False)
    start_session(machine.users, 1)
    machine.users.add_token("another", "view", 10, "cli")
    count = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM tokens)"
    assert machine.users._one(count) == (2, 2)
    machine.now_s -= 7300 * DAY_S
    machine.pass_s(SESSION_LIFE_S + 1)
    machine.users.tidy(settled=False)
    assert machine.users._one(count) == (0, 0)


def test_what_an_earlier_version_has_written_counts_from_the_next_start_on(
    machine: Machine,
) -> None:
    session = hashed(start_session(machine.users, 1))
    token = hashed(machine.users.add_token("display", "view", 30, "cli"))
    with contextlib.closing(sqlite3.connect(machine.path, isolation_level=None)) as db:
        db.execute("UPDATE sessions SET created_up = 0, seen_up = 0")
        db.execute("UPDATE tokens SET created_up = 0")
    machine.pass_s(20 * DAY_S)
    machine.reboot(clock_s=NOW_S)
    assert machine.users.session(session) is not None
    assert machine.users.token(token) is not None
    assert not use_daily(machine, session, 31)
    assert machine.users.token(token) is None


def test_the_uptime_is_noted_once_a_day_and_no_more(machine: Machine) -> None:
    def changes() -> int:
        return machine.users._db.total_changes

    before = changes()
    for _ in range(100):
        machine.pass_s(600)
        machine.users.tidy(settled=True)
    assert changes() == before, "at rest nothing is written"
    machine.pass_s(DAY_S)
    machine.users.tidy(settled=True)
    assert changes() == before + 1
    assert machine.users._one("SELECT last FROM uptime") == (machine.up_s,)
