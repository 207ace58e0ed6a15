"""What the settings need to know of a driver. It comes from ``app``, the only file that may
know drivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.core.point_roles import Kind, Trust


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """A driver as the settings see it.

    ``settings`` is its frozen dataclass; ``quantities`` (name, lowest, highest) for meters.
    """

    name: str
    kind: Kind
    settings: type[Any]
    trust: Trust = "wired"
    doc: str = ""
    quantities: tuple[tuple[str, float, float], ...] = ()
    measures: Callable[[Any], tuple[Any, ...]] | None = None
    """What a meter measures, where that depends on its settings."""

    @property
    def simulated(self) -> bool:
        """Whether there is no hardware behind it."""
        return self.name.startswith("simulated")

    def quantities_of(self, settings: Any) -> tuple[tuple[str, float, float], ...]:
        """What a meter with these settings measures."""
        return self.quantities if self.measures is None else _plain(self.measures(settings))


def _plain(quantities: tuple[Any, ...]) -> tuple[tuple[str, float, float], ...]:
    return tuple((one.name, one.lowest, one.highest) for one in quantities)


def info(name: str, module: Any) -> DriverInfo:
    """The description of a driver from its module (which the caller has imported)."""
    return DriverInfo(
        name=name,
        kind=module.KIND,
        settings=module.Settings,
        trust=module.TRUST,
        doc=module.__doc__ or "",
        quantities=_plain(getattr(module, "QUANTITIES", ())),
        measures=getattr(module, "quantities", None),
    )
