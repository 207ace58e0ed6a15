"""What the core adds to an alarm in its own words, said in the page's.

Most of it is for whoever repairs the thing; what we cannot put into words is shown as it is.
"""

from __future__ import annotations

import re

from gateway.web.shared.words import Words

_TIMED = (
    (re.compile(r"still closed (\d+) ms after the activation"), "detail.still_closed"),
    (re.compile(r"still open after (\d+) ms"), "detail.still_open"),
    (re.compile(r"open for (\d+) ms"), "detail.open_for"),
)
_PLAIN = {
    "bolt out while open": "detail.bolt_out",
    "bolt not out while locked": "detail.bolt_not_out",
    "left closed with no request while the door is locked": "detail.no_request",
}
_READING = re.compile(r"([a-z0-9_]+) (-?[0-9.]+(?:e[-+]?\d+)?)")
_RELAY = "activation relay: "


def detail(words: Words, text: str) -> str:
    """The sentence for an alarm's ``detail``; the same text where there is none."""
    if key := _PLAIN.get(text):
        return words(key)
    for pattern, key in _TIMED:
        if found := pattern.fullmatch(text):
            return words(key, time=words.ago(int(found[1])))
    if text.startswith(_RELAY):
        return words("detail.relay", reason=text.removeprefix(_RELAY))
    if (found := _READING.fullmatch(text)) and f"unit.{found[1]}" in words.keys:
        return words.measured(float(found[2]), found[1])
    if f"unit.{text}" in words.keys:
        return words(f"unit.{text}")
    return words.get(f"why.{text}", text)
