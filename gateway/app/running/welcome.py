"""What ``portier run --log`` shows on the terminal once everything works: where the page is, how to
log in, and what to try first. The lines of the roles are in the log meanwhile."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.app import paths
from gateway.app.announcement import LogIn
from gateway.app.connections import Configuration
from gateway.printable import in_a_line
from gateway.settings.model.configuration import Settings


def command() -> str:
    """How this program was called, for lines that somebody is to copy."""
    called = Path(sys.argv[0])
    if called.name != "portier":
        return "portier"
    with suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called)


@dataclass(frozen=True, slots=True)
class Log:
    """Where the roles write. ``password``: of the user ``admin``, where it is known already."""

    file: Path
    password: str = ""


@dataclass(frozen=True, slots=True)
class Welcome:
    """``broker``: where the embedded one listens; ``log``: the file with the lines of the roles."""

    settings: Configuration
    state: Path
    log: Path
    broker: str = ""

    def rows(self, log_in: LogIn) -> list[tuple[str, str]]:
        """(word, text) of each line; a line without a word goes on with the one above."""
        rows: list[tuple[str, str]] = []
        if log_in.url:
            rows.append(("Page", log_in.url))
            rows += self._log_in_rows(log_in)
        rows += self._try_rows()
        if self.broker:
            rows.append(("Broker", self.broker))
        rows.append(("Log", f"{self.log}    to follow it: tail -f {shlex.quote(str(self.log))}"))
        if self.state != paths.default_state():
            rows.append(("Commands", f"export PORTIER_STATE={shlex.quote(str(self.state))}"))
            rows.append(("", "first, in another terminal: they then find this building"))
        rows.append(("Stop", "Ctrl-C"))
        return rows

    def _log_in_rows(self, log_in: LogIn) -> list[tuple[str, str]]:
        if log_in.password:
            return [
                ("Log in", f"admin, password {log_in.password}"),
                ("", "shown this once; the page asks for one of your own"),
            ]
        new = f"{command()} user password admin{self._folder()}"
        if log_in.initial:
            return [
                ("Log in", "admin, with the password that the first start printed"),
                ("", f"lost? {new}"),
            ]
        return [("Log in", "as before"), ("", f"forgotten? {new}")]

    def _try_rows(self) -> list[tuple[str, str]]:
        """Three things to do on a bench, each with the command for it."""
        if not isinstance(self.settings, Settings) or not self.settings.gateway.bench:
            return []
        bench, folder = f"{command()} bench press", self._folder()
        tries = []
        doors, rooms = self.settings.doors.values(), self.settings.rooms.values()
        button = next((a.point for door in doors for a in door.activators), None)
        room = next((room for room in rooms if room.cord), None)
        if button is not None:
            tries.append(
                ("Press a button at the door and see it open:", f"{bench} {button}{folder}")
            )
        if room is not None:
            tries.append(("Pull the cord, then take the call on the page:",
                          f"{bench} {room.cord[0]}{folder}"))  # fmt: skip
            if room.cancel is not None:
                tries.append(("End the call, as somebody in the room does:",
                              f"{bench} {room.cancel}{folder}"))  # fmt: skip
        rows = [("", "")]
        for number, (what, how) in enumerate(tries, 1):
            rows += [("Try" if number == 1 else "", f"{number}. {what}"), ("", f"   {how}")]
        return [*rows, ("", "")] if tries else []

    def _name(self) -> str:
        if isinstance(self.settings, Settings):
            return self.settings.gateway.name or self.settings.gateway.id
        return self.settings.sites.name

    def _folder(self) -> str:
        if self.state == paths.default_state():
            return ""
        return f" --state {shlex.quote(str(self.state))}"

    def show(self, title: str, log_in: LogIn) -> None:
        """Print the box on standard error, as all that the supervisor says."""
        show_box(self._name(), self.rows(log_in), title)


def show_box(heading: str, rows: Sequence[tuple[str, str]], title: str) -> None:
    """Print lines of (word, text) in a box on standard error, and ``title`` below it."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for word, text in rows:
        grid.add_row(Text(word), Text(in_a_line(text)))
    needed = max(len(text) for _, text in rows) + max(len(word) for word, _ in rows) + 8
    width = min(max(needed, 60), console.width) if console.is_terminal else max(needed, 60)
    wide = Console(stderr=True, highlight=False, width=width)
    name = Text(in_a_line(heading))
    wide.print(Panel(grid, title=name, title_align="left", padding=(1, 2), width=width))
    wide.print(Text(in_a_line(title)), soft_wrap=True)


def rotated(log: Path) -> int:
    """Open the log for a start, and leave that of the start before beside it; the descriptor.
    Raises :class:`OSError`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_file():
        log.replace(log.with_name(log.name + ".1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
