"""Text from outside, made safe to print: no character of it moves the cursor, changes colours,
ends a line, or turns the direction of writing on the terminal of whoever reads it."""

from __future__ import annotations

from typing import Final

_CONTROL: Final = (
    *range(0x20),
    *range(0x7F, 0xA0),  # DEL, and C1, whose U+009B begins a sequence as ESC [ does
    0x061C, 0x200E, 0x200F,  # marks of direction
    0x2028, 0x2029,  # ends of a line and of a paragraph
    *range(0x202A, 0x202F),  # embedding and override of direction
    *range(0x2066, 0x206A),  # isolates
)  # fmt: skip
_SHORT: Final = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_IN_A_LINE: Final = {code: _SHORT.get(code) or _escape(code) for code in _CONTROL}
_IN_A_TEXT: Final = {code: to for code, to in _IN_A_LINE.items() if code not in (0x09, 0x0A)}
_IN_JSON: Final = {code: f"\\u{code:04x}" for code in _CONTROL if code >= 0x7F}


def in_a_line(text: str) -> str:
    """``text`` for a line or a cell of its own: every control character is a visible escape."""
    return text.translate(_IN_A_LINE)


def in_a_text(text: str) -> str:
    """The same, for a text of several lines: ends of lines and tabs stay."""
    return text.translate(_IN_A_TEXT)


def in_json(document: str) -> str:
    """A JSON document with escapes for those that JSON does not ask to be escaped. They can only
    be in its strings, so its value is the same."""
    return document.translate(_IN_JSON)
