"""What the loader refuses on the page Settings, in the reader's language.

The loader speaks English, as on the command line, and says what each text was made of
(:func:`gateway.settings.problems.parts`). A template that has no translation stays English; a
house rule sees to it that each one that the page can cause has one.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "locales" / "refusals.toml"


@cache
def templates(language: str) -> dict[str, str]:
    """English templates and what they are in ``language``; none for English itself."""
    found: dict[str, dict[str, str]] = tomllib.loads(FILE.read_text("utf-8"))
    return found.get(language, {})


def text(language: str, parts: Any) -> str:
    """A text of the loader from its parts."""
    if isinstance(parts, str):
        return templates(language).get(parts, parts)
    template, values = parts
    told = {
        name: text(language, value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return templates(language).get(template, str(template)).format(**told)
