"""A pydantic model from a driver's dataclass: annotations become validators.

``every_ms: DurationMs`` in the driver is ``every: 60 s`` in the file. A driver knows
neither pydantic nor us; its annotations are plain words, and unknown words mean nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, create_model

from gateway.settings.model.configuration import ContactOptions, MeterOptions, RelayOptions
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.types import (
    Bool,
    Duration,
    I2cAddress,
    Label,
    Model,
    Number,
    PointName,
    Size,
    Whole,
)

OPTIONS: Mapping[str, type[ContactOptions | RelayOptions | MeterOptions]] = {
    "contact": ContactOptions,
    "relay": RelayOptions,
    "meter": MeterOptions,
}
PLAIN: Mapping[Any, Any] = {int: Whole, float: Number, bool: Bool}


_WORDS: dict[type[Any], Mapping[str, frozenset[str]]] = {}


def words(settings: type[Any]) -> Mapping[str, frozenset[str]]:
    """The words in the annotations of each field: ``duration``, ``pin``, ``relay`` …"""
    if settings not in _WORDS:
        hints = typing.get_type_hints(settings, include_extras=True)
        _WORDS[settings] = {name: _words(hint) for name, hint in hints.items()}
    return _WORDS[settings]


def _words(hint: Any) -> frozenset[str]:
    found = {w for w in getattr(hint, "__metadata__", ()) if isinstance(w, str)}
    for inner in typing.get_args(hint):
        if not isinstance(inner, str):
            found |= _words(inner)
    return frozenset(found)


def _typed(hint: Any) -> Any:  # noqa: PLR0911 - one line for each sort of annotation
    """The type with which the text of the file becomes what the driver wants."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        base, *meta = typing.get_args(hint)
        if "duration" in meta:
            return Duration
        if "size" in meta:
            return Size
        if "i2c address" in meta:
            return I2cAddress
        if "relay" in meta or "point" in meta:
            return PointName
        return _typed(base)
    if origin in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return _typed(parts[0]) if len(parts) == 1 else hint
    if origin is tuple:
        return tuple[tuple(p if p is Ellipsis else _typed(p) for p in typing.get_args(hint))]  # type: ignore[misc]  # built from values
    if hint is str:
        return Label
    return PLAIN.get(hint, hint)


def docs(settings: type[Any]) -> Mapping[str, str]:
    """What the docstring below each field says; empty where the source is not there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = " ".join(text.value.value.split())
    return found


@cache
def model(info: DriverInfo) -> type[Model]:
    """Everything that may stand in the line of a point of this driver, ``driver`` aside."""
    fields: dict[str, Any] = {}
    hints = typing.get_type_hints(info.settings, include_extras=True)
    said = docs(info.settings)
    for field in dataclasses.fields(info.settings):
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        default = ... if required else field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[field.name] = (
            _typed(hints[field.name]),
            Field(default, description=said.get(field.name)),
        )
    return create_model(f"{info.name}_line", __base__=OPTIONS[info.kind], **fields)


def split(
    info: DriverInfo, line: Model
) -> tuple[Any, ContactOptions | RelayOptions | MeterOptions]:
    """The driver's own settings, and what the core makes of the point.

    :raises ValueError: the driver itself refuses its settings
    """
    own = {f.name: getattr(line, f.name) for f in dataclasses.fields(info.settings)}
    options = OPTIONS[info.kind]
    common = {name: getattr(line, name) for name in options.model_fields}
    return info.settings(**own), options.model_construct(**common)
