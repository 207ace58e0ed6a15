"""The configuration with its overlay, or without it where the overlay cannot be used.

The overlay is written by the page and lies beside the journal; whatever becomes of that file,
the door starts. The configuration then stands alone, and says so in ``overlay_problems``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from gateway.settings.checks.contact_secrets import Judge
from gateway.settings.load import load
from gateway.settings.model.configuration import Settings
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.problems import SettingsError


def load_over(
    path: Path,
    drivers: Mapping[str, DriverInfo],
    *,
    overlay: Path | None = None,
    need: Collection[str] | None = None,
    judge: Judge | None = None,
    accepted: Collection[str] = (),
    adjust: bool = False,
) -> Settings:
    """The configuration of ``path`` with ``overlay``, or alone if that is what is wrong.

    :raises SettingsError: the configuration alone cannot be used
    """
    read = partial(load, path, drivers, need=need, judge=judge, accepted=accepted, adjust=adjust)
    try:
        return read(overlay=overlay)
    except SettingsError as error:
        problems = tuple(str(problem) for problem in error.problems)
    except OSError as error:  # a folder on the way to the overlay cannot be entered
        problems = (f"{overlay}: {error.strerror}",)
    alone = read()
    return alone.model_copy(update={"overlay_problems": problems})
