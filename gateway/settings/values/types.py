"""The types of settings: how the text of the file becomes a value, and what else it may be.

Every validator gets text (or a :class:`Secret`), because the YAML is not typed before it
comes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from gateway.settings.values.problems import phrase, suggest
from gateway.settings.values.secrets import Secret
from gateway.settings.values.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    UnitError,
    duration_ms,
    size_bytes,
    tidy,
)


def wrong(message: str, hint: str) -> PydanticCustomError:
    """What a validator raises: what is wrong, and the remedy."""
    return PydanticCustomError("setting", "{message}", {"message": message, "hint": hint})


def _yaml_name(field: str) -> str:
    """``pulse_ms`` in the code is ``pulse: 500 ms`` in the file: the unit is in the value."""
    return field.removesuffix("_ms").removesuffix("_bytes")


class Model(BaseModel):
    """A part of the settings: frozen, complete, nothing unknown in it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_yaml_name,
        validate_by_name=False,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def _text_of(value: object, what: str) -> str:
    if isinstance(value, Secret):
        raise wrong(
            phrase("{what} is no secret", what=phrase(what)), phrase("write the value itself")
        )
    if not isinstance(value, str):
        raise wrong(
            phrase("this must be {what}, not a list or mapping", what=phrase(what)),
            phrase("write it behind the colon"),
        )
    return value


def _quantity(parse: Callable[[str], int], what: str) -> Callable[[object, ValidationInfo], int]:
    def check(value: object, info: ValidationInfo) -> int:
        text = _text_of(value, what)
        try:
            return _tidied(parse, text, info.context)
        except UnitError as error:
            raise wrong(error.message, error.hint) from None

    return check


def _tidied(parse: Callable[[str], int], text: str, tidied: object) -> int:
    """With odd blanks a quantity is understood, and noted in the set ``tidied`` where whoever
    reads the file has given one: until version 0.2 they were taken."""
    try:
        return parse(text)
    except UnitError:
        if tidy(text) == text or not isinstance(tidied, set):
            raise
        value = parse(tidy(text))
        tidied.add(text)
        return value


def _schema(kind: str, pattern: str = "", **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **({"pattern": pattern} if pattern else {}), **more})


Duration = Annotated[
    int, BeforeValidator(_quantity(duration_ms, "a duration")), _schema("string", DURATION_PATTERN)
]
"""Milliseconds; written with its unit."""

Size = Annotated[
    int, BeforeValidator(_quantity(size_bytes, "a size")), _schema("string", SIZE_PATTERN)
]
"""Bytes; written with its unit."""

POINT_PATTERN = r"^[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_][a-z0-9_-]*)*$"
ID_PATTERN = r"^[a-z0-9_][a-z0-9_-]*$"
REGION_PATTERN = r"^[A-Z]{2}(-[A-Za-z0-9]{1,6})?$"


def named(pattern: str, what: str, example: str) -> BeforeValidator:
    """A text that must match ``pattern``; ``example`` goes into the remedy."""
    match = re.compile(pattern.removesuffix("$") + r"\Z").match

    def check(value: object) -> str:
        text = _text_of(value, what)
        if len(text) > 64 or not match(text):
            shown = text if len(text) <= 40 else text[:37] + "…"
            raise wrong(
                phrase("{text!r} is not {what}", text=shown, what=phrase(what)),
                phrase("write for example {example}", example=phrase(example)),
            )
        return text

    return BeforeValidator(check)


PointName = Annotated[
    str,
    named(POINT_PATTERN, "the name of a point", "front.leaf (a-z, 0-9, _ - and dots)"),
    _schema("string", POINT_PATTERN, maxLength=64),
]
Id = Annotated[
    str,
    named(ID_PATTERN, "a name", "front (a-z, 0-9, _ and -)"),
    _schema("string", ID_PATTERN, maxLength=64),
]


def _label(value: object) -> str:
    text = _text_of(value, "a text")
    if not text.strip() or len(text) > 200 or not text.isprintable():
        raise wrong("this text is empty, too long or not printable", "write one line of text")
    return text


Label = Annotated[
    str,
    BeforeValidator(_label),
    WithJsonSchema({"type": ["string", "number"], "minLength": 1, "maxLength": 200}),
]
"""One line that people read."""


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        raise wrong(
            phrase("a secret must not stand in the configuration"),
            phrase(
                "put it into a file in the folder secrets and write !secret and the file's name"
            ),
        )
    return value


SecretValue = Annotated[
    Secret,
    BeforeValidator(_secret),
    WithJsonSchema({"type": "string", "description": "!secret and the name of a file"}),
]
"""Only ``!secret NAME``."""


