"""What Home Assistant is told of the building, made from the snapshot. Pure.

One message for each door, each room and each meter, and one for the gateway itself: a building
grows, and brokers limit the size of a message. Doors and rooms are devices of their own,
reached through the gateway's; meters belong to the gateway's device, whose topic is the one
from before. What an entity is called for the machine (``uniq_id``) is independent of the
message it comes in, so that Home Assistant keeps its history.

The format is MQTT device discovery (https://www.home-assistant.io/integrations/mqtt/,
"Device discovery payload"). Home Assistant cannot sign: its commands carry an envelope that
its own template fills, with a new id and the present time, and the broker's access list says
that they are its own: where the configuration has issuers, on a topic that carries its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.events import MODES
from gateway.core.snapshot_types import PointShown, RoomShown
from gateway.mqtt.topics import Topics
from gateway.panel.snapshot_types import Snapshot

BORN = "homeassistant/status"
"""Home Assistant says ``online`` here when it has started."""
ISSUER = "homeassistant"
"""The name that its commands carry, and that an issuer of the configuration has."""

_SENSORS: Mapping[str, tuple[str | None, str, int]] = {
    "temperature_c": ("temperature", "°C", 1),
    "dew_point_c": ("temperature", "°C", 1),
    "humidity_percent": ("humidity", "%", 0),
    "pressure_hpa": ("atmospheric_pressure", "hPa", 0),
    "co2_ppm": ("carbon_dioxide", "ppm", 0),
    "voltage_v": ("voltage", "V", 2),
    "battery_percent": ("battery", "%", 0),
    "battery_v": ("voltage", "V", 2),
    "rssi_dbm": ("signal_strength", "dBm", 0),
    "line_ohm": (None, "Ω", 0),
}
"""Quantity -> device class and unit of Home Assistant, and decimals that are shown."""
_OF_THE_SENSOR = frozenset({"battery_percent", "battery_v", "rssi_dbm", "line_ohm"})
"""Quantities that tell about the sensor and not about the building."""
_CONTACTS: Mapping[str, tuple[str, str | None]] = {
    "leaf": ("leaf", "door"),
    "operator fault": ("operator_fault", "problem"),
    "presence in the doorway": ("doorway", "occupancy"),
    "fire": ("fire", "safety"),
    "motion": ("motion", "motion"),
    "watched": ("watched", None),
}
"""Role of a contact -> its name and device class. Those of others are no states: a button is a
request at its door, a cord is the call of its room."""

_NAMES: Mapping[str, Mapping[str, str]] = {
    "de": {
        "open": "Öffnen", "mode": "Betriebsart", "request": "Anfragen",
        "schedule": "Zurück zum Wochenplan",
        "call": "Notruf", "seen": "Notruf gesehen", "leak": "Wasser",
        "occupancy": "Belegung", "alarms": "Meldungen", "trouble": "Störung",
        "temperature_c": "{0}: Temperatur", "humidity_percent": "{0}: Luftfeuchte",
        "dew_point_c": "Taupunkt", "pressure_hpa": "{0}: Luftdruck", "co2_ppm": "{0}: CO₂",
        "voltage_v": "{0}: Spannung", "battery_percent": "{0}: Batterie",
        "battery_v": "{0}: Batteriespannung", "rssi_dbm": "{0}: Empfang",
        "line_ohm": "{0}: Widerstand der Leitung",
        "leaf": "Türblatt", "operator_fault": "Störung des Antriebs",
        "doorway": "Jemand steht in der Tür", "fire": "Brandmeldeanlage", "motion": "Bewegung",
        "watched": "{0}",
    },
    "en": {
        "open": "Open", "mode": "Mode", "request": "Requests",
        "schedule": "Back to the schedule",
        "call": "Emergency call", "seen": "Call seen", "leak": "Water",
        "occupancy": "Occupancy", "alarms": "Alarms", "trouble": "Trouble",
        "temperature_c": "{0}: temperature", "humidity_percent": "{0}: humidity",
        "dew_point_c": "Dew point", "pressure_hpa": "{0}: air pressure", "co2_ppm": "{0}: CO₂",
        "voltage_v": "{0}: voltage", "battery_percent": "{0}: battery",
        "battery_v": "{0}: battery voltage", "rssi_dbm": "{0}: signal",
        "line_ohm": "{0}: resistance of the line",
        "leaf": "Leaf", "operator_fault": "Operator fault",
        "doorway": "Somebody in the doorway", "fire": "Fire alarm", "motion": "Motion",
        "watched": "{0}",
    },
}  # fmt: skip
"""Home Assistant puts the name of the device before the name of an entity."""

_OUTCOMES = ["accepted", "merged", "extended", "refused"]
Component = dict[str, Any]


Devices = dict[str, dict[str, Any]]
"""Topic -> message."""


@dataclass(frozen=True, slots=True)
class DescribedPoint:
    """What the configuration says of a point: the door or room that names it, as what, and what
    people call it. Empty: nothing."""

    door: str = ""
    room: str = ""
    role: str = ""
    label: str = ""


NOT_DESCRIBED = DescribedPoint()


@dataclass(frozen=True, slots=True)
class Described:
    """What the configuration says. ``page``: the address of the page, empty where there is none
    that others reach."""

    points: Mapping[str, DescribedPoint] = field(default_factory=dict)
    page: str = ""


UNDESCRIBED = Described()


def topic(gateway: str, part: str = "") -> str:
    """Where Home Assistant looks for the gateway, or for a part of it (``door-front``).

    The part is a level of its own, so that an access list can name the gateway's."""
    return f"homeassistant/device/{_level(gateway)}/{_level(part) + '/' if part else ''}config"


