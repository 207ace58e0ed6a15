"""Why something was refused, or taken and yet moves nothing now: the keys that replies, facts and
counters carry.

The page has words for each in both languages; people and scripts compare with them. So a
reason is never renamed; a new one is one new line here.
"""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    # --- the door says no
    "mode_off": "The door is switched off: nothing is activated.",
    "mode_exit_only": "Only the way out is free: outside buttons and remotes do not open.",
    "mode_night": "The door is locked: keys, readers and staff only.",
    "reason_needed": "Staff open a locked door with a reason only.",
    "fire": "The fire alarm decides what this door does.",
    "untrusted": "A button over radio or network opens in the modes automatic and hold_open only.",
    "stale": "The press is older than two seconds: whoever pressed may be gone.",
    "interlock": "Another door of the interlock is open.",
    "relay_limit": "The time limit of a relay of this door has switched it off: set another mode"
    " first, then this one.",
    "relay_fault": "A relay that this takes cannot be switched at present.",
    "not_wired": "The door has neither a hold-open relay nor a maintained activation.",
    "switch": "The programme switch on site rules, nobody overrides it from here.",
    "stuck": "The contact has been active for too long and does not count.",
    "already_open": "The door is being held open (said with the outcome `extended`).",
    # --- the command says no
    "expired": "The command came at or after the end of its life.",
    "unknown_door": "There is no door of this name.",
    "unknown_alarm": "There is no alarm of this name.",
    "unknown_call": "No call of this name stands.",
    "unknown_room": "There is no room of this name.",
    "unknown_message": "No message of this name waits to be confirmed.",
    "unknown_receiver": "There is no contact of this name.",
    "not_latched": "The alarm goes by itself when its cause is gone.",
    "still_wet": "The sensor still sees water.",
    "call": "A call stands, nothing is tested now.",
    "test_limit": "Test mode lasts at most 30 minutes in all.",
    "test_pause": "The next test mode begins ten minutes after the last one at the earliest.",
    "after_call": "No test mode begins within two minutes of a real call.",
    "unknown_point": "There is no relay of this name.",
    "not_shelvable": "An alarm of this severity cannot be shelved.",
    "in_use": "The relay is in use.",
    "limit": "More than is allowed, or for longer.",
    "past": "Its end has to lie in the future.",
    # --- the way here says no
    "clock_untrusted": "The age of the command cannot be known.",
    "duplicate": "This command has been here before.",
    "from_future": "The command was issued in the future.",
    "too_old": "The command is older than its ttl.",
    "retained": "A broker kept the command; nobody issued it now.",
    "unsigned": "The issuer must sign, and has not.",
    "bad_signature": "The signature does not fit.",
    "wrong_topic": "An issuer without a key has a topic of its own, and this came elsewhere.",
    "not_allowed": "The issuer may not ask for this here: not this, not at this door, or not now.",
    "malformed": "The command cannot be understood.",
    "before_start": "The command was issued before this start of the gateway.",
}
"""Key -> what it means, in one sentence."""
