"""No orphans: a role that the supervisor has started ends when the supervisor is gone.

The supervisor holds one end of a pipe and never writes to it. However it dies, the kernel
closes that end, and the other end, here, reads nothing more.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "PORTIER_PARENT_FD"
GRACE_S = 1.5


def end_with_parent() -> None:
    """Watch the parent, where there is one to watch."""
    fd = os.environ.get(PARENT, "")
    if fd.isdigit():
        threading.Thread(target=_watch, args=(int(fd),), name="parent", daemon=True).start()


def _watch(fd: int) -> None:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
