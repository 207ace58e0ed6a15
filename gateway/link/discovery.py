"""Home Assistant finds the gateway: one device with what it has, made from the snapshot. Pure.

The format is MQTT device discovery (https://www.home-assistant.io/integrations/mqtt/,
"Device discovery payload"). Home Assistant cannot sign: its commands carry an envelope that
its own template fills, with a new id and the present time, and the broker's access list says
that they are its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.events import MODES
from gateway.link.topics import Topics

BORN = "homeassistant/status"
"""Home Assistant says ``online`` here when it has started."""
ISSUER = "homeassistant"
"""The name that its commands carry, and that an issuer of the configuration has."""

_SENSORS: Mapping[str, tuple[str | None, str]] = {
    "temperature_c": ("temperature", "°C"),
    "dew_point_c": ("temperature", "°C"),
    "humidity_percent": ("humidity", "%"),
    "pressure_hpa": ("atmospheric_pressure", "hPa"),
    "co2_ppm": ("carbon_dioxide", "ppm"),
    "voltage_v": ("voltage", "V"),
    "battery_percent": ("battery", "%"),
    "battery_v": ("voltage", "V"),
    "rssi_dbm": ("signal_strength", "dBm"),
    "line_ohm": (None, "Ω"),
}
"""Quantity -> device class and unit of Home Assistant."""

_NAMES: Mapping[str, Mapping[str, str]] = {
    "de": {
        "open": "{0}: öffnen", "mode": "{0}: Betriebsart", "request": "{0}: Anfragen",
        "call": "{0}: Notruf", "seen": "{0}: Notruf gesehen", "leak": "{0}: Wasser",
        "occupancy": "{0}: Belegung", "alarms": "Meldungen", "trouble": "Störung",
        "temperature_c": "{0}: Temperatur", "humidity_percent": "{0}: Luftfeuchte",
        "dew_point_c": "{0}: Taupunkt",
    },
    "en": {
        "open": "{0}: open", "mode": "{0}: mode", "request": "{0}: requests",
        "call": "{0}: emergency call", "seen": "{0}: call seen", "leak": "{0}: water",
        "occupancy": "{0}: occupancy", "alarms": "Alarms", "trouble": "Trouble",
        "temperature_c": "{0}: temperature", "humidity_percent": "{0}: humidity",
        "dew_point_c": "{0}: dew point",
    },
}  # fmt: skip

_OUTCOMES = ["accepted", "merged", "extended", "refused"]
Component = dict[str, Any]


def topic(gateway: str) -> str:
    """Where Home Assistant looks for the device."""
    return f"homeassistant/device/{gateway}/config"


def device(topics: Topics, snapshot: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The whole device. ``language``: of the entities' names, ``de`` or ``en``."""
    gateway = snapshot.get("gateway", {})
    names = _NAMES.get(language, _NAMES["en"])
    version = gateway.get("version")
    return {
        "dev": {
            "ids": [f"portier-{topics.gateway}"],
            "name": gateway.get("name") or topics.gateway,
            "mf": "Portier",
            "mdl": "Door and room gateway",
            "sw": version,
        },
        "o": {"name": "portier", "sw": version},
        "qos": 1,
        "cmps": {
            key: {"uniq_id": f"portier-{topics.gateway}-{key}", **one}
            for key, one in (
                *_doors(topics, snapshot, names),
                *_rooms(topics, snapshot, names),
                *_meters(topics, snapshot, names),
                *_house(topics, names),
            )
        },
    }


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


def _doors(topics: Topics, snapshot: Mapping[str, Any], names: Mapping[str, str]) -> Found:
    for id, door in snapshot.get("doors", {}).items():
        state, name = topics.door(id), str(door.get("name") or id)
        command = f"{topics.root}/command/door/{topics.slashes(id)}"
        here = _available(topics)
        known = (state, "value_json.state != 'unknown'")
        yield f"door-{id}", {
            "p": "cover", "name": name, "dev_cla": "door", "stat_t": state,
            "val_tpl": "{{ value_json.state }}", "json_attr_t": state,
            **_available(topics, known),
        }  # fmt: skip
        yield f"door-{id}-open", {
            "p": "button", "name": names["open"].format(name), "cmd_t": f"{command}/open",
            "cmd_tpl": _envelope(), "ic": "mdi:door-open", **here,
        }  # fmt: skip
        yield f"door-{id}-mode", {
            "p": "select", "name": names["mode"].format(name), "cmd_t": f"{command}/mode",
            "cmd_tpl": _envelope(mode="{{ value }}"), "stat_t": state,
            "val_tpl": "{{ value_json.mode }}", "options": list(MODES), "ent_cat": "config",
            **here,
        }  # fmt: skip
        yield f"door-{id}-request", {
            "p": "event", "name": names["request"].format(name),
            "stat_t": topics.event("door_request", id), "evt_typ": _OUTCOMES,
            "val_tpl": "{{ dict(value_json.data, event_type=value_json.data.outcome) | to_json }}",
            "dev_cla": "button", **here,
        }  # fmt: skip


