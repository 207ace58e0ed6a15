"""Threads and tasks that live as long as their process: where one fails, the process ends.

A role whose reader, writer or server thread has died still looks alive, and nothing would start
it again. So every role calls :func:`guard` first. From then on a thread that ends with an
exception writes its traceback and ends the process with :data:`FAILED`; whoever supervises the
role starts it again. A thread that serves one client, request or delivery catches what that one
raises and never gets here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

from gateway.printable import in_a_text

FAILED = 70
"""Exit status of a role that one of its own threads has ended (EX_SOFTWARE)."""
END_WITHIN_S = 3.0
"""An orderly end that takes longer is not waited for."""

End = Callable[[str], None]
_end: End | None = None
_failed = threading.Lock()


def guard(end: End | None = None) -> None:
    """End this process when one of its threads fails. To be called once, at the start.

    ``end`` gets the name of the thread, in that thread, and begins an orderly end; the kernel
    ends the process :data:`END_WITHIN_S` later in any case. Without ``end`` it ends at once.
    """
    global _end  # noqa: PLW0603 - one process, one way to end it
    _end = end or _exit
    threading.excepthook = _on_exception


def guarded() -> bool:
    """Whether :func:`guard` was called in this process."""
    return _end is not None


def fail(name: str, error: BaseException | None) -> None:
    """End the process because the thread or task ``name`` has failed. ``error``: with what; it
    is ``None`` where something that never ends has ended. In a process without a guard (a test)
    only the traceback is written."""
    _report(name, error)
    if _end is None or not _failed.acquire(blocking=False):
        return  # nobody to end, or the end has begun
    # No thread is needed for this one: perhaps none can be started any more.
    signal.setitimer(signal.ITIMER_REAL, END_WITHIN_S)
    try:
        _end(name)
    except BaseException as problem:  # noqa: BLE001 - the end must not fail, too
        _report("end", problem)
        _exit(name)


def _on_exception(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread is not None else "?"
    if args.exc_type is SystemExit:
        return
    fail(name, args.exc_value or args.exc_type())


def _report(name: str, error: BaseException | None) -> None:
    import traceback

    lines = [f"thread {name} has ended; the process ends with it\n"]
    if error is not None:
        lines += traceback.format_exception(error)
    try:
        sys.stderr.write(in_a_text("".join(lines)))
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads it; the exit status says it all the same


def _exit(_name: str) -> None:
    os._exit(FAILED)
