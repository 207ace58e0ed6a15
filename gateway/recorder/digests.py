"""Which event has come under each of the newest numbers of a lane, in four bytes each.

Two events under one number differ in it, also when the recorder was restarted in between. It is
made with a key that only this recorder has, so that nobody can make an event with the digest of
another.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import Protocol

from gateway.recorder.sequences import Key
from gateway.wire import Event

UNKNOWN, UNREADABLE = 0, 1
"""Nothing is known of the number; what has come under it cannot be read."""
BLOCK = 64
"""Numbers whose digests are saved in one row."""
BLOCKS_MOST = 64
"""Rows of one lane; the oldest go."""
_BYTES = 4
_CONTESTED = 1
_CACHED_MOST = 10_000
_KEY = "digest_key_whole"
"""Until it is there, the rows are of a version that looked at a part of each event only."""
_PERSON = frozenset({"by", "note", "attends"})
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Saved(Protocol):
    """Where digests are read from."""

    def meta(self, name: str) -> str | None: ...
    def set_meta(self, name: str, value: str) -> None: ...
    def digests(self, key: Key, block: int) -> bytes | None: ...
    def forget_digests(self) -> None: ...


class Digests:
    """``changed``: the rows that are to be saved; whoever saves them clears it."""

    def __init__(self, saved: Saved, changed: dict[tuple[Key, int], bytearray]) -> None:
        self._saved = saved
        self._changed = changed
        self._rows: dict[tuple[Key, int], bytearray] = {}
        secret = saved.meta(_KEY)
        if secret is None:
            saved.forget_digests()  # each copy of what came under them would be another event
            secret = os.urandom(16).hex()
            saved.set_meta(_KEY, secret)
        self._secret = secret.encode()[:64]

    def of(self, event: Event) -> int:
        """The same for each copy of a fact, and for no other event of its number.

        Everything that is sent is in it, but what the gateway itself may send otherwise when it
        sends a fact again: ``late``; ``time``, which is not known at first and follows each
        correction of the clock; and who it was, with the note and the name of who goes to a call,
        which go when a person is forgotten (:meth:`gateway.journal.retention.Upkeep.forget`). That
        there was somebody stays."""
        data = event.data
        if data.get("by") is not None:
            data = {name: value for name, value in data.items() if name not in _PERSON}
            data["by"] = True
        text = _encode([event.kind, event.subject, event.boot, event.mono_ms, data])
        made = blake2b(text.encode(), digest_size=_BYTES, key=self._secret).digest()
        return max(int.from_bytes(made, "little") >> 1, UNREADABLE + 1)

    def get(self, key: Key, seq: int) -> int:
        """The digest of what came first under this number."""
        return self._value(key, seq) >> 1

    def is_contested(self, key: Key, seq: int) -> bool:
        """Whether another event has come under this number, too."""
        return bool(self._value(key, seq) & _CONTESTED)

    def set(self, key: Key, seq: int, digest: int) -> None:
        """Remember what has come under this number."""
        self._put(key, seq, digest << 1 | self._value(key, seq) & _CONTESTED)

    def contest(self, key: Key, seq: int) -> None:
        """Another event has come under this number."""
        self._put(key, seq, self._value(key, seq) | _CONTESTED)

    def _value(self, key: Key, seq: int) -> int:
        block, place = divmod(seq, BLOCK)
        at = place * _BYTES
        return int.from_bytes(self._row(key, block)[at : at + _BYTES], "little")

    def _put(self, key: Key, seq: int, value: int) -> None:
        block, place = divmod(seq, BLOCK)
        at = place * _BYTES
        row = self._row(key, block)
        new = value.to_bytes(_BYTES, "little")
        if row[at : at + _BYTES] != new:
            row[at : at + _BYTES] = new
            self._changed[key, block] = row

    def _row(self, key: Key, block: int) -> bytearray:
        row = self._rows.get((key, block))
        if row is None:
            if len(self._rows) >= _CACHED_MOST:
                self._rows = dict(self._changed)
            row = bytearray(self._saved.digests(key, block) or b"").ljust(BLOCK * _BYTES, b"\0")
            self._rows[key, block] = row
        return row
