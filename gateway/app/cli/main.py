"""The command line, put together from its parts."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.core

from gateway import __version__
from gateway.app.cli import backup as commands_backup
from gateway.app.cli import bench as commands_bench
from gateway.app.cli import certificates as commands_certificates
from gateway.app.cli import console as c
from gateway.app.cli import forget as commands_forget
from gateway.app.cli import history as commands_past
from gateway.app.cli import init as commands_init
from gateway.app.cli import live as commands_live
from gateway.app.cli import messages as commands_messages
from gateway.app.cli import people as commands_people
from gateway.app.cli import radio as commands_radio
from gateway.app.cli import record as commands_record
from gateway.app.cli import rooms as commands_rooms
from gateway.app.cli import run as commands_run
from gateway.app.cli import simulate as commands_simulate
from gateway.app.cli import site as commands_site

GROUPS = {
    "Look": ("status", "points", "events", "history"),
    "Operate": ("door", "call", "room", "alarm", "clock", "point", "message"),
    "People and programs": ("user", "token", "audit", "forget"),
    "Keep and restore": ("export", "backup", "restore", "record"),
    "Set up": (
        "init", "check", "doctor", "run", "outputs", "certificate", "site", "enocean", "schema",
        "asyncapi",
    ),
    "Try out": ("demo", "bench", "simulate"),
}  # fmt: skip
"""Heading of the help -> its commands, in their order."""
ORDER = [name for names in GROUPS.values() for name in names]


class _Commands(typer.core.TyperGroup):
    """Every command ends with status 78 where the configuration cannot be used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Imported late: most commands need no settings.
            from gateway.settings.values.problems import SettingsError

            if not isinstance(error, SettingsError):
                raise
            c.fail(str(error), c.EXIT_CONFIGURATION)


cli = typer.Typer(
    cls=_Commands,
    name="portier",
    help="Runs the automatic doors and call systems of a building, and records what happens.\n\n"
    "New here? `portier status` shows the building, `portier COMMAND --help` explains a command.",
    epilog="Times are of the building's zone. Every list has --json for scripts. "
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 78 configuration.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"portier {__version__}")
        raise typer.Exit


@cli.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Options before the command."""


for part in (
    commands_init,
    commands_run,
    commands_live,
    commands_rooms,
    commands_past,
    commands_backup,
    commands_people,
    commands_forget,
    commands_messages,
    commands_certificates,
    commands_site,
    commands_radio,
    commands_record,
    commands_bench,
    commands_simulate,
):
    part.add(cli)


def _heading(name: str | None) -> str | None:
    """Under which a command stands in the help."""
    return next((heading for heading, names in GROUPS.items() if name in names), None)


for command in cli.registered_commands:
    command.rich_help_panel = _heading(command.name or getattr(command.callback, "__name__", ""))
for group in cli.registered_groups:
    group.rich_help_panel = _heading(group.name)
