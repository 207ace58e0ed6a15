"""Commands that talk to the running ``control``: what is, doors, points and alarms."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, State
from gateway.app.cli.listing import Listing
from gateway.app.cli.rooms import rooms_table
from gateway.core.snapshot_types import QuantityShown
from gateway.panel import client
from gateway.panel.snapshot_types import GuaranteeShown, Snapshot

door = typer.Typer(no_args_is_help=True, help="Open a door, set its mode, put it into service.")
point = typer.Typer(no_args_is_help=True, help="Test a relay.")
clock = typer.Typer(no_args_is_help=True, help="Confirm the time of day.")
alarm = typer.Typer(no_args_is_help=True, help="List, acknowledge, reset or hide alarms.")


def add(cli: typer.Typer) -> None:
    cli.command()(status)
    cli.command()(points)
    cli.add_typer(point, name="point")
    cli.add_typer(door, name="door")
    cli.add_typer(alarm, name="alarm")
    cli.add_typer(clock, name="clock")


# --- what is ----------------------------------------------------------------------------


def status(state: State, as_json: AsJson = False) -> None:
    """Show the doors, rooms, alarms and the system status, as the page does.

    Example: `portier status --json | jq .doors.front.state`
    """
    shown = c.snapshot(state)
    if as_json:
        c.print_json(shown)
        return
    gateway = shown["gateway"]
    now = shown["now_ms"]
    title = f"{gateway.get('name', gateway['id'])}, running for "
    title += f"{c.ago_text(now - gateway['started_ms'])}; times of {c.zone_name()}"
    c.out.print(title, style="bold", soft_wrap=True)
    c.out.print(_doors(shown))
    if shown.get("rooms"):
        c.out.print(rooms_table(shown))
    c.out.print(_guarantees(shown))
    if shown["alarms"]:
        c.out.print(_alarms(shown))
    else:
        c.out.print(_no_alarms(shown))


def _no_alarms(shown: Snapshot) -> str:
    """A call is no alarm, and who reads only the last line must not miss it."""
    calling = [
        name
        for name, one in (shown.get("rooms") or {}).items()
        if (call := one.get("call")) and call["state"] != "quiet"
    ]
    where = ", ".join(calling)
    return f"No alarms, but a call from {where}: portier call list" if calling else "No alarms."


def _doors(shown: Snapshot) -> Listing:
    columns = ("door", "state", "since", "mode", "until", "last request")
    found, now = Listing(*columns, whole=("until",)), shown["now_ms"]
    for name, it in shown["doors"].items():
        last = it.get("last_request")
        result = it.get("last_result")
        said = f"{last['outcome']} {last['reason'] or ''}".strip() if last else "none known"
        if result:
            said += f", {result['result']}"
        service_ms = it.get("service_until_ms")
        service = "" if service_ms is None else f", in service for {c.ago_text(service_ms - now)}"
        found.add_row(
            name,
            it["state"] + (" (assumed)" if it.get("assumed") else ""),
            c.since_text(shown, it["since_ms"]),
            f"{it['mode']} ({it['mode_source']}){service}",
            c.clock_text(it["mode_until_utc_ms"]) if it["mode_until_utc_ms"] else "",
            said,
        )
    return found


def _guarantees(shown: Snapshot) -> Listing:
    """The system status; *yes* only where fresh evidence says so."""
    found = Listing("system status", "", "since", "evidence", "why")
    for name, it in shown["guarantees"].items():
        value = it.get("value", "unknown")
        evidence_ms = it.get("evidence_ms")
        unset = value == "not_configured"
        found.add_row(
            name.replace("_", " "),
            VALUES.get(value, VALUES["unknown"]),
            "" if unset else c.since_text(shown, it["since_ms"], 60_000),
            "" if evidence_ms is None else c.ago_text(max(0, shown["now_ms"] - evidence_ms)),
            "" if it["reason"] == "not_configured" else _why(it),
        )
    return found


VALUES = {
    "yes": Text("yes", "green"),
    "no": Text("no", "red"),
    "unknown": Text("unknown", "yellow"),
    "not_configured": Text("not configured", "dim"),
}


def _why(it: GuaranteeShown) -> str:
    """The reason, what it is about, and what was set aside."""
    words = [f"{it['reason']} ({it['subject']})" if it.get("subject") else it["reason"]]
    aside = it.get("aside")
    if isinstance(aside, int) and aside:
        words.append(f"{aside} points set aside")
    elif aside:
        topics = ", ".join(f"{topic}: {reason}" for topic, reason in aside)
        words.append(f"{it.get('aside_count', len(aside))} set aside: {topics}")
    return ", ".join(word for word in words if word)


def _alarms(shown: Snapshot) -> Listing:
    found = Listing("alarm", "severity", "state", "times", "raised", "detail", whole=("raised",))
    for it in shown["alarms"]:
        raised = it.get("raised_utc_ms")
        found.add_row(
            it["id"],
            it["severity"],
            it["state"],
            str(it["count"]),
            c.clock_text(raised),
            it.get("detail") or "",
        )
    return found


def points(
    state: State,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every point: its level or value, since when, and its faults.

    Raw is what the terminal says at this moment, where the level has not settled yet.

    Example: `portier points --watch` beside the terminal strip, while somebody presses.
    """
    if not watch:
        shown = c.snapshot(state)
        if as_json:
            c.print_json(shown["points"])
        else:
            c.out.print(_points(shown))
        return
    with c.needs_control(state), contextlib.suppress(KeyboardInterrupt):
        if as_json:
            for shown in _snapshots(state):
                c.print_json(shown["points"])
        elif c.out.is_terminal:
            with Live(console=c.out, auto_refresh=False) as live:
                for shown in _snapshots(state):
                    live.update(_points(shown), refresh=True)
        else:  # a file or another program: what is now, and then a line for each change
            before: dict[str, str] = {}
            for shown in _snapshots(state):
                for name, text in _changed(shown, before):
                    c.line(f"{name}: {text}")


