"""Hands a message over: one address, one attempt. The only file that knows Apprise.

An address may hold a password or token, and the library puts addresses into its log. So its
log goes nowhere; from a line about a failure only the kind of failure is taken.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import warnings
from functools import cache
from typing import Any

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
    import apprise.conversion  # noqa: F401 - at once, not with the first message

    log, failures = logging.getLogger("apprise"), _Failures()
    log.handlers = [failures]
    log.propagate = False
    log.setLevel(logging.WARNING)
    with warnings.catch_warnings():  # of its plugins' own libraries; nothing of ours
        warnings.simplefilter("ignore")
        _understand(apprise, "json://localhost")  # loads every plugin, once
    return apprise, failures


def _understand(apprise: Any, address: str) -> Any:
    """The library's object for an address, ``None`` where there is none.

    Redirects are not followed: a message that is redirected is fetched without its content from
    somewhere else, and what answers there (a log-in page, a proxy) has not taken it. An address
    with ``redirect=yes`` follows them all the same.
    """
    asset = apprise.AppriseAsset(http_redirects=False)
    return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)


def rehearse() -> None:
    """Go the whole way of a message, to a port of this machine that refuses it: what the first
    one imports, opens and looks up is then there."""
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = "127.0.0.1"
    try:
        with socket.socket() as refusing:
            refusing.bind(("127.0.0.1", 0))  # taken, and nobody listens
            send(f"json://127.0.0.1:{refusing.getsockname()[1]}", Text("x", "x"))
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before


def understood(address: str) -> bool:
    """Whether the library knows what to do with an address."""
    apprise, _ = _library()
    return _understand(apprise, address) is not None


def send(address: str, text: Text) -> str:
    """One attempt. Empty where the other side has taken it, else why not: ``address``, ``http
    500``, ``connection`` or ``refused``; never a part of the address. Waits for as long as the
    other side makes it wait: call it where it can be ended (``delivery_process``)."""
    apprise, failures = _library()
    failures.heard.pop(threading.get_ident(), None)
    try:
        # The library's own dispatcher waits for its threads when the program ends; the plugin
        # itself works in ours.
        way = _understand(apprise, address)
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
