"""Commands that talk to the running ``control``: what is, and what shall be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from gateway.app import console as c
from gateway.app.console import AsJson, State
from gateway.panel import client

door = typer.Typer(no_args_is_help=True, help="Open a door, change its mode.")
point = typer.Typer(no_args_is_help=True, help="One point: test a relay.")
alarm = typer.Typer(no_args_is_help=True, help="Alarms: list, acknowledge, shelve.")
bench = typer.Typer(
    no_args_is_help=True,
    help="Play the people and wires of a bench (simulated points only).",
)


def add(cli: typer.Typer) -> None:
    cli.command()(status)
    cli.command()(points)
    cli.add_typer(point, name="point")
    cli.add_typer(door, name="door")
    cli.add_typer(alarm, name="alarm")
    cli.add_typer(bench, name="bench")


# --- what is ----------------------------------------------------------------------------


def status(state: State, as_json: AsJson = False) -> None:
    """What the page shows: doors, alarms, guarantees.

    Example: `portier status --json | jq .doors.front.state`
    """
    shown = c.snapshot(state)
    if as_json:
        c.print_json(shown)
        return
    gateway = shown["gateway"]
    now = shown["now_ms"]
    title = f"{gateway.get('name', gateway['id'])}, running for "
    c.out.print(title + c.ago_text(now - gateway["started_ms"]), style="bold", markup=False)
    c.out.print(_doors(shown))
    c.out.print(_guarantees(shown))
    if shown["alarms"]:
        c.out.print(_alarms(shown))
    else:
        c.out.print("No alarms.")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0)  # a name must be there to be copied
    return table


def _doors(shown: Mapping[str, Any]) -> Table:
    table = _table("door", "state", "since", "mode", "until", "last request")
    for name, it in shown["doors"].items():
        last = it.get("last_request")
        result = it.get("last_result")
        said = f"{last['outcome']} {last['reason'] or ''}".strip() if last else "none"
        if result:
            said += f", {result['result']}"
        table.add_row(
            name,
            it["state"] + (" (assumed)" if it.get("assumed") else ""),
            c.ago_text(shown["now_ms"] - it["since_ms"]),
            f"{it['mode']} ({it['mode_source']})",
            c.clock_text(it["mode_until_utc_ms"]) if it["mode_until_utc_ms"] else "",
            said,
        )
    return table


def _guarantees(shown: Mapping[str, Any]) -> Table:
    table = _table("what holds", "", "since", "why")
    for name, it in shown["guarantees"].items():
        word = "[green]yes[/]" if it["ok"] else "[red]no[/]"
        since = c.ago_text(shown["now_ms"] - it["since_ms"])
        table.add_row(name.replace("_", " "), word, since, it["reason"])
    return table


def _alarms(shown: Mapping[str, Any]) -> Table:
    table = _table("alarm", "severity", "state", "times", "raised", "detail")
    for it in shown["alarms"]:
        raised = it.get("raised_utc_ms")
        table.add_row(
            it["id"],
            it["severity"],
            it["state"],
            str(it["count"]),
            c.clock_text(raised),
            it.get("detail") or "",
        )
    return table


def points(
    state: State,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every point with its raw and its settled level, for commissioning.

    Example: `portier points --watch` beside the terminal strip, while somebody presses.
    """
    if not watch:
        shown = c.snapshot(state)
        if as_json:
            c.print_json(shown["points"])
        else:
            c.out.print(_points(shown))
        return
    with c.needs_control(state), Live(console=c.out, auto_refresh=False) as live:
        try:
            for message in client.messages(c.panel(state)):
                if message["type"] == "snapshot" and as_json:
                    c.print_json(message["snapshot"]["points"])
                elif message["type"] == "snapshot":
                    live.update(_points(message["snapshot"]), refresh=True)
        except KeyboardInterrupt:
            return


def _points(shown: Mapping[str, Any]) -> Table:
    table = _table("point", "kind", "raw", "settled", "since", "changes", "faults")
    for name, it in shown["points"].items():
        since_ms = it.get("since_ms")
        values = [_value(quantity, v) for quantity, v in (it.get("quantities") or {}).items()]
        table.add_row(
            name,
            it["kind"],
            _level(it.get("raw")) if it["kind"] == "contact" else "",
            ", ".join(values) or _level(it["active"]),
            "" if since_ms is None else c.ago_text(shown["now_ms"] - since_ms),
            str(it.get("changes", "")),
            ", ".join(it["faults"]) or it.get("reason") or "",
        )
    return table


def _value(quantity: str, it: Mapping[str, Any]) -> str:
    return f"{quantity} {'unknown' if it['value'] is None else it['value']}"


def _level(active: bool | None) -> str:
    return "[yellow]unknown[/]" if active is None else "[green]active[/]" if active else "inactive"


# --- what shall be ----------------------------------------------------------------------


@point.command("test")
def point_test(
    relay: str,
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 1s.")] = "1s",
    as_json: AsJson = False,
) -> None:
    """Switch one relay on for a moment, to see what hangs on it. It is in the audit.

    Example: `portier point test front.activation --for 1s`
    """
    args: dict[str, Any] = {"point": relay, "for_ms": c.a_duration(for_)}
    c.ask(state, "test_relay", args, as_json, f"{relay} is on for {for_}")


