"""Hardware for unit tests: gpiozero's mock pins, and a world that nobody plays."""

from __future__ import annotations

from collections.abc import Iterator

import gpiozero
import pytest
from driver_bench import Clock, Heard
from gpiozero.pins.mock import MockFactory

from drivers import simulated
from drivers.simulated import Runtime


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = gpiozero.Device.pin_factory = MockFactory()
    yield factory
    factory.close()
    gpiozero.Device.pin_factory = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Iterator[Runtime]:
    runtime = Runtime(clock, plays=False)
    simulated.use(runtime)
    yield runtime
    simulated.use(None)
