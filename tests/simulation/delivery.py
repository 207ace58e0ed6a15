"""From the step to the store: the real journal, link and recorder, and everything between them
that tears, fills, fails, loses, delays, repeats and hangs. All chance comes from one seed, and
the weather is drawn first.

What drives the building here is a list of numbered facts, so that each can be found again
wherever it should be, and nowhere else. The oracles know what was appended and what the disk
has taken; they never ask the recorder what it believes.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from gateway.core.effects import Reply
from gateway.core.facts import Fact, Json, Lane
from gateway.journal import pending_replies, schema, writer
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Batch
from gateway.journal.writer import Committed
from gateway.link.link import Clocks, Link
from gateway.link.mqtt import Inbox
from gateway.recorder import recorder as recording
from gateway.recorder import rejects
from gateway.recorder.recorder import Recorder
from gateway.recorder.sequences import Key
from gateway.recorder.state import RecorderState
from gateway.settings.model.configuration import Journal as JournalSettings
from gateway.settings.model.link import Record
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, Deed, often
from gateway.wire import PUBLISHED, Row
from tests.asides import asides
from tests.journal.journal_desk import answers
from tests.simulation.delivery_commands import Commands
from tests.simulation.delivery_disk import Disk, Killed, Turned, cut_off, tear
from tests.simulation.delivery_net import GATEWAY, Broker, event_of, serial_of
from tests.simulation.delivery_refusals import RULES, Refusals
from tests.simulation.delivery_store import OLDER, PROXIES, Store

TICK_MS = 100
SHOWN_MS = 2_000
"""``control`` shows itself at least so often."""
UTC_MS = 1_767_225_600_000
DAY_MS = 86_400_000
HEALED_WITHIN_MS = 15 * MINUTE
"""A request that was lost is asked again after five minutes at the latest."""
ANSWERED_MS = pending_replies.WITHIN_MS + 3 * TICK_MS


LATER = ("broker_refuses", "store_proxied")
"""Kinds that were added later: they have a random stream of their own."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Rates are times a virtual hour; shares are of one."""

    disk_fails: float
    disk_away: float
    disk_full: float
    killed: float
    killed_in_a_write: float
    power_cuts: float
    link_killed: float
    link_lost: float
    link_hangs: float
    broker_killed: float
    broker_forgets: float
    """Share of its deaths after which it has forgotten what it had acknowledged."""
    recorder_lost: float
    recorder_killed: float
    store_down: float
    store_killed: float
    store_lies: float
    clock_late: float
    """Share of boots that learn the time only after a minute."""
    torn: float = 0.0
    """A disk that lies, between two runs: not drawn, lived on its own."""
    store_hidden: float = 0.0
    """Something else answers in its place."""
    store_picky: float = 0.0
    """Above a half: it refuses single facts, until it is mended and they are sent again."""
    broker_refuses: float = 0.0
    """Its access list keeps some messages away, until somebody mends it."""
    store_proxied: float = 0.0
    """A proxy answers in its place, in one of many ways."""

    @classmethod
    def drawn(cls, seed: int) -> Weather:
        chance = random.Random(f"{seed}/weather")
        most = {"broker_forgets": 1.0, "store_lies": 0.3, "clock_late": 1.0, "torn": 0.0}
        most["store_picky"] = 1.0
        names = [field.name for field in fields(cls) if field.name not in LATER]
        drawn = {name: most.get(name, 30.0) * chance.random() ** 2 for name in names}
        later = random.Random(f"{seed}/weather/later")
        return cls(**drawn, **{name: 90.0 * later.random() ** 2 for name in LATER})


