"""The guard of the relays: a second process that outlives ``control`` by a few milliseconds.

Where the kernel keeps the outputs of a process that was killed (Raspberry Pi OS), a relay
that is on stays on. ``portier outputs off`` after the end (systemd's ``ExecStopPost``, the
supervisor) ends that, but it has to start a Python first, which takes a busy machine seconds.
So ``control`` forks this early, with all that it will need imported. It sleeps on a pipe of
which only ``control`` holds the other end: however ``control`` dies, the kernel closes it, the
guard wakes for the only time, switches the relays off and ends. In an orderly end ``control``
switches them off itself, and then dismisses the guard.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drivers
from gateway.control.log import Log

COMM = b"portier-guard"
TITLE = b"portier guard: switches the relays off when control dies"
"""What ``top`` and ``ps`` show, as far as there is room: else there would be a second control."""
ENDS_WITHIN_S = 10
"""Whatever a driver waits for, the guard does not outlive ``control`` for longer."""

_NOT_MEANT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGABRT)
"""Meant for ``control``, but sent to its whole group by terminals and service managers."""


def post(relays: Mapping[str, tuple[str, Any]]) -> int | None:
    """Let a guard watch over these relays (point -> its driver's name and settings) until this
    process ends; its process id. ``None``: nothing to guard, or not possible.

    To be called before there are threads, which a fork does not take along, and before the
    lines are open, which the guard must not hold."""
    real = {point: relay for point, relay in relays.items() if not relay[0].startswith("simulated")}
    if not real:
        return None
    drivers.ready_off(real)
    watched, _held = os.pipe()  # the end that is held is closed by the end of this process only
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_MEANT)  # for good in the guard
    try:
        pid = os.fork()
    except OSError as error:  # the door comes first, and there is still `portier outputs off`
        sys.stderr.write(f"no guard of the relays: {error.strerror}\n")
        pid = None
    if pid == 0:
        try:
            _guard(watched, real)
        except Exception:  # noqa: BLE001 - the frames above are those of control
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(watched)
    return pid


def dismiss(pid: int | None) -> None:
    """The relays are off: the guard is not needed any more."""
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _guard(watched: int, relays: Mapping[str, tuple[str, Any]]) -> None:
    os.setsid()  # whoever kills control's process group does not kill this
    # What control has open is not the guard's: not its end of the pipe, which would keep this
    # waiting for ever, not the lock of the state folder, no socket.
    os.dup2(watched, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    with contextlib.suppress(OSError, ValueError):
        _entitle()
    os.read(3, 1)
    signal.alarm(ENDS_WITHIN_S)
    problems = [
        f"{point}: {fault}" for point, fault in drivers.outputs_off(relays).items() if fault
    ]
    log = Log("guard")
    text = "control has ended without an order; its relays are off"
    if problems:
        text = "control has ended without an order, and relays may be on"
    log.say("error" if problems else "warning", text, problems=problems)
    log.close()


def _entitle() -> None:
    Path("/proc/self/comm").write_bytes(COMM)
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # of the arguments in memory: proc(5)
    with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(TITLE[: end - start - 1].ljust(end - start, b"\0"))
