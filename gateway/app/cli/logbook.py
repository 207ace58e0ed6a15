"""The logbook in the terminal: the entries of the page's logbook, in English, oldest first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.app.cli import console as c
from gateway.app.cli.issuers import Issuers
from gateway.core.instant import UtcMs
from gateway.journal.queries.reader import Reader
from gateway.panel import client
from gateway.settings.values.problems import SettingsError
from gateway.wire import Row

if TYPE_CHECKING:
    from gateway.web.history.entries import Entry
    from gateway.web.presenter.presenter import Presenter
    from gateway.web.presenter.terminals import Terminals

PIECE = 1_000
MOST = 1_000_000
"""Facts that are looked through."""
STYLES = {"bad": "red", "call": "bold red", "warn": "yellow"}


def show(
    reader: Reader,
    places: tuple[Path, Path],
    since_utc_ms: UtcMs | None,
    subject: str | None,
    limit: int | None,
) -> None:
    """Print the last ``limit`` entries, or all since a time, below the headings of their days.
    ``places``: configuration and state folder."""
    from gateway.web.history.logbook_lines import days, line

    presenter = _presenter(*places)
    found = _newest(reader, since_utc_ms, subject, limit)
    lines = [(entry, line(entry, presenter)) for entry in reversed(found)]
    for day, of_day in reversed(days(lines, presenter.control.now_utc_ms, presenter.w)):
        c.out.print(c.styled(day, "bold"))
        for one in reversed(of_day):
            what = c.styled(f"  {one.time:5}  {one.title}", STYLES.get(one.tone, ""))
            more = [note for note in (one.place, *one.notes) if note]
            if more:
                what.append_text(c.styled("  " + " · ".join(more), "dim"))
            c.out.print(what, soft_wrap=True)
    if found:
        c.out.print(c.styled(f"Times in {c.zone_name()}. One by one: --facts", "dim"))
    else:
        c.out.print("nothing in this time" if since_utc_ms is not None else "nothing yet")


def _newest(
    reader: Reader, since_utc_ms: UtcMs | None, subject: str | None, limit: int | None
) -> list[Entry]:
    """The entries, oldest first. What lies before a time says how the first ones began."""
    from gateway.web.history.entries import SHOWN, SPAN_ROWS, entries

    rows: list[Row] = []
    before = reader.head_row() + 1
    found: list[Entry] = []
    wanted: dict[str, Any] = {"kinds": list(SHOWN), "from_utc_ms": since_utc_ms}
    while len(rows) < MOST:
        piece = reader.before_row(before, PIECE, **wanted)
        rows = [*piece[::-1], *rows]
        if piece:
            before = piece[-1].row
        ended = len(piece) < PIECE
        if limit is None and not ended:
            continue
        context = reader.before_row(before, SPAN_ROWS, kinds=list(SHOWN)) if rows else []
        made = entries([*context[::-1], *rows])
        found = [one for one in made if one.row >= before]
        found = [one for one in found if subject is None or one.about(subject)]
        if ended or (limit is not None and len(found) >= limit):
            break
    return found if limit is None else found[-limit:]


def _presenter(config: Path, state: Path) -> Presenter:
    """The building in words; with ids in place of names where ``control`` does not answer."""
    from gateway.panel.client import AsyncPanelClient
    from gateway.web.building.control_client import ControlClient
    from gateway.web.presenter.presenter import Presenter
    from gateway.web.shared.words import Words

    control = ControlClient(AsyncPanelClient(c.panel(state), "cli"))
    with suppress(client.ControlAway, client.NotTaken, OSError):
        control.snapshot = client.snapshot(c.panel(state))
    who = Issuers(state)
    return Presenter(control, Words("en", c.zone()), who, _terminals(config, state), names=True)


def _terminals(config: Path, state: Path) -> Terminals:
    """What points and contacts are called; nothing where the configuration cannot be read, or is
    not one that ``control`` has run on this state folder."""
    from gateway.app.configuration import load, plans
    from gateway.web.presenter.terminals import Terminals, terminals_of

    try:
        settings = load.settings(config, state, need=())
    except (SettingsError, OSError):
        return Terminals()
    return terminals_of(settings) if settings.digest in plans.ran_before(state) else Terminals()
