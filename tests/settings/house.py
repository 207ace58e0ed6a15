"""What the tests of the settings share: drivers, a small building, and how to load text."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import drivers
from drivers import DurationMs, Pin
from gateway.settings.load import load
from gateway.settings.model.configuration import Settings
from gateway.settings.values.drivers import DriverInfo, info
from gateway.settings.values.problems import Problem, SettingsError

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_795_215_600_000
"""2026-11-20T23:00:00Z: midnight in Berlin."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A driver with every sort of field, that refuses a share beyond 1."""

    pin: Pin
    share: float = 0.5
    """A share; no unit, 0 to 1."""
    inverted: bool = False
    """Turned round; no unit, yes or no."""
    note: str | None = None
    """A note; no unit, a text."""
    times_ms: tuple[DurationMs, ...] = ()
    """Times; durations."""
    mode: Literal["fast", "slow"] = "fast"
    """How; no unit, a word."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share:g}, not between 0 and 1")


def real() -> dict[str, DriverInfo]:
    """Every driver that the project has."""
    modules = {name: importlib.import_module(f"drivers.{name}") for name in drivers.names()}
    return {name: info(name, module) for name, module in modules.items()}


DRIVERS: Mapping[str, DriverInfo] = {
    **real(),
    "odd": DriverInfo("odd", "contact", Odd),
}

SMALL = """
gateway: {id: small, timezone: Europe/Berlin}
points:
  front.button: {driver: gpio_contact, pin: GPIO17}
  front.leaf: {driver: gpio_contact, pin: GPIO18, wiring: normally_closed}
  front.activation: {driver: gpio_relay, pin: GPIO27}
doors:
  front:
    activation: front.activation
    leaf: front.leaf
    activators:
      - {point: front.button, kind: button, side: outside}
"""


def write(folder: Path, text: str | bytes, name: str = "portier.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(folder: Path, text: str, **more: Any) -> Settings:
    return load(write(folder, text), DRIVERS, **more)


def problems(folder: Path, text: str | bytes, **more: Any) -> list[Problem]:
    """What is wrong with the text; fails when nothing is."""
    try:
        load(write(folder, text), DRIVERS, **more)
    except SettingsError as error:
        return error.problems
    raise AssertionError("it was loaded")


def said(folder: Path, text: str | bytes, **more: Any) -> str:
    """The same as one text, without the name of the file."""
    found = problems(folder, text, **more)
    return "\n".join(str(problem).replace(f"{folder}/", "") for problem in found)


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """The text with something else in place of something that is there."""
    for old, new in pairs:
        assert old in text, f"{old!r} is not in the text"
        text = text.replace(old, new)
    return text


def with_door(*lines: str) -> str:
    """The small building, its door with these lines in addition."""
    more = "".join(f"    {line}\n" for line in lines)
    return changed(SMALL, ("    leaf: front.leaf\n", "    leaf: front.leaf\n" + more))


def with_point(*lines: str) -> str:
    """The small building with these points in addition."""
    more = "".join(f"  {line}\n" for line in lines)
    return changed(SMALL, ("doors:\n", more + "doors:\n"))
