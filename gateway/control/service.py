"""The ``control`` role as a process: put together, brought up in the order that serves the
first press soonest, and taken down with the outputs off before anything else.

Order of the start: journal thread (it opens the file meanwhile), relays off, contacts, what
the last run has left, the loop; then panel, meters and the rest, from a helper thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from gateway import __version__, threads
from gateway.control.clock import Clock, Trust, boot
from gateway.control.controller import Controller
from gateway.control.inbox import Inbox
from gateway.control.log import Log, Repeats, cause
from gateway.control.points import Points, Source
from gateway.control.watchdog import Watchdog
from gateway.core.building import deserted, tested
from gateway.core.building.state import Building
from gateway.core.effects import Send
from gateway.core.events import Delivered, JournalState
from gateway.core.facts import Lane
from gateway.core.instant import Ms, UtcMs
from gateway.core.plan import BuildingPlan
from gateway.journal import machine
from gateway.journal.writer import AuditEntry, Committed, Journal

if TYPE_CHECKING:  # their imports wait until the door works
    from gateway.control.bench import Habits, World
    from gateway.control.editor import Edit, Editor, Found
    from gateway.control.journal_cursors import JournalCursors
    from gateway.control.panel_handler import Listeners, PanelHandler
    from gateway.panel.messages import SettingsAsked
    from gateway.panel.server import Server

KEPT_WITHIN_S = 0.5
"""How long the first press may wait to learn which modes the last run has left."""
DISK_AGAIN_S = 1.0
KEY_WITHIN_S = 2.0
"""How long the panel waits for the key of the links. Without it messages go out without a link,
without the panel not at all."""
DISK_LOOK_S = 0.1
COMMIT_WITHIN_S = 60.0
"""What waits for the disk is waited for at a takeover."""
SWITCH_S = 0.000_5
"""The interpreter's switch interval: a snapshot that is being made must not hold up a press."""


class AlreadyRunning(Exception):
    """Another ``control`` works on this state folder. The text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration comes to for ``control``. ``digest`` names the configuration.
    ``world``: the simulated world, on a bench."""

    plan: BuildingPlan
    sources: Iterable[Source]
    state: Path
    name: str
    digest: str
    timezone: str
    journal_limit_bytes: int
    lives: Mapping[str, Ms]
    journal_commit_within_ms: Ms
    made_utc_ms: UtcMs = 0
    fresh_ms: Ms = 0
    """The plan's schedule may be used for so long after it was made; 0: for ever."""
    mqtt: bool = False
    recorders: tuple[str, ...] = ()
    heartbeat_every_ms: Ms = 0
    """How often an address outside is told that the gateway is alive; 0: never."""
    clock: Clock = field(default_factory=Clock)
    world: World | None = None
    habits: Habits = lambda _from, _until: ()
    """Of the people who come while life goes on, on a bench."""
    listeners: Listeners | None = None
    """Points whose values ``link`` tells."""

    def fresh(self, now_utc_ms: UtcMs) -> bool:
        """Whether the plan's schedule reaches far enough."""
        return not self.fresh_ms or 0 <= now_utc_ms - self.made_utc_ms <= self.fresh_ms


def lock(state: Path) -> int:
    """Take the state folder for this process; the descriptor keeps it. Raises
    :class:`AlreadyRunning`."""
    path = state / "control.lock"
    writable = True
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        # The door works without a disk, too: what can be read can be locked.
        fd = os.open(path if path.exists() else state, os.O_RDONLY | os.O_CLOEXEC)
        writable = False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = "?"
        with contextlib.suppress(OSError):  # the folder itself
            pid = os.read(fd, 20).decode(errors="replace").strip() or "?"
        os.close(fd)
        raise AlreadyRunning(
            f"control already runs on {state} (process {pid}); "
            "stop it, or choose another folder with --state"
        ) from None
    if writable:
        with contextlib.suppress(OSError):  # a disk that is full: who it is, is for people only
            os.pwrite(fd, str(os.getpid()).ljust(20).encode(), 0)  # and takes no room anew
            os.ftruncate(fd, 20)
    return fd


