"""All sites that somebody may see, in words: calls first, then what does not work, then groups.

It is also what the frame of every page of the centre shows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import quote

from gateway.sites.building import Allowed, SiteBuilding
from gateway.sites.grants import Rights
from gateway.sites.interfaces import CentreSeen, GatewaySeen
from gateway.sites.presenter import SitePresenter
from gateway.sites.summary import CLIMATE, Summaries, Summary, Trouble, apart
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.presenter.presenter import TONES
from gateway.web.presenter.rooms import call_view
from gateway.web.presenter.view_models import AlarmView, CallView, OverallView, State
from gateway.web.shared.words import NARROW, Words

MANY = 24
"""So many sites are shown one by one; more are shown by their groups."""
FOUND_MOST = 50
WRONG_MOST = 100
SEARCH_LONGEST = 80
NAMED_MOST = 2
"""So many alarms are named on the tile of a site; more are counted."""
COUNTED = {"emergency": "sites.emergency", "urgent": "sites.urgent", "fault": "pill.fault"}
"""Severities above a notice, the gravest first -> how many there are, in words."""


@dataclass(frozen=True, slots=True)
class SiteCall:
    """A call and where it is. ``can_acknowledge``: whoever looks may; ``why``: why not.
    ``can_see``: the gateway knows the difference between seen and on the way. ``current``: it is
    known to be so now; what the call says tells otherwise."""

    site: str
    place: str
    key: str
    call: CallView
    can_acknowledge: bool
    can_see: bool
    why: str
    current: bool

    @property
    def address(self) -> str:
        return f"/sites/{quote(self.site, safe='')}"


@dataclass(frozen=True, slots=True)
class WrongSite:
    """A site that does not work: each reason with since when."""

    site: str
    name: str
    grave: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A group, or one site. ``tone``: empty while all is well."""

    name: str
    address: str
    tone: str
    sites: str
    doors: str
    facts: tuple[tuple[str, str], ...]
    """(tone, sentence), what is not as usual first."""
    heard: str


class Broker(SnapshotReader):
    """The centre's own connection in the place of a building: it has no snapshot."""

    def __init__(self, centre: CentreSeen) -> None:
        super().__init__()
        self.connected = centre.connected
        self.since_utc_ms = centre.since_utc_ms


