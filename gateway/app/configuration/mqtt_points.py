"""Points whose values come over MQTT: which ``link`` listens for, and how it reads them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType

from drivers import ContactReport
from gateway.link.points import Listening, Value
from gateway.settings.model.configuration import Point


def is_told(driver: str) -> bool:
    """Whether points of this driver are told their values by ``link``."""
    return driver.startswith("mqtt_")


def of(points: Iterable[Point]) -> tuple[Listening, ...]:
    """What ``link`` listens to, in the order of the configuration."""
    return tuple(_listening(point) for point in points if is_told(point.driver))


def _listening(point: Point) -> Listening:
    module = importlib.import_module(f"drivers.{point.driver}")
    settings = point.settings
    return Listening(
        point.name,
        settings.topic,
        lambda payload: _values(module, settings, payload),
        tuple(name for name, _, _ in point.quantities),
        getattr(settings, "release_after_ms", 0),
        settings.alive_within_ms,
    )


def _values(module: ModuleType, settings: object, payload: bytes) -> Sequence[Value]:
    return [
        Value(told.active, "", told.reason)
        if isinstance(told, ContactReport)
        else Value(told.value, told.quantity, told.reason)
        for told in module.read(settings, payload)
    ]