class Service:
    """One life of ``control``. ``reload`` is called in the editor's thread at SIGHUP: it
    validates the configuration anew and says whether to restart with it (a text for the
    audit), or that it was refused. ``edit`` looks at or changes what the page may change."""

    def __init__(
        self, settings: Settings, reload: Callable[[], Reload], edit: Edit | None = None
    ) -> None:
        self._settings = settings
        self._reload = reload
        self._edit = edit
        self._log = Log("control")
        self._clock = settings.clock
        self._inbox = Inbox()
        self._watchdog = Watchdog()
        self._points = Points(settings.sources, self._inbox, self._clock.now_ms, self._log.say)
        self._journal = Journal(
            settings.state / "journal.sqlite",
            boot=boot(self._clock),
            limit_bytes=settings.journal_limit_bytes,
            lives=settings.lives,
            on_commit=self._committed,
            on_state=self._journal_state,
            gateway=settings.plan.gateway,
            now_ms=self._clock.now_ms,
            routine_wait_ms=settings.journal_commit_within_ms,
            machine=machine.identity(),
            heartbeats={meter.point: meter.heartbeat_ms for meter in settings.plan.meters},
        )
        self._renewing = False
        self._hung_up = False
        self._panel: Server | None = None
        self._panel_handler: PanelHandler | None = None
        self._editor: Editor | None = None
        self._journal_cursors: JournalCursors | None = None
        self._journal_reason = ""
        self._repeats = Repeats()
        self._controller = Controller(
            settings.plan,
            clock=self._clock,
            inbox=self._inbox,
            points=self._points,
            journal=self._journal,
            watchdog=self._watchdog,
            trusted=settings.world is not None,
            bench=settings.world is not None,
            started={"version": __version__, "configuration": settings.digest},
            changed=self._changed,
            answered=lambda reply: self._panel.answered(reply) if self._panel else None,
            send=self._send,
            looked=self._looked,
            unread=self._unread,
        )

    def run(self) -> str:
        """Live until a signal; why it ended. Whatever happens, the outputs go off."""
        sys.setswitchinterval(SWITCH_S)
        signal.signal(signal.SIGTERM, self._signal)
        signal.signal(signal.SIGINT, self._signal)
        signal.signal(signal.SIGHUP, self._hang_up)
        threads.guard(self._thread_failed)
        self._watchdog.alive = self._alive
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # what came before counts now
        self._journal.start()
        self._watchdog.starting()
        try:
            self._points.open()
            self._controller.begin(KEPT_WITHIN_S)
            threading.Thread(target=self._rest, name="start", daemon=True).start()
            reason = self._controller.run()
        finally:
            self._points.close()
        if self._panel is not None and reason != THREAD_FAILED:
            self._panel.announce("reload" if reason == RELOAD else "stop")
        if reason == RELOAD:
            self._watchdog.reloading()
        else:
            self._watchdog.stopping()
        self._controller.fact("gateway_stopped", {"reason": reason})
        self._journal.close(1.0)
        if self._panel is not None:
            self._panel.close()
        self._log.say("info", "stopped", reason=reason)
        self._log.close()
        return reason

    # --- the rest of the start, beside the loop -------------------------------------------

    def _rest(self) -> None:
        from gateway.control.bench import Bench
        from gateway.control.editor import Editor
        from gateway.control.guarantees import Guarantees
        from gateway.control.journal_cursors import JournalCursors
        from gateway.control.panel_handler import PanelHandler

        settings = self._settings
        editor = Editor(self._edit_now, self._reload_now, self._audit_edit, self._log.say)
        editor.start()
        self._editor = editor
        if self._hung_up:  # meanwhile
            editor.reload(BY_SIGNAL)
        bench = None
        if settings.world is not None:
            bench = Bench(
                settings.world,
                self._controller,
                self._inbox,
                self._clock,
                self._journal.flush,
                settings.habits,
            )
        plan = settings.plan
        cursors = JournalCursors(
            settings.state / "journal.sqlite",
            boot(self._clock),
            self._journal.look,
            self._log.say,
        )
        cursors.start()
        self._journal_cursors = cursors
        self._panel_handler = PanelHandler(
            controller=self._controller,
            inbox=self._inbox,
            clock=self._clock,
            journal=self._journal,
            journal_cursors=cursors,
            bench=bench,
            guarantees=Guarantees.of(plan),
            identity={
                "id": plan.gateway,
                "name": settings.name,
                "timezone": settings.timezone,
                "version": __version__,
                "boot": boot(self._clock),
                "started_ms": self._clock.started_ms,
                "configuration": settings.digest,
            },
            mqtt=settings.mqtt,
            recorders=settings.recorders,
            listeners=settings.listeners,
            points=self._points,
            heartbeat_every_ms=settings.heartbeat_every_ms,
            own_clock=settings.world is not None,
            editor=editor.ask if self._edit is not None else None,
        )
        self._panel_handler.journal_reason = self._journal_reason
        self._panel_handler.begin()
        if plan.receivers:
            key = threading.Thread(target=self._make_key, name="key", daemon=True)
            key.start()
            key.join(KEY_WITHIN_S)
        gc.collect()
        gc.freeze()
        gc.enable()  # the start went without
        self._open_panel(self._panel_handler)
        self._log.say(
            "info",
            "control is ready",
            doors=len(plan.doors),
            points=len(plan.contacts) + len(plan.relays) + len(plan.meters),
            after_ms=self._clock.now_ms() - self._clock.started_ms,
        )

    def _open_panel(self, handler: PanelHandler) -> None:
        """Without a disk, or room on it, there is no socket. The door works all the same, and
        that is what the service manager waits for: a door that is started again and again
        because nobody can ask it would be none. Page and commands come with the socket."""
        problem = ""
        while self._panel is None:
            try:
                panel = self._listening(handler)
            except OSError as error:
                if not problem:
                    self._watchdog.ready()
                if problem != str(error):
                    problem = str(error)
                    self._log.say("error", _remedy(self._settings.state, error))
                time.sleep(DISK_AGAIN_S)
            else:
                self._panel = panel  # before somebody asks it, or the answer finds nobody
                panel.start()
        if problem:
            self._log.say("info", "page and commands reach the door now")
        else:
            self._watchdog.ready()

    def _listening(self, handler: PanelHandler) -> Server:
        from gateway.panel.server import Server

        panel = Server(self._settings.state / "panel.sock", handler)
        panel.listen()
        return panel

    def _make_key(self) -> None:
        """The key of the links in messages; without it they go out without a link. In a thread of
        its own: a card that does not answer must not keep the panel from opening."""
        from gateway.panel.tickets import make_key

        try:
            make_key(self._settings.state)
        except OSError as error:
            self._log.say("error", "no key for the links of messages", reason=str(error))

    # --- callbacks ------------------------------------------------------------------------

    def _changed(self) -> None:
        if self._panel is not None:
            self._panel.changed()

    def _send(self, message: Send) -> None:
        """In the controller's thread."""
        if self._panel is not None:
            self._panel.send(message)
        else:  # the panel is not up yet
            self._inbox.post(Delivered(message.delivery, False, "notify_away"))

    def _unread(self, error: Exception) -> None:
        """In the controller's thread."""
        self._log.say(
            "error",
            "the saved state cannot be read; see the alarms for what to look at",
            reason=repr(error)[:200],
        )

    def _looked(self, trust: Trust, now: Ms) -> None:
        """A schedule does not reach for ever: the plan is made anew in time, or when the clock
        turns out to have been wrong when it was made. A bench may travel further than that."""
        old = trust.trusted and not self._settings.fresh(now + trust.offset_ms)
        if old and not self._renewing and self._settings.world is None:
            self._renewing = True
            self._hang_up(0, None)

    def _committed(self, done: Committed) -> None:
        """In a thread of the journal."""
        if self._panel_handler is None or self._panel is None:
            return
        heads: dict[Lane, int] = {}
        for _row, lane, seq, _fact in done.rows:
            heads[lane] = max(seq, heads.get(lane, 0))
        self._panel_handler.grown(done.journal, heads)
        for reply, fact in done.replies:
            self._panel.committed(reply.command, fact)
        if done.rows:
            self._panel.rows(done.journal, done.head)

    def _journal_state(self, reason: str) -> None:
        """In a thread of the journal."""
        self._journal_reason = reason
        if self._panel_handler is not None:
            self._panel_handler.journal_reason = reason
        self._inbox.post(JournalState(reason))
        if reason and self._repeats.left_out(cause(reason)) is not None:
            self._log.say("error", "the journal does not take what happens", reason=reason)

    def _signal(self, number: int, _frame: FrameType | None) -> None:
        self._controller.stop(signal.Signals(number).name)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        """No thread is started here: there may be none to be had, and that would end the loop."""
        self._hung_up = True
        if self._editor is not None:
            self._editor.reload(BY_SIGNAL)

    def _thread_failed(self, _name: str) -> None:
        """In the thread that has failed: the outputs go off and what happened is written."""
        self._controller.stop(THREAD_FAILED)

    def _alive(self) -> bool:
        """Whether everything runs that has to; the loop itself asks."""
        panel, editor, cursors = self._panel, self._editor, self._journal_cursors
        return (
            self._journal.alive
            and self._points.alive
            and (panel is None or panel.alive)
            and (editor is None or editor.alive)
            and (cursors is None or cursors.alive)
        )

    def _audit_edit(self, asked: SettingsAsked, found: Found, changed: bool) -> None:
        """In the editor's thread."""
        refused = found.get("status") != "accepted"
        if not changed and not refused:
            return
        outcome = f"refused: {found.get('reason')}" if refused else "accepted"
        shown = found.get("settings")
        after = shown.get("version", "") if isinstance(shown, Mapping) else ""
        before = str(asked.args.get("version", ""))[:40]
        detail = json.dumps({"before": before, "version": after}, ensure_ascii=False)
        action = "settings_undone" if asked.do == "undo" else "settings_changed"
        self._inbox.do(
            lambda now: self._controller.audit(
                AuditEntry(asked.actor, action, "settings", outcome, now, detail)
            )
        )

    def _await_commit(self) -> None:
        """What waits for a card that does not answer would be lost with this process's memory, and
        a thread in the middle of an ``fsync`` or a read would hold up the takeover with the outputs
        off."""
        cursors = self._journal_cursors
        deadline_s = time.monotonic() + COMMIT_WITHIN_S
        while (
            not self._journal_reason
            and (self._journal.overdue_ms(self._clock.now_ms()) > 0 or (cursors and cursors.busy))
            and time.monotonic() < deadline_s
        ):
            time.sleep(DISK_LOOK_S)

    def _edit_now(self, asked: Mapping[str, object]) -> Found:
        """In the editor's thread. What is saved is taken over at once, and would end a test."""
        from gateway.control.editor import READS

        if asked["do"] not in READS and tested(self._controller.view[0]):
            return {"status": "refused", "reason": "room_test"}
        return (self._edit or _no_edit)(asked)

    def _reload_now(self, by: str) -> None:
        """In the editor's thread; whether a call stands is seen in the loop's."""
        read = self._reload()
        self._await_commit()
        decided, restarts = threading.Event(), threading.Event()

        def task(now: Ms) -> None:
            found = _judged(read, self._controller.view[0], saved=by != BY_SIGNAL)
            level = "error" if found.problems else "info"
            self._log.say(level, found.text, problems=found.problems)
            outcome = "refused" if found.problems else "accepted"
            detail = "\n".join(found.problems)[:2000]
            self._controller.audit(AuditEntry(by, "reload", found.digest, outcome, now, detail))
            if found.plan is not None:
                self._controller.fact("configuration_changed", {"digest": found.digest, "by": by})
                restarts.set()
                self._controller.stop(RELOAD)
            decided.set()

        self._inbox.do(task)
        decided.wait()
        if restarts.is_set():
            # The process starts again: another question would be carried out, and its answer lost.
            threading.Event().wait()