def _level(name: str) -> str:
    """A name of the characters that Home Assistant takes, different for different names."""
    if re.fullmatch(r"[a-zA-Z0-9_-]+", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name) + "-" + digest


def devices(
    topics: Topics,
    snapshot: Snapshot,
    language: str,
    known: Collection[str] = (),
    issuer: str = "",
    described: Described = UNDESCRIBED,
) -> Devices:
    """Every message by its topic, the gateway's own first. ``language``: of the entities' names,
    ``de`` or ``en``. ``known``: components that were there before. One that depends on a value
    stays while the value is unknown, because Home Assistant forgets what is taken away.
    ``issuer``: whose topic its commands go to, empty: the shared one."""
    gateway = snapshot.get("gateway", {})
    names = _NAMES.get(language, _NAMES["en"])
    version, id = gateway.get("version"), f"portier-{topics.gateway}"
    own = {
        "ids": [id],
        "name": gateway.get("name") or topics.gateway,
        "mf": "Portier",
        "mdl": "Door and room gateway",
        "sw": version,
        **({"cu": described.page} if described.page else {}),
    }

    def message(device: Mapping[str, Any], components: Found) -> dict[str, Any]:
        return {
            "dev": device,
            "o": {"name": "portier", "sw": version},
            "qos": 1,
            **_available(topics),
            "cmps": {
                key: {
                    "uniq_id": f"{id}-{key}",
                    "def_ent_id": _entity_id(str(one["p"]), topics.gateway, key),
                    **one,
                }
                for key, one in components
            },
        }

    def part(key: str, name: str, model: str) -> dict[str, Any]:
        return {
            "ids": [f"{id}-{key}"], "name": name, "mf": "Portier", "mdl": model,
            "via_device": id, "sa": name,
            **({"cu": described.page} if described.page else {}),
        }  # fmt: skip

    def owner(point: str) -> dict[str, Any]:
        """The device of the door or room that a contact belongs to, else the gateway's."""
        place = described.points.get(point, NOT_DESCRIBED)
        doors, rooms = snapshot.get("doors", {}), snapshot.get("rooms", {})
        if (door := doors.get(one := place.door)) is not None:
            return part(f"door-{one}", str(door.get("name") or one), "Door")
        if (room := rooms.get(one := place.room)) is not None:
            return part(f"room-{one}", str(room.get("name") or one), "Room")
        return own

    found = {topic(topics.gateway): message(own, _house(topics, names))}
    for name, door in snapshot.get("doors", {}).items():
        device = part(f"door-{name}", str(door.get("name") or name), "Door")
        found[topic(topics.gateway, f"door-{name}")] = message(
            device, _door(topics, name, names, issuer)
        )
    for name, room in snapshot.get("rooms", {}).items():
        device = part(f"room-{name}", str(room.get("name") or name), "Room")
        made = message(device, _room(topics, name, room, names, known, issuer))
        if made["cmps"]:
            found[topic(topics.gateway, f"room-{name}")] = made
    for name, point in snapshot.get("points", {}).items():
        told = described.points.get(name, NOT_DESCRIBED)
        if point.get("kind") == "contact":
            made = message(owner(name), _contact(topics, name, point, names, told))
        else:
            title = told.label or name
            made = message(own, _meter(topics, name, point, names, known, title))
        if made["cmps"]:
            found[topic(topics.gateway, f"point-{name}")] = made
    return found


