"""Commands about recording: what was set aside, and sending it again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, State
from gateway.formats import UnknownFormat
from gateway.journal.schema import DAMAGED

record = typer.Typer(
    no_args_is_help=True, help="List what the store did not take, and send it again."
)

Name = Annotated[
    str | None,
    typer.Option(
        "--recorder",
        metavar="NAME",
        help="Which recorder, where several use this state folder.",
        show_default="the only one",
    ),
]
WAIT_S = 30.0


def add(cli: typer.Typer) -> None:
    cli.add_typer(record, name="record")


@record.command("aside")
def aside(
    state: State,
    acknowledge: Annotated[
        str | None,
        typer.Option(metavar="ID[,ID]…|all", help="Leave these as they are: they are seen."),
    ] = None,
    all_: Annotated[
        bool,
        typer.Option("--all", help="Also what was stored since, acknowledged, or is no fact."),
    ] = False,
    as_json: AsJson = False,
    name: Name = None,
) -> None:
    """List the points that the store did not take, and why; and second events of one number.

    While one is neither sent again nor acknowledged, recording counts as incomplete. Of two events
    under one number (doubtful) the store has both, and one of them was forged. Needs to
    read and write the recorder's state, so run it as root. Exit status: 0 done, 1 no such ID, or
    the state cannot be read.

    Examples: `portier record aside` · `portier record aside --acknowledge 12,13`
    """
    from gateway.recorder import rejects as recorded

    path = _path(state, name)
    with _needs_state(path), recorded.opened(path) as db:
        if acknowledge is not None:
            ids = None if acknowledge == "all" else _numbers(acknowledge.split(","))
            marked = recorded.mark(db, "acknowledged", ids)
            detail = {"recorder": _name_of(path), "ids": " ".join(map(str, marked[:100]))}
            if marked:
                c.audit(state, "record_acknowledge", detail)
            if as_json:
                c.print_json({"acknowledged": marked})
            else:
                c.out.print(f"acknowledged: {len(marked)}")
            _all_found(ids, marked)
            return
        rows = recorded.rows(db, () if all_ else recorded.COUNTED)
    if as_json:
        c.print_json(
            [
                {
                    "id": one.id, "standing": one.standing, "at_utc_ms": one.at_ms,
                    "gateway": one.gateway, "topic": one.topic, "reason": one.reason,
                    "event": one.event,
                }
                for one in rows
            ]
        )  # fmt: skip
        return
    if not rows:
        c.out.print("Nothing is set aside.")
        return
    for one in rows:
        when, topic, reason = c.clock_text(one.at_ms), _short(one.topic), _short(one.reason)
        c.line(f"{one.id}  {when}  {one.standing}  {topic}: {reason}")


@record.command("retry")
def retry(
    state: State,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that is open.")] = False,
    as_json: AsJson = False,
    name: Name = None,
) -> None:
    """Send points that were set aside to the store again, and say what became of them.

    The running recorder does it; without one it happens when it starts. Exit status: 0 stored or
    to be sent, 1 refused again, no such ID, or not done in time.

    Examples: `portier record retry 12 13` · `portier record retry --all`
    """
    from gateway.recorder import rejects as recorded
    from gateway.recorder.state import is_recording

    if bool(ids) == all_:
        raise typer.BadParameter("either IDs or --all")
    path = _path(state, name)
    with _needs_state(path), recorded.opened(path) as db:
        wanted = None if all_ else _numbers(ids or [])
        marked = recorded.mark(db, "retry", wanted)
        running = is_recording(path.with_name(f"recorder-{_name_of(path)}.sqlite"))
        until = time.monotonic() + WAIT_S
        while True:
            outcome = {one.id: one for one in recorded.rows(db) if one.id in set(marked)}
            left = sorted(n for n, one in outcome.items() if one.standing == "retry")
            if not left or not running or time.monotonic() > until:
                break
            time.sleep(0.2)
    stored = sorted(n for n, one in outcome.items() if one.standing == "stored")
    refused = sorted(n for n, one in outcome.items() if one.standing == "open")
    if as_json:
        c.print_json({"stored": stored, "refused": refused, "waiting": left})
    else:
        c.out.print(f"stored: {len(stored)}, refused again: {len(refused)}, waiting: {len(left)}")
        for number in refused:
            c.line(f"{number}: {_short(outcome[number].reason)}")
        if left and not running:
            c.out.print("The recorder is not running; they are sent when it starts.")
    if refused or (left and running):
        raise typer.Exit(1)
    _all_found(wanted, marked)


def _path(state: Path, name: str | None) -> Path:
    folder = state / "record"
    if name is not None:
        return folder / f"recorder-{name}.aside.sqlite"
    try:
        found = sorted(folder.glob("recorder-*.aside.sqlite"))
    except OSError as error:
        c.fail(f"{folder}: {error.strerror}")
    if not found:
        c.fail(
            f"{folder} has no recorder's state, or you may not read it: run this as root. Another "
            "folder is chosen with --state."
        )
    if len(found) > 1:
        names = ", ".join(_name_of(path) for path in found)
        raise typer.BadParameter(f"there are several, so name one with --recorder: {names}")
    return found[0]


def _name_of(path: Path) -> str:
    return path.name.removeprefix("recorder-").removesuffix(".aside.sqlite")


@contextmanager
def _needs_state(path: Path) -> Iterator[None]:
    """Say what is wrong when the state file cannot be read or written."""
    try:
        yield
    except UnknownFormat as error:
        c.fail(str(error))
    except (*DAMAGED, PermissionError) as error:
        c.fail(f"{path}: {error}. Run this as root, on the machine that records.")


def _numbers(texts: list[str]) -> list[int]:
    found = []
    for text in texts:
        if not text.strip().isdecimal():
            raise typer.BadParameter(f"{text}: an ID is a number; portier record aside lists them")
        found.append(int(text))
    return found


def _short(text: str) -> str:
    """No more of it than a line has room for; somebody else may have written it."""
    return text[:300]


def _all_found(wanted: list[int] | None, marked: list[int]) -> None:
    missing = sorted(set(wanted or ()) - set(marked))
    if missing:
        c.fail(f"not set aside: {', '.join(map(str, missing))}; portier record aside lists them")
