"""Commands for the bench: somebody plays the people and the wires (simulated points only)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, State
from gateway.app.cli.listing import Listing

bench = typer.Typer(
    no_args_is_help=True,
    help="Press, set and break simulated points; move a bench's clock.",
)


def add(cli: typer.Typer) -> None:
    cli.add_typer(bench, name="bench")


@bench.command("press")
def bench_press(
    name: Annotated[str, typer.Argument(metavar="POINT")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long.")] = "200ms",
    bounces: Annotated[int, typer.Option(min=0, max=100, help="Bounces on each end.")] = 0,
) -> None:
    """Press a simulated contact and let go, as a person does.

    Example: `portier bench press front.button_outside`
    """
    c.bench(state, "press", point=name, for_ms=c.a_duration(for_), bounces=bounces)
    c.out.print(f"{name} was pressed for {for_}", soft_wrap=True)


@bench.command("set")
def bench_set(
    name: Annotated[str, typer.Argument(metavar="POINT")],
    value: Annotated[str, typer.Argument(help="on, off, a number, or unknown.")],
    state: State,
    quantity: Annotated[str, typer.Option(help="Which one of a meter.")] = "",
    at: Annotated[str | None, typer.Option(help="Travel there first; see travel --to.")] = None,
) -> None:
    """Set a simulated contact or meter.

    Examples: `portier bench set front.leaf on` · `portier bench set wc.climate 3.5`
    """
    args: dict[str, Any] = {"point": name, "value": _bench_value(value), "quantity": quantity}
    if at is not None:
        args["at_ms"] = _bench_ms(state, at)
    c.bench(state, "set", **args)
    c.out.print(f"{name} is {value}")


def _bench_value(text: str) -> bool | float | None:
    words = {"on": True, "true": True, "off": False, "false": False, "unknown": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        number = float(text)
        if math.isfinite(number):
            return number
    except ValueError:
        pass
    raise typer.BadParameter(f"{text}: on, off, a number, or unknown")


@bench.command("show")
def bench_show(state: State, as_json: AsJson = False) -> None:
    """Show every simulated point as it truly is, whatever was reported of it."""
    result = c.bench(state, "show")
    if as_json:
        c.print_json(result["points"])
        return
    found = Listing("point", "is", "fault", "operations")
    for name, it in result["points"].items():
        found.add_row(name, _is(it), _fault(it), str(it.get("operations", "")))
    c.out.print(found)


def _is(it: Mapping[str, Any]) -> str:
    """What a simulated point is now, in words."""
    match it.get("kind"):
        case "relay":
            return "on" if it["on"] else "off"
        case "meter":
            return ", ".join(c.value_text(name, value) for name, value in it["values"].items())
    level = {True: "active", False: "inactive"}.get(it["active"], "unknown")
    leaf = it.get("leaf")
    return f"{level}, the leaf is {leaf}" if leaf else level


def _fault(it: Mapping[str, Any]) -> str:
    """What somebody has broken, in words."""
    jam = {"shut": "jammed shut", "open": "jammed open"}.get(str(it.get("jam") or ""), "")
    broken = "does not switch" if it.get("broken") else ""
    return ", ".join(part for part in (str(it.get("fault") or ""), jam, broken) if part)


CHANGES = "stick, cut, break, mend, push, jam_shut, jam_open"


@bench.command("world")
def bench_world(
    name: Annotated[str, typer.Argument(metavar="POINT")],
    change: Annotated[str, typer.Argument(help=f"One of {CHANGES}.")],
    state: State,
    for_: Annotated[str | None, typer.Option("--for", help="How long, of a push.")] = None,
) -> None:
    """Let something go wrong in the simulated world, or mend it.

    Example: `portier bench world front.leaf jam_shut`
    """
    if change not in CHANGES.split(", "):
        raise typer.BadParameter(f"{change}: one of {CHANGES}")
    args: dict[str, Any] = {"point": name, "change": change}
    if for_ is not None:
        args["for_ms"] = c.a_duration(for_)
    c.bench(state, "world", **args)
    c.out.print(f"{name}: {change}")


PORTION_MS = 3 * 3_600_000


@bench.command("week")
def bench_week(
    state: State,
    days: Annotated[int, typer.Option(min=1, max=60, help="How many days.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Let days pass with people who come and go, so that history and events have something.

    Refused while a call stands: end it in the room first. Ctrl-C ends it where it is.

    Examples: `portier bench week` · `portier bench week --days 2`
    """
    portions, result = days * 86_400_000 // PORTION_MS, {}
    with c.progress() as progress:
        task = progress.add_task("days pass", total=portions)
        for number in range(portions):
            result = c.bench(state, "live", by_ms=PORTION_MS, goes_on=number > 0)
            progress.update(task, completed=number + 1)
    if as_json:
        c.print_json(result)
    else:
        offset = c.snapshot(state)["utc_offset_ms"]
        c.out.print(f"{days} days have passed; it is {c.clock_text(result['now_ms'] + offset)}")


@bench.command("travel")
def bench_travel(
    state: State,
    to: Annotated[str | None, typer.Option(help="2026-11-22T18:00, in the bench's time.")] = None,
    by: Annotated[str | None, typer.Option(help="2h, 1d.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move the bench's clock forward; nobody comes meanwhile. `bench week` has people.

    Examples: `portier bench travel --by 2h` · `portier bench travel --to 2026-11-23T07:00`
    """
    if (to is None) == (by is None):
        raise typer.BadParameter("one of --to and --by")
    if by is not None:
        result = c.bench(state, "travel", by_ms=c.a_duration(by))
    else:
        result = c.bench(state, "travel", to_ms=_bench_ms(state, to or ""))
    if as_json:
        c.print_json(result)
    else:
        offset = c.snapshot(state)["utc_offset_ms"]
        c.out.print(f"it is {c.clock_text(result['now_ms'] + offset)}")


def _bench_ms(state: Path, text: str) -> int:
    """An instant of the bench's civil time, in its monotonic milliseconds."""
    offset_ms = c.snapshot(state)["utc_offset_ms"]
    if offset_ms is None:
        c.fail("the bench does not know its time of day: use --by")
    return c.an_instant(text, ahead=True) - offset_ms
