"""Passwords that are guessed first (NIST SP 800-63B, 5.1.1.2): common ones, sequences,
repetitions, and those that are little more than the name of the user or of the gateway.

The list (``passwords/common.txt``) has those of at least 10 characters, in small letters. It is
held as text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

COMMON = Path(__file__).parent / "passwords" / "common.txt"
_TEXT = COMMON.read_text(encoding="utf-8")
OWN_LEAST = 6
"""So many characters must remain that continue no sequence, repeat nothing and are in no name."""
NAME_LEAST = 3
"""Shorter names are in too many words."""
WORDS = (
    *("portier", "passwort", "kennwort", "password", "geheim", "willkommen", "welcome", "hallo"),
    *("frühling", "fruehling", "sommer", "herbst", "winter", "spring", "summer", "autumn"),
)
"""With a number behind them they are passwords that everybody tries; so are names."""
ROWS = ("qwertzuiopü", "qwertyuiop", "asdfghjklöä", "yxcvbnm", "zxcvbnm", "1234567890")


def is_easy(password: str, names: Iterable[str]) -> bool:
    """``names``: of the user and of the gateway."""
    folded = password.casefold()
    rest = folded
    for name in sorted({*WORDS, *(name.casefold() for name in names)}, key=len, reverse=True):
        if len(name) >= NAME_LEAST:
            rest = rest.replace(name, "")
    return _own(rest) < OWN_LEAST or folded in _common()


def _own(text: str) -> int:
    """Characters that do not follow from those before them."""
    unit = text[: (text + text).find(text, 1)] if text else ""  # of what is repeated throughout
    return sum(not _follows(before, char) for before, char in zip(" " + unit, unit, strict=False))


def _follows(before: str, char: str) -> bool:
    """The same character, or its neighbour in the alphabet or on the keyboard."""
    alphabet = before.isalnum() and char.isalnum() and abs(ord(before) - ord(char)) <= 1
    pairs = (before + char, char + before)
    return before == char or alphabet or any(pair in row for row in ROWS for pair in pairs)


def _common() -> frozenset[str]:
    return frozenset(line for line in _TEXT.splitlines() if not line.startswith("# "))
