"""The audit chain in words: who did what, how it ended, and when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.journal.audit import ChainEntry
from gateway.web.identity.login_audit import UNKNOWN
from gateway.web.shared.words import Words
from gateway.web.site import Site


@dataclass(frozen=True, slots=True)
class Said:
    """One entry as people read it."""

    n: int
    time: str
    who: str
    what: str
    subject: str
    outcome: str
    refused: bool
    detail: str


def said(site: Site, words: Words, entry: ChainEntry) -> Said:
    """An entry in the reader's language. What has no words yet stands as it was written."""
    action = words.get(f"action.{entry.action}") or words.get(f"command.{entry.action}")
    return Said(
        n=entry.n,
        time=words("audit.no_time") if entry.utc_ms is None else words.moment(entry.utc_ms),
        who=site.name_of(entry.actor, words).rstrip(": "),
        what=action[:1].upper() + action[1:] or entry.action,
        subject=_subject(site, words, entry.subject),
        outcome=outcome_text(words, entry.outcome),
        refused=entry.outcome.partition(": ")[0] == "refused",
        detail=words("audit.forgotten") if entry.detail is None else _detail(words, entry.detail),
    )


def outcome_text(words: Words, outcome: str) -> str:
    """``refused: login_wrong`` in words."""
    result, _, reason = outcome.partition(": ")
    told = words.get(f"outcome.{result}") or words.get(f"audit.{result}", result)
    if reason:
        told += f": {words.get(f'reason.{reason}') or words.get(f'problem.{reason}', reason)}"
    return told


_CHECKSUM = re.compile("[0-9a-f]{64}")


def _subject(site: Site, words: Words, subject: str) -> str:
    kind, _, id = subject.partition(":")
    if subject == UNKNOWN:
        return words("who.unknown")
    if kind == "web":
        return site.name_of(subject, words)
    if kind == "token":
        return id
    if _CHECKSUM.fullmatch(subject):
        return subject[:8]  # of a configuration, as the events show it
    about, _, alarm = subject.partition("/")
    presenter = site.scene_for(words.language, names=True)
    return presenter.alarm_text(alarm, about, "what") if alarm else presenter.subject(subject)


def _detail(words: Words, detail: str) -> str:
    try:
        values = json.loads(detail or "{}")
    except ValueError:
        return detail[:500]
    if not isinstance(values, dict):
        return detail[:500]
    return details_text(words, values)


def details_text(words: Words, values: Mapping[str, Any]) -> str:
    """What people want to know of the details; the rest is in the API."""
    parts = []
    if mode := values.get("mode"):
        parts.append(words.get(f"mode.{mode}", str(mode)))
    if role := values.get("role"):
        parts.append(words.get(f"role.{role}", str(role)))
    if isinstance(until := values.get("until_utc_ms"), int):
        parts.append(words("door.until", time=words.moment(until, ms=False)))
    if isinstance(lasts := values.get("for_ms"), int):
        ended = words("audit.ended")
        parts.append(words("audit.for", duration=_duration(words, lasts)) if lasts else ended)
    if isinstance(count := values.get("count"), int):
        key = "audit.more" if "window_ms" in values else "audit.refusals"
        parts.append(words(key, count=words.number(count, 0)))
    if isinstance(times := values.get("times"), int):
        parts.append(words("audit.times", count=words.number(times, 0)))
    if isinstance(done := values.get("done_utc_ms"), int):
        parts.append(words("audit.done_at", time=words.moment(done, ms=False)))
    if reason := values.get("reason"):
        parts.append(f"„{reason}“" if words.language == "de" else f"“{reason}”")
    return ", ".join(parts)


def _duration(words: Words, ms: int) -> str:
    """In seconds below a minute: a relay is tested for one or two."""
    return (
        f"{words.number(ms / 1000, 1)} s" if ms < 60_000 else f"{words.number(ms / 60_000, 1)} min"
    )
