"""``portier simulate``: a building lives for days in seconds, before anybody depends on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, Config
from gateway.app.cli.listing import Listing

if TYPE_CHECKING:
    from gateway.core.plan import BuildingPlan
    from gateway.simulation.days import Day
    from gateway.simulation.life import Life

FIRST_DAY = "2026-01-05"
"""A Monday, always the same, so that the same seed is the same life tomorrow."""
DAYS_MOST = 395
"""The plan knows its schedules for 400 days."""
EXIT_BROKEN = 1
REASONS_MOST = 4


def add(cli: typer.Typer) -> None:
    cli.command()(simulate)


def simulate(
    config: Config,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MOST, help="How many days.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Another number, other days.")] = 1,
    start: Annotated[str, typer.Option(help="The first day, as in 2026-12-20.")] = FIRST_DAY,
    fine: Annotated[bool, typer.Option("--fine", help="Nothing breaks: people only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a configuration for some days in seconds: people, broken wires and power cuts.

    Nothing real is touched. Try a schedule, or who is told of a call, before it counts. What truly
    happened (the cord was pulled) is compared with what the building did; where they differ, that
    is an error of Portier, and the exit status is 1. The same seed gives the same days anywhere.

    Example: `portier simulate --config config/office.yaml --days 30 --seed 7`
    """
    from gateway.simulation.life import Life
    from gateway.simulation.weather import Weather

    try:
        first = date.fromisoformat(start)
    except ValueError:
        raise typer.BadParameter(f"{start}: a date such as 2026-12-20") from None
    plan, calendar = _prepared(config, first, days)
    life = Life(plan, calendar, seed, Weather.fine() if fine else None)
    with c.progress() as progress:
        task = progress.add_task("days", total=days)
        life.live(lambda done: progress.update(task, completed=done))
    if as_json:
        c.print_json(_document(life, config, days, seed, start))
    else:
        _page(life, config, days, seed, start)
    if life.oracles.broken:
        _complain(life)
        raise typer.Exit(EXIT_BROKEN)


def _prepared(config: Path, first: date, count: int) -> tuple[BuildingPlan, list[Day]]:
    """The plan and the calendar of a configuration, or the end with its errors."""
    from gateway.app.configuration import load
    from gateway.settings.plan.building import plan
    from gateway.settings.values.calendar import holidays_of
    from gateway.settings.values.problems import SettingsError
    from gateway.simulation.days import days

    try:
        settings = load.settings(config, need=())
    except SettingsError as error:
        for problem in error.problems:
            c.err.print(str(problem), soft_wrap=True)
        raise typer.Exit(c.EXIT_CONFIGURATION) from error
    region = settings.gateway.holidays
    free = holidays_of(region, range(first.year, first.year + 3)) if region else frozenset()
    calendar = days(first, count, ZoneInfo(settings.gateway.timezone), free)
    return plan(settings, now_utc_ms=calendar[0].utc_ms), calendar


def _document(life: Life, config: Path, days: int, seed: int, start: str) -> dict[str, Any]:
    return {
        "configuration": str(config),
        "start": start,
        "days": days,
        "seed": seed,
        "weeks": life.report.to_json(),
        "answers": life.report.answers(),
        "told": [
            {"receiver": who, "result": result, "count": count}
            for (who, result), count in sorted(life.report.told.items())
        ],
        "people": {
            "gave_up": sum(door.gave_up for door in life.doors.values()),
            "rooms": {name: dict(sorted(room.seen.items())) for name, room in life.rooms.items()},
        },
        "faults": dict(sorted(life.faults.items())),
        "invariants": dict(sorted(life.oracles.asked.items())),
        "broken": [
            {"oracle": one.oracle, "at_ms": one.at_ms, "text": one.text}
            for one in life.oracles.broken
        ],
        "digest": life.digest,
    }


def _page(life: Life, config: Path, days: int, seed: int, start: str) -> None:
    """The page for who owns the building."""

    def say(text: str = "") -> None:
        c.out.print(text, soft_wrap=True)

    say(f"{config}: {days} days from {start}, seed {seed}")
    say()
    table = Listing("week", "openings", "refused", "calls", "messages", "alarms", "visits")
    for number, week in enumerate(life.report.weeks):
        table.add_row(
            str(number + 1),
            f"{week.openings} ({week.by_hand} by hand)",
            _most(week.refusals) or "none",
            f"{week.calls} (+{week.test_calls} tests)",
            str(week.messages["delivered"]),
            str(sum(week.alarms.values())),
            str(week.visits),
        )
    c.out.print(table)
    say()
    gave_up = sum(door.gave_up for door in life.doors.values())
    say(f"At the doors: {gave_up} people went away because it stayed closed.")
    answers = life.report.answers()
    for name, times in answers.items():
        say(
            f"Calls {name}: {times['count']}, half of them within "
            f"{_time(times['median_ms'])}, the longest after {_time(times['longest_ms'])}."
        )
    if not answers:
        say("Calls: none.")
    for who, results in _by_receiver(life).items():
        say(f"Messages to {who}: {_most(results)}.")
    alarms: Counter[str] = sum((week.alarms for week in life.report.weeks), Counter())
    say(f"Alarms: {_most(alarms, len(alarms)) or 'none'}.")
    say(f"What went wrong outside: {_most(life.faults, len(life.faults)) or 'nothing'}.")
    asked = sum(life.oracles.asked.values())
    say(f"Judged {asked:,} times by what was true: {len(life.oracles.broken)} errors.")
    say(f"Digest {life.digest}")


def _by_receiver(life: Life) -> dict[str, Counter[str]]:
    """What became of the messages to each; that one was handed over says nothing."""
    by: dict[str, Counter[str]] = {}
    for (who, result), count in sorted(life.report.told.items()):
        if result != "sent":
            by.setdefault(who, Counter())[result] = count
    return by


def _most(counts: Mapping[str, int], most: int = REASONS_MOST) -> str:
    """The commonest, in words."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = len(ranked) - most
    words = ", ".join(f"{count} {_words(name)}" for name, count in ranked[:most])
    return words + (f", {rest} more kinds" if rest > 0 else "")


WORDS = {
    "mode_off": "switched off",
    "mode_exit_only": "exit only",
    "mode_night": "locked",
    "reason_needed": "without a reason",
    "untrusted": "by a radio button",
    "stale": "too late",
    "interlock": "other door open",
    "fire": "fire alarm",
    "expired": "too late",
}
"""Why a request was refused, in two or three words; other keys say it themselves."""


def _words(key: str) -> str:
    """A key of the facts for people. JSON has the key."""
    return WORDS.get(key, key.replace("_", " "))


def _time(ms: Any) -> str:
    return f"{ms / 1000:.0f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def _complain(life: Life) -> None:
    c.err.print("This is an error of Portier, not of your configuration. Please report it", end="")
    c.err.print(f" with the seed {life.seed} and the configuration:")
    for one in life.oracles.broken[:10]:
        c.err.print(f"  {one.oracle}, {c.ago_text(one.at_ms)}: {one.text}")
