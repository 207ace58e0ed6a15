"""What went wrong with the broker, in words."""

from __future__ import annotations

import ssl
from enum import IntEnum

REFUSED_FROM = 0x80
"""Reason codes of MQTT from here on are failures."""
TAKEN_OVER = "session taken over"


def words(name: str) -> str:
    """The name that a library gives a reason code, as words: ``not authorized``."""
    return name.lower().replace("_", " ")


def refusal(code: IntEnum) -> str:
    """The words of a reason code that is a failure, else nothing."""
    return words(code.name) if int(code) >= REFUSED_FROM else ""  # mqtt5 cannot compare


def words_of(error: BaseException) -> str:
    """An error of the network or of TLS, without the library's file names and line numbers."""
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLError) and isinstance(reason, str):
        return words(reason)
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
