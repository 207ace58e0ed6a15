"""Dataclasses whose representation is not compiled for each class.

The core has a hundred of them, and they are most of what ``control`` imports before the first
press after a power cut is served: a class costs Python 3.11 a millisecond, a quarter of it for
a ``__repr__`` that only a failing test asks for. All of them share one here, with the same text.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported from here
else:

    def dataclass(**options):
        """As :func:`dataclasses.dataclass` with options."""

        def make(cls):
            cls.__repr__ = _shown
            return dataclasses.dataclass(repr=False, **options)(cls)

        return make


def _shown(value: object) -> str:
    kind = type(value)
    # dataclass has put the names of its fields there, in order
    names: tuple[str, ...] = getattr(kind, "__match_args__", ())
    shown = ", ".join([f"{name}={getattr(value, name)!r}" for name in names])
    return f"{kind.__qualname__}({shown})"
