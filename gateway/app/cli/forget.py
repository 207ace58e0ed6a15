"""``portier forget``: remove the name of a user or a contact, and say what stays."""

from __future__ import annotations

import copy
import getpass
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import State
from gateway.app.cli.people import users_of
from gateway.panel import client
from gateway.settings.editing.file import Store

Shown = Mapping[str, Any]


def add(cli: typer.Typer) -> None:
    cli.command()(forget)


@dataclass(frozen=True)
class _Traces:
    """Where the settings have a name. ``contacts``: ids of contacts that have it, or had it until
    they were removed; ``pushed``: ids of those whose push messages go to a user of this name;
    ``earlier``: whether earlier versions name it; ``removed``: what is removed, in words;
    ``stays``: what only whoever edits the configuration file can remove; ``sections``: the overlay
    without the name."""

    contacts: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    earlier: bool = False
    removed: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    sections: Mapping[str, Any] = field(default_factory=dict)


def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a user, or of a contact.")],
    state: State,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the name of a former user or of a contact.

    Of a user: the name, the details of what they did in the audit chain, their devices, and the
    push messages to them. Of a contact: what was entered on the page, with its addresses and
    earlier versions. What stays is said before you are asked. The audit chain can still be
    verified. This cannot be undone.

    Example: `sudo portier forget reception`
    """
    shown = c.snapshot(state)  # only control may write journal and settings: it must be there
    settings = _settings(state)
    with users_of(state) as users:
        is_user = users.knows(name)
        traces = _traces(name, settings, _before(state, name))
        if not is_user and not traces.contacts and not traces.pushed and not traces.earlier:
            c.fail(f"nobody is called {name}: there is no such user and no such contact")
        _say("Removed", [*_of_user(name, is_user), *traces.removed])
        _say("Stays", [*traces.stays, *_elsewhere(traces)])
        if not yes and not typer.confirm(f"Forget {name} for ever on {shown['gateway']['id']}?"):
            raise typer.Exit(1)
        number = users.forget(name) if is_user else None
    actors = [*([f"web:{number}"] if is_user else []), *(f"link:{id}" for id in traces.contacts)]
    for actor in actors:
        c.tell(state, {"type": "forget", "actor": "cli", "user": actor})
    if settings["before"] or traces.sections != settings["overlay"]:  # last: control starts anew
        forgotten = [name, *traces.contacts]
        args = {"version": settings["version"], "sections": traces.sections, "forget": forgotten}
        _ask(state, "put", args)
    if is_user:
        c.out.print(f"forgotten: web:{number} means nobody now")
    for id in traces.contacts:
        c.out.print(f"forgotten: the page knows nothing of the contact {id} any more")
    if traces.earlier:
        c.out.print("forgotten: earlier versions of the settings that name them")
    for id in traces.pushed:
        c.out.print(f"forgotten: push messages of the contact {id} to {name}")


def _say(heading: str, lines: list[str]) -> None:
    if lines:
        c.out.print(f"{heading}:")
    for line in lines:
        c.line(f"  - {line}")


def _of_user(name: str, is_user: bool) -> Iterator[str]:
    if is_user:
        yield f"the user {name}: name, log-ins, devices, and the details in the audit chain"


def _before(state: Path, name: str) -> list[set[str]]:
    """Of each earlier version of the settings that names it, the ids of contacts that are called
    so."""
    try:
        return Store(state / "overlay.yaml").named_before(name)
    except OSError as error:
        c.fail(f"{error.filename}: {error.strerror}; run this with sudo")


def _traces(name: str, settings: Shown, before: list[set[str]]) -> _Traces:
    """``before``: see :func:`_before`. Ends the command where a chain still notifies a
    contact."""
    effective, in_file = settings["effective"], settings["in_file"]["contacts"]
    overlay: Mapping[str, Any] = settings["overlay"].get("contacts", {})
    known: Mapping[str, Any] = effective["contacts"]
    present = [id for id, one in known.items() if name in (id, one.get("name"))]
    contacts = (*present, *sorted(set().union(*before) - known.keys()))
    pushed = tuple(
        id for id, one in known.items() if one.get("push") == name and id not in contacts
    )
    sections, removed, stays = copy.deepcopy(dict(settings["overlay"])), [], []
    of_page = sections.get("contacts", {})
    for id in contacts:
        if id not in in_file and (used := _chains_of(id, effective)):
            c.fail(
                f"{id} is still notified by {', '.join(used)}: take them out there first, on the"
                " page Settings"
            )
        if id in overlay:
            del of_page[id]
            count = sum(bool(way["address"]) for way in settings["ways"].get(id, ()))
            addresses = f", {count} address{'' if count == 1 else 'es'}" if count else ""
            removed.append(f"the contact {id}: what was entered on the page{addresses}")
        if id in in_file:
            stays.append(f"the contact {id} in the configuration file, and its secrets")
    for id in pushed:
        if overlay.get(id, {}).get("push") == name:
            del of_page[id]["push"]
            if not of_page[id]:
                del of_page[id]
            removed.append(f"push messages of the contact {id} to {name}")
        else:
            stays.append(f"push: {name} of the contact {id}, in the configuration file")
    if "contacts" in sections and not of_page:
        del sections["contacts"]
    if contacts or pushed or before:
        removed.append("earlier versions of the settings that name them")
    return _Traces(contacts, pushed, bool(before), tuple(removed), tuple(stays), sections)


def _chains_of(contact: str, effective: Shown) -> list[str]:
    return [
        chain
        for chain, steps in effective["escalations"].items()
        if any(step.get("notify") == contact for step in steps or ())
    ]


def _elsewhere(traces: _Traces) -> Iterator[str]:
    """What no command on this machine can remove."""
    for id in traces.contacts:
        yield f"messages to {id} in the journal, until their life is over (retention: deliveries)"
    yield "what recorders, brokers, backups and exports have got"


def _settings(state: Path) -> Shown:
    found = _ask(state, "show", {})["settings"]
    assert isinstance(found, Mapping)  # noqa: S101 - as control answers
    return found


def _ask(state: Path, do: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask ``control`` for the settings, as the page does; it accepts that from root and from its
    own user. Ends the command where it is refused."""
    message = {
        "type": "settings", "id": uuid4().hex, "actor": f"cli:{getpass.getuser()}", "do": do,
        "args": args,
    }  # fmt: skip
    try:
        answer = client.ask(c.panel(state), message, role="web", timeout_s=30.0)
    except client.NotTaken:
        c.fail("only root may change the settings: sudo portier forget NAME")
    except client.ControlAway as error:
        c.fail(f"control does not answer ({error}); nothing of the settings was changed")
    if answer.get("status") != "accepted":
        errors = "; ".join(str(one.get("message")) for one in answer.get("errors", ()))
        c.fail(f"the settings: {c.refusal(str(answer.get('reason')))} {errors}".rstrip())
    return answer