@door.command("open")
def door_open(
    name: Annotated[str, typer.Argument(metavar="DOOR")],
    state: State,
    reason: Annotated[str, typer.Option(help="Why; needed while the door is locked.")] = "",
    as_json: AsJson = False,
) -> None:
    """Open a door as staff may.

    Example: `portier door open front --reason "delivery"`
    """
    c.ask(state, "open_door", {"door": name, "reason": reason}, as_json, f"{name} opens")


@door.command("mode")
def door_mode(
    name: Annotated[str, typer.Argument(metavar="DOOR")],
    mode: Annotated[
        str, typer.Argument(help="automatic, exit_only, hold_open, night, off, or schedule.")
    ],
    state: State,
    until: Annotated[str | None, typer.Option(help="18:00, or 2026-11-22T18:00.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="2h, 30min.")] = None,
    as_json: AsJson = False,
) -> None:
    """Override the schedule of a door until a time; `schedule` ends the override.

    Examples: `portier door mode front hold_open --for 2h` · `portier door mode front schedule`
    """
    if until is not None and for_ is not None:
        raise typer.BadParameter("one of --until and --for, not both")
    modes = ("automatic", "exit_only", "hold_open", "night", "off", "schedule")
    if mode not in modes:
        raise typer.BadParameter(f"{mode}: one of {', '.join(modes)}")
    args: dict[str, Any] = {"door": name, "mode": mode}
    if until is not None:
        args["until_utc_ms"] = c.an_instant(until, ahead=True)
    if for_ is not None:
        args["for_ms"] = c.a_duration(for_)
    c.ask(state, "set_mode", args, as_json, f"{name} is {mode}")


@door.command("service")
def door_service(
    name: Annotated[str, typer.Argument(metavar="DOOR")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="At most 8h; 0s ends it.")] = "1h",
    as_json: AsJson = False,
) -> None:
    """Mute a door's fault alarms while somebody works on it; the page shows it.

    Example: `portier door service front --for 2h`
    """
    args: dict[str, Any] = {"door": name, "for_ms": c.a_duration(for_)}
    c.ask(state, "set_service", args, as_json, f"{name} is in service for {for_}")


@alarm.command("list")
def alarm_list(state: State, as_json: AsJson = False) -> None:
    """The alarms that stand, and those that nobody has seen yet."""
    shown = c.snapshot(state)
    if as_json:
        c.print_json(shown["alarms"])
    elif shown["alarms"]:
        c.out.print(_alarms(shown))
    else:
        c.out.print("No alarms.")


@alarm.command("acknowledge")
def alarm_acknowledge(
    id_: Annotated[str, typer.Argument(metavar="ALARM", help="As `alarm list` shows it.")],
    state: State,
    as_json: AsJson = False,
) -> None:
    """Say that you have seen an alarm.

    Example: `portier alarm acknowledge front/left_open`
    """
    c.ask(state, "acknowledge_alarm", {"alarm": id_}, as_json, f"{id_} is acknowledged")


@alarm.command("shelve")
def alarm_shelve(
    id_: Annotated[str, typer.Argument(metavar="ALARM")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long; 0s takes it off the shelf.")],
    as_json: AsJson = False,
) -> None:
    """Hide a fault or a notice for a while.

    Example: `portier alarm shelve front/did_not_open --for 24h`
    """
    args: dict[str, Any] = {"alarm": id_, "for_ms": c.a_duration(for_)}
    c.ask(state, "shelve_alarm", args, as_json, f"{id_} is shelved for {for_}")


# --- the bench --------------------------------------------------------------------------


@bench.command("press")
def bench_press(
    name: Annotated[str, typer.Argument(metavar="POINT")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long.")] = "200ms",
    bounces: Annotated[int, typer.Option(min=0, max=100, help="Bounces on each end.")] = 0,
) -> None:
    """Press a simulated contact and let go.

    Example: `portier bench press front.button_outside`
    """
    c.bench(state, "press", point=name, for_ms=c.a_duration(for_), bounces=bounces)
    c.out.print(f"pressed {name} for {for_}", markup=False)


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
    c.out.print(f"{name} is {value}", markup=False)


def _bench_value(text: str) -> bool | float | None:
    words = {"on": True, "true": True, "off": False, "false": False, "unknown": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text}: on, off, a number, or unknown") from None


@bench.command("show")
def bench_show(state: State, as_json: AsJson = False) -> None:
    """Every simulated point as it truly is, whatever was reported of it."""
    result = c.bench(state, "show")
    if as_json:
        c.print_json(result["points"])
        return
    table = _table("point", "kind", "is")
    for name, it in result["points"].items():
        rest = ", ".join(f"{k} {v}" for k, v in it.items() if k != "kind" and v not in ("", None))
        table.add_row(name, str(it.get("kind", "")), rest)
    c.out.print(table)


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
    args: dict[str, Any] = {"point": name, "change": change}
    if for_ is not None:
        args["for_ms"] = c.a_duration(for_)
    c.bench(state, "world", **args)
    c.out.print(f"{name}: {change}", markup=False)


@bench.command("travel")
def bench_travel(
    state: State,
    to: Annotated[str | None, typer.Option(help="2026-11-22T18:00, in the bench's time.")] = None,
    by: Annotated[str | None, typer.Option(help="2h, 1d.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move the bench's clock forward, living through everything on the way.

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
        c.out.print(f"it is {c.clock_text(result['now_ms'] + offset)}", markup=False)


def _bench_ms(state: Path, text: str) -> int:
    """An instant of the bench's civil time, in its monotonic milliseconds."""
    return c.an_instant(text, ahead=True) - int(c.snapshot(state)["utc_offset_ms"])
