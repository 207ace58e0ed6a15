"""Where the configuration and the state lie, if nobody says so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

INSTALLED_CONFIG = Path("/etc/portier/portier.yaml")
INSTALLED_STATE = Path("/var/lib/portier")
BENCH_CONFIG = Path("config/bench.yaml")
BENCH_STATE = Path("state")


def default_config() -> Path:
    """The installed one; on a machine without, the bench's of the checkout one stands in."""
    return INSTALLED_CONFIG if INSTALLED_CONFIG.exists() else BENCH_CONFIG


def default_state() -> Path:
    """The same for the state folder."""
    return INSTALLED_STATE if INSTALLED_CONFIG.exists() else BENCH_STATE


def config(given: str | None) -> Path:
    """``--config``, else ``PORTIER_CONFIG``, else the default."""
    return Path(given or os.environ.get("PORTIER_CONFIG") or default_config())


def state(given: str | None) -> Path:
    """``--state``, else ``PORTIER_STATE``, else the default."""
    return Path(given or os.environ.get("PORTIER_STATE") or default_state())


def give(made: Path) -> None:
    """What root has made belongs to whom its folder belongs: the gateway's processes have users
    of their own, and can read nothing of root's."""
    if os.geteuid() == 0:
        owner = made.parent.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def options(arguments: list[str], names: Sequence[str]) -> dict[str, str] | None:
    """``--name value`` or ``--name=value`` of these names, each once at most; ``None``: there
    is more to it, and the command line's library shall look. For those who must be quick."""
    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, separator, value = argument.partition("=")
        found = value if separator else next(rest, None)
        if name not in names or name in given or found is None:
            return None
        given[name] = found
    return given
