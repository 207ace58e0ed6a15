"""What takes each guarantee away, by the keys that the page has words for.

``control`` judges them (:mod:`gateway.control.guarantees`); this process may not import it, and a
test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping

_DOOR = (
    "did_not_open", "operator_fault", "relay_fault", "relay_limit", "mode_off", "fire", "interlock",
)  # fmt: skip
BREAKS: Mapping[str, tuple[str, ...]] = {
    "door_by_button": (
        *_DOOR, "contact_unknown", "contact_stuck", "contact_chattering", "state_unread",
    ),
    "door_by_staff": _DOOR,
    "call": (
        "cord_cut", "cord_short", "cord_stuck", "cord_unknown", "relay_fault", "relay_limit",
        "call_orphaned",
    ),
    "messages": ("no_contact", "notify_away", "no_address", "delivery_failed", "nobody_told"),
    "heartbeat": ("notify_away", "heartbeat_failed"),
    "journal": ("journal_full", "journal_read_only", "journal_unavailable", "journal_slow"),
    "forwarding": ("link_away", "unsent", "set_aside"),
    "recording": ("recorder_missing", "recorder_behind", "recorder_aside", "journal"),
    "clock": ("clock_untrusted",),
}  # fmt: skip
