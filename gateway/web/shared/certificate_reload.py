"""The certificate of the page, read again when its files have changed: a renewal ends no
connection, and so no live stream that shows a call."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger("web")
_Seen = tuple[tuple[int, int, int], ...]


class CertificateReload:
    """``context``: what the server agrees on TLS with. It has loaded both files already."""

    def __init__(self, context: ssl.SSLContext, cert: Path, key: Path) -> None:
        self._context, self._cert, self._key = context, cert, key
        self._seen = self._state()

    def look(self) -> None:
        """Read the files where they have changed since the last time. Connections that are there
        go on; new ones get the new certificate. What cannot be used changes nothing."""
        now = self._state()
        if now is None or now == self._seen:
            return
        self._seen = now
        try:
            # A pair that does not fit would leave the server's own context without a key.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self._context)
        except (OSError, ValueError) as error:
            log.warning(
                "the new certificate of the page cannot be used; the one before goes on",
                file=str(self._cert),
                reason=getattr(error, "reason", None) or str(error),
                remedy="cert and key must belong together: portier doctor",
            )
        else:
            log.info("the certificate of the page has changed", file=str(self._cert))

    def _load(self, context: ssl.SSLContext) -> None:
        # A password would be asked for on the terminal.
        context.load_cert_chain(self._cert, self._key, password=lambda: "")

    def _state(self) -> _Seen | None:
        """What the files are, without reading them; ``None``: one is not there now."""
        try:
            found = [file.stat() for file in (self._cert, self._key)]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
