"""Reads the configuration of a centre: whole, and with all errors at once, as that of a gateway.

It has a root model of its own: a gateway without points and a centre with doors would both be
half a configuration that starts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gateway.settings.checks import links as check_links
from gateway.settings.checks import sites as check_sites
from gateway.settings.checks.draft import SitesDraft
from gateway.settings.load import SECTIONS as GATEWAY_SECTIONS
from gateway.settings.model.configuration import Retention
from gateway.settings.model.link import Web
from gateway.settings.model.sites import (
    Group,
    Sites,
    SitesMqttField,
    SitesRecordField,
    SitesSettings,
)
from gateway.settings.sections import (
    blanks,
    digest,
    file_bytes,
    is_centre,
    report_both,
    secrets,
    sections,
)
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.reading import Reading
from gateway.settings.values.secrets import places
from gateway.settings.values.tree import Node, parse

ONE: Mapping[str, Any] = {
    "sites": Sites,
    "mqtt": SitesMqttField,
    "record": SitesRecordField,
    "web": Web,
    "retention": Retention,
}
SECTIONS = (*ONE, "groups")
LATER = ("contacts", "escalations", "alarms", "messages", "login", "heartbeat", "push", "backup")
"""What a centre cannot be told yet."""
ELSEWHERE = tuple(name for name in GATEWAY_SECTIONS if name not in (*SECTIONS, *LATER))


def load(path: Path, *, need: Collection[str] | None = None) -> SitesSettings:
    """The configuration of ``path``. ``need``: the sections whose secrets must be there; ``None``:
    all.

    :raises SettingsError: with ``problems``, everything that is wrong
    """
    reading = Reading(places(path))
    root = parse(file_bytes(path), str(path), reading.problems)
    draft = read(root, reading)
    check_links.check_connections(draft)
    check_sites.check(draft)
    blanks(draft)
    secrets(reading, need)
    if reading.problems:
        raise SettingsError(reading.problems)
    return _settings(draft, root)


_SITES = re.compile(rb"^[\"']?sites[\"']?\s*:", re.MULTILINE)
_GATEWAY = re.compile(rb"^(gateway|points)\s*:", re.MULTILINE)


def of_centre(path: Path) -> bool:
    """Whether the file is a centre's. One that cannot be read is taken for a gateway's, whose
    loader says what is wrong. Most files are told by the begin of a line, and parsed once only."""
    try:
        data = file_bytes(path)
        if _GATEWAY.search(data) and not _SITES.search(data):
            return False
        return is_centre(parse(data, str(path), []))
    except SettingsError:
        return False


def read(root: Node, reading: Reading) -> SitesDraft:
    """Every part of the file by itself."""
    draft = SitesDraft(reading)
    nodes, _ = sections(root, reading, SECTIONS, (*ELSEWHERE, *LATER))
    there = root.entries or {}
    report_both(root, reading, [name for name in there if name in ELSEWHERE])
    for name in there:
        if name in LATER:
            mark, _ = there[name]
            reading.problem(mark, name, "is not for a centre in this version", "remove it")
    for name, kind in ONE.items():
        if name in nodes:
            mark, node = nodes[name]
            setattr(draft, name, reading.read(kind, node, name, mark))
    if "groups" in nodes:
        mark, node = nodes["groups"]
        if node.entries is None:
            hint = "write NAME: [gateway, gateway] below groups:, or remove it"
            reading.problem(mark, "groups", "must be a mapping", hint)
        for key, (at, group) in (node.entries or {}).items():
            draft.groups[key] = reading.read(Group, group, f"groups.{key}", at, "gateways")
    for name in ("sites", "mqtt"):
        if name not in nodes:
            reading.problem(root.mark, name, "is missing", f"write {name}: as in config/sites.yaml")
    return draft


def _settings(draft: SitesDraft, root: Node) -> SitesSettings:
    values: dict[str, Any] = {}
    for name in ONE:
        part = getattr(draft, name)
        if part is not None:
            values[name] = part.value
    record, mqtt = values.get("record"), values["mqtt"]
    if record is not None and record.store == "none":
        values["record"] = None
    if mqtt.tls is not None and mqtt.tls.off:
        values["mqtt"] = mqtt.model_copy(update={"tls": None})
    groups = {name: part.value.gateways for name, part in draft.groups.items() if part.value}
    return SitesSettings.model_construct(
        **values, groups=groups, digest=digest(root), hints=check_sites.hints(draft)
    )
