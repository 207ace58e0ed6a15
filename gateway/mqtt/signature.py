"""The signature of a command: one text for whoever signs it and whoever judges it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_ENVELOPE = frozenset({"id", "issued_at", "ttl", "by", "sig"})


def sign(key: bytes, topic: str, raw: Mapping[str, Any]) -> str:
    """The signature of a command: hex HMAC-SHA256 over ``topic``, ``id``, ``issued_at``,
    ``ttl`` and ``by``, each with a line feed, and the rest as sorted compact JSON."""
    rest = {name: value for name, value in raw.items() if name not in _ENVELOPE}
    text = "".join(
        f"{part}\n"
        for part in (
            topic,
            raw["id"],
            raw["issued_at"],
            raw["ttl"] if isinstance(raw["ttl"], int) else repr(raw["ttl"]),
            raw.get("by", ""),
        )
    ) + json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
