"""Whether the wall clock is to be trusted, by the time service's own mark.

systemd-timesyncd creates a file when it has set the clock; the kernel keeps a flag that
every time service clears (chrony, ntpd, timesyncd). One of them says yes: trusted. Reading
the flag changes nothing and needs no right, but the sandbox of ``control`` forbids the call:
so the roles that have a network make it, and report it over the panel.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

REPORT_EVERY_S = 10.0
TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_TIMEX_BYTES = 208


def kernel_synchronized() -> bool | None:
    """The kernel's flag; ``None`` where it cannot be read."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only read
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    # struct timex: modes (int), offset, freq, maxerror, esterror (long), status (int)
    long_bytes = ctypes.sizeof(ctypes.c_long)
    status_at = 5 * long_bytes
    status = int.from_bytes(buffer.raw[status_at : status_at + 4], "little")
    return state != _TIME_ERROR and not status & _STA_UNSYNC


def trusted(mark: Path = TIMESYNC_MARK) -> bool | None:
    """Whether a time service says that the clock is right; ``None``: it cannot be asked."""
    try:
        if mark.exists():
            return True
    except OSError:
        pass  # no right to look: the kernel's flag remains
    return kernel_synchronized()


def report(trusted: bool) -> dict[str, object]:
    """The message for the panel."""
    return {
        "type": "clock",
        "trusted": trusted,
        "utc_ms": time.time_ns() // 1_000_000,
        "monotonic_ms": time.monotonic_ns() // 1_000_000,
    }
