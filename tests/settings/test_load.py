# ruff: noqa: E501 - a table of slips, one a line
"""The rest of the house: gateway, points, rooms, broker, store and page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.settings.plan.building import plan
from tests.settings.house import (
    NOW,
    SMALL,
    Odd,
    changed,
    loaded,
    problems,
    said,
    with_door,
    with_point,
)

CONTRACT = """
gateway: {id: csg-office, name: Geschäftsstelle, timezone: Europe/Berlin, holidays: DE-SN, languages: [de, en]}
points:                                       # the electrician's list: one line per terminal
  front.button_outside: {driver: gpio_contact, pin: GPIO17, wiring: normally_open}
  front.remote:         {driver: gpio_contact, pin: GPIO18, wiring: normally_open}
  front.leaf:           {driver: gpio_contact, pin: GPIO23, wiring: normally_closed}
  front.activation:     {driver: gpio_relay,   pin: GPIO27}
  wc.cord:              {driver: gpio_contact, pin: GPIO22, wiring: normally_closed}
  wc.climate:           {driver: sht4x, bus: 1, every: 60 s}
  front.hold_open:      {driver: gpio_relay,   pin: GPIO5, max_on: unlimited}
  wc.cancel:            {driver: gpio_contact, pin: GPIO24}
  wc.lamp:              {driver: gpio_relay,   pin: GPIO19, max_on: unlimited}
  wc.pir:               {driver: gpio_contact, pin: GPIO12}
  wc.door:              {driver: gpio_contact, pin: GPIO13}
  wc.leak:              {driver: gpio_contact, pin: GPIO16}
doors:                                        # the facility manager's list: what it means
  front:
    activation: {point: front.activation, pulse: 500 ms}
    hold_open: front.hold_open
    leaf: front.leaf
    activators:
      - {point: front.button_outside, kind: button, side: outside}
      - {point: front.remote, kind: remote, side: outside, hold_open: 20 s}
    left_open_after: 2 min
    schedule: {mon-fri 07:00-18:00: automatic, otherwise: night}
rooms:
  wc: {cord: [wc.cord], cancel: wc.cancel, reassurance: wc.lamp, motion: [wc.pir], door: wc.door, leak: wc.leak, climate: wc.climate, escalation: care}
contacts:
  caretaker: {channels: [!secret caretaker_url], hours: mon-fri 08:00-16:00}
  reception: {channels: [!secret caretaker_url], hours: [mon-thu 08:00-16:00, fri 08:00-12:00]}
  care_service: {channels: [!secret caretaker_url]}
escalations: {care: [{after: 0 s, notify: caretaker}, {after: 60 s, notify: reception}, {every: 120 s, notify: care_service}]}
alarms: {emergency: care}
mqtt: {host: localhost, port: 8883, tls: {ca: ca.pem, cert: gw.pem, key: gw.key}}
record: {store: "influx://store.example:8428/portier/portier"}
web: {listen: 127.0.0.1:8080}
retention: {calls: 1 y, doors: 90 d, occupancy: 24 h, climate: 2 y}
heartbeat: {url: "https://hc.example/ping", every: 5 min}
export: [motion, occupancy]
"""
"""The page's own example, with the terminals and people that it leaves out."""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "caretaker_url"
    file.write_text("ntfy://example/topic\n")
    return file


def test_the_configuration_of_the_contract_is_loaded(tmp_path: Path, secret: Path) -> None:
    settings = loaded(tmp_path, CONTRACT)
    building = plan(settings, now_utc_ms=NOW)
    assert building.gateway == "csg-office"
    assert [door.id for door in building.doors] == ["front"]
    assert {c.point for c in building.contacts} >= {"wc.cord", "wc.pir", "wc.door", "wc.leak"}
    assert [m.point for m in building.meters] == ["wc.climate"]
    assert building.meters[0].silent_after_ms == 600_000
    assert settings.contacts["caretaker"].channels[0].read() == "ntfy://example/topic"
    assert [step.every_ms for step in settings.escalations["care"]] == [None, None, 120_000]
    assert settings.rooms["wc"].cord == ("wc.cord",)
    assert settings.mqtt is not None
    assert (settings.mqtt.port_number, settings.mqtt.encrypted) == (8883, True)
    assert settings.heartbeat is not None
    assert settings.heartbeat.every_ms == 300_000
    assert settings.export == ("motion", "occupancy")
    assert settings.retention.calls_ms == 365 * 86_400_000
    assert settings.retention.testbook_ms == 3650 * 86_400_000


