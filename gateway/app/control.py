"""``portier run control``: the shortest way from a process to a door that works.

Imports are few and late: with a plan in the cache neither YAML nor pydantic nor a schedule's
calendar is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway import threads
from gateway.app import guard, outputs, paths
from gateway.app.configuration import plans
from gateway.app.parent import end_with_parent
from gateway.app.sources import Told, source
from gateway.control.clock import Clock, Journey
from gateway.control.points import Source
from gateway.control.service import (
    RELOAD,
    THREAD_FAILED,
    AlreadyRunning,
    Reload,
    Service,
    Settings,
    lock,
)
from gateway.core.instant import UtcMs
from gateway.core.plan import BuildingPlan
from gateway.settings.plan import cache

JOURNEY = "PORTIER_BENCH_JOURNEY"
"""From a bench to itself over a reload: how far its clock has been moved."""
EDIT_WITHIN_S = 30.0
"""A question about the overlay that takes longer is given up: others wait behind it."""


@dataclass(frozen=True, slots=True)
class Options:
    """``bench_start``: ISO 8601, the wall time that a bench begins with."""

    config: Path
    state: Path
    bench_start: str | None = None


def options(arguments: list[str]) -> Options | None:
    """The options of ``run control``; ``None``: not so simple, the command line shall look."""
    given = paths.options(arguments, ("--config", "--state", "--bench-start"))
    if given is None:
        return None
    return Options(
        paths.config(given.get("--config")),
        paths.state(given.get("--state")),
        given.get("--bench-start"),
    )


def main(options: Options) -> int:
    """Be ``control`` until told to stop; the exit status."""
    # Without a handler it would end this process; it waits until there is one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    state = options.state
    threads.guard()
    try:
        start_utc_ms = utc_ms(options.bench_start)
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock(state)
        clock = Clock(start_utc_ms=start_utc_ms, journey=_journey())
        known = plans.known(options.config, state, clock.now_ms() + clock.utc_offset_ms())
    except ValueError:
        return _failed(f"--bench-start {options.bench_start}: not a time", 2)
    except AlreadyRunning as error:
        return _failed(str(error), 1)
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}; choose another with --state", 1)
    except plans.ConfigurationWrong as error:
        return _failed(str(error), plans.WRONG)
    if start_utc_ms is not None and not known.cached.bench:
        return _failed("--bench-start needs `bench: true` in the configuration", plans.WRONG)
    if not known.cached.bench:
        clock = Clock()  # it may have been a bench before the reload
    relays = outputs.of((p.name, p.driver, p.settings) for p in known.cached.points)
    outputs.note(relays, state)
    guarded_by = guard.post(relays)  # before the first thread
    end_with_parent()
    settings = _settings(known, state, clock)
    for problem in known.overlay_problems:
        sys.stderr.write(f"the changes of the page are left out: {problem}\n")
    for _name, _wrong, text in known.adjusted:
        sys.stderr.write(f"{text}\n")
    service = Service(
        settings,
        lambda: _reload(options, settings, known),
        lambda asked: _edit(options, clock, asked),
    )
    reason = service.run()
    guard.dismiss(guarded_by)
    if reason == RELOAD:
        if known.cached.bench:
            journey = clock.journey
            offset = "" if journey.offset_ms is None else journey.offset_ms
            os.environ[JOURNEY] = f"{journey.ahead_ms} {offset}"
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # also for what comes up now
        os.execv(sys.executable, [sys.executable, "-m", "gateway", *sys.argv[1:]])
    return threads.FAILED if reason == THREAD_FAILED else 0


def _journey() -> Journey | None:
    """Where the clock of a bench was before this process started again; read once."""
    ahead, _, offset = os.environ.pop(JOURNEY, "").partition(" ")
    return Journey(int(ahead), int(offset) if offset else None) if ahead else None


def utc_ms(text: str | None) -> UtcMs | None:
    if text is None:
        return None
    from datetime import datetime

    return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)


def _settings(known: plans.Plan, state: Path, clock: Clock) -> Settings:
    cached = known.cached
    world = None
    if cached.bench:
        from drivers.simulated import use
        from gateway.app.simulated_world import SimulatedWorld

        world = SimulatedWorld(clock.now_ns)
        use(world)
    return Settings(
        plan=cached.plan,
        sources=sources(known, clock),
        state=state,
        name=cached.name,
        digest=cached.digest,
        timezone=cached.timezone,
        journal_limit_bytes=cached.journal_limit_bytes,
        journal_commit_within_ms=cached.journal_commit_within_ms,
        lives=cached.lives_ms,
        made_utc_ms=cached.made_utc_ms,
        fresh_ms=cache.FRESH_DAYS * 86_400_000,
        mqtt=known.mqtt,
        recorders=known.recorders,
        heartbeat_every_ms=known.heartbeat_every_ms,
        clock=clock,
        world=world,
        habits=partial(_habits, cached.plan, cached.timezone),
        listeners=Told(),
    )


def _habits(
    plan: BuildingPlan, timezone: str, from_utc_ms: UtcMs, until_utc_ms: UtcMs
) -> Sequence[tuple[UtcMs, str, bool]]:
    """What people do on a bench while life goes on; imported when somebody asks."""
    from zoneinfo import ZoneInfo

    from gateway.simulation import habits

    return habits.between(plan, ZoneInfo(timezone), from_utc_ms, until_utc_ms, seed=1)


def sources(known: plans.Plan, clock: Clock) -> tuple[Source, ...]:
    """How each point of the plan is opened."""
    return tuple(
        source(point.name, point.driver, point.settings, clock) for point in known.cached.points
    )


def _reload(options: Options, settings: Settings, known: plans.Plan) -> Reload:
    """Read the configuration again; in a thread beside the loop. ``known``: what the start took.
    While the overlay is in use, one that is broken is refused, and so are values that the start
    did not have to replace."""
    clock, left_out = settings.clock, known.overlay_problems
    now_utc_ms = clock.now_ms() + clock.utc_offset_ms()
    try:
        new = plans.made(options.config, options.state, now_utc_ms, strict=not left_out)
    except plans.ConfigurationWrong as error:
        return Reload("the new configuration is refused, the old one stays", "", error.problems)
    taken = {name for name, _, _ in known.adjusted}
    wrong = tuple(text for name, text, _ in new.adjusted if name not in taken)
    if wrong:
        return Reload("the new configuration is refused, the old one stays", "", wrong)
    same = new.cached.digest == settings.digest and new.overlay_problems == left_out
    if same and settings.fresh(now_utc_ms):
        return Reload("the configuration has not changed", settings.digest)
    cached = new.cached
    text = "the new configuration takes over"
    return Reload(text, cached.digest, plan=cached.plan)


def _edit(options: Options, clock: Clock, asked: Mapping[str, object]) -> Mapping[str, object]:
    """Ask :mod:`gateway.app.configuration.edit_overlay`, a process of its own."""
    import json
    import subprocess

    now_utc_ms = clock.now_ms() + clock.utc_offset_ms()
    command = [sys.executable, "-m", "gateway.app.configuration.edit_overlay", str(options.config)]
    done = subprocess.run(
        [*command, str(options.state), str(now_utc_ms)],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        check=False,
        encoding="utf-8",
        timeout=EDIT_WITHIN_S,
    )
    if done.returncode != 0:
        raise ValueError(f"the editor ended with {done.returncode}")
    answer: Mapping[str, object] = json.loads(done.stdout)
    return answer


def _failed(text: str, status: int) -> int:
    sys.stderr.write(text + "\n")
    return status
