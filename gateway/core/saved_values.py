"""What survives a restart, value by value: how it is written as JSON, and how it is read back.

A machine says once which fields of its values it saves: :func:`entry_of` and :func:`row_of` take
the field, the key, its :class:`Kind` and its default. Both directions follow from that.

What is read may be of another version, and reading never raises. A value that is not of its kind
is ``None``, and a field that is missing, ``null`` or not of its kind has its default. Where it has
none, the value that it belongs to cannot be read either. Lists and maps leave out what cannot be
read.

The monotonic clock of another boot means nothing here: an instant is saved as civil time
(``*_utc_ms``) or as uptime summed over boots (``*_uptime_ms``), see :class:`Times`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from gateway.core.facts import Json
from gateway.core.instant import At, Ms
from gateway.core.values import dataclass

T = TypeVar("T")

WHOLE_LIMIT: Final = 2**53
"""From here on some readers of JSON lose digits."""
REQUIRED: Final = object()
"""No default: a value without this field cannot be read."""


@dataclass(frozen=True)
class Times:
    """The offsets of this boot. ``offset_ms``: UTC minus monotonic, where it is known;
    ``uptime_ms``: of all boots before this one."""

    offset_ms: int | None = None
    uptime_ms: Ms = 0


class Kind(Generic[T]):
    """How one sort of value is saved.

    ``write`` makes JSON of it (without ``write`` it is JSON already), ``read`` makes it of JSON:
    ``None`` where the JSON is of another sort."""

    def __init__(
        self,
        read: Callable[[Json, Times], T | None],
        write: Callable[[T, Times], Json] | None = None,
    ) -> None:
        self.read = read
        self.write: Callable[[T, Times], Json] = write or _unchanged
        self.is_json = write is None


class Field:
    """``key``: its name in JSON. ``of``: the attribute that is saved, where its name differs;
    ``a.b`` is the attribute ``b`` of ``a``, and ``make`` takes it by its key."""

    def __init__(self, key: str, kind: Kind[Any], default: object = REQUIRED, of: str = "") -> None:
        self.key = key
        self.kind = kind
        self.default = default
        self.of = of or key
        self.argument = key if "." in of else self.of


# --- single values ------------------------------------------------------------------------


def _unchanged(value: Any, _: Times) -> Json:
    json: Json = value
    return json


def _whole(value: Json, _: Times) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) < WHOLE_LIMIT else None


def _read_instant(value: Json, times: Times) -> At | None:
    utc_ms = _whole(value, times)
    return None if utc_ms is None else At(None, utc_ms)


def _read_uptime(value: Json, times: Times) -> Ms | None:
    uptime_ms = _whole(value, times)
    return None if uptime_ms is None else uptime_ms - times.uptime_ms


def _read_names(value: Json, _: Times) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    return frozenset(name for name in value if isinstance(name, str))


TEXT: Kind[str] = Kind(lambda value, _: value if isinstance(value, str) else None)
FLAG: Kind[bool] = Kind(lambda value, _: value if isinstance(value, bool) else None)
WHOLE: Kind[int] = Kind(_whole)
DATA: Kind[dict[str, Json]] = Kind(lambda value, _: value if isinstance(value, dict) else None)
INSTANT: Kind[At] = Kind(_read_instant, lambda at, times: at.utc_by(times.offset_ms))
"""An instant, as civil time; ``null`` where that is not known."""
UPTIME: Kind[Ms] = Kind(_read_uptime, lambda ms, times: ms + times.uptime_ms)
"""An instant of the monotonic clock, as uptime summed over boots."""
NAMES: Kind[frozenset[str]] = Kind(_read_names, lambda names, _: [*sorted(names)])


def one_of(words: Iterable[T]) -> Kind[T]:
    """One of these words."""
    known = tuple(words)
    return Kind(lambda value, _: next((word for word in known if word == value), None))


# --- values of several --------------------------------------------------------------------


def list_of(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """A list, without what cannot be read."""

    def read(value: Json, times: Times) -> tuple[T, ...] | None:
        if not isinstance(value, list):
            return None
        found = (kind.read(one, times) for one in value)
        return tuple(one for one in found if one is not None)

    return Kind(read, lambda values, times: [kind.write(value, times) for value in values])


def map_of(kind: Kind[T]) -> Kind[Mapping[str, T]]:
    """Name -> value, without what cannot be read."""

    def read(value: Json, times: Times) -> Mapping[str, T] | None:
        if not isinstance(value, dict):
            return None
        found = ((name, kind.read(one, times)) for name, one in value.items())
        return {name: one for name, one in found if one is not None}

    def write(values: Mapping[str, T], times: Times) -> Json:
        return {name: kind.write(value, times) for name, value in values.items()}

    return Kind(read, write)


def entry_of(make: Callable[..., T | None], *fields: Field) -> Kind[T]:
    """A JSON object of two or more fields. ``make`` takes them by name; it gives ``None`` where
    they do not go together."""
    keys = [field.key for field in fields]
    others = [(field.key, field.kind) for field in fields if not field.kind.is_json]
    get = attrgetter(*[field.of for field in fields])

    def read(value: Json, times: Times) -> T | None:
        if not isinstance(value, dict):
            return None
        found = {}
        for field in fields:
            saved = value.get(field.key)
            one = None if saved is None else field.kind.read(saved, times)
            if one is None:
                if field.default is REQUIRED:
                    return None
                one = field.default
            found[field.argument] = one
        return make(**found)

    def write(value: T, times: Times) -> Json:
        saved: dict[str, Json] = dict(zip(keys, get(value), strict=True))
        for key, kind in others:
            if saved[key] is not None:
                saved[key] = kind.write(saved[key], times)
        return saved

    return Kind(read, write)


def row_of(make: Callable[..., T | None], *fields: Field) -> Kind[T]:
    """The same as a JSON list without keys. It is read whole or not at all: nobody could say which
    of its values another version means."""
    entry = entry_of(make, *fields)
    keys = [field.key for field in fields]
    kinds = [field.kind for field in fields]

    def read(value: Json, times: Times) -> T | None:
        if not isinstance(value, list) or len(value) != len(keys):
            return None
        pairs = zip(value, kinds, strict=True)
        if any(one is not None and kind.read(one, times) is None for one, kind in pairs):
            return None
        return entry.read(dict(zip(keys, value, strict=True)), times)

    def write(value: T, times: Times) -> Json:
        saved = entry.write(value, times)
        return [*saved.values()] if isinstance(saved, dict) else []

    return Kind(read, write)
