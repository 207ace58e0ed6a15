"""One simulated world per process, and the thread that plays it.

:func:`runtime` gives the world that the simulated drivers of this process share. Whoever
wants a clock of his own installs one before the first driver is opened::

    use(Runtime(clock_ns=bench_clock, plays=False))

The pure part is :mod:`drivers.simulated.world`.
"""

from __future__ import annotations

from drivers.simulated.runtime import Runtime

__all__ = ["Runtime", "runtime", "use"]

_shared: Runtime | None = None


def runtime() -> Runtime:
    """The world of this process; made, and playing in real time, when first asked for."""
    global _shared  # noqa: PLW0603 - one terminal strip per process is what is simulated
    if _shared is None:
        _shared = Runtime()
    return _shared


def use(other: Runtime | None) -> None:
    """Let the drivers opened from now on be wired to another world; ``None``: to a new one."""
    global _shared  # noqa: PLW0603 - as above
    _shared = other
