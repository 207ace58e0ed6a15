"""What all routes share: the users and the limits, and of a gateway its building."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from gateway.core.facts import Json
from gateway.panel.tickets import Tickets
from gateway.settings.model.link import SITES
from gateway.web.building.control_client import Answer, ControlClient
from gateway.web.building.records import Records
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.building.today import Today
from gateway.web.building.week import Week
from gateway.web.identity.accounts import Who, may
from gateway.web.identity.auth import Identity, Proof
from gateway.web.identity.browsers import Browsers
from gateway.web.identity.login_audit import VISITOR, LoginAudit
from gateway.web.identity.login_limits import LoginLimits
from gateway.web.identity.users import Role, Token, User, Users
from gateway.web.live.hub import Hub
from gateway.web.live.streams import Streams
from gateway.web.options import Options
from gateway.web.places import Place, menu
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.certificate_ends import CertificateEnds
from gateway.web.shared.limits import Buckets, Once, Signer
from gateway.web.shared.machine import MachineReader, look
from gateway.web.shared.problems import NotLoggedIn, Problem
from gateway.web.shared.words import Words
from gateway.web.storage.displays import Displays
from gateway.web.storage.handover import HandOver
from gateway.web.storage.saver import Saver
from gateway.web.storage.store import Author
from gateway.web.storage.testbook import TestBook
from gateway.web.storage.weeks import Weeks

PEOPLE_MOST, ANSWERS_MOST = 200, 300
"""Whose answers are remembered, and how many of each."""


class Entries(Protocol):
    """Takes entries for an audit. ``note``: of what is no change of the users' file; ``send``:
    after a change of it, which has left its entry there."""

    async def note(self, actor: str, action: str, detail: Mapping[str, Json]) -> None: ...
    async def send(self) -> None: ...


class PageSite(ABC):
    """What log-in, account and people need, whatever else a page shows. Made once at start."""

    control: SnapshotReader
    handover: Entries
    hub: Streams
    calls_part = "parts/calls.html"
    """The template of the calls, which stand first on every page."""
    styles: tuple[str, ...] = ()
    """Stylesheets of every page beside the one that all have."""

    def __init__(self, options: Options, users: Users, saver: Saver) -> None:
        self.options = options
        self.users = users
        self.saver = saver
        users.later = self.saver.later
        users.session_life_s = options.session_life_ms / 1000
        secret = users.secret("csrf")
        self.identity = Identity(users, options.gateway, options.second_factor, secret)
        self.signer = Signer(users.secret("notes"))
        self._answers: OrderedDict[str, Once[Answer]] = OrderedDict()
        self.door_limit = Buckets(burst=6, every_s=2)
        self.browsers = Browsers(users.secret("browsers"))
        self.logins = LoginLimits()
        self.login_audit = LoginAudit(self._note)
        self.own_audit = LoginAudit(self._note)
        """What people change about themselves."""
        self.password_limit = Buckets(burst=5, every_s=30)
        """Of one's own password, asked for by who is logged in; by session."""
        self.factor_limit = Buckets(burst=5, every_s=900)
        self.certificates = CertificateEnds(
            options.certificates, options.roots, options.certificate_begins
        )
        self._words = lru_cache(maxsize=4)(lambda language: Words(language, options.zone))

    async def _note(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        await self.handover.note(actor, action, detail)

    @property
    @abstractmethod
    def places(self) -> Sequence[Place]:
        """The places of the navigation."""

    @abstractmethod
    def presenter(self, language: str, who: Who | None) -> object:
        """What the frame of every page shows to somebody."""

    def role_key(self, who: Who) -> str:
        """The text that says what somebody may."""
        return f"role.{who.role}"

    def author(self, who: Who, role: Role = "view", proof: Proof = "never") -> Author:
        """``who``, for a change that waits for the disk: whether they may is judged again when it
        is made, as :class:`gateway.web.identity.auth.Needs` has judged it when they asked."""

        def judge() -> None:
            found: Token | User | None = (
                self.users.token(who.token)
                if who.token
                else self.users.session(who.session, touch=False)
            )
            if found is None:
                raise NotLoggedIn
            if not may(found.role, role):
                raise Problem(403, "role")
            if not self.identity.proved(who, proof):
                raise Problem(403, "second_factor")

        return Author(who.actor, judge)

    def answers_of(self, who: Who) -> Once[Answer]:
        """The answers that this person has had: nobody's requests push out those of another."""
        found = self._answers.pop(who.actor, None) or Once(keys=ANSWERS_MOST)
        self._answers[who.actor] = found
        while len(self._answers) > PEOPLE_MOST:
            self._answers.popitem(last=False)
        return found

    def words(self, language: str) -> Words:
        return self._words(language)


class Site(PageSite):
    """Of a gateway."""

    control: ControlClient
    handover: HandOver
    hub: Hub

    def __init__(
        self, options: Options, control: ControlClient, users: Users, records: Records
    ) -> None:
        super().__init__(options, users, Saver())
        self.control = control
        self.records = records
        self.tickets = Tickets(options.state)
        self.ticket_limit = Buckets(burst=20, every_s=3)
        """Of links that are none, by peer. A right one needs no patience."""
        self.handover = HandOver(users, control, records, self.saver, options.gateway)
        self.today = Today(control, records, options.terminals.climates, options.zone)
        self.device_limit = Buckets(burst=10, every_s=10)
        """Of one's own devices: registering and testing; by session."""
        self.hub = Hub(control, records, users, self.presenter, limit=options.max_live)
        self.testbook = TestBook(options.users, options.retention.get("testbook"))
        self.displays = Displays(options.users)
        self.pair_limit = Buckets(burst=10, every_s=20)
        """Of codes that somebody types to pair a display; by peer, and all together."""
        self.weeks = Weeks(options.users, options.zone, self.saver.later)
        self.week = Week()
        self.machine = MachineReader(lambda: look(options.state, options.certificates))

    @property
    def places(self) -> Sequence[Place]:
        return menu(self.options.bench)

    def presenter(self, language: str, who: Who | None) -> Presenter:
        return self.scene_for(
            language,
            names=who is not None and who.may("staff"),
            history=who is not None and who.may("maintenance"),
        )

    def scene_for(self, language: str, *, names: bool, history: bool = False) -> Presenter:
        words = self.words(language)
        return Presenter(
            self.control,
            words,
            lambda actor: self.name_of(actor, words),
            self.options.terminals,
            names=names,
            history=history,
            today=self.today.picture if history else None,
        )

    def name_of(self, actor: str, words: Words) -> str:
        """``web:3`` as a person's name, other issuers as what they are."""
        via, _, name = actor.partition(":")
        receivers = self.options.terminals.receivers
        if actor == VISITOR:
            return words("who.unknown")
        match via:
            case "web" if name.isdigit():
                return self.users.name_of(int(name)) or words("who.gone", name=name)
            case "web" if name.startswith("token-"):
                via, name = "token", name.removeprefix("token-")
            case "link":  # who has used the link of a message
                return receivers.get(name, name)
            case "system":
                via = "gateway"
            case "mqtt" if name == SITES:
                via = "sites"
            case "display":
                name = receivers.get(name) or words.get(f"role.{name}", name)
        return words.get(f"who.{via}", actor, name=name)
