"""What the gateway promises, as this process may show it: unknown while ``control`` is away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from gateway.panel.snapshot_types import GuaranteeShown, GuaranteeValue
from gateway.web.building.snapshot_reader import SnapshotReader

GUARANTEES = (
    "door_by_button", "door_by_staff", "call", "messages", "heartbeat", "journal", "forwarding",
    "recording", "clock",
)  # fmt: skip
"""In the order of the page."""
VALUES: tuple[GuaranteeValue, ...] = ("yes", "no", "unknown", "not_configured")


def value_of(one: GuaranteeShown) -> GuaranteeValue:
    """``yes``, ``no``, ``unknown`` or ``not_configured``; anything else is unknown. A
    ``control`` before 0.2 reports ``ok`` and ``reason`` only."""
    value = one.get("value")
    if value is None:
        if one.get("reason") == "not_configured":
            return "not_configured"
        return "yes" if one.get("ok") is True else "no"
    return value if value in VALUES else "unknown"


def guarantees(control: SnapshotReader) -> dict[str, GuaranteeShown]:
    """Each guarantee by its name, with ``value`` and ``ok``. Nothing that ``control`` reported
    before it went away is evidence of what is so now."""
    reported = control.guarantees
    if not control.stale:
        return {name: _read(reported[name]) for name in _ordered(reported)}
    unknown: dict[str, object] = {
        "ok": False,
        "value": "unknown",
        "since_ms": control.changed_ms,
        "reason": control.away_reason,
        "subject": "",
    }
    return {
        name: cast("GuaranteeShown", {**reported.get(name, {}), **unknown})
        for name in _ordered(reported if control.snapshot else dict.fromkeys(GUARANTEES))
    }


def _read(one: GuaranteeShown) -> GuaranteeShown:
    value = value_of(one)
    return {**one, "value": value, "ok": value in ("yes", "not_configured")}


def _ordered(reported: Mapping[str, object]) -> list[str]:
    known = [name for name in GUARANTEES if name in reported]
    return known + [name for name in reported if name not in GUARANTEES]
