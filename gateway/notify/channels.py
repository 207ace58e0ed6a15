"""Hands a message over: one address, one attempt. The only file that knows Apprise.

An address may hold a password or token, and the library puts addresses into its log. So its
log goes nowhere; from a line about a failure only the kind of failure is taken.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.notify.texts import Text

_STATUS = re.compile(r"error=([1-5]\d\d)\b")
_NETWORK = re.compile(r"connection|socket|timed? ?out|resol", re.IGNORECASE)


class _Failures(logging.Handler):
    """Keeps of each line about a failure what kind it was, by thread: several messages are
    under way at once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        status = _STATUS.search(text)
        if status is not None:
            self.heard[threading.get_ident()] = f"http {status[1]}"
        elif _NETWORK.search(text):
            self.heard.setdefault(threading.get_ident(), "connection")


@cache
def _library() -> tuple[Any, _Failures]:
    """Apprise, silenced; imported late, it is large."""
    import apprise
    import apprise.conversion

    log, failures = logging.getLogger("apprise"), _Failures()
    log.handlers = [failures]
    log.propagate = False
    log.setLevel(logging.WARNING)
    with warnings.catch_warnings():  # of its plugins' own libraries; nothing of ours
        warnings.simplefilter("ignore")
        apprise.Apprise.instantiate("json://localhost")  # loads every plugin, once
    return apprise, failures


def warm() -> None:
    """Import what the first message needs, before it is needed."""
    _library()


def understood(address: str) -> bool:
    """Whether the library knows what to do with an address."""
    apprise, _ = _library()
    return apprise.Apprise.instantiate(address, suppress_exceptions=True) is not None


def send(address: str, text: Text) -> str:
    """One attempt. Empty where the other side has taken it, else why not: ``address``, ``http
    500``, ``connection`` or ``refused``; never a part of the address."""
    apprise, failures = _library()
    failures.heard.pop(threading.get_ident(), None)
    try:
        # The library's own dispatcher waits for its threads when the program ends; the plugin
        # itself works in ours.
        way = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if way is None:
            return "address"
        form = way.notify_format
        body = apprise.conversion.convert_between(apprise.NotifyFormat.TEXT, form, text.body)
        taken = way.notify(
            title=text.title, body=body, notify_type=apprise.NotifyType.INFO, body_format=form
        )
    except Exception as error:  # noqa: BLE001 - a plugin of the library; the text may hold secrets
        return f"error: {type(error).__name__}"
    reason = failures.heard.pop(threading.get_ident(), "refused")
    return "" if taken else reason
