"""The points that a door or room of the configuration names, by the table of their roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.point_roles import PointRole
from gateway.settings.values.reading import Loc


def points_of(owner: object, roles: Iterable[PointRole]) -> Iterator[tuple[PointRole, str, Loc]]:
    """Every point that a door or room names: its role, its id, and where it is named."""
    for role in roles:
        for point, rest in _named(getattr(owner, role.key)):
            yield role, point, (role.key, *rest)


def _named(value: Any) -> Iterator[tuple[str, Loc]]:
    if isinstance(value, str):
        yield value, ()
    elif isinstance(value, Mapping):
        for point in value:
            yield point, (point,)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            for point, rest in _named(item):
                yield point, (number, *rest)
    elif value is not None and value.point is not None:
        yield value.point, ("point",)
