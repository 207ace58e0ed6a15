"""The command that writes a first configuration, from answers or from a list of terminals."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import durable
from gateway.app.cli import console as c

if TYPE_CHECKING:
    from gateway.settings import first_configuration


def add(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command()(init)


def init(
    file: Annotated[Path, typer.Argument(help="The configuration to write; it may not exist yet.")],
    terminals: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST",
            help="A list of terminals, one line each; - reads it from standard input.",
        ),
    ] = None,
) -> None:
    """Write a first configuration: asks for the building and what is connected to which terminal.

    With a list of terminals it asks nothing. A list has lines like these:

        gateway office "Town hall"

        GPIO27 front.activation

        GPIO17 front.button_outside "X1:2"

        GPIO22 wc.cord

    Example: `portier init office.yaml --terminals terminals.txt`
    """
    from gateway.settings import first_configuration

    if file.exists():
        c.fail(
            f"{file} exists already and was not changed. Name another file, or move this one away."
        )
    if not file.parent.is_dir():
        c.fail(f"There is no folder {file.parent}. Make it, or name another file.")
    try:
        plan = _ask() if terminals is None else first_configuration.read(_lines(terminals))
    except first_configuration.ListError as error:
        c.fail(f"Nothing was written. {terminals or 'Your answers'}: {error}")
    _write(file, first_configuration.text(plan))
    c.line(f"{file} is written, and the check finds nothing wrong in it.")
    c.line(f"Read it, and after each change type: portier check {file}")


def _write(file: Path, text: str) -> None:
    """Write the file if the check finds nothing wrong; one that appears meanwhile is not
    replaced."""
    from gateway.app.configuration import load, people
    from gateway.settings.values.problems import SettingsError

    draft = file.with_name(f".{file.name}.new")
    try:
        try:
            durable.write(draft, text.encode())
            load.settings(draft, None, judge=people.judge, strict=True, exact=True)
            os.link(draft, file)
        finally:
            draft.unlink(missing_ok=True)
    except SettingsError as error:
        for problem in error.problems:
            c.err.print(f"{problem.key}: {problem.message}; {problem.hint}", soft_wrap=True)
        c.fail(
            "Nothing was written. Correct what is named above, and try again.", c.EXIT_CONFIGURATION
        )
    except OSError as error:
        c.fail(f"{file} cannot be written: {error.strerror}.")


def _lines(terminals: Path) -> list[str]:
    try:
        if str(terminals) == "-":
            return sys.stdin.buffer.read().decode().splitlines()
        return terminals.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        c.fail(f"{terminals} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        c.fail(f"{terminals} is not text in UTF-8. Save it as UTF-8.")


def _ask() -> first_configuration.Plan:
    """Ask one question after another; where an answer is wrong, ask again."""
    from gateway.settings import first_configuration

    plan = first_configuration.Plan()
    c.line(
        "Press Enter to skip a part that you do not have. Name terminals as on the board: GPIO17."
    )
    plan.name = typer.prompt("What is the building called?", default="Office")
    plan.id = _id(plan.name, "-")
    plan.timezone = typer.prompt("In which time zone is it?", default=plan.timezone)
    plan.holidays = _answer("Public holidays of which country or state, such as DE-SN?")
    for kind, roles, example in (
        ("door", first_configuration.DOOR, "Main entrance"),
        ("room", first_configuration.ROOM, "Accessible bathroom"),
    ):
        more = "a"
        while name := _answer(f"\nName of {more} {kind}, such as {example}"):
            owner, more = _id(name, "_"), "another"
            plan.names[owner] = name
            for role, use in roles.items():
                _ask_for(plan, owner, role, use)
    plan.check()
    return plan


def _answer(question: str) -> str:
    return str(typer.prompt(question, default="", show_default=False)).strip()


def _ask_for(
    plan: first_configuration.Plan, owner: str, role: str, use: first_configuration.Use
) -> None:
    from gateway.settings import first_configuration

    while pin := _answer(f"  Terminal of {use.question}"):
        try:
            plan.add(f"{shlex.quote(pin)} {owner}.{role}")
        except first_configuration.ListError as error:
            c.err.print(f"  {error}", soft_wrap=True)
        else:
            return


def _id(name: str, between: str) -> str:
    """The id for a name: ``Geschäftsstelle Süd`` becomes ``geschaeftsstelle-sued``."""
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        name = name.replace(letter, plain).replace(letter.upper(), plain)
    return re.sub("[^a-z0-9]+", between, name.lower()).strip(between)[:30] or "a"
