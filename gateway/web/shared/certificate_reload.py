"""Reads the certificate of the page again when its files have changed, so that a renewal ends no
connection and no live stream that shows a call."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger("web")
_FileState = tuple[tuple[int, int, int], ...]
"""Inode, time of change and size of each file."""


class CertificateReload:
    """``context``: the TLS context of the server. It has loaded both files already."""

    def __init__(self, context: ssl.SSLContext, cert: Path, key: Path) -> None:
        self._context, self._cert, self._key = context, cert, key
        self._seen = self._state()

    def check(self) -> None:
        """Load the files if they have changed since the last time. Open connections go on; new ones
        get the new certificate. Files that cannot be used change nothing."""
        now = self._state()
        if now is None or now == self._seen:
            return
        self._seen = now
        try:
            # A certificate and a key of different pairs would leave the server's context without a
            # key.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self._context)
        except (OSError, ValueError) as error:
            log.warning(
                "the new certificate of the page cannot be used; the one before stays in use",
                file=str(self._cert),
                reason=getattr(error, "reason", None) or str(error),
                remedy="cert and key must belong together: portier doctor",
            )
        else:
            log.info("the certificate of the page has changed", file=str(self._cert))

    def _load(self, context: ssl.SSLContext) -> None:
        # A password would be asked for on the terminal.
        context.load_cert_chain(self._cert, self._key, password=lambda: "")

    def _state(self) -> _FileState | None:
        """The state of both files, without reading them; ``None``: one is missing now."""
        try:
            found = [file.stat() for file in (self._cert, self._key)]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
