"""What the oracles say of the package that is imported: run in a process of its own, on a copy
with one bug in it. Prints the first complaint; 1 when there is one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import structlog

from gateway.simulation.agenda import MINUTE


def of_the_building() -> Iterator[str]:
    """Days in a bathroom, days in a building, and the later kinds of trouble one by one."""
    from gateway.simulation.weather import LATER, Weather
    from tests.simulation.bath import Bath
    from tests.simulation.lived import BUILDING, lived, plan_of

    for seed in range(3):
        bath = Bath(seed)
        try:
            bath.live(2)
        except AssertionError as error:
            yield f"bathroom: {error}"
    plan = plan_of(BUILDING)
    for seed in range(4):
        for one in lived(plan, 8, seed).oracles.broken:
            yield f"{one.oracle}: {one.text}"
    for kind, most in LATER.items():
        alone = replace(Weather.fine(), **{kind: 3 * most})
        for one in lived(plan, 10, 3, alone).oracles.broken:
            yield f"{one.oracle}: {one.text}"


def of_the_delivery() -> Iterator[str]:
    """The weathers that found something before, and a disk that lies."""
    from tests.simulation.delivery import Delivery, Weather

    fine = {field.name: 0.0 for field in fields(Weather)}
    torn = Weather(**{**fine, "torn": 40.0})
    refuses = Weather(**{**fine, "broker_refuses": 120.0, "recorder_killed": 30.0})
    proxied = Weather(**{**fine, "store_proxied": 240.0, "recorder_killed": 30.0})
    for seed, weather, minutes in (
        (0, None, 6), (5, None, 10), (2, None, 6), (0, torn, 6), (1, torn, 6), (31, None, 6),
        (50, None, 9), (53, None, 4), (0, refuses, 6), (1, refuses, 6), (2, refuses, 6),
        (0, proxied, 6),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            life = Delivery(Path(folder), seed, weather)
            life.live(minutes * MINUTE)
        yield from life.broken


def main() -> int:
    """``building`` or ``delivery``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    lives = of_the_building if sys.argv[1] == "building" else of_the_delivery
    try:
        first = next(iter(lives()), None)
    except Exception as error:  # noqa: BLE001 - a bug that is noticed by its noise is noticed
        first = f"{type(error).__name__}: {error}"
    sys.stdout.write(first or "")
    return 1 if first else 0


if __name__ == "__main__":
    raise SystemExit(main())
