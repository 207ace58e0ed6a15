"""What a message says: title and body from its kind and data, in the building's languages.

The words are data (``locales``), complete in every language; this file only puts them
together: the first language, then the others below it. Of a long stay no message says more
than that somebody should look: neither how long nor since when.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.wire import calendar_time

LOCALES = Path(__file__).parent / "locales"
DISCREET = frozenset({"long_stay", "no_motion"})
"""Alarms about a person: told without any detail or time."""
CALLS = frozenset({"call", "call_again"})
BETWEEN = "\n\n---\n\n"


@dataclass(frozen=True, slots=True)
class Sender:
    """The building, as far as its messages name it."""

    name: str
    languages: tuple[str, ...]
    timezone: str
    page: str | None = None
    """The address of the page, where people can reach it."""
    watches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Watch -> language -> what its alarm says."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message as it is handed over."""

    title: str
    body: str


@cache
def locale(language: str) -> Mapping[str, Any]:
    """The words of one language."""
    return tomllib.loads((LOCALES / f"{language}.toml").read_text(encoding="utf-8"))


def build(
    sender: Sender,
    kind: str,
    data: Mapping[str, Any],
    *,
    link: str | None = None,
    by_hand: bool = False,
) -> Text:
    """The message of ``kind`` (see :class:`gateway.core.effects.Send`). ``link``: where its
    receiver acknowledges or confirms it; ``by_hand``: a test that nobody waits for."""
    parts = []
    for language in sender.languages:
        said = _Said(sender, language)
        if kind in CALLS:
            parts.append(said.call(kind, data, link))
        elif kind == "test":
            parts.append(said.test(link, by_hand))
        elif kind == "summary":
            parts.append(said.summary(data))
        else:
            parts.append(said.alarm(kind, data))
    title = f"{parts[0].title} – {sender.name}"
    return Text(title, BETWEEN.join(part.body for part in parts))


def push(
    sender: Sender,
    kind: str,
    data: Mapping[str, Any],
    *,
    about: str = "",
    link: str | None = None,
) -> str:
    """The same for a device (JSON), in the building's first language: what, where and when, in one
    line each. A lock screen shows it to whoever is near. ``about``: a later message about the same
    replaces this one there."""
    said = _Said(sender, sender.languages[0])
    title, what = said.short(kind, data)
    raised = data.get("raised_utc_ms")
    body = f"{what} ({sender.name})" if what else sender.name
    if isinstance(raised, int) and kind not in DISCREET:
        body = f"{body} · {said.short_time(raised)}"
    path = link.removeprefix(sender.page) if link and sender.page else None
    return json.dumps(
        {
            "kind": "call" if kind in CALLS else kind if kind == "test" else "alarm",
            "title": title,
            "body": body,
            "tag": about or kind,
            "path": path or ("/" if kind in {*CALLS, "test"} else "/alarms"),
            "language": sender.languages[0],
        },
        ensure_ascii=False,
    )


class _Said:
    """Messages in one language."""

    def __init__(self, sender: Sender, language: str) -> None:
        self.sender = sender
        self.language = language
        self.words = locale(language)

    def call(self, kind: str, data: Mapping[str, Any], link: str | None) -> Text:
        words, general = self.words[kind], self.words["words"]
        name = str(data.get("room", ""))
        raised = data.get("raised_utc_ms")
        lines = [words["what"].format(name=name)]
        if isinstance(raised, int):
            lines.append(general["since"].format(time=self.time(raised)))
        lines.append(words["todo"])
        lines.append(general["link"].format(link=link) if link else general["page"])
        return Text(words["title"].format(name=name), "\n".join(lines))

    def test(self, link: str | None, by_hand: bool) -> Text:
        words, general = self.words["test"], self.words["words"]
        if by_hand:
            receipt = f"\n{general['confirm'].format(link=link)}" if link else ""
            return Text(words["title"], f"{words['by_hand']}\n{general['by_hand']}{receipt}")
        ask = general["confirm"].format(link=link) if link else general["confirm_page"]
        return Text(words["title"], f"{words['what']}\n{words['todo']}\n{ask}")

    def summary(self, data: Mapping[str, Any]) -> Text:
        words = self.words["summary"]
        alarms = data.get("alarms") or []
        if not alarms:
            return Text(words["title"], words["nothing"])
        lines = [words["what"].format(count=len(alarms))]
        for alarm in alarms:
            kind, raised = str(alarm["kind"]), alarm.get("raised_utc_ms")
            said = {
                "severity": self.words["severity"].get(alarm["severity"], ""),
                "what": self.what(kind, str(alarm["name"])),
            }
            timed = isinstance(raised, int) and kind not in DISCREET
            if timed:
                lines.append(words["line"].format(time=self.time(raised), **said))
            else:
                lines.append(words["line_timeless"].format(**said))
        lines.append(words["todo"])
        return Text(words["title"], "\n".join([*lines, *self.more()]))

    def alarm(self, kind: str, data: Mapping[str, Any]) -> Text:
        general = self.words["words"]
        what = self.what(kind, str(data.get("name", "")))
        lines = [what]
        if data.get("detail") and kind not in DISCREET:
            lines.append(general["detail"].format(detail=data["detail"]))
        raised = data.get("raised_utc_ms")
        if isinstance(raised, int) and kind not in DISCREET:
            lines.append(general["since"].format(time=self.time(raised)))
        todo = self.words["alarm"].get(kind, {}).get("todo")
        lines += [todo] if todo else []
        severity = self.words["severity"].get(data.get("severity"), "")
        return Text(f"{severity}: {what}", "\n".join([*lines, *self.more()]))

    def what(self, kind: str, name: str) -> str:
        """What happened, in one line."""
        known = self.words["alarm"].get(kind)
        if known is not None:
            return str(known["what"].format(name=name))
        written = self.sender.watches.get(kind.removeprefix("watch:"), {})
        return written.get(self.language) or str(self.words["words"]["watched"].format(name=name))

    def short(self, kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
        """What a lock screen says: the title, and a line where the title is not enough."""
        words, name = self.words["push"], str(data.get("name") or data.get("room") or "")
        if kind in CALLS or kind in DISCREET:
            return words[kind if kind in CALLS else "look"].format(name=name), ""
        if kind == "test":
            return self.words["test"]["title"], words["test"]
        if kind == "summary":
            count = len(data.get("alarms") or [])
            return self.words["summary"]["title"], words["summary"].format(count=count)
        severity = self.words["severity"].get(data.get("severity"), "")
        return f"{severity}: {self.what(kind, name)}", ""

    def short_time(self, utc_ms: int) -> str:
        at = calendar_time(utc_ms, ZoneInfo(self.sender.timezone))
        return at.strftime(str(self.words["push"]["time"]))

    def more(self) -> list[str]:
        page = self.sender.page
        return [self.words["words"]["page_at"].format(link=f"{page}/alarms")] if page else []

    def time(self, utc_ms: int) -> str:
        """An instant as the building's clocks show it."""
        at = calendar_time(utc_ms, ZoneInfo(self.sender.timezone))
        return at.strftime(str(self.words["words"]["time"]))
