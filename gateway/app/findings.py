"""What ``portier doctor`` has found: one finding for each thing, with what was observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Value = Literal["yes", "no", "unknown", "not_configured"]
GOOD = frozenset({"yes", "not_configured"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined.

    ``what`` names it and says how it is. ``evidence`` is what was observed during this run, and
    how old that is; ``yes`` is never said without it. ``remedy`` is empty where nothing is to
    be done."""

    what: str
    value: Value
    evidence: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.value == "yes" and not self.evidence:
            raise ValueError(f"{self.what}: yes without evidence")

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return self.value in GOOD


def yes(what: str, evidence: str) -> Finding:
    """It works, as was observed just now."""
    return Finding(what, "yes", evidence)


def soon(what: str, remedy: str, evidence: str) -> Finding:
    """It works, and will not for long: nothing is wrong yet."""
    return Finding(what, "yes", evidence, remedy)


def no(what: str, remedy: str, evidence: str = "") -> Finding:
    """It does not work."""
    return Finding(what, "no", evidence, remedy)


def unknown(what: str, remedy: str, evidence: str = "") -> Finding:
    """It was not tried, or what was observed is too old."""
    return Finding(what, "unknown", evidence, remedy)


def not_configured(what: str, remedy: str = "") -> Finding:
    """The configuration does not ask for it."""
    return Finding(what, "not_configured", "the configuration says so", remedy)


Look = Callable[[], Iterator[Finding]]
"""Examines one part."""
