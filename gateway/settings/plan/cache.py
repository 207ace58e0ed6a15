"""The plan kept as JSON, so that ``control`` starts without pydantic, YAML and holidays.

``key`` names the file: it changes with everything that the plan is made of, so that a stale
cache cannot be read by mistake. What cannot be read is :class:`CacheError`: load anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway import regular
from gateway.core.instant import UtcMs
from gateway.core.plan import BuildingPlan

FORMAT = 3
FRESH_DAYS = 300
"""A cache older than this is made anew: its schedule reaches 400 days."""


class CacheError(Exception):
    """The cached plan is missing, damaged, too old or of another form."""


@dataclass(frozen=True, slots=True)
class PointPlan:
    """A point and its driver. ``settings`` is the driver's own frozen dataclass."""

    name: str
    driver: str
    kind: str
    settings: Any


@dataclass(frozen=True, slots=True)
class Cached:
    """Everything that ``control`` needs to know of the configuration."""

    digest: str
    """Of the configuration, as in ``info``."""
    made_utc_ms: UtcMs
    name: str
    timezone: str
    bench: bool
    journal_limit_bytes: int
    journal_commit_within_ms: int
    lives_ms: Mapping[str, int]
    """Class of facts -> how long they are kept, in milliseconds."""
    plan: BuildingPlan
    points: tuple[PointPlan, ...] = field(default=())


def of(settings: Any, plan: BuildingPlan, now_utc_ms: UtcMs) -> Cached:
    """What is kept of ``settings`` (a :class:`gateway.settings.model.configuration.Settings`)."""
    return Cached(
        digest=settings.digest,
        made_utc_ms=now_utc_ms,
        name=settings.gateway.name,
        timezone=settings.gateway.timezone,
        bench=settings.gateway.bench,
        journal_limit_bytes=settings.journal.limit_bytes,
        journal_commit_within_ms=settings.journal.commit_within_ms,
        lives_ms=lives_of(settings),
        plan=plan,
        points=tuple(
            PointPlan(point.name, point.driver, point.kind, point.settings)
            for point in settings.points.values()
        ),
    )


def lives_of(settings: Any) -> dict[str, int]:
    """How long each retention class is stored, in milliseconds."""
    return {
        name.removesuffix("_ms"): getattr(settings.retention, name)
        for name in type(settings.retention).model_fields
    }


def key(files: Iterable[Path | None], version: str, drivers: Iterable[Path] = ()) -> str:
    """The name of the cache: sha256 of the program's version, the configuration, the overlay
    (a file that is not there counts as such) and the drivers' files.

    :raises OSError: a file cannot be read
    """
    digest = hashlib.sha256(f"{FORMAT}\0{version}".encode())
    for path in (*files, *sorted(drivers)):
        there = path is not None and path.exists()
        content = regular.read(path) if path is not None and there else b""
        digest.update(f"\0{there}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def plan_to_json(cached: Cached) -> str:
    """The text that :func:`plan_from_json` reads."""
    return json.dumps(
        {"format": FORMAT, **dataclasses.asdict(cached)}, ensure_ascii=False, indent=1
    )


def plan_from_json(
    text: str, settings_of: Callable[[str], type[Any]], *, now_utc_ms: UtcMs | None = None
) -> Cached:
    """The cached plan. ``settings_of`` gives the ``Settings`` of a driver by its name;
    ``now_utc_ms``: the time, where it is known, to tell a plan that is too old.

    :raises CacheError: it cannot be used
    """
    try:
        data = json.loads(text)
        if data.pop("format") != FORMAT:
            raise CacheError("the cached plan has another form")
        points = tuple(
            PointPlan(
                p["name"], p["driver"], p["kind"], _made(settings_of(p["driver"]), p["settings"])
            )
            for p in data.pop("points")
        )
        cached: Cached = dataclasses.replace(_made(Cached, data), points=points)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        ImportError,
    ) as error:
        raise CacheError(f"the cached plan is damaged ({error})") from None
    if (
        now_utc_ms is not None
        and not 0 <= now_utc_ms - cached.made_utc_ms <= FRESH_DAYS * 86_400_000
    ):
        raise CacheError("the cached plan is too old, or of the future")
    return cached


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _made(kind: Any, value: Any) -> Any:  # noqa: PLR0911 - one line for each sort of type
    """``value`` from JSON as ``kind``: dataclasses from objects, tuples from lists."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: _made(hints[name], item) for name, item in value.items()})
    if origin is tuple:
        parts = typing.get_args(kind)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return tuple(_made(parts[0], item) for item in value)
        return tuple(_made(part, item) for part, item in zip(parts, value, strict=True))
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        return _made(rest[0], value) if len(rest) == 1 else value
    if kind is float and isinstance(value, int):
        return float(value)
    return value
