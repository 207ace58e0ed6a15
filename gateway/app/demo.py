"""A year of calm life for a building that was never there, written as ``control`` and the page
write it: the journal with its means, the users, and the test book.

The year is :mod:`gateway.simulation.calm`, lived through the real core; it ends now, so that what
starts on this folder goes on from it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gateway import __version__
from gateway.app import paths
from gateway.app.configuration import load
from gateway.control.guarantees import Guarantees, Observed
from gateway.core.building import state_to_save
from gateway.core.facts import KINDS, Fact, Json, Lane
from gateway.core.instant import Ms, UtcMs
from gateway.core.plan import BuildingPlan
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store
from gateway.settings.model.configuration import Settings
from gateway.settings.plan.building import plan
from gateway.settings.plan.cache import lives_of
from gateway.settings.values.calendar import holidays_of
from gateway.simulation.agenda import HOUR, MINUTE
from gateway.simulation.calm import CARETAKER, CalmYear, Command
from gateway.simulation.days import Day, days

if TYPE_CHECKING:
    from gateway.web.storage.testbook import Kind

AT_ONCE = 5_000
"""Facts in one transaction."""
STEP_MS: Ms = 40_000
"""Between two steps of a walk through the test book."""
PEOPLE = (("hausmeister", "maintenance"), ("empfang", "staff"))
"""Users of the page beside the administrator: nobody knows their passwords."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What was made. ``password``: of the user ``admin``, who has to replace it."""

    facts: int
    left_out: int
    """Facts whose life was over before the year was."""
    alarms: int
    calls: int
    openings: int
    digest: str
    password: str


def has_one(state: Path) -> bool:
    """Whether there is a journal in this folder already."""
    return (state / "journal.sqlite").exists()


