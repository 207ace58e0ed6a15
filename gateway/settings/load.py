"""Reads the configuration: pure, whole, and with all errors at once.

``load`` gives settings or raises; it changes nothing, so a reload that fails keeps the old
ones by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gateway.settings.checks import doors as check_doors
from gateway.settings.checks import hints, wiring_trust
from gateway.settings.checks import links as check_links
from gateway.settings.checks import points as check_points
from gateway.settings.checks import rooms as check_rooms
from gateway.settings.checks.contact_secrets import Judge
from gateway.settings.checks.draft import Draft, Escalation
from gateway.settings.model.backup import Backup
from gateway.settings.model.configuration import (
    Gateway,
    House,
    Journal,
    Point,
    Retention,
    Settings,
    Watch,
)
from gateway.settings.model.doors import Door, Interlock
from gateway.settings.model.drivers import model, split
from gateway.settings.model.link import Heartbeat, MqttField, Push, Record, RecordField, Web
from gateway.settings.model.messages import Messages
from gateway.settings.model.rooms import Contact, Room
from gateway.settings.overlay import merge
from gateway.settings.sections import (
    OF_GATEWAYS,
    blanks,
    digest,
    entries,
    file_bytes,
    is_centre,
    report_both,
    secrets,
    sections,
)
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.problems import SettingsError, near, suggest
from gateway.settings.values.reading import Part, Reading
from gateway.settings.values.secrets import places
from gateway.settings.values.tree import Mark, Node, parse
from gateway.settings.values.types import ID_PATTERN, POINT_PATTERN

ONE: Mapping[str, Any] = {
    "gateway": Gateway,
    "messages": Messages,
    "mqtt": MqttField,
    "record": RecordField,
    "web": Web,
    "retention": Retention,
    "journal": Journal,
    "push": Push,
    "backup": Backup,
    "heartbeat": Heartbeat,
}
MANY: Mapping[str, Any] = {
    "doors": Door,
    "rooms": Room,
    "interlocks": Interlock,
    "watch": Watch,
    "contacts": Contact,
    "escalations": Escalation,
}
HOUSE = ("fire", "alarms", "export")
SECTIONS = ("gateway", "points", *MANY, *(name for name in ONE if name != "gateway"), *HOUSE)


def load(
    path: Path,
    drivers: Mapping[str, DriverInfo],
    *,
    overlay: Path | None = None,
    need: Collection[str] | None = None,
    judge: Judge | None = None,
    accepted: Collection[str] = (),
    adjust: bool = False,
) -> Settings:
    """The configuration of ``path``, with ``overlay`` laid over it where that file exists.

    ``need``: the sections whose secrets must be there; ``None``: all. A role that sends no
    messages needs none of theirs. ``judge``: whether the address of a contact is understood.
    ``accepted``: names (:func:`gateway.settings.checks.draft.wiring_name`) of terminals that may
    stay although they break a rule of wiring. ``adjust``: a value beyond a bound that a version
    before did not have is replaced by the nearest one (``Settings.adjusted``), not refused.

    :raises SettingsError: with ``problems``, everything that is wrong
    """
    reading = Reading(places(path))
    root = parse(file_bytes(path), str(path), reading.problems)
    _refuse_centre(root, reading)
    if overlay is not None and overlay.exists():
        laid = parse(file_bytes(overlay), str(overlay), reading.problems, overlay=True)
        merge(root, laid, reading)
    draft = read(root, reading, drivers)
    draft.accepted, draft.adjust = accepted, adjust
    for check in (wiring_trust, check_points, check_doors, check_rooms, check_links):
        check.check(draft)
    blanks(draft)
    secrets(reading, need, judge)
    if reading.problems:
        raise SettingsError(reading.problems)
    return _settings(draft, root)


def _refuse_centre(root: Node, reading: Reading) -> None:
    """A centre's file is no gateway's: one error instead of one for each section.

    :raises SettingsError: it is one
    """
    if not is_centre(root):
        return
    names = root.entries or {}
    mark, _ = next(iter(names.values()))
    beside = [name for name in OF_GATEWAYS if name in names]
    if beside:
        report_both(root, reading, beside)
    else:
        reading.problem(
            names["sites"][0] if "sites" in names else mark,
            "sites",
            "this is the configuration of a centre, and that of a gateway is needed here",
            "name another file with --config",
        )
    raise SettingsError(reading.problems)


def read(root: Node, reading: Reading, drivers: Mapping[str, DriverInfo]) -> Draft:
    """Every part of the file by itself."""
    draft = Draft(reading, drivers)
    nodes, unread = sections(root, reading, SECTIONS)
    for node in unread:
        draft.uncertain.update(node.texts())
    for name, kind in ONE.items():
        if name in nodes:
            mark, node = nodes[name]
            setattr(draft, name, reading.read(kind, node, name, mark))
    for name, kind in MANY.items():
        parts = getattr(draft, name)
        for key, (mark, node) in entries(nodes, name, reading, ID_PATTERN):
            wrap = "steps" if name == "escalations" else ""
            parts[key] = reading.read(kind, node, f"{name}.{key}", mark, wrap)
    for key, (mark, node) in entries(nodes, "points", reading, POINT_PATTERN):
        draft.points[key] = _point(key, node, mark, draft)
    house = Node(root.mark, entries={name: nodes[name] for name in HOUSE if name in nodes})
    draft.house = reading.read(House, house, "", root.mark)
    for section, part in draft.sections():
        if section != "points" and (part.value is None or part.bad):
            draft.uncertain.update(part.node.texts())
    for name in ("gateway", "points"):
        if name not in nodes:
            reading.problem(
                root.mark, name, "is missing", f"write {name}: as in config/office.yaml"
            )
    return draft


def _point(name: str, node: Node, mark: Mark, draft: Draft) -> Part[Point]:
    key, reading = f"points.{name}", draft.reading
    part: Part[Point] = Part(key, node, mark, bad={"driver"})
    driver = node.child("driver")
    if node.entries is None or driver is None or driver.text is None:
        reading.problem(mark, key, "has no driver", f"write {{driver: {_some(draft.drivers)}, …}}")
        return part
    info = draft.drivers.get(driver.text)
    if info is None:
        hint = suggest(driver.text, draft.drivers)
        reading.problem(
            driver.mark, f"{key}.driver", f"there is no driver {driver.text[:40]!r}", hint
        )
        best = near(driver.text, draft.drivers)
        if best is None:
            return part
        info = draft.drivers[best]
    rest = {k: v for k, v in node.entries.items() if k != "driver"}
    line = reading.read(model(info), Node(node.mark, entries=rest), key, mark)
    part.bad = line.bad
    if line.value is not None:
        try:
            settings, options = split(info, line.value)
        except ValueError as error:
            reading.problem(mark, key, str(error), f"see the driver {info.name}")
            return part
        part.value = Point.model_construct(
            name=name,
            driver=info.name,
            kind=info.kind,
            trust=info.trust,
            settings=settings,
            options=options,
            quantities=info.quantities_of(settings),
        )
    return part


def _some(drivers: Mapping[str, DriverInfo]) -> str:
    return next(iter(drivers), "NAME")


def _settings(draft: Draft, root: Node) -> Settings:
    values: dict[str, Any] = {}
    for name in (*ONE, *MANY, "points"):
        held = getattr(draft, name)
        if isinstance(held, dict):
            values[name] = {key: part.value for key, part in held.items()}
        elif held is not None:
            values[name] = held.value
    values["escalations"] = {k: v.steps for k, v in values["escalations"].items()}
    if values.get("mqtt") is not None and "record" not in values:
        values["record"] = Record()
    if (record := values.get("record")) is not None:
        nobody = record.store == "none"  # here: others may record this gateway all the same
        values["recorders"] = record.expect or (() if nobody else (record.name,))
        values["record"] = None if nobody else record
    mqtt = values.get("mqtt")
    if mqtt is not None and mqtt.tls is not None and mqtt.tls.off:
        values["mqtt"] = mqtt.model_copy(update={"tls": None})
    house = draft.house.value if draft.house is not None else None
    for name in HOUSE:
        values[name] = getattr(house, name)
    return Settings.model_construct(
        **values,
        digest=digest(root),
        hints=hints.hints(draft),
        tolerated=tuple(draft.stays),
        adjusted=tuple(draft.adjusted),
    )
