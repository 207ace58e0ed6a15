"""The live stream of the centre: the overview as each may see it, filtered on the server.

Who sees the same (a language, and what was granted) is one channel. A page that shows one site
learns from the stream that this site has changed, and asks for its pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from gateway.sites.grants import Rights
from gateway.sites.shapes import site_json
from gateway.web.live.fragments import Fragments
from gateway.web.live.streams import Client, Streams
from gateway.web.shared.render import fragment

if TYPE_CHECKING:
    from gateway.sites.overview import Overview
    from gateway.sites.summary import Summary
    from gateway.web.identity.accounts import Role, Who
    from gateway.web.identity.users import Users

MINUTE_S = 20.0
"""Nothing may change for long, and *last heard* is shown all the same."""


@dataclass(frozen=True, slots=True)
class Seeing:
    """``language`` empty: JSON for programs."""

    language: str
    rights: Rights


def overview_parts(overview: Overview) -> dict[str, Any]:
    """The pieces of the overview, and of the frame of every page."""
    shown = {"presenter": overview, "w": overview.w, "csrf": ""}
    return {
        "connection": overview.connection,
        "html:connection": fragment("parts/connection.html", shown),
        "html:pill": fragment("parts/pill.html", shown),
        "html:calls": fragment("sites/parts/calls.html", {**shown, "live": True}),
        "html:call-alert": fragment("parts/call_alert.html", shown),
        "html:alarm-count": fragment("parts/alarm_count.html", shown),
        "html:wrong": fragment("sites/parts/wrong.html", shown),
        "html:tiles": fragment("sites/parts/tiles.html", {**shown, "tiles": overview.tiles}),
        "calls": {
            "ringing": any(one.call.ringing for one in overview.calls),
            "standing": any(not one.call.test for one in overview.calls),
        },
    }


class SiteStreams(Streams):
    """All open streams of the centre. ``overview``: of a language and rights; ``rights``: what
    somebody may now; ``looked`` takes who was shown which call of which site."""

    changes_every_s = 0.4

    def __init__(
        self,
        users: Users,
        overview: Callable[[str, Rights], Overview],
        rights: Callable[[Who], Rights],
        looked: Callable[[str, str, str], object],
        *,
        limit: int,
    ) -> None:
        super().__init__(users, limit=limit)
        self._overview, self._rights, self._looked = overview, rights, looked
        self._known: dict[tuple[str, Role | None], tuple[int, dict[str, Any]]] = {}

    def changed(self, gateway: str) -> None:
        """A gateway has changed, or the centre's own connection."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_changes())
            group.create_task(self._beat())
            group.create_task(self._pass_time())

    async def _pass_time(self) -> None:
        while True:
            await asyncio.sleep(MINUTE_S)
            self._changed.set()

    def _show(self, view: Hashable) -> Fragments:
        seeing = cast("Seeing", view)
        overview = self._overview(seeing.language or "en", seeing.rights)
        if not seeing.language:
            return Fragments(
                "sites", {one.id: self._as_json(overview, one) for one in overview.sites}
            )
        self._note_looks(view, overview)
        versions = {f"site:{one.id}": one.changes for one in overview.sites}
        return Fragments("page", {**overview_parts(overview), **versions})

    def _as_json(self, overview: Overview, one: Summary) -> dict[str, Any]:
        """A site for programs, made again only after it has changed."""
        key = (one.id, overview.rights.role_at(one.id))
        known = self._known.get(key)
        if known is None or known[0] != one.changes:
            known = self._known[key] = (one.changes, site_json(overview, one.id))
        return known[1]

    def _note_looks(self, view: Hashable, overview: Overview) -> None:
        """Whoever has a page open sees every call that it may show."""
        channel = self._channels.get(view)
        if not overview.calls or channel is None:
            return
        for actor in {client.who.actor for client in channel.clients}:
            for one in overview.calls:
                self._looked(actor, one.site, one.call.id)

    def _is_right(self, client: Client) -> bool:
        """What was granted may have been changed since."""
        seeing = cast("Seeing", client.channel.view)
        return self._rights(client.who) == seeing.rights

    async def opening(self, client: Client, last_event_id: int | None) -> AsyncIterator[bytes]:
        """All that is shown now. What happens meanwhile is held for the client until it follows."""
        channel = client.channel
        channel.flush()
        client.backlog = []
        parts = channel.parts
        yield b"retry: 1000\n\n" + (parts.whole() if parts is not None else b"")