def _url(schemes: tuple[str, ...]) -> BeforeValidator:
    def check(value: object) -> str:
        text = _text_of(value, "an address")
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise wrong(f"{text!r} is not an address", f"write {schemes[0]}://HOST/…") from None
        if parts.scheme not in schemes or not host or not text.isprintable() or " " in text:
            raise wrong(f"{text!r} is not an address", f"write {schemes[0]}://HOST/…")
        if parts.password or parts.username:
            raise wrong(
                "the address holds a user or password",
                "leave it out here and write it as !secret under a key of its own",
            )
        return text

    return BeforeValidator(check)


WebUrl = Annotated[str, _url(("https", "http")), _schema("string", r"^https?://[^\s@]+$")]


def _url_or_secret(value: object) -> str | Secret:
    if isinstance(value, Secret):
        return value
    check = _url(("https", "http")).func
    return str(check(value))  # type: ignore[call-arg]  # it is the one-argument form


SecretUrl = Annotated[
    Any, BeforeValidator(_url_or_secret), _schema("string", r"^(https?://[^\s@]+|[\w.-]+)$")
]
"""``str`` or :class:`Secret`: an address that may be a secret itself."""

_YES = frozenset({"yes", "true", "on"})
_NO = frozenset({"no", "false", "off"})


def _bool(value: object) -> bool:
    text = _text_of(value, "yes or no").casefold()
    if text not in _YES | _NO:
        raise wrong(f"{text[:40]!r} is neither yes nor no", "write yes or no")
    return text in _YES


Bool = Annotated[
    bool,
    BeforeValidator(_bool),
    WithJsonSchema({"enum": [True, False, "yes", "no", "on", "off"]}),
]


def _number(value: object) -> float:
    text = _text_of(value, "a number")
    if not re.match(r"[+-]?\d{1,15}(\.\d{1,9})?\Z", text, re.ASCII):
        raise wrong(f"{text[:40]!r} is not a number", "write for example 0.5")
    return float(text)


def _whole(value: object) -> int:
    text = _text_of(value, "a whole number")
    if not re.match(r"[+-]?\d{1,15}\Z", text, re.ASCII):
        raise wrong(f"{text[:40]!r} is not a whole number", "write for example 5")
    return int(text)


Number = Annotated[float, BeforeValidator(_number), _schema("number")]
Whole = Annotated[int, BeforeValidator(_whole), _schema("integer")]


def _i2c_address(value: object) -> int:
    """Hexadecimal only: a 44 that is meant as 0x44 would be another chip."""
    text = _text_of(value, "the address of an I²C chip")
    match = re.match(r"0x([0-9a-fA-F]{1,2})\Z", text, re.ASCII)
    address = int(match[1], 16) if match else 0
    if not 0x08 <= address <= 0x77:
        raise wrong(f"{text[:40]!r} is not the address of an I²C chip", "write for example 0x44")
    return address


I2cAddress = Annotated[
    int,
    BeforeValidator(_i2c_address),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^0x[0-7]?[0-9a-fA-F]$"},
                {"type": "integer", "minimum": 0x08, "maximum": 0x77},
            ]
        }
    ),
]
"""Written as ``0x44``, which some editors take for a text and some for a number."""


def _limit(value: object, info: ValidationInfo) -> int | Literal["unlimited"]:
    if value == "unlimited":
        return "unlimited"
    try:
        return _quantity(duration_ms, "a duration or unlimited")(value, info)
    except PydanticCustomError as error:
        context = error.context or {}
        raise wrong(str(context["message"]), f"{context['hint']}, or unlimited") from None


Limit = Annotated[
    Any,
    BeforeValidator(_limit),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": "unlimited"}]}
    ),
]
"""Milliseconds or the word ``unlimited``."""


@dataclass(frozen=True, slots=True)
class Short:
    """``strike: front.strike`` is short for ``strike: {point: front.strike}``.

    ``words`` are the only short forms there are, where not every text is one; each stands
    for the value that it is mapped to."""

    key: str
    words: tuple[tuple[str, str], ...] = ()

    def spread(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not self.words:
            return {self.key: value}
        known = dict(self.words)
        if value not in known:
            raise wrong(
                f"{value[:40]!r} is not understood", suggest(value, known) + ", or a mapping"
            )
        return {self.key: known[value]}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.spread, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text: JsonSchemaValue = {"type": "string"}
        if self.words:
            text = {"enum": [word for word, _ in self.words]}
        return {"anyOf": [text, handler(schema)]}
