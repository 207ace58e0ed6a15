"""When everything works that ``portier run`` has started: each part by its own evidence.

A process that runs proves nothing, and neither does a port that is taken. So ``control`` is
asked for a snapshot, the page for its health and the embedded broker for an answer; ``control``
says whether ``link`` reaches the broker and ``notify`` has reported. A recorder reports with the
first events that it hears of; where it has not yet, that is said.
What is not there in time is named, with the reason.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.panel import client

CHECK_EVERY_S = 0.25
NAMED_AFTER_S = 20.0
NAMED_AGAIN_S = 60.0
WATCHED_S = 300.0
ANSWER_S = 0.5

_CONNECT = b"\x10\x1a\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x0dportier-ready"
"""CONNECT of MQTT 5: clean start, keep-alive 10 s."""
_CONNACK = 0x20

"""Why a part does not work, or empty."""


@dataclass(slots=True)
class Readiness:
    """``check`` gives, for each part by the name that people know it by, why it does not work
    (empty: it does). To be called again and again: :meth:`look`."""

    check: Callable[[], Mapping[str, str]]
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    ready: Callable[[str], None] | None = None
    """Told, instead of ``say``, that everything works."""
    _began: float = field(init=False)
    _next: float = field(init=False)
    _named_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._next = self.clock()
        self._named_at = self._began + NAMED_AFTER_S

    def look(self) -> bool:
        """Whether nothing remains to be said."""
        now = self.clock()
        if now < self._next:
            return False
        self._next = now + CHECK_EVERY_S
        found = self.check()
        missing = {name: why for name, why in found.items() if why}
        if not missing:
            (self.ready or self.say)(
                f"Ready after {now - self._began:.1f} s ({', '.join(found)}). "
                "Ctrl-C stops everything."
            )
            return True
        if now >= self._named_at:
            self._named_at = now + NAMED_AGAIN_S
            parts = "; ".join(f"{name}: {why}" for name, why in missing.items())
            self.say(f"Not ready after {now - self._began:.0f} s. {parts}.")
        return now - self._began >= WATCHED_S


@dataclass(slots=True)
class Parts:
    """Looks at the roles ``wanted``. ``runs``: whether the process of a role runs now; ``page``
    and ``broker``: host and port, ``None`` where there is none; ``tls``: of the page."""

    wanted: Sequence[str]
    state: Path
    runs: Callable[[str], bool]
    page: tuple[str, int] | None = None
    tls: bool = False
    broker: tuple[str, int] | None = None

    def check(self) -> dict[str, str]:
        snapshot, why = self._snapshot() if "control" in self.wanted else (None, "")
        found: dict[str, str] = {}
        for role in self.wanted:
            if not self.runs(role):
                found[role] = "its process does not run; its own message says why"
            elif role == "control":
                found[role] = why
            elif role in {"web", "sites"} and self.page is not None:
                found["page"] = page_check(*self.page, tls=self.tls)
            elif role == "broker" and self.broker is not None:
                found[role] = broker_check(*self.broker)
            elif role == "record" and snapshot is not None and _no_record(snapshot):
                # It reports with the first events that it hears of, which may take a while.
                found["record (has not reported yet)"] = ""
            elif snapshot is not None:
                found[role] = _REPORTED[role](snapshot) if role in _REPORTED else ""
            elif why:
                found[role] = "only control knows, which does not answer"
            else:
                found[role] = ""
        return found

    def _snapshot(self) -> tuple[Mapping[str, Any] | None, str]:
        try:
            return client.snapshot(self.state / "panel.sock", timeout_s=ANSWER_S), ""
        except client.ControlAway as error:
            return None, f"no answer ({error})"


def _guarantee(snapshot: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (snapshot.get("guarantees") or {}).get(name) or {}
    return found


def _link(snapshot: Mapping[str, Any]) -> str:
    told = snapshot.get("link")
    if isinstance(told, Mapping) and "connected" in told:
        return "" if told["connected"] else _no_broker(str(told.get("reason") or "link_away"))
    forwarding = _guarantee(snapshot, "forwarding")
    return "" if forwarding.get("ok") else _no_broker(str(forwarding.get("reason") or ""))


def _no_broker(reason: str) -> str:
    return f"not connected to the broker ({reason})"


def _no_record(snapshot: Mapping[str, Any]) -> bool:
    return _guarantee(snapshot, "recording").get("reason") == "recorder_missing"


def _notify(snapshot: Mapping[str, Any]) -> str:
    reasons = [_guarantee(snapshot, name).get("reason") for name in ("messages", "heartbeat")]
    return "not connected to control" if "notify_away" in reasons else ""


_REPORTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "link": _link,
    "notify": _notify,
}


def here(host: str) -> str:
    """Where to reach a server of this machine that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not to bind


def page_check(host: str, port: int, *, tls: bool) -> str:
    """Why the page does not work, or empty. It says of itself whether it has the panel and the
    journal, or, at a centre, the broker."""
    connection: http.client.HTTPConnection
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is on this machine
        connection = http.client.HTTPSConnection(
            here(host), port, timeout=ANSWER_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(here(host), port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(1000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on {host}:{port} ({error or type(error).__name__})"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"answers {answer.status}: {body}"


def broker_check(host: str, port: int) -> str:
    """Why there is no broker of MQTT 5, or empty."""
    try:
        with socket.create_connection((host, port), ANSWER_S) as sock:
            sock.sendall(_CONNECT)
            answer = sock.recv(1)
    except OSError as error:
        return f"no answer on {host}:{port} ({error})"
    return "" if answer[:1] == bytes([_CONNACK]) else f"{host}:{port} does not speak MQTT 5"
