"""Reads the configuration: pure, whole, and with all errors at once.

``load`` gives settings or raises; it changes nothing, so a reload that fails keeps the old
ones by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gateway import regular
from gateway.settings.checks import contact_secrets, hints, wiring_trust
from gateway.settings.checks import doors as check_doors
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
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.problems import Adjusted, Problem, SettingsError, near, phrase, suggest
from gateway.settings.values.reading import Part, Reading
from gateway.settings.values.secrets import SecretError, places
from gateway.settings.values.tree import Mark, Node, parse
from gateway.settings.values.types import ID_PATTERN, POINT_PATTERN, named
from gateway.settings.values.units import tidy

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
    root = parse(_bytes(path), str(path), reading.problems)
    if overlay is not None and overlay.exists():
        laid = parse(_bytes(overlay), str(overlay), reading.problems, overlay=True)
        merge(root, laid, reading)
    draft = read(root, reading, drivers)
    draft.accepted, draft.adjust = accepted, adjust
    for check in (wiring_trust, check_points, check_doors, check_rooms, check_links):
        check.check(draft)
    _blanks(draft)
    _secrets(reading, need, judge)
    if reading.problems:
        raise SettingsError(reading.problems)
    return _settings(draft, root)


def _blanks(draft: Draft) -> None:
    """Quantities with odd blanks, as a bound that came later (:meth:`Draft.bound`)."""
    for key, mark, text in draft.reading.tidied:
        message = phrase("{text} has blanks that do not belong there", text=repr(text[:40]))
        hint = phrase("write {text}", text=tidy(text))
        problem = Problem(mark.file, mark.line, mark.column, key, message, hint)
        if draft.adjust:
            draft.adjusted.append(Adjusted(repr(text), tidy(text), problem))
        else:
            draft.reading.problems.append(problem)


def _bytes(path: Path) -> bytes:
    try:
        return regular.read(path)
    except OSError as error:
        problem = Problem(
            str(path), 1, 1, "", f"cannot be read ({error.strerror})", "check the path"
        )
        raise SettingsError([problem]) from None


def read(root: Node, reading: Reading, drivers: Mapping[str, DriverInfo]) -> Draft:
    """Every part of the file by itself."""
    draft = Draft(reading, drivers)
    nodes = _sections(root, reading, draft)
    for name, kind in ONE.items():
        if name in nodes:
            mark, node = nodes[name]
            setattr(draft, name, reading.read(kind, node, name, mark))
    for name, kind in MANY.items():
        parts = getattr(draft, name)
        for key, (mark, node) in _entries(nodes, name, reading, ID_PATTERN):
            wrap = "steps" if name == "escalations" else ""
            parts[key] = reading.read(kind, node, f"{name}.{key}", mark, wrap)
    for key, (mark, node) in _entries(nodes, "points", reading, POINT_PATTERN):
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


def _sections(root: Node, reading: Reading, draft: Draft) -> dict[str, tuple[Mark, Node]]:
    """The sections by name; one that is misspelt is reported and taken for what it is near to."""
    entries = root.entries or {}
    nodes: dict[str, tuple[Mark, Node]] = {}
    for name, (mark, node) in entries.items():
        if name in SECTIONS:
            nodes[name] = (mark, node)
            continue
        reading.problem(mark, name[:60], "is not a known section", suggest(name, SECTIONS))
        best = near(name, SECTIONS)
        if best is not None and best not in entries:
            nodes.setdefault(best, (mark, node))
        else:
            draft.uncertain.update(node.texts())
    return nodes


def _entries(
    nodes: Mapping[str, tuple[Mark, Node]], name: str, reading: Reading, pattern: str
) -> list[tuple[str, tuple[Mark, Node]]]:
    if name not in nodes:
        return []
    mark, node = nodes[name]
    if node.entries is None:
        reading.problem(mark, name, "must be a mapping", f"write names below {name}:, or remove it")
        return []
    check = named(pattern, "a name", "front (a-z, 0-9, _ and -)").func
    for key, (at, _) in node.entries.items():
        try:
            check(key)  # type: ignore[call-arg]  # it is the one-argument form
        except ValueError:
            reading.problem(
                at,
                f"{name}.{key[:60]}",
                phrase("is not a name that can stand in a topic"),
                phrase("use a-z, 0-9, _ and - with dots between")
                if name == "points"
                else phrase("use a-z, 0-9, _ and -"),
            )
    return list(node.entries.items())


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


def _secrets(reading: Reading, need: Collection[str] | None, judge: Judge | None) -> None:
    for key, mark, secret in reading.secrets:
        if need is not None and key.partition(".")[0] not in need:
            continue
        if key.startswith(("contacts.", "heartbeat.", "messages.")):
            wrong = contact_secrets.wrong(secret, judge if key.startswith("contacts.") else None)
            if wrong is not None:
                reading.problem(mark, key, *wrong)
            continue
        try:
            secret.read()
        except SecretError as error:
            where = secret.places[-1] / secret.name if secret.places else secret.name
            reading.problem(
                mark, key, str(error), f"write it into {where}, readable for its role only"
            )


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
    if values.get("record") is not None and values["record"].store == "none":
        values["record"] = None
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


def digest(root: Node) -> str:
    """sha256 of what is written, whatever the layout and comments; secrets by name."""

    def plain(node: Node) -> Any:
        if node.items is not None:
            return [plain(item) for item in node.items]
        if node.entries is not None:
            return {key: plain(value) for key, (_, value) in node.entries.items()}
        if node.of_page:
            return {"!address": node.text}
        return {"!secret": node.text} if node.secret else node.text

    canonical = json.dumps(plain(root), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
