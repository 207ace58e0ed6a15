"""Where the broker is, who we are there, and what both clients expect of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from gateway.settings.model.link import Tls

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
"""For the answer to CONNECT, and to a subscription."""
PACKET_MOST = 1_048_576
"""The broker is told to keep larger ones to itself."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificates of a connection, as paths. ``ca`` ``None``: the system's authorities."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def of(cls, tls: Tls, config: Path) -> TlsFiles:
        """As the configuration names them: beside itself."""
        beside = config.absolute().parent
        named = {one.name: getattr(tls, one.name) for one in fields(cls)}
        return cls(**{name: str(beside / file) for name, file in named.items() if file is not None})

    def named(self) -> Iterator[tuple[str, str]]:
        """Those that there are, by their names."""
        for one in fields(self):
            if (path := getattr(self, one.name)) is not None:
                yield one.name, path

    def context(self) -> ssl.SSLContext:
        """How to agree on TLS.

        :raises OSError: a file cannot be read, or is no certificate (:class:`ssl.SSLError`)
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and who we are there. ``tls`` ``None``: without."""

    client_id: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    keepalive_s: int = 10
