"""Tells an address outside again and again that the gateway lives, so that its silence is
noticed. It beats only while ``control`` answers: a gateway whose heart has stopped is dead."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import structlog

from gateway.backoff import pause_after
from gateway.notify.addresses import AddressError

log = structlog.get_logger("notify")

RETRY_FIRST_S = 10.0
AWAY_S = 2.0
"""How often ``control`` is looked for while it is away."""
TIMEOUT_S = 10.0
"""For each step of a request; :mod:`gateway.notify.delivery_process` limits the whole."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect within the same host only: a log-in page or a proxy that answers
    elsewhere has not heard the beat."""

    max_redirections = 5

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(newurl).hostname != urlsplit(req.full_url).hostname:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def call(url: str) -> str:
    """One beat. Empty where it was heard, else why not; never a part of the address. Waits for as
    long as the other side makes it wait: call it where it can be ended."""
    if not url.startswith(("https://", "http://")):
        return "address"
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "portier"})
        with urllib.request.build_opener(_SameHost).open(request, timeout=TIMEOUT_S):
            pass  # what it says is of no use
    except urllib.error.HTTPError as error:
        return f"http {error.code}"
    except TimeoutError:
        return "timeout"
    except (OSError, ValueError, http.client.HTTPException):
        return "connection"
    return ""


class Heartbeat:
    """A thread that beats. ``alive``: whether ``control`` answers; ``on_result``: hears the outcome
    of each beat. ``url``: read at each beat."""

    def __init__(
        self,
        url: Callable[[], str],
        every_s: float,
        *,
        alive: Callable[[], bool],
        on_result: Callable[[str], None],
        beat: Callable[[str], str],
    ) -> None:
        self._url = url
        self._every_s = every_s
        self._alive = alive
        self._on_result = on_result
        self._beat = beat
        self._stop = threading.Event()
        self._failures = 0
        self._ok_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends between two beats; one that is under way is not waited for."""
        self._stop.set()

    def report(self) -> dict[str, object]:
        """What a ``control`` that has just started does not know; nothing before the first beat."""
        if self._ok_at is None and not self._failures:
            return {}
        ok = {} if self._ok_at is None else {"heartbeat_ms": round(self._ok_at * 1000)}
        return {**ok, "heartbeat_failed": self._failures > 0}

    def turn(self) -> float:
        """Beat if there is reason to; the seconds until the next turn."""
        if not self._alive():
            return min(AWAY_S, self._every_s)
        reason = self._once()
        if reason:
            if not self._failures:
                log.warning("the heartbeat is not heard", reason=reason)
            self._failures += 1
        elif self._failures:
            log.info("the heartbeat is heard again")
            self._failures = 0
        if not reason:
            self._ok_at = time.monotonic()
        self._on_result(reason)
        if not reason:
            return self._every_s
        return pause_after(self._failures - 1, RETRY_FIRST_S, self._every_s)

    def _once(self) -> str:
        try:
            url = self._url()
        except AddressError as error:
            if not self._failures:
                log.error("the heartbeat's address cannot be read", secret=str(error))
            return "address"
        return self._beat(url)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = self.turn()
