"""Commands for rooms and their calls. None of them ends a call: that is done in the room."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, State
from gateway.app.cli.issuers import Issuers
from gateway.app.cli.listing import Listing
from gateway.panel.snapshot_types import Snapshot

call = typer.Typer(no_args_is_help=True, help="List or acknowledge emergency calls.")
room = typer.Typer(no_args_is_help=True, help="List the rooms, test a call system.")


def add(cli: typer.Typer) -> None:
    cli.add_typer(call, name="call")
    cli.add_typer(room, name="room")


def rooms_table(shown: Snapshot) -> Listing:
    """The rooms of a snapshot."""
    found = Listing("room", "call", "since", "cords", "occupancy", "water", "test")
    for name, it in shown["rooms"].items():
        call, leak = it.get("call"), it.get("leak")
        said: str | Text = ""
        since = ""
        if call is not None:
            said = text = call["state"] + (" (test)" if call["test"] else "")
            since_ms = call["since_ms"]  # unknown of one from before a start, without a clock
            if since_ms is not None:
                since = c.since_text(shown, since_ms)
            if call["state"] != "quiet":
                since = "" if since_ms is None else c.ago_text(shown["now_ms"] - since_ms)
                said = c.styled(text, "bold red")
        wet = None if leak is None else leak["wet"]
        test = it.get("test_until_ms")
        found.add_row(
            name,
            said,
            since,
            ", ".join(f"{cord} {level}" for cord, level in (it.get("cords") or {}).items()),
            it.get("occupancy") or "",
            "" if leak is None else {True: "wet", False: "dry", None: "unknown"}[wet],
            "" if test is None else f"for {c.ago_text(test - shown['now_ms'])}",
        )
    return found


@room.command("list")
def room_list(state: State, as_json: AsJson = False) -> None:
    """List the rooms: call, cords, occupancy, water, test."""
    shown = c.snapshot(state)
    if as_json:
        c.print_json(shown["rooms"])
    elif shown["rooms"]:
        c.out.print(rooms_table(shown))
    else:
        c.out.print("The configuration has no rooms.")


@room.command("test")
def room_test(
    name: Annotated[str, typer.Argument(metavar="ROOM")],
    state: State,
    for_: Annotated[str, typer.Option("--for", help="At most 30min; 0s ends it.")] = "10min",
    as_json: AsJson = False,
) -> None:
    """Begin a test of the call system of a room: a pull lights the lamps and calls nobody.

    A pull in the last minute of a test is a real call. The test ends by itself.

    Example: `portier room test wc --for 10min`
    """
    args: dict[str, Any] = {"room": name, "for_ms": c.a_duration(for_)}

    def done(shown: Snapshot) -> str:
        if not args["for_ms"]:
            return f"the test of {name} is over"
        return f"{name} is in test {c.span_text(shown, args['for_ms'], for_)}"

    c.ask(state, "test_room", args, as_json, done)


@call.command("list")
def call_list(state: State, as_json: AsJson = False) -> None:
    """List the calls that stand, and what became of the messages about them."""
    shown = c.snapshot(state)
    calls = {
        name: one
        for name, it in shown["rooms"].items()
        if (one := it.get("call")) and one["state"] != "quiet"
    }
    if as_json:
        c.print_json(calls)
        return
    if not calls:
        c.out.print("No call stands.")
        return
    found, who = (
        Listing(
            "room", "call", "state", "raised", "acknowledged by", "told", whole=("raised", "call")
        ),
        Issuers(state),
    )
    for name, one in calls.items():
        told = [f"{m['receiver']} {m['result']} {m['reason']}".strip() for m in one["messages"]]
        found.add_row(
            name,
            one["id"] or "",
            one["state"] + (" (test)" if one["test"] else ""),
            c.clock_text(one["raised_utc_ms"]),
            one.get("attends") or who(one["acknowledged_by"]),
            "; ".join(told),
        )
    c.out.print(found)


@call.command("acknowledge")
def call_acknowledge(
    name: Annotated[str, typer.Argument(metavar="ROOM", help="The room, or the id of the call.")],
    state: State,
    as_json: AsJson = False,
) -> None:
    """Say that you are going to a call. The sounder stops; the lamp stays on.

    Only the button in the room ends the call.

    Example: `portier call acknowledge wc`
    """
    c.ask(state, "acknowledge_call", {"call": name}, as_json, f"the call of {name} is acknowledged")
