"""Secrets, the overlay of the page, and hints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.settings.values.problems import SettingsError
from gateway.settings.values.secrets import Secret, SecretError, address
from tests.settings.house import SMALL, changed, loaded, said, with_door, write

# --- secrets -----------------------------------------------------------------------------

SECRET = SMALL + "mqtt: {user: gw, password: !secret mqtt_password}\n"


def test_a_missing_secret_names_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/portier")
    found = said(tmp_path, SECRET)
    assert found == (
        "portier.yaml:13:28: mqtt.password: there is no secret mqtt_password (looked for in "
        "/run/credentials/portier and secrets); write it into secrets/mqtt_password, readable for "
        "its role only"
    )


def test_a_credential_of_systemd_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, value in (("credentials", "from systemd\n"), ("secrets", "from the file\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mqtt_password").write_text(value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    mqtt = loaded(tmp_path, SECRET).mqtt
    assert mqtt is not None
    assert mqtt.password is not None
    assert mqtt.password.read() == "from systemd"


def test_a_role_that_does_not_need_a_secret_does_not_look_for_it(tmp_path: Path) -> None:
    """``control`` must start when the broker's password cannot be read by its user."""
    assert loaded(tmp_path, SECRET, need=()).mqtt is not None
    assert loaded(tmp_path, SECRET, need=("contacts",)).mqtt is not None
    with pytest.raises(SettingsError, match="there is no secret"):
        loaded(tmp_path, SECRET, need=("mqtt",))


def test_an_empty_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "mqtt_password").write_text("\n")
    assert "mqtt_password is empty" in said(tmp_path, SECRET)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        ("ntfy://a/b\n".encode("utf-16"), "is not text in UTF-8"),
        (b"\xff\xd8\xff\xe0 no text", "is not text in UTF-8"),
        (b"ntfy://a\0/b", "is not text in UTF-8"),
        (b"x" * 65_537, "is too long"),
        (b"ntfy://a/b\nntfy://c/d\n", "has 2 lines; an address is one line"),
    ],
)
def test_what_is_no_address_is_named_without_its_content(
    tmp_path: Path, content: bytes, wrong: str
) -> None:
    (tmp_path / "desk").write_bytes(content)
    with pytest.raises(SecretError, match=f"desk {wrong}$") as error:
        address(Secret("desk", (tmp_path,)))
    assert "ntfy" not in str(error.value)


def test_what_is_no_file_is_no_secret_and_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, wrong in (
        ("folder", r"cannot be read \(Is a directory\)"),
        ("pipe", "is no file"),
        ("loop", r"cannot be read \(Too many levels of symbolic links\)"),
    ):
        with pytest.raises(SecretError, match=wrong):
            Secret(name, (tmp_path,)).read()


def test_an_editor_that_begins_a_file_with_a_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "desk").write_bytes(b"\xef\xbb\xbfntfy://a/b\r\n")
    assert address(Secret("desk", (tmp_path,))) == "ntfy://a/b"


def test_the_value_of_a_secret_is_not_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "desk"
    file.write_text("ntfy://example/topic\n")
    settings = loaded(tmp_path, SMALL + "contacts: {desk: {channels: [!secret desk]}}\n")
    channel = settings.contacts["desk"].channels[0]
    assert channel.read() == "ntfy://example/topic"
    assert "ntfy" not in repr(settings)
    file.unlink()
    with pytest.raises(SecretError, match="there is no secret desk"):
        channel.read()


def test_a_secret_cannot_stand_where_none_is_wanted(tmp_path: Path) -> None:
    text = changed(SMALL, ("id: small", "id: !secret name"))
    assert "gateway.id: a name is no secret; write the value itself" in said(
        tmp_path, text, need=()
    )


# --- the overlay of the page -------------------------------------------------------------

PLANNED = with_door("schedule: {mon-fri 07:00-18:00: automatic, otherwise: night}")


def test_the_overlay_replaces_schedules_and_adds_contacts(tmp_path: Path) -> None:
    over = write(
        tmp_path,
        "doors: {front: {schedule: {otherwise: off}, exceptions: {2026-12-24: night}}}\n"
        "contacts: {desk: {channels: [!secret desk]}}\n",
        "overlay.yaml",
    )
    settings = loaded(tmp_path, PLANNED, overlay=over, need=())
    assert settings.doors["front"].schedule.otherwise == "off"
    assert [rule.key for rule in settings.doors["front"].exceptions.rules] == ["2026-12-24"]
    assert list(settings.contacts) == ["desk"]
    assert settings.digest != loaded(tmp_path, PLANNED).digest


