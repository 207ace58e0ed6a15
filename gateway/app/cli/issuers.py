"""Who did something, in the words of the command line: a user's name where the page's file may be
read, and elsewhere what the issuer is. Scripts get the issuer itself (``--json``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path

WORDS: Mapping[str, str] = {
    "cli": "command line",
    "mqtt": "MQTT",
    "link": "link of a message",
    "system": "gateway",
    "bench": "bench",
}
"""The way over which something came."""
WITHIN_S = 1.0


class Issuers:
    """``Issuers(state)("web:3")`` is the name of user 3."""

    def __init__(self, state: Path) -> None:
        self._file = state / "web" / "web.sqlite"

    def __call__(self, issuer: str | None) -> str:
        """An issuer that nobody knows stays as it is written."""
        via, colon, name = (issuer or "").partition(":")
        if via == "web" and colon:
            return self._page(name)
        if via not in WORDS:
            return issuer or ""
        return f"{WORDS[via]}: {name}" if name else WORDS[via]

    def _page(self, name: str) -> str:
        if name.isdecimal():
            return self._names.get(int(name), f"user {name}")
        token = name.removeprefix("token-")
        return f"access token: {token}" if token != name else f"page: {name}"

    @cached_property
    def _names(self) -> Mapping[int, str]:
        """Read once; empty where the file is the page's own alone."""
        try:
            where = f"{self._file.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(where, uri=True, timeout=WITHIN_S)) as db:
                return {int(id): str(name) for id, name in db.execute("SELECT id, name FROM users")}
        except (sqlite3.Error, OSError, ValueError):
            return {}
