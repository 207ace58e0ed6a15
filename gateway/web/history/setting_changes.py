"""Adds to the logbook's entries about settings what was changed.

The journal knows who saved when; the sentences come from the saved versions, which only
administrators may read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.web.history.entries import Entry
from gateway.web.history.logbook_lines import LogbookLine
from gateway.web.identity.accounts import Who
from gateway.web.settings.sentences import SettingsText
from gateway.web.shared.words import Words
from gateway.web.site import Site

TAKEN_OVER_MS = 120_000
"""A change takes effect within this time after it was saved."""
SAID_MOST = 3
"""Sentences in one line; the history of the settings has all of them."""

Lines = list[tuple[Entry, LogbookLine]]


async def with_changes(lines: Lines, site: Site, who: Who, words: Words) -> Lines:
    """The lines; those about settings get what was changed, if ``who`` may know it and the version
    is still saved."""
    saved = [entry for entry, _ in lines if entry.sort == "settings"]
    if not saved or not who.may("admin"):
        return lines
    shown = await _shown(site, who, saved)
    said = _sentences(saved, shown, SettingsText(words, shown)) if shown else {}
    return [(entry, _saying(one, said.get(entry.row, ()), words)) for entry, one in lines]


async def _shown(site: Site, who: Who, saved: Sequence[Entry]) -> Mapping[str, Any]:
    """The settings as ``control`` last sent them; it is asked again where something was saved
    since, or where it was never asked."""
    control = site.control
    seen = control.settings_seen
    newest = max((entry.first.utc_ms or 0 for entry in saved), default=0)
    known = (seen or {}).get("changes") or [{}]
    if seen is None or newest - (known[0].get("utc_ms") or 0) > TAKEN_OVER_MS:
        asked = {} if control.taking_over or not control.connected else await _ask(site, who)
        return asked or seen or {}
    return seen


async def _ask(site: Site, who: Who) -> Mapping[str, Any]:
    answer = await site.control.settings("show", {}, who)
    found: Mapping[str, Any] = answer["settings"] if answer["status"] == "accepted" else {}
    return found


def _sentences(
    saved: Sequence[Entry], shown: Mapping[str, Any], text: SettingsText
) -> dict[int, tuple[str, ...]]:
    """Row of an entry -> its sentences. A change belongs to the first entry after it of the same
    person, within :data:`TAKEN_OVER_MS`."""
    said: dict[int, tuple[str, ...]] = {}
    oldest = sorted(saved, key=lambda entry: entry.row)
    for change in reversed(shown.get("changes") or ()):
        made = change.get("utc_ms")
        for entry in oldest if made is not None else ():
            at, by = entry.first.utc_ms, entry.first.data.get("by")
            if at is not None and 0 <= at - made <= TAKEN_OVER_MS and by == change.get("by"):
                said[entry.row] = (*said.get(entry.row, ()), *text.changes(change))
                break
    return said


def _saying(line: LogbookLine, said: Sequence[str], words: Words) -> LogbookLine:
    if not said:
        return line
    notes = [one.rstrip(".") for one in said[:SAID_MOST]]
    if len(said) > SAID_MOST:
        notes.append(words.plural("entry.more_changes", len(said) - SAID_MOST))
    return replace(line, notes=(*notes, *line.notes))