class Delivery:
    """One life. ``folder`` holds its disk."""

    def __init__(self, folder: Path, seed: int, weather: Weather | None = None) -> None:
        self.seed = seed
        self.weather = Weather.drawn(seed) if weather is None else weather
        self.chance = random.Random(f"{seed}/life")
        self.agenda = Agenda()
        self.path = folder / "journal.sqlite"
        self.state_path = folder / "record.sqlite"
        self.disk = Disk(self.chance)
        self.net = Broker(self.agenda, self.chance, self.chance.choice([5, 50, 500]))
        self.later = random.Random(f"{seed}/later")
        self.store = Store(self.agenda, self.chance, self.later)
        self.commands = Commands(self)
        self.faults: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.broken: list[str] = []
        # the truth
        self.serial = 0
        self.lanes: dict[int, str] = {}
        """Serial of a fact that was appended -> its lane."""
        self.durable: set[int] = set()
        """What the journal told as written, on a disk that keeps what it has taken."""
        self.names: dict[str, int] = {}
        """Name on the wire, once it has arrived at the broker -> serial."""
        self.events: dict[str, tuple[object, ...]] = {}
        """Name -> what it was first sent for."""
        self.twice: set[str] = set()
        """Names that were sent for something else, too."""
        self.serials: dict[str, int] = {}
        """The same, refused or not."""
        self.refusals = Refusals(self)
        self.flipped: set[int] = set()
        """Serials that nobody has given: the disk has made them of others."""
        self.doubted: set[int] = set()
        self.kept_n = self.kept_now = 0
        self.kept_may: set[int] = {0}
        """What the next start may find: the last that was on the disk, or one given since."""
        self.waits: dict[str, int] = {}
        self.lying = self.weather.torn > 0
        # the machine
        self.boot = 0
        self.boot_ms = 0
        self.journals = 0
        self.calm_ms = self.chance.choice([recording.BATCH_MS, recording.CALM_MS])
        self.memory_facts = self.chance.choice([60, 20_000])
        # A disk that lies loses what came since the last checkpoint, however long ago; lives with
        # one have short waits, so that what they lose is seconds. All others have the product's.
        self.waits_ms = {"routine_wait_ms": JournalSettings().commit_within_ms}
        if self.lying:
            self.waits_ms = {"routine_wait_ms": 40, "cursor_wait_ms": 200}
        self.journal: Turned | None = None
        self.link: Link | None = None
        self.recorder: Recorder | None = None
        self.reader = Reader(self.path, within_ms=HOUR)  # of this machine's time, not of the life's
        self.stop = threading.Event()
        self.healing = False
        self.net.on_event.append(self._published)
        self.net.recorder.pass_by = self.pass_by

    # --- clocks ----------------------------------------------------------------------------

    @property
    def mono_ms(self) -> int:
        return self.agenda.now - self.boot_ms

    @property
    def utc_ms(self) -> int:
        return UTC_MS + self.agenda.now

    def judge(self, oracle: str, holds: bool, text: str) -> None:
        self.asked[oracle] += 1
        if not holds and len(self.broken) < 20:
            self.broken.append(f"seed {self.seed}, {self.agenda.now} ms: {oracle}: {text}")

    # --- living ----------------------------------------------------------------------------

    def live(self, for_ms: int) -> None:
        """Weather, then healing, then the last judgement."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(writer, "_now_ms", lambda: self.agenda.now))
            stack.enter_context(patch.object(schema, "new_id", self._new_id))
            clock = SimpleNamespace(monotonic=lambda: self.agenda.now / 1000)
            stack.enter_context(patch.object(recording, "time", clock))
            stack.enter_context(patch.object(recording, "random", self.chance))
            self._machine_starts()
            self._link_starts()
            self._begin()
            self._tick()
            self._record_until(for_ms)
            self._heal()
            self._judge_at_the_end()
            self._close()

    def pass_by(self, for_ms: int) -> None:
        """Everybody but the recorder lives on."""
        until = self.agenda.now + for_ms
        while (first := self.agenda.next_ms()) is not None and first <= until:
            self.agenda.do_next()
        self.agenda.now = until

    def _record_until(self, until_ms: int) -> None:
        """The recorder is the one that waits; the others live while it does."""
        while self.agenda.now < until_ms:
            if self.recorder is None:
                self.net.recorder.forget()
                self._recorder_starts()
            assert self.recorder is not None
            try:
                self.recorder.turn(self.stop)
            except Killed:
                self.faults["recorder killed"] += 1
                self._recorder_dies()
                self.pass_by(self.chance.randrange(10 * SECOND))

    def _recorder_starts(self) -> None:
        self.store.opened()
        self.state = RecorderState(self.state_path)
        self.recorder = Recorder(
            "main", self.net.recorder, self.store, self.state,
            silent_after_ms=Record().silent_after_ms,
            calm_ms=self.calm_ms, now_ms=lambda: self.agenda.now, utc_ms=lambda: self.utc_ms,
        )  # fmt: skip
        self.net.recorder.connects()

    def _recorder_dies(self) -> None:
        self.recorder = None
        self.state.close()
        self.net.recorder.forget()

    def _new_id(self) -> str:
        self.journals += 1
        return f"{self.journals:012x}"

    # --- the machine -----------------------------------------------------------------------

    def _machine_starts(self) -> None:
        """``control`` starts, in this boot."""
        self.disk.kill_in = -1
        self.journal = Turned(
            self.path, lambda: self.mono_ms, boot=f"b{self.boot}", on_commit=self._committed,
            on_state=lambda state: None, gateway=GATEWAY, factory=self.disk.factory(),
            memory_facts=self.memory_facts, **self.waits_ms,
        )  # fmt: skip
        self.found = False
        self.learns_ms = self.agenda.now + (
            MINUTE if self.chance.random() < self.weather.clock_late else 0
        )
        self.trusted = False
        self.commands.started_ms = self.agenda.now
        self._snapshot()

    def _snapshot(self) -> None:
        """What ``control`` shows the link."""
        if self.link is None or self.journal is None:
            return
        gateway = {"id": GATEWAY, "boot": f"b{self.boot}", "started_ms": self.commands.started_ms}
        shown = {
            "gateway": gateway,
            "now_ms": self.agenda.now,
            "utc_offset_ms": UTC_MS if self.trusted else None,
            "clock_trusted": self.trusted,
        }
        self.link.inbox.put({"type": "snapshot", "snapshot": shown})

    def _link_starts(self) -> None:
        inbox = Inbox()
        journal: Any = self.reader
        self.link = Link(
            GATEWAY, inbox, self.net.link, self, journal, self.path.parent,
            Clocks(lambda: self.agenda.now, lambda: self.utc_ms, lambda: True),
            issuers=self.commands.issuers,
        )  # fmt: skip
        self.net.link.inbox = inbox
        self.net.link.connects()
        self._snapshot()

    def _tick(self) -> None:
        """Both processes of the machine, ten times a second."""
        self.agenda.later(TICK_MS, self._tick)
        if self.agenda.now % SHOWN_MS < TICK_MS:
            self._snapshot()
        if self.journal is not None:
            self._control_turns(self.journal)
        if self.link is not None:
            self.link.turn(0)

    def _control_turns(self, journal: Turned) -> None:
        try:
            journal.pump()
        except Killed:
            self.faults["killed in a write"] += 1
            self._dies(power=self.chance.random() < 0.3)
            return
        if journal.readable and not self.found:
            self._recalls(journal)
        if not self.trusted and self.agenda.now >= self.learns_ms:
            self.trusted = True
            journal.clock(UTC_MS + self.boot_ms, True)
            self._append([Fact("clock_trusted", GATEWAY, self.mono_ms,
                               {"utc_offset_ms": UTC_MS + self.boot_ms})])  # fmt: skip
            self._snapshot()
        if journal.rests:
            self.kept_may = {self.kept_now}
        for command, until_ms in list(self.waits.items()):
            if self.agenda.now > until_ms:
                self.judge("reply_in_time", False, f"{command} waits")
                del self.waits[command]

    def _recalls(self, journal: Turned) -> None:
        """The saved state is that of the last commit."""
        self.found = True
        saved = journal.saved_state(0.0)
        n = int(str((saved or {}).get("n", 0)))
        if not self.lying:
            self.judge("kept_is_kept", n in self.kept_may, f"{n}, not one of {self.kept_may}")
        self.kept_now, self.kept_may = n, {n}

    def _dies(self, *, power: bool) -> None:
        """The process, or the whole machine, is gone."""
        if self.journal is None:
            return
        journal, self.journal = self.journal, None
        self.waits.clear()
        self.disk.kill_in = -1
        if power:
            self.reader.close()
            self._link_dies()
        elif self.link is not None:
            self.link.inbox.put({"type": "away"})
        cut_off(self.path, journal, self.chance, power=power)
        if self.lying and self.chance.random() < 0.5:
            self.faults[f"torn: {tear(self.path, self.chance)}"] += 1
            self.reader.close()
        self.agenda.later(self.chance.randrange(SECOND, 20 * SECOND), lambda: self._back(power))

    def _back(self, power: bool) -> None:
        if power:
            self.boot += 1
            self.boot_ms = self.agenda.now - 10 * SECOND
        self._machine_starts()
        if self.link is None:
            self._link_starts()

    def _link_dies(self) -> None:
        self.net.link.breaks()
        self.net.link.inbox = None
        self.link = None

    # --- the panel, as the link uses it ----------------------------------------------------

    def send(self, message: Any) -> bool:
        """``control`` hears it, if it is there."""
        journal = self.journal
        if journal is None:
            return False
        match message["type"]:
            case "sent":
                journal.sent(message["lane"], message["seq"])
            case "recorded":
                journal.recorded(message["recorder"], message["journal"], message["lanes"])
            case "command":
                self.commands.came(message)
        return True

    # --- facts -----------------------------------------------------------------------------

    def _step(self) -> None:
        """One step of the building leaves facts behind, a state to save and sometimes a reply."""
        if self.journal is None:
            return
        facts = [self._fact() for _ in range(self.chance.choice([1, 1, 2, 3, 9]))]
        replies: tuple[Reply, ...] = ()
        if self.chance.random() < 0.2:
            command = f"c{self.serial}"
            replies = (Reply(command, "accepted"),)
            self.waits[command] = self.agenda.now + ANSWERED_MS
        self._append(facts, replies, saved_state=self.chance.random() < 0.3)

    def _append(
        self, facts: list[Fact], replies: tuple[Reply, ...] = (), *, saved_state: bool = False
    ) -> None:
        assert self.journal is not None
        state = None
        if saved_state and self.found:
            self.kept_n = self.kept_now = self.kept_n + 1
            self.kept_may.add(self.kept_n)
            state = {"n": self.kept_n}
        self.journal.append(Batch(tuple(facts), state, replies))

    def _fact(self) -> Fact:
        self.serial += 1
        serial, at_ms = self.serial, self.mono_ms - self.chance.choice([0, 0, 1, 30])
        kind = self.chance.choice(["door_opened", "reading", "reading", "motion"])
        subject = self.chance.choice(["front", "back"])
        if kind == "door_opened":
            self.lanes[serial] = "urgent"
            data: dict[str, Json] = {"cause": "request", "assumed": False}
            return Fact(kind, subject, at_ms, {**data, "press_to_open_ms": serial})
        if kind == "reading":
            self.lanes[serial] = "routine"
            return Fact(kind, subject, at_ms, {"quantity": "co2_ppm", "value": float(serial)})
        self.lanes[serial] = "local"
        return Fact(kind, subject, at_ms, {"active": True, "count": serial})

    def _committed(self, committed: Committed) -> None:
        for _, _, _, fact in committed.rows:
            serial = _serial(fact)
            if serial is not None:
                twice = serial in self.durable and not self.lying
                self.judge("told_once", not twice, f"{serial} was told as written twice")
                self.durable.add(serial)
        rows = [fact for _, lane, _, fact in committed.rows if lane == PUBLISHED[0]]
        self.refusals.watch([s for s in map(_serial, rows) if s is not None])
        for reply, _ in committed.replies:
            self.judge("one_reply", reply.command in self.waits, f"{reply.command} again")
            self.waits.pop(reply.command, None)
        if self.link is not None:
            self.link.inbox.put({"type": "rows"})

    def _published(self, payload: bytes) -> None:
        name, serial = serial_of(payload)
        event = event_of(payload)
        if self.events.setdefault(name, event) != event:
            self.twice.add(name)
            self.judge("name_is_one_fact", self.lying, f"{name} is {event}")
        if serial is not None and serial not in self.lanes and self.lying:
            self.flipped.add(serial)  # a bit of the card, in the value itself: nothing tells
        elif serial is not None:
            self.serials[name] = serial
            same = self.names.setdefault(name, serial) == serial or self.lying
            self.judge("name_is_one_fact", same, f"{name} is {serial} and {self.names[name]}")
            self.judge("local_stays", self.lanes[serial] != "local", f"{name} left the house")

    # --- weather ---------------------------------------------------------------------------

    def _begin(self) -> None:
        weather, chance = self.weather, self.chance
        net, disk, store = self.net, self.disk, self.store

        def some(what: str, per_hour: float, do: Deed) -> None:
            def happens() -> None:
                if not self.healing:
                    self.faults[what] += 1
                    do()

            often(self.agenda, chance, per_hour * 24, happens)

        def soon(do: Deed, most_ms: int = MINUTE) -> None:
            self.agenda.later(chance.randrange(SECOND, most_ms), do)

        def reachable(side: Any, yes: bool) -> None:
            side.reachable = yes
            if not yes:
                side.breaks()

        def fails() -> None:
            disk.fail_in, disk.after = chance.randrange(40), chance.random() < 0.5

        def dies_writing() -> None:
            disk.kill_in, disk.after = chance.randrange(40), chance.random() < 0.5

        def away() -> None:
            disk.broken = True
            soon(lambda: setattr(disk, "broken", False))

        def fills() -> None:
            disk.full = True
            soon(lambda: setattr(disk, "full", False), 3 * MINUTE)

        def link_killed() -> None:
            if self.link is not None:
                self._link_dies()
                soon(lambda: self._link_starts() if self.link is None else None, 5 * SECOND)

        def link_lost() -> None:
            reachable(net.link, False)
            soon(lambda: reachable(net.link, True))

        def broker_killed() -> None:
            net.killed(chance.random() < weather.broker_forgets)
            soon(lambda: setattr(net, "up", True), 20 * SECOND)

        def recorder_lost() -> None:
            reachable(net.recorder, False)
            soon(lambda: reachable(net.recorder, True))

        def store_down() -> None:
            store.down = True
            soon(store.back)

        def store_killed() -> None:
            store.killed()
            soon(store.back)

        def store_hidden() -> None:
            store.in_front = chance.choice(OLDER)
            soon(lambda: setattr(store, "in_front", ""))

        def later_kinds() -> None:
            def often_later(per_hour: float, do: Deed) -> None:
                often(self.agenda, self.later, per_hour * 24, do)

            def refuses() -> None:
                if not self.healing and not self.refusals.rule:
                    rule, ends = self.later.choice(RULES), self.later.random() < 0.2
                    how = "ends the connection over" if ends else "refuses"
                    self.faults[f"broker {how} {rule}"] += 1
                    self.refusals.begin(rule, ends=ends)
                    lasts_ms = self.later.randrange(20 * SECOND, 5 * MINUTE)
                    self.agenda.later(lasts_ms, mended)

            def mended() -> None:
                if not self.healing:
                    self.refusals.heal()

            def proxied() -> None:
                if not self.healing and not store.in_front:
                    store.in_front = self.later.choice(PROXIES)
                    self.faults[f"store's proxy: {store.in_front}"] += 1
                    lasts_ms = self.later.randrange(SECOND, 20 * SECOND)
                    self.agenda.later(lasts_ms, lambda: setattr(store, "in_front", ""))

            often_later(weather.broker_refuses, refuses)
            often_later(weather.store_proxied, proxied)
            if weather.broker_refuses:
                often(self.agenda, self.later, DAY_MS / (7 * SECOND), self.refusals.named)

        def recorder_killed() -> None:
            store.kill = chance.choice(["before", "after"])

        def connects() -> None:
            self.agenda.later(chance.randrange(200, 2_000), connects)
            net.link.connects()
            if self.recorder is not None:
                net.recorder.connects()

        often(self.agenda, chance, DAY_MS / 700, lambda: None if self.healing else self._step())
        often(self.agenda, chance, DAY_MS / 4_000, self.commands.somebody_commands)
        connects()
        store.lies = weather.store_lies
        store.picky = 40 if weather.store_picky > 0.5 else 0
        some("a call of the disk fails", weather.disk_fails, fails)
        some("the disk is away", weather.disk_away, away)
        some("the disk is full", weather.disk_full, fills)
        some("control killed", weather.killed, lambda: self._dies(power=False))
        some("to be killed in a write", weather.killed_in_a_write, dies_writing)
        some("power cut", weather.power_cuts + weather.torn, lambda: self._dies(power=True))
        some("link killed", weather.link_killed, link_killed)
        some("link's connection lost", weather.link_lost, link_lost)
        some(
            "link's connection hangs", weather.link_hangs, lambda: setattr(net.link, "hangs", True)
        )
        some("broker killed", weather.broker_killed, broker_killed)
        some("recorder's connection lost", weather.recorder_lost, recorder_lost)
        some("recorder to be killed", weather.recorder_killed, recorder_killed)
        some("store down", weather.store_down, store_down)
        some("store killed", weather.store_killed, store_killed)
        some("something else answers", weather.store_hidden, store_hidden)
        later_kinds()

    def _heal(self) -> None:
        """Nothing goes wrong any more, and nothing new happens: now everything must arrive."""
        self.healing = True
        self.disk.heal()
        self.store.lies, self.store.kill, self.store.in_front = 0.0, "", ""
        self.refusals.all_others(self.agenda.now + HEALED_WITHIN_MS, self._record_until)
        self._send_again()
        until = self.agenda.now + HEALED_WITHIN_MS
        while self.agenda.now < until and not self._arrived():
            self.disk.heal()
            self._record_until(self.agenda.now + 5 * SECOND)
        self.agenda.now += DAY_MS + MINUTE  # what never learned its time is stored after a day
        self._record_until(self.agenda.now + 2 * MINUTE)

    def _send_again(self) -> None:
        """The store is mended, and somebody wants what was set aside to be sent again."""
        self.store.picky = 0
        with rejects.opened(Path(rejects.path_of(self.state_path))) as db:
            rows = rejects.rows(db)
            marked = rejects.mark(db, "retry", None)
        found = [one for one in rows if not self._is_foreign(one)]
        asked = {serial_of(one.event.encode())[1] if one.event else one.reason for one in found}
        wrong = sorted(str(serial) for serial in asked - self.store.refused)
        self.judge("aside_was_refused", not wrong, f"set aside, and never refused: {wrong[:9]}")
        self.judge("aside_is_counted", len(found) == len(marked), f"{len(marked)}")

    def _is_foreign(self, one: rejects.SetAside) -> bool:
        """Whether its name was another event's before: a disk that lies had lost that one, and the
        journal learns only from the recorder that its numbers were used. The store has both, and
        under its new name the journal sends again what it has."""
        if one.standing not in {"foreign", "doubtful"}:
            return False
        if not one.event:  # numbers that the gateway, asked, did not have any more
            return self.lying
        return serial_of(one.event.encode())[0] in self.twice

    def _arrived(self) -> bool:
        link, journal = self.link, self.journal
        if link is None or journal is None or self.recorder is None:
            return False
        if not journal.rests or not self.trusted:
            return False
        heads = self.reader.heads()
        return link.publisher.backlog == 0 and self._recorded() == {
            lane: heads[lane] for lane in PUBLISHED
        }

    def _recorded(self) -> dict[str, int]:
        assert self.recorder is not None
        told = self.recorder._ingest.lanes
        journal = self.reader.journal_id()
        found = {lane: told.get(Key(GATEWAY, journal, lane)) for lane in PUBLISHED}
        return {lane: known.lane.through if known else 0 for lane, known in found.items()}

    # --- the last judgement ----------------------------------------------------------------

    def _judge_at_the_end(self) -> None:
        assert self.journal is not None
        assert self.link is not None
        reader, heads = self.reader, self.reader.heads()
        self.judge("backlog_empty", self.link.publisher.backlog == 0, "not all was sent")
        wanted = {lane: heads[lane] for lane in PUBLISHED}
        told = self._recorded()
        self.judge("all_accounted_for", told == wanted, f"{told}, not {wanted}")
        try:
            found = answers(reader)
        except AssertionError as error:
            found = {}
            self.judge("every_number_once", False, str(error))
        self.judge("every_number_once", bool(found), "")
        rows = [row for lane in heads for row in _rows(reader, lane)]
        written = Counter(serial for row in rows if (serial := _serial(row)) is not None)
        self._judge_written(written, found)
        self._judge_stored(written)
        digest = hashlib.sha256(repr(sorted(written.items())).encode())
        digest.update(repr(sorted(self.names.items())).encode())
        digest.update(repr(sorted(self.faults.items())).encode())
        self.digest = digest.hexdigest()

    def _judge_written(self, written: Counter[int], found: dict[str, list[str]]) -> None:
        twice = [serial for serial, count in written.items() if count > 1]
        self.judge("written_once", not twice, f"in the journal twice: {twice[:9]}")
        if self.lying:
            return
        missing = sorted(self.durable - written.keys())
        self.judge("durable_stays", not missing, f"told as written, and gone: {missing[:9]}")
        sent = sorted(set(self.names.values()) - written.keys())
        self.judge("sent_was_durable", not sent, f"published, and not in the journal: {sent[:9]}")
        lost = sum(reasons.count("lost") for reasons in found.values())
        self.judge("lost_only_when_full", not lost or self.memory_facts < 1000, f"{lost} lost")

    def _judge_stored(self, written: Counter[int]) -> None:
        stored = self.store.serials()
        wanted = {serial for serial in written if self.lanes.get(serial) in PUBLISHED}
        missing = sorted(wanted - stored.keys())
        self.judge("all_stored", not missing, f"in the journal, not stored: {missing[:9]}")
        # a journal that was mended has a new name, and sends everything again under that
        names = Counter(self.names.values()) if self.lying else Counter[int]()
        doubled = sorted(
            serial for serial, count in stored.items() if count > max(names[serial], 1)
        )
        found = (one for one in asides(self.state) if not self._is_foreign(one))
        left = [one.id for one in found if one.standing != "stored"]
        self.judge("none_left_aside", not left, f"set aside at the end: {left[:9]}")
        self.judge("none_doubled", not doubled, f"stored twice: {doubled[:9]}")
        invented = sorted(stored.keys() - self.lanes.keys() - self.flipped)
        self.judge("none_invented", not invented, f"stored, and never happened: {invented[:9]}")
        local = [serial for serial in stored if self.lanes.get(serial) == "local"]
        self.judge("none_private", not local, f"stored, and nobody's business: {local[:9]}")

    def _close(self) -> None:
        if self.journal is not None:
            self.journal.stop()
        self.reader.close()
        if self.recorder is not None:
            self.state.close()


def _serial(fact: Fact | Row) -> int | None:
    told = fact.data.get("press_to_open_ms", fact.data.get("value", fact.data.get("count")))
    return int(told) if isinstance(told, int | float) else None


def _rows(reader: Reader, lane: Lane) -> list[Row]:
    found: list[Row] = []
    while more := reader.lane(lane, found[-1].seq + 1 if found else 1, 500):
        found += more
    return found
