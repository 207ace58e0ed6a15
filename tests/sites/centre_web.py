"""The page of the centre over gateways that a test makes up: no broker, no server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from gateway.panel.snapshot_types import Snapshot
from gateway.recorder.points import Point
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.sites.app import create_app
from gateway.sites.audit import Asked
from gateway.sites.grants import Grant
from gateway.sites.history.sqlite import SqliteHistory
from gateway.sites.interfaces import CommandName
from gateway.sites.options import CentreOptions
from gateway.sites.page_site import CentreSite, audit_of
from gateway.web.building.control_client import Answer
from gateway.web.identity.users import Users, users_file
from gateway.web.storage.saver import Saver
from gateway.web.storage.store import Author
from tests.identity import start_session
from tests.page.fake import alarm, called, contact, door, guarantee, now_ms, room
from tests.web.conftest import PASSWORD, Client, Served, Web

NOBODY = Author("cli:test")
OPENS = {"may": ["acknowledge", "open"], "doors": {"front": ["mon-fri 07:00-18:00"]}}


def utc_ms() -> int:
    return int(time.time() * 1000)


@dataclass
class FakeGateway:
    """A gateway as a picture would have it; whoever changes it calls :meth:`FakeCentre.changed`."""

    id: str
    name: str = ""
    presence: Literal["online", "offline", "unknown"] = "online"
    presence_since_utc_ms: int | None = None
    heard_utc_ms: int | None = field(default_factory=utc_ms)
    silent: bool = False
    health: Mapping[str, Any] | None = None
    health_utc_ms: int | None = None
    health_overdue: bool = False
    recorded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lacks: Sequence[str] = ()
    confirms: bool = True
    changes: int = 1
    building: dict[str, Any] | None = None
    rights: Mapping[str, Any] | None = field(default_factory=lambda: OPENS)
    version: str = "0.3.0"

    def __post_init__(self) -> None:
        if self.building is None:
            now = now_ms()
            self.building = {
                "gateway": {"id": self.id, "name": self.name or self.id, "started_ms": None},
                "now_ms": now,
                "utc_offset_ms": utc_ms() - now,
                "clock_trusted": True,
                "clock_settled": False,
                "clock_since_ms": None,
                "doors": {"front": door("Haupteingang"), "back": door("Hof")},
                "rooms": {"wc": room("WC")},
                "points": {"front.leaf": contact()},
                "alarms": [],
                "fire": None,
                "guarantees": {"call": guarantee(now), "messages": guarantee(now)},
            }

    @property
    def fresh(self) -> bool:
        return self.presence == "online" and self.confirms

    @property
    def fresh_since_utc_ms(self) -> int | None:
        return self.presence_since_utc_ms

    @property
    def complete(self) -> bool:
        return not self.lacks

    @property
    def snapshot(self) -> Snapshot | None:
        return cast("Snapshot | None", self.building)

    @property
    def info(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {
            "name": self.name or self.id,
            "version": self.version,
            "configuration": "9f86d081884c7d65",
            "points": {"front.leaf": "Haupteingang, Türblatt"},
        }
        if self.rights is not None:
            found["issuers"] = {"sites": self.rights}
        return found

    def call(self, **values: Any) -> None:
        """Somebody pulls the cord in the bathroom."""
        assert self.building is not None
        self.building["rooms"]["wc"]["call"] = called("wc-1", **values)

    def measure(self) -> None:
        """It has a climate sensor, which has said its temperature."""
        assert self.building is not None
        self.building["points"]["wc.climate"] = {
            "kind": "meter", "active": None, "raw": None, "since_ms": None, "reason": "",
            "faults": [], "changes": 0,
            "quantities": {"temperature_c": {"value": 20, "at_ms": None, "reason": ""}},
        }  # fmt: skip

    def raise_alarm(self, kind: str = "left_open", severity: str = "urgent") -> None:
        assert self.building is not None
        self.building["alarms"].append(alarm("front", kind, severity))


class FakeCommands:
    """Answers every command as told, and remembers what was asked."""

    def __init__(self, audit: Callable[[Asked, Answer], object]) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer = Answer("c1", "accepted", "", "bad-1/j/urgent/7")
        self._audit = audit

    async def ask(
        self,
        gateway: str,
        name: CommandName,
        subject: str,
        *,
        by: str,
        reason: str = "",
        attends: str = "",
    ) -> Answer:
        @dataclass
        class Command:
            gateway: str
            name: str
            subject: str
            by: str
            text: str

        self.asked.append(
            {
                "gateway": gateway,
                "name": name,
                "subject": subject,
                "by": by,
                "text": reason or attends,
            }
        )
        self._audit(Command(gateway, name, subject, by, reason or attends), self.answer)
        return self.answer


@dataclass
class FakePicture:
    gateways: dict[str, FakeGateway]
    strangers: Mapping[str, int] = field(default_factory=dict)


class FakeCentre:
    def __init__(
        self, gateways: Sequence[FakeGateway], audit: Callable[[Asked, Answer], object]
    ) -> None:
        self.picture = FakePicture({one.id: one for one in gateways})
        self.connected = True
        self.reason = ""
        self.refused: dict[str, str] = {}
        self.enrolments_unreadable = ""
        self.since_utc_ms = utc_ms()
        self.on_change: list[Callable[[str], None]] = []
        self.commands = FakeCommands(audit)

    def changed(self, gateway: str) -> None:
        if gateway:
            self.picture.gateways[gateway].changes += 1
        for told in self.on_change:
            told(gateway)

    def lose(self) -> None:
        """The broker is away."""
        self.connected, self.since_utc_ms = False, utc_ms()
        for one in self.picture.gateways.values():
            one.presence, one.presence_since_utc_ms = "unknown", utc_ms()
            one.changes += 1
        self.changed("")

    async def run(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        pass


GROUPS = {"Park": ("bad-1", "bad-2"), "Pflege": ("bad-2", "office")}


class CentreWeb(Web):
    """One application, its parts, and clients for it."""

    def __init__(  # the one of a gateway does not apply
        self,
        state: Path,
        gateways: Sequence[FakeGateway] | None = None,
        **options: Any,
    ) -> None:
        self.runner = asyncio.Runner()
        self.users = Users(users_file(state))
        self.recorded = state / "record" / "record.sqlite"
        usual = {"groups": GROUPS, "store": "sqlite", "open_history": self._open_history}
        self.options = CentreOptions(state=state, **{**usual, **options})
        if gateways is None:
            gateways = [
                FakeGateway("bad-1", "Bad 1"),
                FakeGateway("bad-2", "Bad 2"),
                FakeGateway("office", "Geschäftsstelle"),
            ]
        self.centre, self.site = self.runner.run(self._centre(gateways))  # type: ignore[assignment]  # of the centre
        self.app = Served(self.page, create_app)
        self.base = "https://test" if self.options.tls else "http://test"

    async def _centre(self, gateways: Sequence[FakeGateway]) -> tuple[FakeCentre, CentreSite]:
        saver = Saver()
        options = cast("CentreOptions", self.options)
        audit = audit_of(options, saver)
        centre = FakeCentre(gateways, audit.command)
        return centre, CentreSite(options, centre, self.users, audit, saver)

    def _open_history(self) -> SqliteHistory:
        return SqliteHistory(self.recorded)

    def record(self, *points: Point) -> None:
        """The recorder stores what gateways have sent."""
        self.recorded.parent.mkdir(exist_ok=True)
        store = SqliteStore(self.recorded)
        assert store.write(points) == []
        store.close()

    @property
    def page(self) -> CentreSite:
        return cast("CentreSite", self.site)

    def gateway(self, id: str) -> FakeGateway:
        return self.centre.picture.gateways[id]

    def user(self, name: str, *grants: Grant, owner: bool = False) -> Client:
        """A new user with what was granted, logged in."""
        self.users.add_user(name, "admin" if owner else "view", PASSWORD)
        user = self.users.by_name(name)
        for grant in grants:
            self.page.grants.give(user.id, grant, NOBODY)
        return Client(self, start_session(self.users, user.id))

    def audited(self) -> list[tuple[str, str, str]]:
        """(actor, action, gateway) of all entries, the oldest first."""
        self.runner.run(self.site.saver.run(lambda: None))
        entries = reversed(self.page.audit.newest(1_000))
        return [(one.actor, one.action, one.gateway) for one in entries]

    def close(self) -> None:
        self.page.close()
        self.site.saver.close()
        self.users.close()
        self.runner.close()
