"""The journal's thread: takes what the controller hands over and makes it durable.

``append`` only puts a batch into a queue. The thread writes everything that waits in one
transaction: at once when something urgent is among it, within a minute otherwise, because
SD cards wear out by commits. While one transaction reaches the disk the next gathers, so the
more there is to write the larger the transactions become. What a crash may take are routine
facts of the last minute, whose numbers nobody has been given.

The disk may be full, slow, torn or gone: the door does not care. What happens is then kept in
memory, within bounds; ``on_state`` tells the controller, and answers to commands are given
without a fact's name instead of being held back.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.effects import Reply
from gateway.core.facts import Fact, Json, Lane
from gateway.core.instant import Ms
from gateway.core.signals.clock import Past
from gateway.formats import UnknownFormat
from gateway.journal import schema
from gateway.journal.audit import AuditEntry
from gateway.journal.pending_replies import PendingReplies
from gateway.journal.queue import Batch, Queue, Work
from gateway.journal.reserve_keeper import ReserveKeeper
from gateway.journal.store import UNREADABLE, WRONG, Head, Numbered, Store, read_state
from gateway.wire import event_id

CURSOR_WAIT_MS = 60_000
HASTY_MS = 30_000
"""After the start routine facts wait a second only: people look then, and so do tests."""
RETRY_MS = 1_000
SALVAGE_AGAIN_MS = 30_000
CLOSE_WITHIN_MS = 2_000
UPKEEP_AGAIN_MS = 60_000
UPKEEP_FIRST_MS = 10_000
MOST_FACTS = 2_000
"""In one transaction; it bounds how long an urgent fact can wait behind a backlog."""
_IDLE_CHECKPOINT_PAGES = 256
_FORCED_CHECKPOINT_PAGES = 4_096


@dataclass(frozen=True, slots=True)
class Committed:
    """Told after each commit, on a thread of the journal.

    ``replies``: each with the event id of the fact that answers it; ``None`` where there is
    no such fact or the disk did not take it.
    """

    head: int
    journal: str
    rows: tuple[Numbered, ...]
    replies: tuple[tuple[Reply, str | None], ...]


def _now_ms() -> Ms:
    return time.monotonic_ns() // 1_000_000


class Journal:
    """The writer. Nothing in it raises into the caller; every method returns at once but
    ``saved_state`` and ``close``, which take a timeout in seconds.

    ``boot`` names this run of the machine; ``lives`` how long each retention class lives
    (without an entry: for ever); ``limit_bytes`` how large the file may become;
    ``memory_facts`` how many facts wait in memory while the disk takes none.
    ``routine_wait_ms`` is how long routine facts wait for their commit, ``cursor_wait_ms`` how
    long cursors do where no facts come. ``now_ms`` is the clock of the facts that the journal
    itself makes. ``machine`` is the identity of this machine: on another one the journal goes on
    under a new id. ``heartbeats``: how often each meter reports at least, in milliseconds.

    ``on_state`` gets a stable reason while the journal cannot keep what happens
    (``journal_full``, ``journal_read_only``, ``journal_unavailable``) and an empty text when
    it can again.
    """

    def __init__(
        self,
        path: Path,
        *,
        boot: str,
        limit_bytes: int,
        lives: Mapping[str, Ms],
        routine_wait_ms: Ms,
        on_commit: Callable[[Committed], None],
        on_state: Callable[[str], None],
        gateway: str = "gateway",
        memory_facts: int = 20_000,
        now_ms: Callable[[], Ms] = _now_ms,
        cursor_wait_ms: Ms = CURSOR_WAIT_MS,
        machine: str = "",
        heartbeats: Mapping[str, Ms] | None = None,
        upkeep_first_ms: Ms = UPKEEP_FIRST_MS,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = path
        self._boot = boot
        self._limit_bytes = limit_bytes
        self._lives = dict(lives)
        self._on_commit = on_commit
        self._on_state = on_state
        self._gateway = gateway
        self._fact_now_ms = now_ms
        self._factory = factory
        self._machine = machine
        self._heartbeats = dict(heartbeats or {})
        self._queue = Queue(memory_facts, routine_wait_ms, cursor_wait_ms)
        self._store: Store | None = None
        self._doubt: tuple[Head, Work, list[Numbered]] | None = None
        self._writing: Work | None = None
        self._state = ""
        self._not_before_ms: Ms = 0
        self._saved_state: Mapping[str, Json] | None = None
        self._past = Past()
        self._settled = True
        self._readable = threading.Event()
        self._was_clean: bool | None = None
        self._closing = False
        self._upkeep: Iterator[Ms] | None = None
        self._upkeep_first_ms = upkeep_first_ms
        self._upkeep_at_ms: Ms = 0
        self._broken = ""
        self._unmended = False
        """The file is damaged, and could not be mended."""
        self._new = False
        """There has been no journal before this run, and what lies there is of its own making."""
        self._pages = 0
        self._head = 0
        self._journal = ""
        self._replies = PendingReplies(_now_ms, self._give_up)
        self._reserve = ReserveKeeper(path, self._queue, _now_ms, lambda: bool(self._state))
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    # --- called from other threads

    def start(self) -> None:
        """Start the thread; it opens the file, mending it first where it must."""
        self._queue.hasten(_now_ms() + HASTY_MS)
        self._thread.start()
        self._replies.start()
        self._reserve.start()

    def saved_state(self, timeout: float) -> Mapping[str, Json] | None:
        """The saved state of the run before; waits at most ``timeout`` seconds for the file.

        ``None``: not readable yet (ask again), or nothing was saved (then ``readable``).
        """
        self._readable.wait(timeout)
        return self._saved_state

    @property
    def past(self) -> Past:
        """What is known of the boots before this one, once ``readable``."""
        return self._past

    def settled(self, settled: bool) -> None:
        """Whether civil time may decide what is deleted. It may, until somebody says otherwise."""
        self._settled = settled

    @property
    def readable(self) -> bool:
        """Whether the file has been opened, so that ``saved_state`` is final."""
        return self._readable.is_set()

    @property
    def was_clean(self) -> bool | None:
        """Whether the run before was stopped in order; ``None`` while that is not known."""
        return self._was_clean

    @property
    def alive(self) -> bool:
        """Whether its threads run; they never end by themselves."""
        return self._thread.is_alive() and self._replies.alive and self._reserve.alive

    @property
    def backlog(self) -> int:
        """How many facts wait to be written."""
        doubt = self._doubt
        return len(self._queue) + (len(doubt[1].facts) if doubt else 0)

    def overdue_ms(self, now_ms: Ms) -> Ms:
        """For how long the oldest of what waits should have been committed already, in
        milliseconds; 0: nothing is overdue. ``now_ms``: of the clock of the facts."""
        promised = [self._queue.promised_ms()]
        writing, doubt = self._writing, self._doubt
        promised += [work.promised_ms for work in (writing, doubt and doubt[1]) if work]
        due_ms = min((at_ms for at_ms in promised if at_ms is not None), default=None)
        if due_ms is None:
            return 0
        behind_ms = now_ms - self._fact_now_ms()  # a bench's clock may have been moved forward
        return max(0, _now_ms() + behind_ms - due_ms)

    def look(self) -> None:
        """Notice a file that was removed or replaced; its thread then puts it in place again."""
        store = self._store
        with contextlib.suppress(OSError):
            if store is not None and not store.in_place:
                self._queue.wake(_now_ms())

    def flush(self) -> None:
        """Write what waits now: somebody is about to read it."""
        self._queue.flush(_now_ms())

    def append(self, batch: Batch) -> None:
        """Hand over what one step left behind."""
        if batch.replies:
            self._replies.add(batch.replies)
        self._queue.add(batch, _now_ms())
        if batch.saved_state is not None:
            self._reserve.wake()

    def sent(self, lane: Lane, seq: int) -> None:
        """Everything of ``lane`` up to ``seq`` is done: acknowledged by the broker, set aside, or
        absent."""
        self._queue.sent(lane, seq, _now_ms())
        self._if_ahead({lane: seq})

    def recorded(
        self, recorder: str, journal: str, lanes: Mapping[str, int], *, keep: bool = True
    ) -> None:
        """A recorder says up to which numbers of which journal its store has everything.
        Without ``keep`` that only tells whether this journal is an older copy."""
        self._queue.recorded(recorder, journal, lanes, _now_ms(), keep=keep)
        if journal == self._journal:
            self._if_ahead(lanes)

    def _if_ahead(self, lanes: Mapping[str, int]) -> None:
        """A cursor ahead of the file shows an older copy, and does not wait: numbers that were
        used before are about to be given again."""
        store = self._store
        if store is not None and any(lanes.get(n, 0) > seq for n, seq in store.head.seq.items()):
            self.flush()

    def clock(self, utc_offset_ms: Ms, trusted: bool = True) -> None:
        """Give this boot its offset to UTC, once. Later steps come as facts."""
        if trusted:
            self._queue.clock(utc_offset_ms, _now_ms())

    def forget(self, actor: str) -> None:
        """Take the traces of a user id out, within the hour; the audit chain stays verifiable."""
        self._queue.forget(actor, _now_ms())

    def close(self, timeout: float) -> None:
        """Write what waits, leave the mark of an orderly stop, close the file."""
        self._closing = True
        with self._queue.changed:
            self._queue.changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._replies.close(timeout)
        self._reserve.close(timeout)

    # --- the thread

    def _run(self) -> None:
        while not self._closing:
            self._turn()
        deadline_ms = _now_ms() + CLOSE_WITHIN_MS
        if self._store is not None:
            self._misplaced(self._store)
        while self._unwritten() and _now_ms() < deadline_ms:
            if self._store is None:
                self._open()
            if not self._write():
                time.sleep(0.02)
        if self._store is not None:
            self._store.close(clean=not self._unwritten())
            self._store = None

    def _unwritten(self) -> bool:
        with self._queue.changed:
            return self._queue.due_ms() is not None or self._doubt is not None

    def _turn(self) -> None:
        """One turn: open if need be, wait for something to do, do it."""
        if self._store is None and _now_ms() >= self._not_before_ms:
            self._open()
        if self._sleep():
            self._write()
        self._look_after()

    def _sleep(self) -> bool:
        """Wait until a transaction is due (true) or it is time to look after the file."""
        with self._queue.changed:
            while not self._closing:
                now_ms = _now_ms()
                due_ms = self._queue.due_ms()
                if self._store is None or now_ms < self._not_before_ms:
                    due_ms = self._not_before_ms
                    if now_ms >= due_ms:
                        return self._store is not None
                elif due_ms is not None and now_ms >= due_ms:
                    return True
                elif self._store is not None and now_ms >= self._upkeep_at_ms:
                    return False
                until_ms = self._upkeep_at_ms if due_ms is None else due_ms
                if self._store is not None and self._not_before_ms <= now_ms:
                    until_ms = min(until_ms, self._upkeep_at_ms)
                self._queue.changed.wait(max(until_ms - now_ms, 0) / 1000 + 0.0005)
        return False

    def _write(self) -> bool:
        """Write one transaction's worth; false when the disk did not take it."""
        store = self._store
        if store is None or self._misplaced(store):
            return False
        work = self._writing = self._queue.take(MOST_FACTS, None if self._closing else _now_ms())
        before = store.head
        numbered: list[Numbered] = []
        if work:
            try:
                numbered = store.write(work)
            except (sqlite3.Error, OSError) as error:
                self._doubt = (before, work, store.numbered)
                self._writing = None
                self._failed(error)
                return self._doubt is None
        self._writing = None
        self._pages += 4 + len(numbered) // 8
        self._done(store, numbered, work)
        return True

    def _misplaced(self, store: Store) -> bool:
        """Whether the file was removed or replaced while it was open. What it holds is copied
        then, put in its place when it is opened again, and whatever lies there is set aside."""
        from gateway.journal import recovery

        try:
            if store.in_place:
                return False
            self._tell("journal_unavailable")
            recovery.copy_out(self._path, store.connection)
        except (sqlite3.Error, OSError) as error:
            self._replies.give_up()
            self._tell(_reason(error))
            if not schema.damaged(error):  # else there is nothing to copy: begin anew
                self._not_before_ms = _now_ms() + SALVAGE_AGAIN_MS
                self._queue.wake(self._not_before_ms)
                return True
        store.close(clean=False)
        self._store = None
        self._queue.add(Batch((self._recovered("removed", store.head.row, 0),)), _now_ms())
        return True

    def _done(self, store: Store, numbered: list[Numbered], work: Work) -> None:
        self._tell("")
        if work.saved_state is not None:
            self._reserve.taken(work.saved_state.number)
        renewed = store.journal != self._journal
        self._head = store.head.row
        self._journal = self._reserve.journal = store.journal
        answers = {
            command: event_id(self._gateway, store.journal, lane, seq)
            for _, lane, seq, fact in numbered
            if isinstance(command := fact.data.get("command"), str)
        }
        replies = [
            (reply, answers.get(reply.command)) for reply in self._replies.take(work.replies)
        ]
        if numbered or replies or work.lost or renewed:
            self._on_commit(
                Committed(store.head.row, store.journal, tuple(numbered), tuple(replies))
            )

    def _open(self) -> None:
        from gateway.journal import recovery

        store: Store | None = None
        if not self._readable.is_set():
            self._new = self._new or recovery.is_new(self._path)
        try:
            store = self._opened()
            self._settle(store)
        except WRONG as error:
            if store is not None:
                store.close(clean=False)
            self._not_before_ms = max(self._not_before_ms, _now_ms() + RETRY_MS)
            self._tell(_reason(error))
            self._recall()
            return
        self._store = store
        self._head = store.head.row
        self._journal = self._reserve.journal = store.journal
        self._upkeep = None
        self._upkeep_at_ms = _now_ms() + self._upkeep_first_ms
        self._tell("")

    def _opened(self) -> Store:
        """Open the file; mend it first where it is broken."""
        from gateway.journal import recovery

        recovery.finish(self._path)
        reason = self._broken
        begun = False
        if not reason:
            try:
                there = self._path.exists()
                reason = recovery.inspect(self._path) if there else recovery.gone(self._path)
            except UnknownFormat as error:
                self._tell("journal_unavailable")
                recovery.begin_beside(self._path, error)  # an alarm says so: it is saved there
                begun = True
        if not reason:
            try:
                store = self._new_store(mended=begun)
            except WRONG as error:
                if not schema.damaged(error):
                    raise
                reason = str(error)
            else:
                try:
                    self._say_clone(store)
                    reason = "" if store.was_clean else recovery.check(store.connection)
                except (sqlite3.Error, OSError):
                    store.close(clean=False)
                    raise
                if not reason:
                    return store
                store.close(clean=False)
        self._tell("journal_unavailable")
        self._unmended = True
        try:
            found = recovery.salvage(self._path, reason, self._boot, gateway=self._gateway)
        except (sqlite3.Error, OSError):
            self._not_before_ms = _now_ms() + SALVAGE_AGAIN_MS
            raise
        self._broken = ""
        store = self._new_store(mended=True)
        self._unmended = False
        try:
            self._say_clone(store)
        except (sqlite3.Error, OSError):
            store.close(clean=False)
            raise
        self._queue.add(
            Batch((self._recovered(found.reason, found.kept, found.lost),)),
            _now_ms(),
        )
        return store

    def _say_clone(self, store: Store) -> None:
        if store.is_clone:
            store.is_clone = False
            found = self._recovered("another_machine", store.head.row, 0)
            self._queue.add(Batch((found,)), _now_ms())

    def _hand_out(self, store: Store, *, mended: bool = False) -> None:
        """Hand out what the run before has left, once. ``mended``: the journal has a new id."""
        if not self._readable.is_set():
            self._past = store.past
            self._was_clean = store.was_clean
            self._adopt(*store.saved_state(), store.journal, mended=mended)

    def _recall(self) -> None:
        """Hand that out though the journal cannot be opened for writing: a call stands on a disk
        that is full or read-only, too. Where it cannot even be read, the worst is assumed at once;
        what it holds is not looked at any more when it can be."""
        from gateway.journal import recovery
        from gateway.journal.queries.reader import JournalUnavailable, Reader

        if self._readable.is_set():
            return
        reader = Reader(self._path)
        try:
            saved = reader.read(read_state)
            self._adopt(*saved, reader.journal_id())
        except JournalUnavailable:
            if self._unmended or not (self._new or recovery.nothing_here(self._path)):
                self._queue.state_number = time.time_ns() // 1_000_000  # more than it can have
                self._adopt({"format": UNREADABLE}, None, "", mended=True)
        finally:
            reader.close()

    def _adopt(
        self,
        saved: dict[str, Json] | None,
        number: int | None,
        journal: str,
        *,
        mended: bool = False,
    ) -> None:
        """Take the state that this journal has saved, or the reserve holds, whichever is newer."""
        self._saved_state = self._reserve.adopt(saved, number, journal, mended=mended)
        self._readable.set()
        self._reserve.wake()

    def _new_store(self, *, mended: bool = False) -> Store:
        return Store(
            self._path,
            self._boot,
            self._factory,
            self._machine,
            lambda store: self._hand_out(store, mended=mended),
            gateway=self._gateway,
        )

    def _recovered(self, reason: str, saved: int, lost: int) -> Fact:
        data: dict[str, Json] = {"reason": reason, "kept": saved, "lost": lost}
        return Fact("journal_recovered", self._gateway, self._fact_now_ms(), data)

    def _settle(self, store: Store) -> None:
        """Find out whether the transaction whose commit failed is in the file after all.

        Where even that cannot be read, the doubt stays, and the file is opened again."""
        if self._doubt is None:
            return
        before, work, numbered = self._doubt
        is_stored = store.holds(work, before)
        self._doubt = None
        if is_stored:
            self._done(store, numbered, work)
        else:
            self._queue.put_back(work, _now_ms(), 0)

    def _failed(self, error: Exception) -> None:
        """The disk did not take it. Look what the file has; open it again if that fails too."""
        self._not_before_ms = _now_ms() + (0 if schema.damaged(error) else RETRY_MS)
        self._tell(_reason(error))
        self._replies.give_up()
        store = self._store
        try:
            if schema.damaged(error):
                self._broken = str(error)
            if store is None or self._broken:
                raise sqlite3.OperationalError("to be opened again")
            store.reload()
            self._settle(store)
        except (sqlite3.Error, OSError):
            if store is not None:
                store.close(clean=False)
            self._store = None

    def _tell(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)

    def _look_after(self) -> None:
        """Checkpoints and upkeep, in small slices and only while nothing urgent waits."""
        store = self._store
        if store is None:
            return
        with self._queue.changed:
            due_ms = self._queue.due_ms()
        now_ms = _now_ms()
        idle = due_ms is None or due_ms > now_ms
        try:
            if self._pages > (_IDLE_CHECKPOINT_PAGES if idle else _FORCED_CHECKPOINT_PAGES):
                store.checkpoint()
                self._pages = 0
            if now_ms >= self._upkeep_at_ms:
                if self._upkeep is None:
                    self._upkeep = self._housekeeping(store)
                pause_ms = next(self._upkeep)
                self._pages += 8
                self._upkeep_at_ms = _now_ms() + pause_ms
        except (sqlite3.Error, OSError) as error:
            self._upkeep = None
            self._upkeep_at_ms = now_ms + UPKEEP_AGAIN_MS
            self._failed(error)

    def _housekeeping(self, store: Store) -> Iterator[Ms]:
        from gateway.journal.retention import Upkeep

        store.put_heartbeats(self._heartbeats)

        def on_written(rows: list[Numbered]) -> None:
            self._head = store.head.row
            self._on_commit(Committed(store.head.row, store.journal, tuple(rows), ()))

        return Upkeep(
            store,
            lives=self._lives,
            limit_bytes=self._limit_bytes,
            now_ms=self._fact_now_ms,
            settled=lambda: self._settled,
            on_written=on_written,
            note=lambda fact: self._queue.add(Batch((fact,)), _now_ms()),
            gateway=self._gateway,
        ).run()

    def _give_up(self, late: list[Reply]) -> None:
        """Answer them without the name of a fact."""
        self._on_commit(Committed(self._head, self._journal, (), tuple((r, None) for r in late)))


def _reason(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == 13 or getattr(error, "errno", None) == 28:
        return "journal_full"
    if code == 8 or getattr(error, "errno", None) in (13, 30):
        return "journal_read_only"
    return "journal_unavailable"


__all__ = ["AuditEntry", "Batch", "Committed", "Fact", "Journal"]