class Overview:
    """For one way of seeing: a language, and what was granted. ``groups``: of the
    configuration."""

    base = ""

    def __init__(
        self,
        centre: CentreSeen,
        summaries: Summaries,
        words: Words,
        rights: Rights,
        groups: Mapping[str, Sequence[str]],
        issuer: str,
        name_of: Callable[[int], str | None],
    ) -> None:
        self._centre, self._summaries, self.w, self.rights = centre, summaries, words, rights
        self._groups, self._issuer, self._name_of = groups, issuer, name_of
        self.control = Broker(centre)
        self.now_utc_ms = int(time.time() * 1000)

    @cached_property
    def sites(self) -> list[Summary]:
        """Those that whoever looks may see. Where two have the same name, as a copied configuration
        leaves it, each is called by its id, too: somebody goes there."""
        found = [one for one in self._summaries.all() if self.rights.role_at(one.id) is not None]
        names = Counter(one.name.casefold() for one in found)
        return [
            replace(one, name=f"{one.name} ({one.id})") if names[one.name.casefold()] > 1 else one
            for one in found
        ]

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {one.id: one.name for one in self.sites}

    def seen(self, id: str) -> GatewaySeen:
        """Raises :class:`KeyError`."""
        return self._centre.picture.gateways[id]

    def summary(self, seen: GatewaySeen) -> Summary:
        return self._summaries.of(seen)

    def groups_of(self, id: str) -> list[str]:
        """The groups that a site is in."""
        return [name for name, members in self._groups.items() if id in members]

    def is_wrong(self, one: Summary) -> bool:
        """Whether a site is known not to work: without a broker nothing is known of any."""
        return self._centre.connected and not one.works

    def utc(self, utc_ms: int | None) -> str:
        return "" if utc_ms is None else self.w.clock(utc_ms, self.now_utc_ms)

    def site(self, id: str) -> SitePresenter | None:
        """One site in words; ``None`` where whoever looks may not see it, or there is none."""
        seen = self._centre.picture.gateways.get(id)
        role = self.rights.role_at(id)
        if seen is None or role is None:
            return None
        building = SiteBuilding(self._centre, seen)
        building.name = self._names[id]
        allowed = Allowed(seen, self._issuer)
        return SitePresenter(building, self.w, role, allowed, self._name_of)

    # --- the frame ----------------------------------------------------------------------

    @property
    def connection(self) -> dict[str, str]:
        """The centre's own connection to its broker."""
        if self._centre.connected:
            return {"state": "ok", "text": " ".join(self._misses()), "advice": ""}
        since = self.w.clock(self._centre.since_utc_ms, self.now_utc_ms, seconds=True)
        return {
            "state": "lost",
            "text": self.w("sites.broker_lost", since=since),
            "advice": self.w("sites.broker_lost_advice"),
        }

    def _misses(self) -> Iterator[str]:
        """What the centre does not see although it is connected."""
        if self._centre.enrolments_unreadable:
            yield self.w("sites.keys_unreadable")
        if self._centre.refused:
            what = ", ".join(sorted(self._centre.refused))
            yield self.w("sites.broker_refuses", what=what)

    @property
    def overall(self) -> OverallView:
        """The gravest thing that is so now."""
        if not self._centre.connected:
            since = self.w.clock(self._centre.since_utc_ms, self.now_utc_ms)
            return OverallView("lost", "wifi-off", self.w("pill.lost", since=since))
        if any(not one.call.test for one in self.calls):
            return OverallView("call", "siren", self.w("pill.call"))
        if any(self._misses()):
            return OverallView("bad", "triangle-alert", self.w("sites.pill_misses"))
        alarms = next(self._counted(self.sites), None)
        if alarms and alarms[0] == "bad":
            return OverallView(alarms[0], "triangle-alert", alarms[1])
        if wrong := sum(self.is_wrong(one) for one in self.sites):
            text = self.w.plural("sites.pill_wrong", wrong)
            return OverallView("bad", "triangle-alert", text)
        if alarms:
            view = OverallView(alarms[0], "triangle-alert", alarms[1])
        elif self.sites:
            view = OverallView("good", "check", self.w("pill.well"))
        else:
            view = OverallView("unknown", "clock", self.w("sites.none_short"))
        return view

    def _counted(self, sites: Sequence[Summary]) -> Iterator[tuple[State, str]]:
        """Tone and number of the open alarms of each severity above a notice, the gravest first."""
        for severity, key in COUNTED.items():
            if count := sum(one.severities.get(severity, 0) for one in sites):
                yield TONES[severity], self.w.plural(key, count)

    @property
    def open_alarms(self) -> range:
        """As many as there are."""
        return range(sum(one.alarms for one in self.sites))

    @cached_property
    def calls(self) -> list[SiteCall]:
        """Every call that stands, wherever it is: real ones first, then those without anybody."""
        found = [call for one in self.sites if one.calls for call in self._calls_at(one)]
        return sorted(
            found,
            key=lambda one: (one.call.test, not one.call.ringing, one.call.raised_utc_ms or 0),
        )

    def _calls_at(self, summary: Summary) -> list[SiteCall]:
        presenter = self.site(summary.id)
        if presenter is None:
            return []
        found: list[SiteCall] = []
        for room_id in summary.calls:
            with apart(summary.id):
                found += _calls_in(presenter, summary, room_id)
        return found

    @property
    def alert(self) -> str:
        """What is said aloud once while nobody has reacted to a call."""
        return " ".join(
            self.w("sites.alert", alert=one.call.alert, place=one.place)
            for one in self.calls
            if one.call.alert
        )

    # --- what does not work -------------------------------------------------------------

    @cached_property
    def wrong(self) -> list[WrongSite]:
        """Sites that do not work, those whose calls nobody hears first; the first of them."""
        found = [self._wrong(one) for one in self.sites if self.is_wrong(one)]
        return sorted(found, key=lambda one: not one.grave)[:WRONG_MOST]

    @property
    def wrong_more(self) -> int:
        return sum(self.is_wrong(one) for one in self.sites) - len(self.wrong)

    def _wrong(self, one: Summary) -> WrongSite:
        kinds = {trouble.kind for trouble in one.troubles}
        reasons = tuple(self.trouble(one.id, trouble) for trouble in one.troubles)
        return WrongSite(one.id, one.name, bool(kinds & {"call", "messages"}), reasons)

    def trouble(self, site: str, trouble: Trouble) -> str:
        """Why a site does not work and since when, as a sentence."""
        text = self.w.get(f"site_trouble.{trouble.kind}", what=trouble.subject)
        text = text or self.w.get(f"guarantee_fails.{trouble.kind}")
        text = text or self.w("status.fails", what=trouble.kind)
        if trouble.reason and (presenter := self.site(site)) is not None:
            text = f"{text.rstrip('.')}: {presenter.why(trouble.reason)}"
        text = text.rstrip(".")
        if trouble.since_utc_ms is None:
            return text
        return self.w("sites.since", what=text, time=self.utc(trouble.since_utc_ms))

    # --- groups and sites ---------------------------------------------------------------

    @cached_property
    def tiles(self) -> list[Tile]:
        """Groups, and the sites that are in none; a few sites are shown one by one."""
        if len(self.sites) <= MANY:
            return [self._tile(one.name, _address(one.id), [one]) for one in self.sites]
        by_id = {one.id: one for one in self.sites}
        found, grouped = [], set()
        for name, members in self._groups.items():
            there = [by_id[id] for id in members if id in by_id]
            grouped |= {one.id for one in there}
            if there:
                found.append(self._tile(name, f"/?group={quote(name, safe='')}", there))
        alone = [one for one in self.sites if one.id not in grouped]
        if alone:
            found.append(self._tile(self.w("sites.no_group"), "/?group=", alone))
        return found

    def in_group(self, group: str) -> list[Tile]:
        """The sites of a group; of no group where that is empty."""
        grouped = {id for members in self._groups.values() for id in members}
        members = set(self._groups.get(group, ()))
        return [
            self._tile(one.name, _address(one.id), [one])
            for one in self.sites
            if (one.id in members if group else one.id not in grouped)
        ]

    def search(self, text: str) -> list[Tile]:
        """The sites whose name, id or group has all these words; the first of them."""
        words = text[:SEARCH_LONGEST].casefold().split()
        found = []
        for one in self.sites:
            searched = " ".join([one.name, one.id, *self.groups_of(one.id)]).casefold()
            if all(word in searched for word in words):
                found.append(self._tile(one.name, _address(one.id), [one]))
        return found[:FOUND_MOST]

    def _tile(self, name: str, address: str, sites: Sequence[Summary]) -> Tile:
        w, facts = self.w, list[tuple[str, str]]()
        calls = sum(len(one.calls) for one in sites)
        wrong = [one for one in sites if self.is_wrong(one)]
        named = self._named(sites[0]) if len(sites) == 1 else []
        climate = sum(one.climate for one in sites)
        if any(alarm.kind in CLIMATE for alarm in named):
            climate = 0  # it is named
        if calls:
            facts.append(("call", w.plural("sites.calls", calls)))
        if wrong and len(sites) > 1:
            facts.append(("bad", w.plural("sites.wrong_here", len(wrong))))
        elif wrong:
            facts.append(("bad", self.trouble(wrong[0].id, wrong[0].troubles[0])))
        facts += self._in_words(named) if named else self._counted(sites)
        if climate:
            facts.append(("warn", w.plural("sites.climate", climate)))
        doors, is_open = sum(one.doors for one in sites), sum(one.doors_open for one in sites)
        text = w.plural("sites.doors", doors)
        if is_open:
            text = f"{text}, {w.plural('sites.doors_open', is_open)}"
        heard = [one.heard_utc_ms for one in sites]
        known = [one for one in heard if one is not None]
        return Tile(
            name=name,
            address=address,
            tone=facts[0][0] if facts else "",
            sites=w.plural("sites.sites", len(sites)) if len(sites) > 1 else "",
            doors=text,
            facts=tuple(facts),
            heard=self._heard(min(known) if known and len(known) == len(heard) else None),
        )

    def _named(self, one: Summary) -> list[AlarmView]:
        """The open alarms of a site above a notice, the gravest first."""
        presenter = self.site(one.id) if one.severities.keys() & COUNTED.keys() else None
        if presenter is None:
            return []
        with apart(one.id):
            return [alarm for alarm in presenter.open_alarms if alarm.severity != "notice"]
        return []

    def _in_words(self, alarms: Sequence[AlarmView]) -> Iterator[tuple[State, str]]:
        """What the first of them are, each with its tone, and how many there are besides."""
        for one in alarms[:NAMED_MOST]:
            yield TONES.get(one.severity, "warn"), one.what.rstrip(".")
        if rest := alarms[NAMED_MOST:]:
            tone = TONES.get(rest[0].severity, "warn")
            yield tone, self.w.plural("sites.alarms_besides", len(rest))

    def _heard(self, utc_ms: int | None) -> str:
        """When a site, or the one of a group that has been silent longest, was heard."""
        if utc_ms is None:
            return self.w("sites.never_heard")
        return self.w("sites.heard", time=self.utc(utc_ms)).replace(" Uhr", f"{NARROW}Uhr")


def _calls_in(presenter: SitePresenter, summary: Summary, room_id: str) -> Iterator[SiteCall]:
    """The call that stands in a room, if any."""
    room = presenter.control.rooms.get(room_id)
    view = None if room is None else call_view(presenter, room_id, room)
    if view is None:
        return
    why = ""
    if not presenter.control.connected:
        why = presenter.w(f"site_trouble.{presenter.control.away_reason}") + "."
    elif not presenter.allowed.acknowledge:
        why = presenter.reason("calls_not_offered")
    may = view.can_acknowledge and presenter.may("staff")
    current = presenter.control.connected
    if not current:
        since = presenter.connection["text"]
        text = presenter.w("sites.call_last_known", text=view.text, why=since)
        view = replace(view, text=text)
    key = f"{summary.id}-{room_id}"
    yield SiteCall(
        summary.id,
        summary.name,
        key,
        view,
        can_acknowledge=may and not why,
        can_see=presenter.allowed.see,
        why=why if may else "",
        current=current,
    )


def _address(id: str) -> str:
    return f"/sites/{quote(id, safe='')}"
