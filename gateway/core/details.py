"""The detail of an alarm: a short text with values in it. Only this file knows how it is written.

Facts, saved state and API carry the text, as it has been seen from outside since the first version.
A machine writes it with :func:`write`; who shows it to people reads its kind and values back with
:func:`read` and says them in their language. A detail that has no kind is a word of its own
(``no_call``, a quantity, the reason of a driver).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal[
    "still_closed",
    "still_open",
    "open_for",
    "bolt_out",
    "bolt_not_out",
    "no_request",
    "relay",
    "reading",
]
TEXTS: Final[dict[Kind, tuple[str, ...]]] = {
    "still_closed": ("still closed ", "ms", " ms after the activation"),
    "still_open": ("still open after ", "ms", " ms"),
    "open_for": ("open for ", "ms", " ms"),
    "bolt_out": ("bolt out while open",),
    "bolt_not_out": ("bolt not out while locked",),
    "no_request": ("left closed with no request while the door is locked",),
    "relay": ("activation relay: ", "reason", ""),
    "reading": ("", "quantity", " ", "value", ""),
}
"""Text and names of values in turn. ``ms``: whole milliseconds; ``value``: a number or a level."""


class Detail(NamedTuple):
    """``values``: as text, in the order of :data:`TEXTS`."""

    kind: Kind
    values: tuple[str, ...]


def write(kind: Kind, *values: object) -> str:
    """The text of a detail; as many values as the kind has."""
    texts = TEXTS[kind]
    filled = zip(texts[::2], (*map(str, values), ""), strict=True)
    return "".join(text + value for text, value in filled)


def read(text: str) -> Detail | None:
    """Kind and values of a text that :func:`write` has made; ``None`` for any other."""
    for kind, texts in TEXTS.items():
        values = _values(texts, text)
        if values is not None:
            return Detail(kind, values)
    return None


def _values(texts: tuple[str, ...], text: str) -> tuple[str, ...] | None:
    """What stands between the fixed texts, if each of it fits its name."""
    if not text.startswith(texts[0]):
        return None
    rest, values = text[len(texts[0]) :], []
    for name, following in zip(texts[1::2], texts[2::2], strict=True):
        value, found, rest = rest.partition(following) if following else (rest, "", "")
        if (following and not found) or not _fits(name, value):
            return None
        values.append(value)
    return tuple(values) if not rest else None


def _fits(name: str, value: str) -> bool:
    match name:
        case "ms":
            return value.isascii() and value.isdecimal()
        case "quantity":
            return value.isascii() and value.replace("_", "").isalnum() and value == value.lower()
        case "value":
            return value in ("True", "False") or _is_number(value)
        case _:
            return value != ""


def _is_number(text: str) -> bool:
    try:
        return text == text.strip() and float(text) == float(text)
    except ValueError:
        return False