def _envelope(**more: str) -> str:
    """A command as Home Assistant's template makes it at the moment it is given."""
    fields = {
        "id": "ha-{{ utcnow().timestamp() }}-{{ range(100000) | random }}",
        "issued_at": "{{ utcnow().isoformat() }}",
        "by": ISSUER,
        **more,
    }
    inner = ", ".join(f'"{key}": "{value}"' for key, value in fields.items())
    return "{" + inner + ', "ttl": 5}'


def _available(topics: Topics, *more: tuple[str, str]) -> Component:
    """The gateway is there, and so is what ``more`` names: (topic, condition on its value)."""
    gateway = {"t": topics.availability}
    others = [
        {"t": where, "val_tpl": f"{{{{ 'online' if {condition} else 'offline' }}}}"}
        for where, condition in more
    ]
    return {"avty": [gateway, *others], "avty_mode": "all"}


Found = Iterator[tuple[str, Component]]
Names = Mapping[str, str]


def _door(topics: Topics, id: str, names: Names, issuer: str) -> Found:
    state = topics.door(id)
    command = topics.command(f"door/{topics.slashes(id)}", issuer)
    yield f"door-{id}", {
        "p": "cover", "name": None, "dev_cla": "door", "stat_t": state,
        "val_tpl": "{{ value_json.state }}", "json_attr_t": state,
        **_available(topics, (state, "value_json.state != 'unknown'")),
    }  # fmt: skip
    yield f"door-{id}-open", {
        "p": "button", "name": names["open"], "cmd_t": f"{command}/open",
        "cmd_tpl": _envelope(), "ic": "mdi:door-open",
    }  # fmt: skip
    yield f"door-{id}-mode", {
        "p": "select", "name": names["mode"], "cmd_t": f"{command}/mode",
        "cmd_tpl": _envelope(mode="{{ value }}"), "stat_t": state,
        "val_tpl": "{{ value_json.mode }}", "options": list(MODES), "ent_cat": "config",
    }  # fmt: skip
    yield f"door-{id}-schedule", {
        "p": "button", "name": names["schedule"], "cmd_t": f"{command}/mode",
        "cmd_tpl": _envelope(mode="schedule"), "ic": "mdi:calendar-clock", "ent_cat": "config",
    }  # fmt: skip
    yield f"door-{id}-request", {
        "p": "event", "name": names["request"],
        "stat_t": topics.event("door_request", id), "evt_typ": _OUTCOMES,
        "val_tpl": "{{ dict(value_json.data, event_type=value_json.data.outcome) | to_json }}",
        "dev_cla": "button",
    }  # fmt: skip


def _room(
    topics: Topics,
    id: str,
    room: RoomShown,
    names: Names,
    known: Collection[str],
    issuer: str,
) -> Found:
    state = topics.room(id)
    if room.get("call") is not None:
        yield f"room-{id}-call", {
            "p": "binary_sensor", "name": names["call"], "dev_cla": "safety",
            "stat_t": state, "json_attr_t": state,
            # Of the call alone: the climate beside it would write it anew all the time.
            "json_attr_tpl": "{{ value_json.call | to_json }}",
            "val_tpl": "{{ 'ON' if value_json.call.state != 'quiet' "
            "and not value_json.call.test else 'OFF' }}",
        }  # fmt: skip
        yield f"room-{id}-seen", {
            "p": "button", "name": names["seen"],
            "cmd_t": topics.command(f"call/{topics.slashes(id)}/acknowledge", issuer),
            "cmd_tpl": _envelope(), "ic": "mdi:account-check",
        }  # fmt: skip
    if room.get("leak") is not None:
        yield f"room-{id}-leak", {
            "p": "binary_sensor", "name": names["leak"], "dev_cla": "moisture",
            "stat_t": state, "val_tpl": "{{ 'ON' if value_json.leak.wet else 'OFF' }}",
            **_available(topics, (state, "value_json.leak.wet is not none")),
        }  # fmt: skip
    if room.get("exported"):
        yield f"room-{id}-occupancy", {
            "p": "binary_sensor", "name": names["occupancy"],
            "dev_cla": "occupancy", "stat_t": state,
            "val_tpl": "{{ 'ON' if value_json.occupancy == 'occupied' else 'OFF' }}",
            **_available(topics, (state, "value_json.occupancy != 'unknown'")),
        }  # fmt: skip
    key, climate = f"room-{id}-dew_point", room.get("climate")
    if climate and (climate.get("dew_point_c") is not None or key in known):
        yield key, {
            "p": "sensor", "name": names["dew_point_c"], "stat_t": state,
            "val_tpl": _number("value_json.climate.dew_point_c", 1), **_sensor("dew_point_c"),
            **_available(topics, (state, "value_json.climate.dew_point_c is not none")),
        }  # fmt: skip


