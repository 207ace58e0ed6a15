"""What each saved change has changed: part by part, what it said before and says since then.

A part is what one form of the page changes, such as ``doors.front.schedule`` or
``contacts.desk``. A part that the overlay does not name says what the configuration says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.settings.editing.file import Store
from gateway.settings.overlay import DEEP
from gateway.settings.values.problems import SettingsError

MOST_BYTES = 2_000
"""Of one part; what is longer is only named."""

Change = dict[str, Any]


def changes(store: Store, file: Mapping[str, Any]) -> list[Change]:
    """The newest first, each with ``version`` (the one before it), who made it and when, and its
    ``parts``. ``file``: the configuration in plain words."""
    before = store.before()
    found: list[Change] = []
    after, made = _sections(store, store.data()), store.describe()
    for one in before:
        was = _sections(store, store.old(one.version))
        parts = None if after is None or was is None else _parts(file, was, after)
        found.append({"version": one.version, "by": made.by, "utc_ms": made.utc_ms, "parts": parts})
        after, made = was, one
    return found


def taken_back(store: Store) -> bool:
    """Whether the newest change was to take back the one before it."""
    before = store.before()
    if len(before) < 2:
        return False
    return bool(_sections(store, store.old(before[1].version)) == _sections(store, store.data()))


def _sections(store: Store, data: bytes | None) -> Any:
    try:
        return store.sections(data or None)
    except SettingsError:
        return None


def _parts(file: Mapping[str, Any], was: Any, now: Any) -> list[dict[str, Any]]:
    before, after = _flat(was), _flat(now)
    found = []
    for part in sorted({*before, *after}):
        old = before.get(part, _of_file(file, part))
        new = after.get(part, _of_file(file, part))
        if old != new:
            found.append({"part": part, "before": _short(old), "after": _short(new)})
    return found


def _flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """By the name of each part."""
    found: dict[str, Any] = {}
    for section, names in sections.items():
        for name, value in names.items() if isinstance(names, Mapping) else ():
            if section in DEEP and isinstance(value, Mapping):
                found |= {f"{section}.{name}.{key}": inner for key, inner in value.items()}
            else:
                found[f"{section}.{name}"] = value
    return found


def _of_file(file: Mapping[str, Any], part: str) -> Any:
    value: Any = file
    for key in part.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _short(value: Any) -> Any:
    return value if len(json.dumps(value)) <= MOST_BYTES else {"long": True}
