"""Makes the plan of a configuration, saves it, and prints it: ``CONFIG STATE NOW_UTC_MS``, and
``strict`` where an overlay that is broken shall be refused instead of left out.

Where the configuration is wrong: exit status 78, and a JSON list of what is wrong."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from gateway.app.configuration import load, plans
from gateway.settings.checks.draft import wiring_name
from gateway.settings.plan import cache
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import SettingsError


def main(config: Path, state: Path, now_utc_ms: int, *, strict: bool = False) -> int:
    """The exit status."""
    try:
        settings = load.settings(config, state, need=(), strict=strict)
    except SettingsError as error:
        _answer(json.dumps([str(problem) for problem in error.problems]))
        return plans.WRONG
    made = plans.Plan(
        cache.of(settings, plan(settings, now_utc_ms=now_utc_ms), now_utc_ms),
        mqtt=settings.mqtt is not None,
        recorders=settings.recorders,
        heartbeat_every_ms=0 if settings.heartbeat is None else settings.heartbeat.every_ms,
        overlay_problems=settings.overlay_problems,
        adjusted=tuple((one.name, str(one.problem), str(one)) for one in settings.adjusted),
    )
    with contextlib.suppress(OSError):  # a full disk: it is made again at the next start
        plans.accept_wiring(
            state,
            {
                wiring_name(role, point, settings.points[point].driver)
                for role, point in settings.tolerated
            },
        )
        plans.keep(made, config, state)
    _answer(made.to_text())
    return 0


def _answer(text: str) -> None:
    """In UTF-8, as the reader expects it, whatever language the environment names."""
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(
        main(
            Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), strict="strict" in sys.argv[4:]
        )
    )
