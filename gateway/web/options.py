"""What the page needs to know of the configuration, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gateway.settings.model.configuration import Gateway
from gateway.settings.model.link import Web
from gateway.web.identity.accounts import SecondFactor
from gateway.web.identity.sessions import SESSION_LIFE_S
from gateway.web.identity.users import users_file
from gateway.web.presenter.terminals import Terminals

_GATEWAY: Final = Gateway(id="portier")
_PAGE: Final = Web()
"""As they are where the file says nothing of them."""
YEAR_MS = 365 * 86_400_000


class ListenError(Exception):
    """The address the page shall listen on is not allowed as configured."""


@dataclass(frozen=True, slots=True)
class Options:
    """``state`` is the folder of journal, panel socket and users."""

    state: Path
    gateway: str = _GATEWAY.id
    name: str = _GATEWAY.name
    zone: tzinfo = field(default_factory=lambda: ZoneInfo(_GATEWAY.timezone))
    languages: tuple[str, ...] = _GATEWAY.languages
    host: str = _PAGE.host
    port: int = _PAGE.port
    tls_cert: Path | None = None
    tls_key: Path | None = None
    bench: bool = False
    retention: Mapping[str, int] = field(default_factory=dict)
    """Life of each class of facts, in milliseconds."""
    systemd: bool = False
    """Whether the logs go to the system's journal."""
    store: str = ""
    """Where the recorder writes, without secrets; empty: nowhere."""
    broker: str = ""
    terminals: Terminals = field(default_factory=Terminals)
    """What the points are called."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-*`` are believed."""
    second_factor: SecondFactor = _PAGE.second_factor
    """Where a code is asked for, see :class:`gateway.settings.model.link.Web`."""
    certificates: Callable[[], Mapping[str, float]] = dict
    """Which certificates this gateway has, and until when (POSIX seconds); those that can be
    read."""
    certificate_begins: Callable[[], Mapping[str, float]] = dict
    """And from when on: one that was made with a wrong clock may not be valid yet."""
    roots: Callable[[], Mapping[str, bytes]] = dict
    """What phones are to trust so that they trust the page, in DER: ``root``, and ``next-root``
    while the root is being changed. Nothing where they trust it already."""
    push_hosts: tuple[str, ...] = ()
    """Push services of the configuration, beside those of the browsers."""
    push_to: tuple[str, ...] = ()
    """The roles and users whose devices contacts name."""
    max_live: int = 500
    """Live streams at once; one more is answered 503."""

    @property
    def tls(self) -> bool:
        return self.tls_cert is not None

    @property
    def journal(self) -> Path:
        return self.state / "journal.sqlite"

    @property
    def users(self) -> Path:
        return users_file(self.state)

    @property
    def panel(self) -> Path:
        return self.state / "panel.sock"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/"

    @property
    def session_life_ms(self) -> int:
        """The configured life of a log-in, at most that of its cookie."""
        return min(self.retention.get("sessions", YEAR_MS), SESSION_LIFE_S * 1000)

    def check(self) -> None:
        """Raises :class:`ListenError` where plain HTTP would leave this machine."""
        try:
            local = self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            local = False
        if not local and not self.tls:
            raise ListenError(
                f"web.listen: {self.host} is reachable from other machines; that needs web.tls "
                "(a certificate and its key). Plain HTTP is for 127.0.0.1 only."
            )