def _entity_id(platform: str, gateway: str, key: str) -> str:
    """What an entity is called in automations when Home Assistant meets it first: English, and the
    same in every language of the names."""
    slug = re.sub(r"[^a-z0-9]+", "_", f"{gateway}_{key}".casefold()).strip("_")
    return f"{platform}.{slug}"


def _sensor(quantity: str) -> Component:
    device_class, unit, decimals = _SENSORS.get(quantity, (None, "", None))
    kind: Component = {
        "stat_cla": "measurement", "unit_of_meas": unit or None, "dev_cla": device_class,
        "sug_dsp_prc": decimals, "ent_cat": "diagnostic" if quantity in _OF_THE_SENSOR else None,
    }  # fmt: skip
    return {key: value for key, value in kind.items() if value is not None}


def _number(value: str, digits: int) -> str:
    """A number, or what Home Assistant understands as unknown."""
    return f"{{{{ {value} | round({digits}) if {value} is not none else none }}}}"


def _meter(
    topics: Topics, id: str, point: PointShown, names: Names, known: Collection[str], title: str
) -> Found:
    """A meter has the quantities that it has measured since ``control`` started. ``title``: its
    label, or its id."""
    head = f"meter-{id}-"
    before = (key.removeprefix(head) for key in known if key.startswith(head))
    quantities = dict.fromkeys(point.get("quantities") or ())
    if point.get("kind") == "meter":
        quantities |= dict.fromkeys(name for name in before if re.fullmatch(r"[a-z0-9_]+", name))
    for quantity in quantities:
        if quantity == "dew_point_c":
            continue  # the room's
        state = topics.point(id)
        value = f"value_json.get('quantities', {{}}).get('{quantity}', {{}}).get('value')"
        name = names.get(quantity, "{0}: " + quantity).format(title)
        yield f"meter-{id}-{quantity}", {
            "p": "sensor", "name": name, "stat_t": state,
            "val_tpl": _number(value, 2), **_sensor(quantity),
            **_available(topics, (state, f"{value} is not none")),
        }  # fmt: skip


def _contact(
    topics: Topics, id: str, point: PointShown, names: Names, told: DescribedPoint
) -> Found:
    """A contact whose level says how something is. What tells about a person is only there where
    it is exported."""
    role = _CONTACTS.get(told.role)
    if role is None or not point.get("exported", True):
        return
    name, device_class = role
    state = topics.point(id)
    component: Component = {
        "p": "binary_sensor", "name": names[name].format(told.label or id),
        "dev_cla": device_class, "stat_t": state,
        "val_tpl": "{{ 'ON' if value_json.active else 'OFF' }}",
        "ent_cat": "diagnostic" if name == "operator_fault" else None,
        **_available(topics, (state, "value_json.active is not none")),
    }  # fmt: skip
    yield f"contact-{id}", {key: one for key, one in component.items() if one is not None}


def _house(topics: Topics, names: Names) -> Found:
    standing = "value_json | selectattr('state', 'in', ['active', 'acknowledged']) | list"
    yield "alarms", {
        "p": "sensor", "name": names["alarms"], "stat_t": topics.alarms, "ent_cat": "diagnostic",
        "val_tpl": f"{{{{ {standing} | count }}}}", "stat_cla": "measurement",
    }  # fmt: skip
    yield "trouble", {
        "p": "binary_sensor", "name": names["trouble"], "dev_cla": "problem",
        "stat_t": topics.alarms, "ent_cat": "diagnostic",
        "val_tpl": f"{{{{ 'ON' if {standing} | count else 'OFF' }}}}",
    }  # fmt: skip
