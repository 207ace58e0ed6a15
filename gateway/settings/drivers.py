"""What the settings need to know of a driver. It comes from ``app``, the only file that may
know drivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["contact", "relay", "meter"]


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """A driver as the settings see it.

    ``settings`` is its frozen dataclass; ``quantities`` (name, lowest, highest) for meters.
    """

    name: str
    kind: Kind
    settings: type[Any]
    doc: str = ""
    quantities: tuple[tuple[str, float, float], ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether there is no hardware behind it."""
        return self.name.startswith("simulated")


def info(name: str, module: Any) -> DriverInfo:
    """The description of a driver from its module (which the caller has imported)."""
    return DriverInfo(
        name=name,
        kind=module.KIND,
        settings=module.Settings,
        doc=module.__doc__ or "",
        quantities=tuple(
            (quantity.name, quantity.lowest, quantity.highest)
            for quantity in getattr(module, "QUANTITIES", ())
        ),
    )
