"""Whether the wall clock is to be trusted, by the kernel's own flag.

Every time service (systemd-timesyncd, chrony, ntpd) clears the flag STA_UNSYNC with each
synchronisation, and the kernel sets it again when none has come for about 9 hours (``maxerror``
grows by 500 ppm, and 16 s is its limit). Reading the flag needs no right. The units of the roles
that have a network allow the call, for reading only; that of ``control`` does not, so they report
it over the panel. Where the kernel cannot be asked (some containers), the file is looked at that
systemd-timesyncd touches with each synchronisation, with the same age.
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
MARK_VOID_S = 16 / 500e-6
"""The kernel's own age of a synchronisation, 32,000 s."""


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


def trusted(mark: Path | None = None) -> bool | None:
    """Whether a time service has said lately that the clock is right; ``None``: neither the kernel
    nor the mark can be asked."""
    synchronized = kernel_synchronized()
    if synchronized is not None:
        return synchronized
    try:
        age_s = time.time() - (mark or TIMESYNC_MARK).stat().st_mtime
    except OSError:
        return None
    return -1 <= age_s <= MARK_VOID_S


def report(trusted: bool) -> dict[str, object]:
    """The message for the panel."""
    return {
        "type": "clock",
        "trusted": trusted,
        "utc_ms": time.time_ns() // 1_000_000,
        "monotonic_ms": time.monotonic_ns() // 1_000_000,
    }