SILENT_S = 5.0
"""``control`` sends a snapshot every 2 s at least; without one it hangs, whatever is shown."""


def _snapshots(state: Path) -> Iterator[Snapshot]:
    for message in client.messages(c.panel(state), timeout_s=SILENT_S):
        if message["type"] == "snapshot":
            yield message["snapshot"]


def _changed(shown: Snapshot, before: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each point that is not as ``before`` says, and how it is; ``before`` then says so too."""
    for name, it in shown["points"].items():
        values = [_value(quantity, v) for quantity, v in (it.get("quantities") or {}).items()]
        text = ", ".join(values) or _level(it["active"]).plain
        if faults := ", ".join(it["faults"]) or it.get("reason"):
            text += f" ({faults})"
        if before.get(name) != text:
            before[name] = text
            yield name, text


def _points(shown: Snapshot) -> Listing:
    found = Listing("point", "is", "raw", "since", "changes", "faults", whole=("since",))
    for name, it in shown["points"].items():
        since_ms = it.get("since_ms")
        values = [_value(quantity, v) for quantity, v in (it.get("quantities") or {}).items()]
        level, raw = it["active"], it.get("raw")
        unsettled = it["kind"] == "contact" and raw != level
        found.add_row(
            name,
            ", ".join(values) or (_level(level) if it["kind"] == "contact" else _switched(level)),
            _level(raw) if unsettled else "",
            "" if since_ms is None else c.since_text(shown, since_ms),
            str(it.get("changes", "")),
            ", ".join(it["faults"]) or it.get("reason") or "",
        )
    return found


def _value(quantity: str, it: QuantityShown) -> str:
    return c.value_text(quantity, it["value"])


def _level(active: bool | None) -> Text:
    if active is None:
        return Text("unknown", "yellow")
    return Text("active", "green") if active else Text("inactive")


def _switched(on: bool | None) -> Text:
    """A relay is on or off; a meter without any value yet is unknown."""
    if on is None:
        return Text("unknown", "yellow")
    return Text("on", "green") if on else Text("off")


# --- what shall be ----------------------------------------------------------------------


@point.command("test")
def point_test(
    relay: str,
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 1s.")] = "1s",
    as_json: AsJson = False,
) -> None:
    """Switch one relay on for a moment, to see what it moves. The audit chain names you.

    Refused during a call or a fire alarm. `portier points` lists the relays.

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
    """Open a door, as staff do on the page.

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
    """Set another mode for some time; `schedule` goes back to the schedule at once.

    Without --until and --for it lasts as long as `override_for:` of the configuration says, which
    is 4 h where nothing is written. The answer says when it ends.

    Examples: `portier door mode front hold_open --for 2h` · `portier door mode front schedule`
    """
    if until is not None and for_ is not None:
        raise typer.BadParameter("one of --until and --for, not both")
    modes = ("automatic", "exit_only", "hold_open", "night", "off", "schedule")
    if mode not in modes:
        raise typer.BadParameter(f"{mode}: one of {', '.join(modes)}")
    if mode == "schedule" and (until is not None or for_ is not None):
        raise typer.BadParameter("the schedule has no end: without --until and --for")
    args: dict[str, Any] = {"door": name, "mode": mode}
    if until is not None:
        args["until_utc_ms"] = c.an_instant(until, ahead=True)
    if for_ is not None:
        args["for_ms"] = c.a_duration(for_)
    c.ask(state, "set_mode", args, as_json, lambda shown: _mode_text(shown, name, mode))


def _mode_text(shown: Snapshot, name: str, mode: str) -> str:
    """What a door does from now on, and until when."""
    door = shown["doors"].get(name)
    if mode == "schedule":
        now = "" if door is None else f", which says {door['mode']} now"
        return f"{name} follows its schedule{now}"
    until = None if door is None else door["mode_until_utc_ms"]
    offset_ms = shown.get("utc_offset_ms")
    if until is None or offset_ms is None:
        return f"{name} is {mode}"
    return f"{name} is {mode} {c.end_text(until, shown['now_ms'] + offset_ms)}"


@door.command("service")
def door_service(
    name: Annotated[str, typer.Argument(metavar="DOOR")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="At most 8h; 0s ends it.")] = "1h",
    as_json: AsJson = False,
) -> None:
    """Mute the fault alarms of a door while somebody works on it. The page shows that.

    Example: `portier door service front --for 2h`
    """
    args: dict[str, Any] = {"door": name, "for_ms": c.a_duration(for_)}

    def done(shown: Snapshot) -> str:
        if not args["for_ms"]:
            return f"the service of {name} is over"
        return f"{name} is in service {c.span_text(shown, args['for_ms'], for_)}"

    c.ask(state, "set_service", args, as_json, done)


@alarm.command("list")
def alarm_list(state: State, as_json: AsJson = False) -> None:
    """List the alarms that stand, and those that are over and nobody has seen yet."""
    shown = c.snapshot(state)
    if as_json:
        c.print_json(shown["alarms"])
    elif shown["alarms"]:
        c.out.print(_alarms(shown))
    else:
        c.out.print(_no_alarms(shown))


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


@alarm.command("reset")
def alarm_reset(
    id_: Annotated[str, typer.Argument(metavar="ALARM")],
    state: State,
    as_json: AsJson = False,
) -> None:
    """End an alarm that waits for somebody to look, such as a leak that is dry again.

    Example: `portier alarm reset wc/leak`
    """
    c.ask(state, "reset_alarm", {"alarm": id_}, as_json, f"{id_} is reset")


@clock.command("confirm")
def clock_confirm(state: State, as_json: AsJson = False) -> None:
    """Confirm that the gateway's time is right, after comparing it with another clock.

    After a jump of the clock, or a long time without power, nothing old is removed until then.

    Example: `portier clock confirm`
    """
    shown = c.snapshot(state)
    offset = shown.get("utc_offset_ms")
    time = "the time" if offset is None else c.clock_text(shown["now_ms"] + offset)
    c.ask(state, "confirm_clock", {}, as_json, f"{time} is confirmed")


@alarm.command("shelve")
def alarm_shelve(
    id_: Annotated[str, typer.Argument(metavar="ALARM")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 24h; 0s shows it again.")],
    as_json: AsJson = False,
) -> None:
    """Hide a fault or a notice for a while. Emergencies cannot be hidden.

    Example: `portier alarm shelve front/did_not_open --for 24h`
    """
    args: dict[str, Any] = {"alarm": id_, "for_ms": c.a_duration(for_)}

    def done(shown: Snapshot) -> str:
        if not args["for_ms"]:
            return f"{id_} is shown again"
        return f"{id_} is hidden {c.span_text(shown, args['for_ms'], for_)}"

    c.ask(state, "shelve_alarm", args, as_json, done)