BY_SIGNAL = "system:reload"
RELOAD = "reload"
"""The reason of a stop after which the same process starts again."""
THREAD_FAILED = "thread_failed"
"""The reason of a stop because a thread that lives as long as the process has failed."""


def _no_edit(_asked: Mapping[str, object]) -> Mapping[str, object]:
    return {"status": "refused", "reason": "not_written"}


def _remedy(state: Path, error: OSError) -> str:
    """What to say where the panel cannot listen."""
    if error.errno == errno.EROFS or not os.access(state, os.W_OK):
        return (
            f"{state} is read-only: the door works, but nothing is recorded and neither page "
            f"nor commands reach it; look for disk errors (dmesg), then: "
            f"sudo mount -o remount,rw $(findmnt -no TARGET -T {state})"
        )
    return (
        f"{state / 'panel.sock'}: {error.strerror or error}: the door works, but neither page nor "
        "commands reach it; it is tried again each second"
    )


def _judged(found: Reload, building: Building, *, saved: bool) -> Reload:
    """A configuration without the room of a standing call is refused: nothing could end it. A room
    test is not ended without a word: the next pull there would be a real call. Of what is ``saved``
    that was asked before."""
    if found.plan is None:
        return found
    problems = [
        f"rooms: {room}: an emergency call stands there, and the new configuration has no such "
        "room with a cord: go there and end the call first, then reload"
        for room in deserted(building, found.plan)
    ] or [
        f"rooms: {room}: a test of the room runs and would end: end it (portier room test "
        f"{room} --for 0s), or wait until it is over, then reload"
        for room in (() if saved else tested(building))
    ]
    if not problems:
        return found
    text = "the new configuration is refused, the old one stays"
    return Reload(text, found.digest, tuple(problems))


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of reading the configuration again."""

    text: str
    digest: str = ""
    problems: tuple[str, ...] = ()
    plan: BuildingPlan | None = None
    """The building that takes over; ``None``: the old one stays."""
