"""``portier outputs off``: every relay to its safe level, without a running gateway.

Systemd calls it after each end of ``control``, however it ended, while a relay may still be
on. So it is quick and needs little: ``control`` notes at its start which relays it opens, and
this reads the note, with neither the configuration nor the command line's libraries. That
the configuration has been broken meanwhile does not keep a relay on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import drivers
from gateway import regular
from gateway.app import paths
from gateway.locks import is_locked
from gateway.printable import in_a_line

NOTE = "outputs.json"
FAILED = 1


class Running(Exception):
    """Control runs, and the relays are its business."""


class Unknown(Exception):
    """Nothing tells which relays there are. The text says why."""


def note(relays: Mapping[str, tuple[str, Any]], state: Path) -> None:
    """Note which relays (point -> its driver's name and settings) ``control`` opens. Where the
    disk is full the old note stays, and a missing one is made up for by the configuration."""
    rows = {
        point: [driver, dataclasses.asdict(settings)]
        for point, (driver, settings) in relays.items()
    }
    raw = json.dumps({"checksum": _checksum(rows), "relays": rows}, indent=1).encode()
    file = state / NOTE
    with contextlib.suppress(OSError):
        if regular.read(file) == raw:
            return
    with contextlib.suppress(OSError):
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.write_bytes(raw)  # not forced to the disk: one that is cut short is not believed
        new.replace(file)


def _checksum(rows: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(rows).encode())


def off(config: Path, state: Path) -> list[str]:
    """Switch every relay off; what went wrong. Raises :class:`Running`, :class:`Unknown`."""
    if held(state):
        raise Running(f"control runs on {state}, and the relays are its business; stop it first")
    relays = _noted(state)
    results = drivers.outputs_off(_configured(config, state) if relays is None else relays)
    return [f"{point}: {fault}" for point, fault in results.items() if fault is not None]


def held(state: Path) -> bool:
    """Whether a ``control`` works on this folder. Raises :class:`OSError` if nobody can tell."""
    return is_locked(state / "control.lock")


def main(arguments: list[str]) -> int | None:
    """The exit status; ``None``: the arguments are not so simple, the command line shall look."""
    given = paths.options(arguments, ("--config", "--state"))
    if given is None:
        return None
    try:
        problems = off(paths.config(given.get("--config")), paths.state(given.get("--state")))
    except (Running, Unknown) as error:
        problems = [str(error)]
    except PermissionError as error:
        problems = [
            f"{error.filename}: {error.strerror}; sudo -u portier-control portier outputs off"
        ]
    for problem in problems:
        sys.stderr.write(in_a_line(problem) + "\n")
    if not problems and sys.stdout.isatty():
        sys.stdout.write("every relay is off\n")
    return FAILED if problems else 0


def _noted(state: Path) -> dict[str, tuple[str, Any]] | None:
    """The relays of the last start; ``None`` where there was none, or the note is damaged."""
    try:
        noted = json.loads(regular.read(state / NOTE))
        rows = noted["relays"]
        if noted["checksum"] != _checksum(rows):
            return None
        return {
            point: (driver, importlib.import_module(f"drivers.{driver}").Settings(**settings))
            for point, (driver, settings) in rows.items()
        }
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ImportError,
        RecursionError,
    ):
        return None


def _configured(config: Path, state: Path) -> dict[str, tuple[str, Any]]:
    import time

    from gateway.app.configuration import plans

    try:
        known = plans.known(config, state, time.time_ns() // 1_000_000)
    except plans.ConfigurationWrong as error:
        raise Unknown(str(error)) from error
    return of((p.name, p.driver, p.settings) for p in known.cached.points)


def of(points: Iterable[tuple[str, str, Any]]) -> dict[str, tuple[str, Any]]:
    """The relays among (point, driver, settings)."""
    return {
        point: (driver, settings)
        for point, driver, settings in points
        if importlib.import_module(f"drivers.{driver}").KIND == "relay"
    }