def _rooms(topics: Topics, snapshot: Mapping[str, Any], names: Mapping[str, str]) -> Found:
    for id, room in snapshot.get("rooms", {}).items():
        state, name = topics.room(id), str(room.get("name") or id)
        here = _available(topics)
        if room.get("call") is not None:
            yield f"room-{id}-call", {
                "p": "binary_sensor", "name": names["call"].format(name), "dev_cla": "safety",
                "stat_t": state, "json_attr_t": state,
                # Of the call alone: the climate beside it would write it anew all the time.
                "json_attr_tpl": "{{ value_json.call | to_json }}",
                "val_tpl": "{{ 'ON' if value_json.call.state != 'quiet' "
                "and not value_json.call.test else 'OFF' }}", **here,
            }  # fmt: skip
            yield f"room-{id}-seen", {
                "p": "button", "name": names["seen"].format(name),
                "cmd_t": f"{topics.root}/command/call/{topics.slashes(id)}/acknowledge",
                "cmd_tpl": _envelope(), "ic": "mdi:account-check", **here,
            }  # fmt: skip
        if room.get("leak") is not None:
            yield f"room-{id}-leak", {
                "p": "binary_sensor", "name": names["leak"].format(name), "dev_cla": "moisture",
                "stat_t": state, "val_tpl": "{{ 'ON' if value_json.leak.wet else 'OFF' }}",
                **_available(topics, (state, "value_json.leak.wet is not none")),
            }  # fmt: skip
        if room.get("exported"):
            yield f"room-{id}-occupancy", {
                "p": "binary_sensor", "name": names["occupancy"].format(name),
                "dev_cla": "occupancy", "stat_t": state,
                "val_tpl": "{{ 'ON' if value_json.occupancy == 'occupied' else 'OFF' }}",
                **_available(topics, (state, "value_json.occupancy != 'unknown'")),
            }  # fmt: skip
        if (room.get("climate") or {}).get("dew_point_c") is not None:
            there = (state, "value_json.climate.dew_point_c is not none")
            yield f"room-{id}-dew_point", {
                "p": "sensor", "name": names["dew_point_c"].format(name), "stat_t": state,
                "val_tpl": _number("value_json.climate.dew_point_c", 1),
                **_sensor("dew_point_c"), **_available(topics, there),
            }  # fmt: skip


def _sensor(quantity: str) -> Component:
    device_class, unit = _SENSORS.get(quantity, (None, ""))
    kind: Component = {"stat_cla": "measurement", "unit_of_meas": unit or None}
    if device_class:
        kind["dev_cla"] = device_class
    return {key: value for key, value in kind.items() if value is not None}


def _number(value: str, digits: int) -> str:
    """A number, or what Home Assistant understands as unknown."""
    return f"{{{{ {value} | round({digits}) if {value} is not none else none }}}}"


def _meters(topics: Topics, snapshot: Mapping[str, Any], names: Mapping[str, str]) -> Found:
    for id, point in snapshot.get("points", {}).items():
        for quantity in point.get("quantities") or {}:
            if quantity == "dew_point_c":
                continue  # the room's
            state = topics.point(id)
            value = f"value_json.quantities.{quantity}.value"
            name = names.get(quantity, "{0}: " + quantity).format(id)
            yield f"meter-{id}-{quantity}", {
                "p": "sensor", "name": name, "stat_t": state,
                "val_tpl": _number(value, 2), **_sensor(quantity),
                **_available(topics, (state, f"{value} is not none")),
            }  # fmt: skip


def _house(topics: Topics, names: Mapping[str, str]) -> Found:
    standing = "value_json | selectattr('state', 'in', ['active', 'acknowledged']) | list"
    yield "alarms", {
        "p": "sensor", "name": names["alarms"], "stat_t": topics.alarms, "ent_cat": "diagnostic",
        "val_tpl": f"{{{{ {standing} | count }}}}", "stat_cla": "measurement",
        **_available(topics),
    }  # fmt: skip
    yield "trouble", {
        "p": "binary_sensor", "name": names["trouble"], "dev_cla": "problem",
        "stat_t": topics.alarms, "ent_cat": "diagnostic",
        "val_tpl": f"{{{{ 'ON' if {standing} | count else 'OFF' }}}}", **_available(topics),
    }  # fmt: skip
