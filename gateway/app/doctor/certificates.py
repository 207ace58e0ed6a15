"""What ``portier doctor`` says of how long a certificate is still valid."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from gateway.app.findings import Finding, no, soon, yes

RED_DAYS = 14
HINT_DAYS = 30


def lasts(what: str, until: float, remedy: str, evidence: str, since: float = 0.0) -> Finding:
    """How long a certificate is still valid, or from when on. ``since``, ``until``: POSIX
    seconds."""
    if since > time.time():
        day = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC"
        return no(f"{what} is not valid before {day}", f"check the clock, then: {remedy}", evidence)
    days = (until - time.time()) / 86_400
    evidence = f"{evidence}, until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
    if days < 0:
        return no(f"{what} has expired, {-days:.0f} days ago", remedy, evidence)
    if days < RED_DAYS:
        return no(f"{what} ends in {days:.0f} days", remedy, evidence)
    if days < HINT_DAYS:
        return soon(f"{what} is valid for {days:.0f} more days", f"soon: {remedy}", evidence)
    return yes(f"{what} is valid for {days:.0f} more days", evidence)