def test_a_cord_and_its_buttons_are_contacts_of_weight(tmp_path: Path, secret: Path) -> None:
    contacts = {c.point: c for c in plan(loaded(tmp_path, CONTRACT), now_utc_ms=NOW).contacts}
    assert (contacts["wc.cord"].fault_severity, contacts["wc.cord"].stuck_after_ms) == (
        "urgent",
        None,
    )
    assert contacts["wc.cancel"].stuck_after_ms == 30_000


GATEWAY = "gateway: {id: small, timezone: Europe/Berlin}"
POINT = "x.y: {driver: gpio_contact, pin: GPIO4"
EXPANDER = "x.y: {driver: mcp23017_contact, address: 0x20"


def watched(line: str) -> str:
    return with_point("x.m: {driver: sht4x}") + f"watch: {{heating: {{point: x.m{line}}}}}\n"


REFUSED = [
    (changed(SMALL, ("Europe/Berlin", "Europe/Berln")), "did you mean Europe/Berlin?"),
    (
        changed(SMALL, ("Europe/Berlin}", "Europe/Berlin, holidays: DE-SX}")),
        "portier.yaml:2:57: gateway.holidays: no holidays are known for DE-SX; did you mean DE-S",
    ),
    (
        changed(SMALL, ("Europe/Berlin}", "Europe/Berlin, holidays: Sachsen}")),
        "gateway.holidays: 'Sachsen' is not a region; write for example DE-SN",
    ),
    (
        changed(SMALL, ("Europe/Berlin}", "Europe/Berlin, languages: [de, fr]}")),
        "portier.yaml:2:63: gateway.languages[1]: 'fr' is not possible; possible are de, en",
    ),
    (changed(SMALL, (GATEWAY, "gateway: {name: X}")), "gateway: id is missing; write id: …"),
    (changed(SMALL, ("doors:", "dors:")), "portier.yaml:7:1: dors: is not a known section; did you mean doors?"),
    (SMALL + "colour: red\n", "colour: is not a known section; possible are gateway, points"),
    (SMALL + "<<: {}\n", "<<: is not a known section"),
    (with_point("Front Door: {driver: gpio_contact, pin: 4}"), "is not a name that can stand in a topic"),
    (with_point(f"{POINT}}}"), "portier.yaml:7:3: points.x.y: is used by nobody; name it under"),
    (with_point("x.y: {pin: GPIO4}") + "fire: x.y\n", "points.x.y: has no driver; write {driver: "),
    (
        with_point("front.mat: {driver: gpio_contct, pin: 4}", ) + "fire: front.mat\n",
        "portier.yaml:7:23: points.front.mat.driver: there is no driver 'gpio_contct'; did you mean "
        "gpio_contact?",
    ),
    (
        with_point(f"{POINT}, wirng: normally_open}}") + "fire: x.y\n",
        "points.x.y.wirng: is not a known key; did you mean wiring?",
    ),
    (
        changed(SMALL, ("gpio_contact, pin: GPIO17", "gpio_contact, pni: GPIO17")),
        "portier.yaml:4:40: points.front.button.pni: is not a known key; did you mean pin?",
    ),
    (
        changed(SMALL, ("kind: button", "knid: button")),
        "doors.front.activators[0].knid: is not a known key; did you mean kind?",
    ),
    (changed(SMALL, ("activation: front", "activaton: front")), "doors.front.activaton: is not a known key; did you"),
    (with_point(f"{POINT}, settle: 30}}") + "fire: x.y\n", "points.x.y.settle: 30 has no unit; write 30"),
    (with_point("x.y: {driver: gpio_contact}") + "fire: x.y\n", "points.x.y: pin is missing; write pin: …"),
    (
        with_point("x.y: {driver: gpio_contact, pin: J8:11}") + "fire: x.y\n",
        "points.x.y.pin: is the terminal of front.button already",
    ),
    (
        with_point("x.y: {driver: gpio_contact, pin: 17}") + "fire: x.y\n",
        "points.x.y.pin: is the terminal of front.button already",
    ),
    (
        with_point("x.m: {driver: sht4x}", "x.n: {driver: sht4x}")
        + "rooms: {a: {climate: x.m}, b: {climate: x.n}}\n",
        "points.x.n.driver: is the terminal of x.m already",
    ),
    (
        with_point("x.m: {driver: sht4x}", "x.n: {driver: sht3x, address: 0x44}")
        + "rooms: {a: {climate: x.m}, b: {climate: x.n}}\n",
        "points.x.n.address: is the terminal of x.m already",
    ),
    (
        with_point(f"{EXPANDER}, terminal: GPA3}}", "x.r: {driver: mcp23017_relay, terminal: GPA3, max_on: unlimited}")
        + "rooms: {wc: {valve: x.r, leak: x.y}}\n",
        "points.x.r.terminal: is the terminal of x.y already",
    ),
    (
        with_point("x.a: {driver: ads1115, input: A1}", "x.b: {driver: ads1115_line, input: A1}")
        + "watch: {a: {point: x.a, quantity: voltage_v, above: 1}, b: {point: x.b, quantity: line_ohm, above: 1}}\n",
        "points.x.b.input: is the terminal of x.a already",
    ),
    (
        with_point("x.m: {driver: ds18b20}", "x.n: {driver: ds18b20, every: 5 s}")
        + "rooms: {a: {climate: x.m}, b: {climate: x.n}}\n",
        "points.x.n.driver: is the terminal of x.m already",
    ),
    (
        with_point(f"{EXPANDER}, terminal: GPA3, interrupt: GPIO17}}") + "fire: x.y\n",
        "points.x.y.interrupt: is the terminal of front.button already",
    ),
    (
        with_point(
            f"{EXPANDER}, terminal: GPA3, interrupt: GPIO4}}",
            "x.z: {driver: mcp23017_contact, terminal: GPA4, interrupt: J8:11}",
        )
        + "watch: {a: {point: x.y}, b: {point: x.z}}\n",
        "points.x.z.interrupt: is the terminal of front.button already",
    ),
    (
        with_point(
            f"{EXPANDER}, terminal: GPA3, interrupt: GPIO4}}",
            "x.z: {driver: mcp23017_contact, terminal: GPA4, interrupt: GPIO5}",
        )
        + "watch: {a: {point: x.y}, b: {point: x.z}}\n",
        "points.x.z.interrupt: is another line than that of x.y, which is on the same chip",
    ),
    (
        with_point(
            f"{EXPANDER}, terminal: GPA3, interrupt: GPIO4}}",
            "x.z: {driver: mcp23017_contact, address: 0x21, terminal: GPA3, interrupt: 4}",
        )
        + "watch: {a: {point: x.y}, b: {point: x.z}}\n",
        "points.x.z.interrupt: is the line of another chip already, see x.y",
    ),
    (
        with_point(f"{EXPANDER}, terminal: GPC1}}") + "fire: x.y\n",
        "points.x.y.terminal: ",
    ),
    (
        with_point("x.m: {driver: sht4x, address: 44}") + "rooms: {a: {climate: x.m}}\n",
        "points.x.m.address: '44' is not the address of an I²C chip; write for example 0x44",
    ),
    (
        with_point("x.m: {driver: sht4x, address: 0x20}") + "rooms: {a: {climate: x.m}}\n",
        "points.x.m: address is 0x20, but an SHT4x has one of 0x44, 0x45, 0x46; see the driver sht4x",
    ),
    (
        with_point("x.m: {driver: ds18b20, id: 10-0316a2795cff}") + "rooms: {a: {climate: x.m}}\n",
        "points.x.m: id is 10-0316a2795cff, but a DS18B20 is called like 28-0316a2795cff",
    ),
    (
        with_point("x.y: {driver: odd, pin: 4, share: 1.5}") + "fire: x.y\n",
        "points.x.y: share is 1.5, not between 0 and 1; see the driver odd",
    ),
    (
        with_point("x.m: {driver: sht4x, deadband: {temperature: 0.2}}") + "rooms: {a: {climate: x.m}}\n",
        "deadband.temperature: sht4x does not measure temperature; did you mean temperature_c?",
    ),
    (
        with_point("x.m: {driver: sht4x, bus: one}") + "rooms: {a: {climate: x.m}}\n",
        "points.x.m.bus: 'one' is not a whole number; write for example 5",
    ),
    (
        with_point("x.s: {driver: simulated_contact}") + "fire: x.s\n",
        "portier.yaml:7:17: points.x.s.driver: is simulated, but this is no bench; name the real",
    ),
    (with_door("bolt: front.leaf"), "doors.front.bolt: front.leaf is leaf of doors.front already"),
    (
        with_door("indicator: front.activation"),
        "doors.front.indicator: front.activation is activation of doors.front already; each terminal",
    ),
    (with_door("bolt: front.activation"), "front.activation is a relay, bolt wants a contact; name a"),
    (SMALL + "fire: fire.alrm\n", "portier.yaml:13:7: fire: there is no point fire.alrm; the points are"),
    (with_point(f"{POINT}}}") + "rooms: {wc: {cord: [x.y]}}\n", "rooms.wc.cord: a call could never be ended; add"),
    (SMALL + "rooms: {wc: {motion: [front.activation]}}\n", "front.activation is a relay, motion wants"),
    (with_point(f"{POINT}}}") + "rooms: {wc: {cancel: x.y}}\n", "rooms.wc.cancel: means nothing without a cord"),
    (
        with_point("x.r: {driver: gpio_relay, pin: 4, max_on: 1 h}") + "rooms: {wc: {valve: x.r}}\n",
        "rooms.wc.valve: nothing tells it to close; add leak: with a sensor",
    ),
    (
        with_point("x.r: {driver: gpio_relay, pin: 4}", "x.m: {driver: sht4x}")
        + "rooms: {wc: {fan: x.r, climate: x.m}}\n",
        "points.x.r: the fan of wc is on for as long as it takes, and no limit is written; write",
    ),
    (
        with_point("x.m: {driver: sht4x}") + "rooms: {wc: {climate: x.m, escalation: care}}\n",
        "rooms.wc.escalation: there is no escalation care; there are none (escalations are listed",
    ),
    (SMALL + "escalations: {care: [{after: 0 s, notify: bob}]}\n", "escalations.care[0].notify: there is no contact bob"),
    (SMALL + "escalations: {care: []}\n", "escalations.care: has no steps; write [{after: 0 s"),
    (SMALL + "contacts: {desk: {channels: []}}\n", "contacts.desk.channels: has no channel; write channels"),
    (
        SMALL + 'contacts: {desk: {channels: ["mailto://me:pw@example.org"]}}\n',
        "contacts.desk.channels[0]: a secret must not stand in the configuration; put it into a file",
    ),
    (SMALL + "alarms: {urgent: care}\n", "alarms.urgent: there is no escalation care"),
    (SMALL + "alarms: {urgnt: care}\n", "alarms.urgnt: "),
    (SMALL + "watch: {mains: {point: front.leaf, above: 3}}\n", "front.leaf is a contact, it has no values"),
    (watched(", above: 30"), "watch.heating: quantity is missing; write quantity: temperature_c or"),
    (watched(", quantity: temperature, above: 30"), "x.m has no temperature; did you mean temperature_c?"),
    (watched(", quantity: temperature_c"), "watch.heating: has no limit; write above: or below: with"),
    (watched(", quantity: temperature_c, above: 300"), "300 can never be measured; temperature_c lies"),
    (watched(", quantity: temperature_c, above: 3, active: yes"), "x.m is a meter; write quantity:"),
    (SMALL + "mqtt: embedded\n", "mqtt: the embedded broker keeps nothing over a restart and is for the"),
    (SMALL + "mqtt: embeded\n", "mqtt: 'embeded' is not understood; did you mean embedded?"),
    (SMALL + "mqtt: {host: broker.lan}\n", "mqtt.host: broker.lan is another machine, and the connection"),
    (SMALL + "mqtt: {host: broker.lan, tls: of}\n", "mqtt.tls: 'of' is not understood; possible are none, system"),
    (SMALL + "mqtt: {port: 99999}\n", "mqtt.port: '99999' is not a port; ports go from 1 to 65535"),
    (SMALL + "mqtt: {user: me}\n", "mqtt.user: user and password come together"),
    (SMALL + "mqtt: {tls: {cert: a.pem}}\n", "mqtt.tls.cert: cert and key come together; write cert:"),
    (SMALL + "mqtt: {user: me, password: hunter2}\n", "mqtt.password: a secret must not stand in the"),
    (SMALL + "mqtt: {issuers: {ha: {key: abc}}}\n", "mqtt.issuers.ha.key: a secret must not stand in"),
    (SMALL + "web: {password: x}\n", "web.password: is not a known key, and secrets do not belong here; put"),
    (SMALL + "record: sqlite\n", "record: the recorder takes the events from a broker, and none is named"),
    (SMALL + "mqtt: {}\nrecord: influxdb\n", "record: 'influxdb' is no store"),
    (SMALL + 'mqtt: {}\nrecord: "flux://h"\n', "the store 'flux' is not known; did you mean influx?"),
    (SMALL + 'mqtt: {}\nrecord: "influx1://h/path/db"\n', "record: more than a database: InfluxDB 1.x is"),
    (SMALL + 'mqtt: {}\nrecord: "influx://h/o/b?forgets=soon"\n', "record: forgets=soon is no duration; write"),
    (SMALL + 'mqtt: {}\nrecord: "influx://u:p@h"\n', "the address holds a password or token; leave it out"),
    (SMALL + 'mqtt: {}\nrecord: {store: "influx://h", token: abc}\n', "record.token: a secret must not"),
    (SMALL + "web: {listen: 0.0.0.0:8080}\n", "web.listen: 0.0.0.0 is reachable from other machines, and"),
    (SMALL + 'web: {listen: "[::]:8080"}\n', "web.listen: :: is reachable from other machines"),
    (SMALL + "web: {trusted_proxies: [caddy]}\n", "web.trusted_proxies[0]: 'caddy' is no address or network; write the proxy's"),
    (SMALL + "web: {trusted_proxies: [10.0.3.5/28]}\n", "'10.0.3.5/28' is an address within a network; write 10.0.3.0/28 or"),
    (SMALL + "web: {trusted_proxies: [0.0.0.0/0]}\n", "'0.0.0.0/0' is too many: each of them could claim any address"),
    (SMALL + 'web: {trusted_proxies: ["::/0"]}\n', "'::/0' is too many"),
    (SMALL + 'web: {trusted_proxies: ["*"]}\n', "'*' is no address or network"),
    (SMALL + "web: {trusted_proxies: 127.0.0.1}\n", "web.trusted_proxies: "),
    (SMALL + "web: {listen: 8080}\n", "web.listen: '8080' is not ADDRESS:PORT; write for example 127.0.0.1:80"),
    (SMALL + "web: {listen: intranet:8080}\n", "'intranet' is no address of this machine; write 127"),
    (SMALL + "web: {tls: {cert: a.pem}}\n", "web.tls: key is missing; write key: …"),
    (SMALL + "web: {public_url: door.example}\n", "'door.example' is not an address; write https://HOST"),
    (SMALL + 'heartbeat: {url: "https://u:p@h/"}\n', "heartbeat.url: the address holds a user or password"),
    (SMALL + "retention: {calls: 1}\n", "retention.calls: 1 has no unit; write 1 followed by ms, s, min"),
    (SMALL + "retention: {calls: 0 s}\n", "retention.calls: 0 ms keeps nothing; write at least 1 h"),
    (SMALL + "retention: {calls: 1 min}\n", "1 min keeps nothing; write at least 1 h; a month is 30 d"),
    (SMALL + "journal: {commit_within: 50 min}\n", "journal.commit_within: 50 min is too much; write at most 1 min"),
    (SMALL + "journal: {limit: 0 B}\n", "journal.limit: leaves no room for what happens; write at least 1 MB"),
    (SMALL + "retention: {calls: 500}\n", "and y, for example 500 ms".replace("and", "w or")),
    (SMALL + "journal: {limit: 100}\n", "100 has no unit; write 100 followed by B, KB, MB or GB"),
    (SMALL + "export: [moton]\n", "export[0]: 'moton' is not possible; did you mean motion?"),
    (SMALL + "web: [1]\n", "web: must be a mapping; write key: value lines below it"),
    (with_door("activators: front.button").replace("    activators:\n      - {point: front.button, kind: button, side: outside}\n", ""), "doors.front.activators: must be a list; write [one, two]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[m[:50] for _, m in REFUSED])
def test_what_is_wrong_is_told_once_and_with_a_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    """Once: who reads ten lines for one slip mends the wrong one."""
    found = said(tmp_path, text)
    assert message in found
    assert "; " in found
    assert len(found.splitlines()) == 1, found


def test_what_is_wrong_behind_a_misspelt_key_is_found_at_its_place(tmp_path: Path) -> None:
    text = changed(
        SMALL, ("leaf: front.leaf", "laef: front.lief"), ("side: outside", "sdie: outsde")
    )
    keys = [(problem.line, problem.key) for problem in problems(tmp_path, text)]
    assert keys == [
        (10, "doors.front.laef"),
        (10, "doors.front.leaf"),
        (12, "doors.front.activators[0].sdie"),
        (12, "doors.front.activators[0].side"),
    ]


def test_what_is_beside_a_word_that_is_not_possible_is_checked(tmp_path: Path) -> None:
    text = changed(SMALL, ("point: front.button, kind: button", "point: front.buton, kind: x"))
    keys = [problem.key.rpartition(".")[2] for problem in problems(tmp_path, text)]
    assert keys == ["point", "kind"]


def test_sections_that_must_be_there(tmp_path: Path) -> None:
    assert said(tmp_path, "doors: 5\n").splitlines() == [
        "portier.yaml:1:1: doors: must be a mapping; write names below doors:, or remove it",
        "portier.yaml:1:1: gateway: is missing; write gateway: as in config/office.yaml",
        "portier.yaml:1:1: points: is missing; write points: as in config/office.yaml",
    ]


def test_a_bench_whose_name_is_wrong_is_one_error(tmp_path: Path) -> None:
    """Each of its simulated points was another one."""
    for wrong in ("id: 'csg office/#', bench: true", "id: small, bench: maybe"):
        text = changed(
            SMALL, ("id: small", wrong), ("gpio_contact, pin: GPIO17", "simulated_contact")
        )
        assert len(problems(tmp_path, text)) == 1


def test_a_slip_in_the_name_of_a_section_is_one_error(tmp_path: Path) -> None:
    assert len(said(tmp_path, changed(SMALL, ("points:", "point:"))).splitlines()) == 1


def test_mqtt_without_tls_must_be_written(tmp_path: Path) -> None:
    mqtt = loaded(tmp_path, SMALL + "mqtt: {host: broker.lan, tls: none}\n").mqtt
    assert mqtt is not None
    assert (mqtt.tls, mqtt.encrypted, mqtt.port_number) == (None, False, 1883)
    local = loaded(tmp_path, SMALL + "mqtt: {}\n").mqtt
    assert local is not None
    assert (local.host, local.port_number) == ("localhost", 1883)
    system = loaded(tmp_path, SMALL + "mqtt: {host: broker.lan, tls: system}\n").mqtt
    assert system is not None
    assert (system.encrypted, system.port_number) == (True, 8883)


def test_the_store_is_sqlite_unless_said_otherwise(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALL).record is None
    record = loaded(tmp_path, SMALL + "mqtt: {}\n").record
    assert record is not None
    assert (record.store, record.name) == ("sqlite", "recorder")
    assert loaded(tmp_path, SMALL + "mqtt: {}\nrecord: none\n").record is None
    assert loaded(tmp_path, SMALL + "mqtt: {}\nrecord: influx1://me@h:8086/db\n").record is not None


def test_settings_of_a_driver_become_its_own_dataclass(tmp_path: Path) -> None:
    line = "x.y: {driver: odd, pin: 022, inverted: on, note: no, times: [1 s, 20 ms], mode: slow}"
    settings = loaded(tmp_path, with_point(line) + "fire: x.y\n")
    assert settings.points["x.y"].settings == Odd("022", 0.5, True, "no", (1000, 20), "slow")


def test_a_contact_that_is_watched_may_have_another_meaning_as_well(tmp_path: Path) -> None:
    text = SMALL + "watch: {open: {point: front.leaf, delay: 1 h, active: yes, texts: {de: Tür}}}\n"
    (watch,) = plan(loaded(tmp_path, text), now_utc_ms=NOW).watches
    assert (watch.point, watch.active, watch.delay_ms, watch.severity) == (
        "front.leaf", True, 3_600_000, "notice",
    )  # fmt: skip


def test_a_watched_meter(tmp_path: Path) -> None:
    text = watched(", quantity: temperature_c, below: -5.5, hysteresis: 0.5, severity: fault")
    (watch,) = plan(loaded(tmp_path, text), now_utc_ms=NOW).watches
    assert (watch.below, watch.above, watch.hysteresis, watch.active) == (-5.5, None, 0.5, None)


def test_a_leaf_may_be_the_door_of_a_room(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALL + "rooms: {wc: {door: front.leaf}}\n").rooms["wc"].door


def test_an_issuer_without_a_key_is_one_that_cannot_sign(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALL + "mqtt: {issuers: {homeassistant: {}}}\n")
    assert settings.mqtt is not None
    assert settings.mqtt.issuers["homeassistant"].key is None


def test_an_issuer_without_a_key_has_a_topic_of_its_own_and_check_names_it(tmp_path: Path) -> None:
    """A configuration of before is valid, and says what its access list needs now."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/tablet").write_text("a key", encoding="utf-8")
    text = SMALL + "mqtt:\n  issuers:\n    tablet: {key: !secret tablet}\n    homeassistant: {}\n"
    (hint,) = [one for one in loaded(tmp_path, text).hints if "issuers" in one]
    assert f":{text.count(chr(10))}:5: mqtt.issuers.homeassistant: has no key" in hint
    assert "write portier/small/issuer/homeassistant/command/#" in hint


def test_a_meter_that_is_heard_by_radio_has_its_own_quantities_and_silence(tmp_path: Path) -> None:
    text = """
gateway: {id: small}
points:
  a: {driver: enocean_meter, port: /dev/ttyUSB0, device: "0029A1B2", profile: A5-04-01}
  b: {driver: enocean_meter, port: /dev/ttyUSB0, device: "0029A1B3", profile: F6-02-01, alive_within: 30 d}
watch:
  warm: {point: a, quantity: temperature_c, above: 30}
  weak: {point: b, quantity: rssi_dbm, below: -90}
"""
    first, second = plan(loaded(tmp_path, text), now_utc_ms=NOW).meters
    assert first.quantities == ("temperature_c", "humidity_percent", "rssi_dbm")
    assert first.silent_after_ms == 24 * 3_600_000
    assert second.quantities == ("rssi_dbm",)
    assert second.silent_after_ms == 30 * 24 * 3_600_000


def test_a_chip_on_i2c_has_many_terminals_and_one_interrupt_line(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        with_point(
            f"{EXPANDER}, terminal: GPA3, interrupt: GPIO4}}",
            "x.z: {driver: mcp23017_contact, address: 0x20, terminal: GPB3, interrupt: GPIO4}",
            "x.w: {driver: mcp23017_contact, address: 0x21, terminal: GPA3}",
            "x.a: {driver: ads1115, address: 0x4B, input: A0, quantity: level_percent}",
            "x.b: {driver: ads1115_line, address: 0x4b, input: A1}",
        )
        + "watch: {a: {point: x.y}, b: {point: x.z}, c: {point: x.w},\n"
        "  d: {point: x.a, quantity: level_percent, above: 80},\n"
        "  e: {point: x.b, quantity: line_ohm, above: 1}}\n",
    )
    assert settings.points["x.y"].settings.address == 0x20
    assert settings.points["x.a"].settings.address == 0x4B
    assert [name for name, *_ in settings.points["x.a"].quantities] == [
        "voltage_v",
        "level_percent",
    ]


@pytest.mark.parametrize("pin", ["GPIO2", "3", "BCM3", "J8:3", "BOARD5"])
@pytest.mark.parametrize(
    "sensor", ["sht4x, bus: 1", "bme280, bus: 1", "mcp23017_contact, terminal: GPA0"]
)
def test_a_line_of_the_sensors_bus_is_no_terminal(tmp_path: Path, pin: str, sensor: str) -> None:
    text = changed(
        SMALL,
        ("pin: GPIO17", f"pin: {pin}"),
        ("doors:\n", f"  x.sensor: {{driver: {sensor}}}\ndoors:\n"),
    )
    assert "points.front.button.pin: is a line of I²C bus 1 of x.sensor" in said(tmp_path, text)


@pytest.mark.parametrize(
    "pin", ["GPIO28", "GPIO99", "GPIO200", "-1", "28", "J8:1", "BOARD41", '" GPIO17"']
)
def test_a_line_that_the_header_does_not_have_is_refused(tmp_path: Path, pin: str) -> None:
    found = said(tmp_path, changed(SMALL, ("pin: GPIO17", f"pin: {pin}")))
    assert re.fullmatch(
        r"portier.yaml:\d+:\d+: points\.front\.button\.pin: the header has no line '.+'; "
        r"write GPIO2 to GPIO27, .*; a line of another chip needs chip: as well",
        found,
    )
    chip = changed(SMALL, ("pin: GPIO17", f"chip: gpio-sim, pin: {pin}"))
    assert loaded(tmp_path, chip).points["front.button"].settings.chip == "gpio-sim"
    expander = with_point(f"{EXPANDER}, terminal: GPA3, interrupt: {pin}}}") + "fire: x.y\n"
    found = said(tmp_path, expander)
    assert "points.x.y.interrupt: the header has no line" in found
    assert "chip: as well" not in found


@pytest.mark.parametrize(
    "pin", [*(f"GPIO{n}" for n in range(28)), "J8:11", "board11", "bcm017", "RELAY_OUT_1"]
)
def test_a_line_that_the_header_has_is_accepted(tmp_path: Path, pin: str) -> None:
    text = changed(
        SMALL,
        ("pin: GPIO27", "pin: A, chip: sim"),
        ("pin: GPIO18", "pin: B, chip: sim"),
        ("pin: GPIO17", f"pin: {pin}"),
    )
    assert loaded(tmp_path, text).points["front.button"].settings.pin == pin


@pytest.mark.parametrize("port", ["/dev/serial0", "/dev/ttyAMA0"])
def test_a_line_of_the_serial_port_in_use_is_no_terminal(tmp_path: Path, port: str) -> None:
    stick = f'enocean_contact, port: {port}, device: "0029A1B2", profile: D5-00-01'
    text = changed(
        SMALL,
        ("pin: GPIO17", "pin: GPIO15"),
        ("doors:\n", f"  x.window: {{driver: {stick}}}\ndoors:\n"),
    )
    assert f"is a line of the serial port {port} of x.window" in said(tmp_path, text)


@pytest.mark.parametrize("pin", [0, 1, 2, 3, 14, 15])
def test_a_line_with_a_second_meaning_is_hinted_at(tmp_path: Path, pin: int) -> None:
    text = changed(SMALL, ("pin: GPIO17", f"pin: {pin}"))
    assert any(f"points.front.button: GPIO{pin} " in hint for hint in loaded(tmp_path, text).hints)


@pytest.mark.parametrize(
    ("web", "hinted"),
    [
        ('{public_url: "https://door.example"}', True),
        ('{public_url: "https://door.example", trusted_proxies: [127.0.0.1]}', False),
        ('{public_url: "https://door.example", tls: {cert: a.pem, key: b.pem}}', False),
        ("{listen: 127.0.0.1:8080}", False),
    ],
)
def test_a_proxy_that_nobody_has_named_is_hinted_at(tmp_path: Path, web: str, hinted: bool) -> None:
    found = [hint for hint in loaded(tmp_path, f"{SMALL}web: {web}\n").hints if "proxy" in hint]
    assert bool(found) is hinted
    assert all("web.public_url: is reached by a proxy: write trusted_proxies" in h for h in found)


def test_proxies_are_read_in_their_usual_form(tmp_path: Path) -> None:
    text = SMALL + 'web: {trusted_proxies: ["[::1]", "10.0.3.0/28", " 127.0.0.1 ", "fd00::/16"]}\n'
    web = loaded(tmp_path, text).web
    assert web is not None
    assert web.trusted_proxies == ("::1", "10.0.3.0/28", "127.0.0.1", "fd00::/16")


@pytest.mark.parametrize(
    ("record", "has_hint"),
    [
        ("{store: sqlite, limit: 2 GB}", False),
        ('{store: "influx1://h/portier"}', False),
        ('{store: "influx1://h/portier", limit: 2 GB}', True),
        ('{store: "postgresql://portier@h/portier", limit: 2 GB}', True),
    ],
)
def test_a_limit_that_the_store_does_not_know_is_named(
    tmp_path: Path, record: str, has_hint: bool
) -> None:
    found = loaded(tmp_path, SMALL + f"mqtt: {{host: localhost}}\nrecord: {record}\n").hints
    assert any("record.limit: has no effect" in one for one in found) is has_hint
