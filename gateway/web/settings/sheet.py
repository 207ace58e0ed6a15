"""What every page of the settings does alike: ask ``control``, show a sheet, save, and say what
came of it.

While ``control`` starts again with what was saved, the page shows what it has said last, and says
so: nobody has to wait for a restart that was announced.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Admin
from gateway.web.building.control_client import BUSY, NO_ANSWER
from gateway.web.building.snapshot_reader import NO_PANEL
from gateway.web.page import language_of, page
from gateway.web.settings import refusals, rows
from gateway.web.settings.answers import RETRY_AFTER
from gateway.web.settings.rows import Form
from gateway.web.settings.sentences import SettingsText
from gateway.web.shared.problems import Problem
from gateway.web.site import Site


@dataclass
class Look:
    """The settings as they are shown. ``waits``: why they are not those of this moment."""

    site: Site
    request: Request
    shown: dict[str, Any]
    text: SettingsText
    waits: str = ""
    others: list[str] = field(default_factory=list)
    """What is wrong and belongs to no field."""

    @property
    def language(self) -> str:
        return language_of(self.request)

    def sections(self) -> dict[str, Any]:
        """All of the overlay, to be changed and put."""
        found: dict[str, Any] = copy.deepcopy(self.shown["overlay"])
        return found

    def page(
        self,
        template: str,
        values: Mapping[str, Any] | None = None,
        *,
        note: str = "",
        good: bool = False,
        status: int = 200,
        version: str = "",
    ) -> Response:
        """``version``: what a form is based on, where that is not what is shown."""
        done = self.request.query_params.get("done", "")
        saved: list[str] = []
        if done and done == self.shown["version"] and not note:
            note, good = "settings.saved", True
            saved = self.text.changes(self.shown["changes"][0]) if self.shown["changes"] else []
        return page(
            self.request,
            template,
            {
                "shown": self.shown,
                "text": self.text,
                "waits": self.waits,
                "version": version or self.shown["version"],
                "note": note,
                "good": good,
                "saved": saved,
                "others": self.others,
                "unreachable": [
                    _address(self, one) for one in self.shown.get("addresses", ())
                ],
                **(values or {}),
            },
            status=status,
        )  # fmt: skip

    def take(self, answer: Mapping[str, Any], form: Form | None = None) -> tuple[str, int]:
        """Note what was refused, beside the row that it is about; the text and status of it. What
        was entered stays on the page, whatever ``control`` does."""
        reason = str(answer["reason"])
        if reason in (BUSY, "limit", NO_PANEL, NO_ANSWER):
            return f"settings_kept.{'busy' if reason == 'limit' else reason}", 503
        for error in answer.get("errors", ()):
            message, hint = (refusals.text(self.language, part) for part in error["parts"])
            said = f"{message}; {hint}" if hint else message
            at = None if form is None else rows.place(form, error["key"])
            if form is None or at is None:
                key = error["key"]
                shown = "" if key.startswith("addresses") else key
                self.others.append(refusals.at(self.language, shown, said))
            else:
                form.errors.setdefault(at, []).append(said)
        note = "settings.wrong" if reason == "settings_wrong" else f"problem.{reason}"
        return note, 409 if reason in ("changed_meanwhile", "room_test") else 422


def _address(look: Look, one: Mapping[str, Any]) -> str:
    """Of a contact that no message can go to: who, why, and the remedy."""
    contact = look.text.contact(one["key"].split(".")[1])
    message, hint = (refusals.text(look.language, part) for part in one["parts"])
    return f"{contact}: {message}; {hint}"


def _away(site: Site, request: Request) -> str:
    return site.words(language_of(request))("settings.away")


async def look(request: Request, site: Site, who: Admin) -> Look:
    """The settings now; those of the last answer while ``control`` starts again, or is away.
    Raises :class:`Problem` where none are known."""
    words, control = site.words(language_of(request)), site.control
    seen, waits = control.settings_seen, ""
    if seen is not None and control.taking_over:
        waits = "settings.taking_over"
    elif seen is not None and not control.connected:
        waits = "settings.away_since"
    if seen is not None and waits:
        seen = copy.deepcopy(seen)
        return Look(site, request, seen, SettingsText(words, seen), waits)
    answer = await control.settings("show", {}, who)
    if answer["status"] != "accepted":
        language = language_of(request)
        said = "; ".join(
            refusals.at(language, e["key"], refusals.text(language, e["parts"][0]))
            for e in answer.get("errors", ())
        )
        if answer["reason"] in (NO_PANEL, NO_ANSWER):
            said = _away(site, request)
        raise Problem(503, str(answer["reason"]), said, Retry_After=RETRY_AFTER)
    shown: dict[str, Any] = answer["settings"]
    return Look(site, request, shown, SettingsText(words, shown))


async def put(
    site: Site, who: Admin, version: str, sections: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Save all of the overlay, as whoever asks still may. What is saved already changes nothing."""
    seen = site.control.settings_seen
    wanted = {name: one for name, one in sections.items() if one}
    same = seen is not None and not more and version == seen["version"]
    if (
        seen is not None
        and same
        and wanted == {k: one for k, one in seen["overlay"].items() if one}
    ):
        return {"status": "accepted", "settings": seen, "unchanged": True}
    judge = site.author(who, "admin", "fresh").judge
    args = {"version": version, "sections": wanted, **more}
    return await site.control.settings("put", args, who, judge)


def saved(answer: Mapping[str, Any], to: str) -> Response:
    """Lead to a page that says what was saved, if it still is what applies."""
    address = to if "unchanged" in answer else f"{to}?done={answer['settings']['version']}"
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
