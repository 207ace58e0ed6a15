"""Commands about messages to people."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import Config, State

message = typer.Typer(no_args_is_help=True, help="Send a test message to somebody.")


def add(cli: typer.Typer) -> None:
    cli.add_typer(message, name="message")


@message.command("test")
def test(
    receiver: Annotated[str, typer.Argument(help="A name under contacts.")],
    config: Config,
    state: State,
) -> None:
    """Send a test message now, over every channel of RECEIVER, and say what came of it.

    It reads the addresses, so run it as root or as the user portier-notify. It does not go through
    the gateway: nothing is recorded, and nobody waits for a confirmation.

    Example: `sudo portier message test caretaker`
    """
    from gateway.app.configuration import load, people
    from gateway.settings.values.problems import SettingsError, suggest

    try:
        settings = load.settings(config, state, need=())
    except SettingsError as error:
        c.fail(str(error), c.EXIT_CONFIGURATION)
    if receiver not in settings.contacts:
        c.fail(f"there is no contact {receiver}; {suggest(receiver, settings.contacts)}", 2)
    failed = False
    for channel, reason in people.try_out(settings, config, state, receiver):
        failed = failed or bool(reason)
        outcome = f"failed: {reason}" if reason else "handed over"
        c.out.print(f"{receiver}, channel {channel + 1}: {outcome}")
    if failed:
        raise typer.Exit(1)