def test_an_overlay_that_is_not_there_is_none(tmp_path: Path) -> None:
    settings = loaded(tmp_path, PLANNED, overlay=tmp_path / "none.yaml")
    assert settings.digest == loaded(tmp_path, PLANNED).digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("points: {}", "overlay.yaml:1:1: points: cannot be changed in the overlay"),
        ("doors: {front: {leaf: x}}", "overlay.yaml:1:17: doors.front.leaf: cannot be changed in"),
        ("doors: {frnt: {schedule: {}}}", "overlay.yaml:1:9: doors.frnt: is not a door; did you"),
        (
            "doors: {front: {schedule: {mo: night}}}",
            "overlay.yaml:1:28: doors.front.schedule.mo: 'mo' is not a day; did you mean mon?",
        ),
        ("doors: 5", "overlay.yaml:1:1: doors: must be a mapping"),
    ],
)
def test_an_overlay_is_judged_like_the_file(tmp_path: Path, text: str, message: str) -> None:
    over = write(tmp_path, text + "\n", "overlay.yaml")
    assert message in said(tmp_path, PLANNED, overlay=over)


# --- hints -------------------------------------------------------------------------------


def test_an_activator_named_like_a_person_is_hinted_at(tmp_path: Path) -> None:
    text = changed(SMALL, ("front.button", "front.remote_frau_nowak"))
    (hint,) = loaded(tmp_path, text).hints
    assert ":4:3: points.front.remote_frau_nowak: is an activator and sounds like a person" in hint
    label = changed(SMALL, ("pin: GPIO17", "pin: GPIO17, label: Fernbedienung Herr Nowak"))
    assert "sounds like a person" in loaded(tmp_path, label).hints[0]
    assert loaded(tmp_path, SMALL).hints == ()


def test_other_hints(tmp_path: Path) -> None:
    text = changed(
        with_door("schedule: {otherwise: night}"),
        ("Europe/Berlin}", "Europe/Berlin, holidays: DE-SN, bench: yes}"),
    )
    found = "\n".join(loaded(tmp_path, text).hints)
    assert "doors.front.schedule: says nothing about holidays: those of DE-SN are days" in found
    assert "points.front.leaf.driver: is a real terminal on a bench" in found
    call = SMALL + "rooms: {wc: {cord: [x.cord], cancel: x.off}}\n"
    points = "  x.cord: {driver: gpio_contact, pin: 4}\n  x.off: {driver: gpio_contact, pin: 5}\n"
    found = "\n".join(loaded(tmp_path, changed(call, ("doors:\n", points + "doors:\n"))).hints)
    assert "points.x.cord: is a cord wired normally open: a cut wire is silence" in found


RADIO = """
points:
  x.cord: {driver: enocean_contact, port: /dev/ttyUSB0, device: "0029A1B2", profile: F6-01-01}
  x.off: {driver: gpio_contact, pin: 5}
rooms: {x: {cord: [x.cord], cancel: x.off}}
gateway: {id: small}
"""


def test_a_radio_cord_needs_life_signals_and_a_wired_one_beside_it(tmp_path: Path) -> None:
    assert "x.cord is a radio cord without life signals" in said(tmp_path, RADIO)
    watched = changed(RADIO, ("profile: F6-01-01", "profile: F6-01-01, alive_within: 24 h"))
    hints = [hint for hint in loaded(tmp_path, watched).hints if "no escalation" not in hint]
    assert ["rooms.x.cord: has no wired cord" in hint for hint in hints] == [True]
    wired = changed(
        watched,
        ("[x.cord]", "[x.cord, x.wire]"),
        ("rooms:", "  x.wire: {driver: gpio_contact, pin: 6, wiring: normally_closed}\nrooms:"),
    )
    assert not any("no wired cord" in hint for hint in loaded(tmp_path, wired).hints)


TOLD = """
points:
  x.off: {driver: gpio_contact, pin: 5}
  x.button: {driver: mqtt_contact, topic: zigbee2mqtt/button, value: action, active: [single], release_after: 500 ms}
  x.out: {driver: gpio_relay, pin: 6}
  x.warm: {driver: mqtt_meter, topic: zigbee2mqtt/warm, values: {temperature_c: temperature, flow_l_per_h: f}, lowest: {flow_l_per_h: 0}, highest: {flow_l_per_h: 90.5}}
doors: {x: {activation: x.out, activators: [{point: x.button, kind: button, side: inside}]}}
rooms: {x: {leak: x.off}}
watch: {warm: {point: x.warm, quantity: temperature_c, above: 30}}
mqtt: {host: localhost}
gateway: {id: small}
"""  # noqa: E501 - a point, a line


def test_an_activator_over_mqtt_is_hinted_at(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TOLD)
    hints = "\n".join(hint for hint in settings.hints if "MQTT" in hint)
    assert "points.x.button.driver: is an activator over MQTT: whoever may publish" in hints
    assert settings.points["x.warm"].quantities == (
        ("temperature_c", -60.0, 150.0),
        ("flow_l_per_h", 0.0, 90.5),
    )


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        (("mqtt: {host: localhost}", ""), "x.button.driver: hears through the broker, and none is"),
        (("zigbee2mqtt/warm", "portier/small/state/x"), "x is what this gateway says itself"),
        (("zigbee2mqtt/warm", "zigbee2mqtt/#"), "not that of one thing (without + and #)"),
        (("temperature_c: temperature,", "temperature: t,"), "does not end in a unit such as _c"),
    ],
)
def test_what_cannot_be_heard_over_mqtt_is_refused(
    tmp_path: Path, slip: tuple[str, str], message: str
) -> None:
    assert message in said(tmp_path, changed(TOLD, slip))
