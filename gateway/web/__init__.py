"""The page and the API: what people and programs see of the building.

``main(settings, state)`` is the role; everything else is imported only then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.settings.model.configuration import Settings


def main(settings: Settings, state: Path, **overrides: Any) -> int:
    """Serve until told to stop; returns the exit code. ``overrides``: options that win over
    the configuration, such as ``port``."""
    from gateway.web.serve import options_of, serve

    return serve(options_of(settings, state, overrides))
