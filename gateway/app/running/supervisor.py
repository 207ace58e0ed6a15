"""``portier run`` without systemd: every role a process of its own, all ended together.

A role that falls is started again after a pause that grows, also one that cannot use its
configuration: the door does not end because a certificate is missing. Only where ``control``
cannot use it at the start is there nothing to run. Signals are waited for, not
handled, so this is one straight loop. If the supervisor itself is killed, the roles notice
by a pipe (:mod:`gateway.app.parent`) and end. ``control`` feeds a watchdog here as it does
under systemd, and is killed when it hangs: its guard then switches the relays off.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.app.parent import PARENT
from gateway.backoff import BackOff
from gateway.control.watchdog import TAKEOVER_S

PAUSE_FIRST_S = 0.2
PAUSE_MOST_S = 10.0
DOOR_PAUSE_MOST_S = 1.0
"""For ``control``: a door must come back however often it fell."""
STEADY_S = 30.0
"""A role that ran for this long is started again after the shortest pause."""
STOP_WITHIN_S = 1.5
TURN_S = 1.0
HANG_S = 5.0
"""``control`` whose loop has not turned for this long is killed. More than the second that its
unit has: where everything runs on one desk, something else may well take the processor."""
START_WITHIN_S = 60.0
"""The first turn may take longer: at a start, and while a new configuration takes over."""
CONFIGURATION = 78
"""Exit status of a role that cannot use its configuration (EX_CONFIG)."""
CONFIGURATION_FIRST_S = 2.0
CONFIGURATION_MOST_S = 60.0
"""Pauses of such a role: it waits for a person."""

_MANAGED = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
_STARTING = b"WATCHDOG_USEC=%d" % int(TAKEOVER_S * 1e6)
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}


@dataclass(slots=True)
class _Role:
    name: str
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0
    back_off: BackOff[float] = field(default_factory=lambda: BackOff(PAUSE_FIRST_S, PAUSE_MOST_S))
    due: float | None = 0.0
    hangs_at: float = math.inf
    """It has to be heard of before."""


@dataclass(slots=True)
class Supervisor:
    """``command`` gives the arguments of a role, ``say`` writes a line for people, ``crashed``
    is called after ``control`` ended without an order, before it is started again."""

    names: Sequence[str]
    command: Callable[[str], Sequence[str]]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    crashed: Callable[[], None]
    valid: Callable[[], bool]
    tick: Callable[[], bool] = lambda: False
    """Called a few times a second until it says ``True``."""
    changed: Callable[[], Sequence[str] | None] = lambda: None
    """Called every second: the roles that shall run from now on, ``None`` where they stay."""
    log: int | None = None
    """The descriptor of a file for what the roles write; ``None``: where this process writes."""
    inherits: Mapping[str, int] = field(default_factory=dict)
    """Role -> a descriptor that its process gets from this one."""
    _roles: list[_Role] = field(default_factory=list)
    _pipe: tuple[int, int] = (-1, -1)
    _heard: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    )
    _turned_at: float = 0.0
    _has_run: bool = False
    """``control`` has been heard of: its configuration could be used."""

    def runs(self, name: str) -> bool:
        """Whether the process of a role runs now."""
        return any(role.name == name and role.process is not None for role in self._roles)

    def run(self) -> int:
        """Run until a signal, or until ``control`` cannot use the configuration that it starts
        with; the exit status."""
        old = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._pipe = os.pipe()
        self._heard.bind("")  # the kernel chooses a name that no folder has to hold
        self._heard.setblocking(False)
        self._roles = [_Role(name) for name in self.names]
        try:
            return self._watch()
        finally:
            self._stop()
            for fd in self._pipe:
                os.close(fd)
            self._heard.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def _watch(self) -> int:
        ticking = True
        while True:
            now = time.monotonic()
            for role in self._roles:
                if role.due is not None and role.due <= now:
                    self._start(role)
                elif role.name == "control":
                    self._watch_over(role, now)
            self._turned_at = now
            if ticking:
                ticking = not self.tick()
            dues = [role.due - now for role in self._roles if role.due is not None]
            wait_s = max(0.0, min([*dues, 0.1 if ticking else TURN_S]))
            got = signal.sigtimedwait(_SIGNALS, wait_s)
            if got is not None and got.si_signo in (signal.SIGINT, signal.SIGTERM):
                return 0
            self._follow()  # first: who has ended because nobody wants it does not start again
            if got is None:
                continue
            if got.si_signo == signal.SIGHUP:
                self._reload()
            status = self._reap()
            if status is not None:
                return status

    def _follow(self) -> None:
        """Start who is wanted now and was not before, and end who is wanted no more."""
        names = self.changed()
        if names is None:
            return
        gone = [role for role in self._roles if role.name not in names]
        end([role.process for role in gone if role.process is not None])
        there = [role for role in self._roles if role not in gone]
        known = {role.name for role in there}
        self._roles = there + [_Role(name) for name in names if name not in known]

    def _start(self, role: _Role) -> None:
        role.due = None
        role.since = time.monotonic()
        try:
            role.process = subprocess.Popen(
                list(self.command(role.name)),
                env={**self._environment(role), PARENT: str(self._pipe[0])},
                pass_fds=(self._pipe[0], *self._inherited(role)),
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends all in order
                preexec_fn=_unblock,  # noqa: PLW1509 - the supervisor has no threads
            )
        except (OSError, subprocess.SubprocessError) as error:  # no process, no memory for one
            self.say(f"{role.name} cannot be started ({error}); it is tried again")
            self._again(role)

    def _inherited(self, role: _Role) -> tuple[int, ...]:
        return (self.inherits[role.name],) if role.name in self.inherits else ()

    def _environment(self, role: _Role) -> dict[str, str]:
        """What a service manager says is meant for this process, not for its roles."""
        made = {name: text for name, text in os.environ.items() if name not in _MANAGED}
        if role.name == "control":
            self._hear()  # the last one's words say nothing about this one
            role.hangs_at = role.since + START_WITHIN_S
            made["NOTIFY_SOCKET"] = "@" + os.fsdecode(self._heard.getsockname()[1:])
            made["WATCHDOG_USEC"] = str(int(HANG_S * 1e6))
        return {**made, **self.environment}

    def _watch_over(self, control: _Role, now: float) -> None:
        """Kill ``control`` if nothing has been heard of it for too long."""
        if word := self._hear():
            slow = word.startswith((b"STOPPING=1", b"RELOADING=1", _STARTING))
            control.hangs_at = now + (START_WITHIN_S if slow else HANG_S)
        if now - self._turned_at > 2 * TURN_S:
            # We did not run either: the whole machine stood still, and that proves nothing.
            control.hangs_at = max(control.hangs_at, now + HANG_S)
        if control.process is not None and now > control.hangs_at:
            self.say("control hangs; it is killed")
            control.process.kill()
            control.hangs_at = math.inf

    def _hear(self) -> bytes:
        """The last that ``control`` has said since we listened; empty: nothing."""
        word = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                word = self._heard.recv(1000, socket.MSG_DONTWAIT)
                self._has_run = True
        return word

    def _reap(self) -> int | None:
        """Look who has ended; the exit status if that ends everything."""
        for role in self._roles:
            if role.process is None or role.process.poll() is None:
                continue
            status = role.process.returncode
            role.process = None
            if time.monotonic() - role.since > STEADY_S:
                role.back_off.reset()
            if role.name == "control":
                self._hear()
                if status == CONFIGURATION and not self._has_run:
                    return CONFIGURATION
            self._ended(role, status)
        return None

    def _ended(self, role: _Role, status: int) -> None:
        """Say so, and start it again after its pause."""
        if status == CONFIGURATION:
            role.back_off.pause = max(role.back_off.pause, CONFIGURATION_FIRST_S)
            pause_s = self._again(role, CONFIGURATION_MOST_S)
            self.say(
                f"{role.name} cannot use its configuration, its own message says why; the other "
                f"roles go on, and it is tried again in {pause_s:.0f} s"
            )
        else:
            self._again(role)
            self.say(f"{role.name} has ended ({_how(status)}); it starts again")
        if role.name == "control":
            self.crashed()

    def _again(self, role: _Role, most_s: float = PAUSE_MOST_S) -> float:
        """Start it after its pause, in seconds, and the next time after twice as long."""
        role.back_off.most = DOOR_PAUSE_MOST_S if role.name == "control" else most_s
        pause_s = role.back_off.next()
        role.due = time.monotonic() + pause_s
        return pause_s

    def _reload(self) -> None:
        """Control takes a new configuration over by itself; the others are started again."""
        if not self.valid():
            return
        for role in self._roles:
            if role.process is None or role.name == "broker":
                continue
            if role.name == "control":
                role.process.send_signal(signal.SIGHUP)
            else:
                end([role.process])
                role.process, role.due = None, 0.0

    def _stop(self) -> None:
        end([role.process for role in self._roles if role.process is not None])


def end(processes: Sequence[subprocess.Popen[bytes]], within_s: float = STOP_WITHIN_S) -> None:
    """Ask them to end; kill who has not in time."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    until = time.monotonic() + within_s
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def command(role: str, options: Sequence[str]) -> list[str]:
    """The command line of one role."""
    return [sys.executable, "-m", "gateway", "run", role, *options]
