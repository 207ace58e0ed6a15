"""What the core adds to an alarm in its own words, said in the page's.

Most of it is for whoever repairs the thing; what we cannot put into words is shown as it is.
"""

from __future__ import annotations

from gateway.core import details
from gateway.web.shared.words import Words


def detail(words: Words, text: str) -> str:
    """The sentence for an alarm's ``detail``; the same text where there is none."""
    match details.read(text):
        case details.Detail("reading", (quantity, value)):
            if f"unit.{quantity}" in words.keys and value not in ("True", "False"):
                return words.measured(float(value), quantity)
        case details.Detail("relay", (reason,)):
            return words("detail.relay", reason=reason)
        case details.Detail("bolt_out" | "bolt_not_out" | "no_request" as kind, ()):
            return words(f"detail.{kind}")
        case details.Detail(kind, (ms,)):
            return words(f"detail.{kind}", time=words.ago(int(ms)))
        case _:
            pass
    if f"unit.{text}" in words.keys:
        return words(f"unit.{text}")
    return words.get(f"why.{text}", text)
