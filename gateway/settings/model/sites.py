"""The settings of a centre, which looks at many gateways: the other sort of configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from gateway.settings.model.configuration import Retention
from gateway.settings.model.link import BrokerConnection, GatewaysField, Recording, Web
from gateway.settings.values.types import Bool, Id, Label, Model, Short, wrong


def _database(value: object) -> object:
    if value == "sqlite":
        return value
    remedy = "write database: sqlite, or remove the line"
    text = value if isinstance(value, str) else ""
    if text.startswith(("postgresql:", "postgres:")):
        raise wrong("this version keeps users and log-ins of a centre in SQLite only", remedy)
    raise wrong(f"{text[:40]!r} is no database" if text else "a database is a text", remedy)


class Sites(Model):
    """The centre: who runs it, and what it needs beside broker, store and page."""

    name: Label = "Portier"
    """What people call the whole; no unit, a text."""
    timezone: Label = "Europe/Berlin"
    """The zone of the times on the page; no unit, a name such as Europe/Berlin."""
    languages: tuple[Literal["de", "en"], ...] = ("de", "en")
    """The languages of the page, the first is the default; no unit, de and en."""
    database: Annotated[
        Literal["sqlite"], BeforeValidator(_database), WithJsonSchema({"const": "sqlite"})
    ] = "sqlite"
    """Where users, log-ins and the audit chain are stored; no unit, sqlite."""
    bench: Bool = False
    """The embedded broker is allowed, to try things out; no unit, yes or no."""


class Group(Model):
    """Sites that belong together; in the file the list itself."""

    gateways: tuple[Id, ...]
    """Their gateways; no unit, a list. A gateway may be in several groups."""


class SitesRecord(Recording):
    """The store of all gateways, and who writes it."""

    name: Id = "centre"
    """The name of this recorder; no unit. Recorders that divide the gateways by share carry the
    same one."""
    gateways: GatewaysField = "all"
    """The gateways it records; no unit, all for every one at the broker, or a list."""


SitesRecordField = Annotated[SitesRecord, Short("store")]
"""``record: sqlite`` beside the mapping."""
SitesMqttField = Annotated[BrokerConnection, Short("embedded", (("embedded", "yes"),))]
"""``mqtt: embedded`` beside the mapping."""


class SitesSettings(Model):
    """The whole configuration of a centre."""

    sites: Sites
    """The centre; no unit."""
    mqtt: SitesMqttField
    """The broker; no unit."""
    groups: Mapping[Label, tuple[Id, ...]] = Field(default_factory=dict)
    """Sites that belong together; no unit, names with their gateways."""
    record: SitesRecordField | None = SitesRecord()
    """The store, and which gateways a recorder here writes into it; no unit. None: it writes
    nothing."""
    web: Web | None = None
    """The page; no unit. None: no page."""
    retention: Retention = Retention()
    """How long facts are stored; no unit."""
    digest: str = ""
    """sha256 over everything above in one canonical form; no unit, hexadecimal."""
    hints: tuple[str, ...] = ()
    """What could be better; no unit, texts with file, line and column."""
