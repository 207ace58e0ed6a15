"""Commands to systemd, which answers within a time or counts as failed."""

from __future__ import annotations

import subprocess

WITHIN_S = 180.0
"""Longer than a unit of ours takes to stop and to start (``TimeoutStopSec``, ``TimeoutStartSec``)
on a machine that has much else to do."""
NO_ANSWER = 124
"""The exit status of a command that did not end, as ``timeout`` has it."""


def systemctl(*arguments: str, within_s: float = WITHIN_S) -> subprocess.CompletedProcess[str]:
    """Run ``systemctl`` and wait for it. Where it does not end in time it is killed, and has the
    exit status :data:`NO_ANSWER`; what it has asked of systemd may still happen."""
    command = ["systemctl", *arguments]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"{' '.join(command)} did not end within {within_s:.0f} s"
        return subprocess.CompletedProcess(command, NO_ANSWER, "", text)