def build(
    config: Path,
    state: Path,
    *,
    count: int,
    seed: int,
    now_utc_ms: UtcMs,
    progress: Callable[[int], None],
) -> Demo:
    """Write ``count`` days that end at ``now_utc_ms`` into a new state folder. ``progress`` is told
    each day that is over. Raises :class:`SettingsError`, and :class:`OSError`."""
    settings = load.settings(config, need=())
    part = state.with_name(state.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # of a time before that was interrupted
    part.mkdir(parents=True)
    try:
        made = _build(settings, part, count, seed, now_utc_ms, progress)
        if state.exists():
            for file in part.iterdir():
                file.replace(state / file.name)
            part.rmdir()
        else:
            part.replace(state)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return made


def calendar_of(settings: Settings, count: int, now_utc_ms: UtcMs) -> list[Day]:
    """``count`` days, of which today is the last."""
    zone = ZoneInfo(settings.gateway.timezone)
    today = datetime.fromtimestamp(now_utc_ms / 1000, zone).date()
    first = today - timedelta(days=count - 1)
    region = settings.gateway.holidays
    free = holidays_of(region, range(first.year, today.year + 1)) if region else frozenset()
    return days(first, count, zone, free)


def _build(
    settings: Settings,
    state: Path,
    count: int,
    seed: int,
    now_utc_ms: UtcMs,
    progress: Callable[[int], None],
) -> Demo:
    calendar = calendar_of(settings, count, now_utc_ms)
    begin_utc_ms = calendar[0].utc_ms
    building = plan(settings, now_utc_ms=begin_utc_ms)
    year = CalmYear(building, calendar, seed, now_utc_ms - begin_utc_ms)
    boot = f"{uuid.uuid5(uuid.NAMESPACE_OID, f'portier demo {seed}')}-0"
    store = Store(state / "journal.sqlite", boot, gateway=settings.gateway.id)
    journal = _Journal(store, lives_of(settings), year.until_ms, begin_utc_ms)
    status = _Status(building, year, journal.take, settings.gateway.id)
    year.host.on_fact.append(status.take)
    year.on_command.append(journal.audit)
    store.put_heartbeats({meter.point: meter.heartbeat_ms for meter in building.meters})
    year.live(progress)
    status.end(year.until_ms)
    journal.write(NumberedState(1, state_to_save(year.host.building)))
    _roll_up(settings, store, year.until_ms)
    store.close(clean=True)
    paths.give(state / "journal.sqlite")
    password = _people(settings, state, year, begin_utc_ms)
    counts = journal.counts
    return Demo(
        store.head.row, journal.left_out, counts.get("alarm_raised", 0), journal.calls,
        counts.get("door_opened", 0), year.digest, password,
    )  # fmt: skip


class _Status:
    """What ``control`` enters of itself beside the facts of the building: its start and stop, the
    mode that each door has from the beginning, and how its guarantees change with the alarms."""

    def __init__(
        self, building: BuildingPlan, year: CalmYear, put: Callable[[Fact], None], gateway: str
    ) -> None:
        self._guarantees = Guarantees.of(building)
        self._year = year
        self._put = put
        self._gateway = gateway
        self._values: dict[str, str] = {}
        self._changed_ms: Ms | None = MINUTE
        """When something came or went that the building has not taken in yet: an alarm, or the
        first levels of its contacts."""
        begun: dict[str, Json] = {"version": __version__, "configuration": "", "clean": True}
        put(Fact("gateway_started", gateway, 0, begun))
        for door in building.doors:
            put(Fact("door_mode", door.id, 0, {"mode": door.mode, "source": "schedule"}))

    def take(self, fact: Fact) -> None:
        if self._changed_ms is not None and fact.at_ms > self._changed_ms:
            self._evaluate(self._changed_ms)
            self._changed_ms = None
        if fact.kind in ("alarm_raised", "alarm_cleared"):
            self._changed_ms = fact.at_ms
        self._put(fact)

    def end(self, now: Ms) -> None:
        self._put(Fact("gateway_stopped", self._gateway, now, {"reason": "stop"}))

    def _evaluate(self, now: Ms) -> None:
        """Everything that the year does not play works: loop, command path, journal and clock."""
        seen = Observed(
            now, self._year.host.building, turned_ms=now, answered_ms=now, journal=self._gateway,
            trusted=True, clock_seen_ms=now, bench=True,
        )  # fmt: skip
        for name, one in self._guarantees.evaluate(seen).items():
            before, value = self._values.get(name), one["value"]
            if value == before:
                continue
            self._values[name] = value
            why: dict[str, Json] = {"reason": one["reason"], "about": one["subject"]}
            self._put(
                Fact("guarantee_changed", name, now, {"value": value, "before": before} | why)
            )


class _Journal:
    """Writes what the year tells, some thousand facts at a time."""

    def __init__(
        self, store: Store, lives: dict[str, Ms], until_ms: Ms, begin_utc_ms: UtcMs
    ) -> None:
        self._store = store
        self._lives = lives
        self._until_ms = until_ms
        self._facts: list[tuple[int, Lane, Fact]] = []
        self._audit: list[AuditEntry] = []
        self._begin_utc_ms = begin_utc_ms
        self.left_out = 0
        self.calls = 0
        self.counts: dict[str, int] = {}

    def take(self, fact: Fact) -> None:
        kind = KINDS[fact.kind]
        self.counts[fact.kind] = self.counts.get(fact.kind, 0) + 1
        self.calls += fact.kind == "call_raised" and not fact.data["test"]
        life_ms = self._lives.get(kind.life)
        if life_ms is not None and fact.at_ms + life_ms < self._until_ms:
            self.left_out += 1  # it would have been removed long ago
            return
        self._facts.append((len(self._facts), kind.lane, fact))
        if len(self._facts) >= AT_ONCE:
            self.write(None)

    def audit(self, done: Command) -> None:
        """As ``control`` enters a command of the page."""
        detail: dict[str, Json] = {"command": done.id, "via": "web"}
        text = json.dumps(detail, sort_keys=True)
        entry = AuditEntry(done.actor, done.action, done.subject, done.outcome, done.at_ms, text)
        self._audit.append(entry)

    def write(self, state: NumberedState | None) -> None:
        """With the saved state the year is over: everything counts as published."""
        work = Work(
            facts=self._facts,
            audit=self._audit,
            saved_state=state,
            utc_offset_ms=self._begin_utc_ms,
        )
        self._store.write(work)
        self._facts, self._audit = [], []
        if state is not None:
            self._store.write(Work(sent=dict(self._store.head.seq)))


def _roll_up(settings: Settings, store: Store, until_ms: Ms) -> None:
    """The means of each hour, which ``control`` would otherwise compute at its first start."""
    upkeep = Upkeep(
        store,
        lives=lives_of(settings),
        limit_bytes=settings.journal.limit_bytes,
        now_ms=lambda: until_ms,
        on_written=lambda rows: None,
        note=lambda fact: None,
        gateway=settings.gateway.id,
    )
    for _ in upkeep.roll_up():
        pass


def _people(settings: Settings, state: Path, year: CalmYear, begin_utc_ms: UtcMs) -> str:
    """The users and the test book; the password of the administrator."""
    from gateway.web.identity.users import Users, users_file
    from gateway.web.inspection.walk import steps_for
    from gateway.web.presenter.terminals import terminals_of
    from gateway.web.shared.words import Words
    from gateway.web.storage.store import Author
    from gateway.web.storage.testbook import Result, TestBook

    file = users_file(state)
    file.parent.mkdir(exist_ok=True)
    users = Users(file)
    password = users.first_admin() or ""
    for name, role in PEOPLE:
        users.add_user(name, role, secrets.token_urlsafe(24))
    users.close()
    book = TestBook(file)
    zone = ZoneInfo(settings.gateway.timezone)
    languages = settings.gateway.languages
    words: dict[str, Words] = {language: Words(language, zone) for language in languages}
    terminals = terminals_of(settings)
    user = int(CARETAKER.partition(":")[2])
    walks: list[tuple[Kind, str, UtcMs]] = []
    for room, at_ms in year.tests:
        walks.append(("call", room, begin_utc_ms + at_ms))
    if year.tests:  # the doors are tested with the last walk but one through the rooms
        at_ms = year.tests[-min(2, len(year.tests))][1] + HOUR
        walks += [("door", door, begin_utc_ms + at_ms) for door in settings.doors]
    for kind, subject, at_utc_ms in sorted(walks, key=lambda walk: walk[2]):
        name, shown = _shown(settings, kind, subject)
        steps = steps_for(kind, shown, name, terminals, words)
        page = book.begin(kind, subject, name, steps, after_row=0, now=at_utc_ms)
        for place, step in enumerate(steps, 1):
            done = Result("ok", step.measured, at_utc_ms + place * STEP_MS, None)
            book.answer(page, step.id, done)
        signed_utc_ms = at_utc_ms + (len(steps) + 1) * STEP_MS
        book.sign(book.page(page.id) or page, user, "", signed_utc_ms, author=Author(CARETAKER))
    for made in (file.parent, file):
        paths.give(made)
    return password


def _shown(settings: Settings, kind: Kind, subject: str) -> tuple[str, dict[str, object]]:
    """The name of a room or door, and what its walk has to know of it."""
    if kind == "door":
        return settings.doors[subject].name or subject, {}
    room = settings.rooms[subject]
    lamps = {"reassurance": room.reassurance, "lamp": room.lamp, "sounder": room.sounder}
    wired = {name: False for name, point in lamps.items() if point is not None}
    return room.name or subject, {"cords": dict.fromkeys(room.cord, "ok"), "lamps": wired}
