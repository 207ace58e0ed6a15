"""A first configuration: from a list of terminals, and by asking."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app.cli.main import cli
from gateway.app.configuration import load, people
from gateway.settings import first_configuration
from gateway.settings.model.configuration import Settings

LIST = """
gateway csg-office "Geschäftsstelle"  # where it is
door front Haupteingang
GPIO17 front.button_outside "X1:2 Taster außen"
27 front.activation
gpio22 wc.cord
GPIO24 wc.cancel
"""


def run(*arguments: str, text: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["init", *arguments], input=text)
    return done.exit_code, done.output


def settings(file: Path) -> Settings:
    return load.settings(file, None, judge=people.judge, strict=True, exact=True)


def test_a_list_of_terminals_becomes_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "portier.yaml"
    code, said = run(str(file), "--terminals", "-", text=LIST)
    assert (code, "nothing wrong" in said) == (0, True), said
    found = settings(file)
    assert (found.gateway.id, found.gateway.name) == ("csg-office", "Geschäftsstelle")
    assert found.points["front.button_outside"].options.label == "X1:2 Taster außen"
    assert found.doors["front"].name == "Haupteingang"
    assert found.doors["front"].activation.point == "front.activation"
    assert found.rooms["wc"].cancel == "wc.cancel"
    assert [path.name for path in tmp_path.iterdir()] == ["portier.yaml"]


def test_every_role_can_be_used(tmp_path: Path) -> None:
    plan = first_configuration.Plan(id="gw", name="A: # 'b' \"c\"")
    pins = iter(range(first_configuration.FIRST_PIN, first_configuration.LAST_PIN + 1))
    for owner, roles in (("front", first_configuration.DOOR), ("wc", first_configuration.ROOM)):
        for role in roles:
            plan.add(f"GPIO{next(pins)} {owner}.{role}")
    plan.check()
    file = tmp_path / "all.yaml"
    file.write_text(first_configuration.text(plan), encoding="utf-8")
    found = settings(file)
    assert found.gateway.name == plan.name
    assert len(found.points) == len(first_configuration.DOOR) + len(first_configuration.ROOM)
    door, room = found.doors["front"], found.rooms["wc"]
    used = {one.point for one in door.activators} | {door.leaf, door.hold_open}
    assert len(used) == len(first_configuration.DOOR) - 1, "each but the activation"
    for name in ("cord", "cancel", "presence", "reassurance", "lamp", "sounder", "motion", "door"):
        assert getattr(room, name), name
    assert room.leak == "wc.leak"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("GPIO17 front.activation", "no line names the gateway; write: gateway "),
        ("gateway gw", "no line names a terminal; write: GPIO17 "),
        ("gateway", 'line 1: write: gateway ID "NAME"'),
        ("gateway gw\nGPIO28 a.cord", "line 2: 'GPIO28' is no terminal; write GPIO2 to GPIO27"),
        ("gateway gw\nGPIO1 a.cord", "line 2: 'GPIO1' is no terminal"),
        ("gateway gw\nGPIO٣ a.cord", "is no terminal"),
        ("gateway gw\nGPIO9 a.crd", "'crd' is no role of a terminal; did you mean cord?"),
        ("gateway gw\nGPIO9 cord", "line 2: write: GPIO9 front.button_outside"),
        ("gateway gw\nGPIO9 a.cord\nGPIO9 a.leak", "line 3: GPIO9 is a.cord already"),
        ("gateway gw\nGPIO9 a.cord\nGPIO8 a.cord", "line 3: a.cord is at GPIO9 already"),
        ("gateway gw\nGPIO9 a.leaf", "nothing opens the door a; write: GPIO… a.activation"),
        ("gateway gw\nGPIO9 a.activation\nGPIO8 a.cord", "a has roles of a door and of a room"),
        ('gateway gw "x', "has a quotation mark without its second"),
        ("gateway gw\nholidays", "line 2: write: holidays DE-SN"),
    ],
)
def test_what_a_list_gets_wrong_is_named_with_its_line(lines: str, wrong: str) -> None:
    with pytest.raises(first_configuration.ListError) as caught:
        first_configuration.read(lines.splitlines())
    assert wrong in str(caught.value)


def test_what_the_check_refuses_is_not_written(tmp_path: Path) -> None:
    code, said = run(
        str(tmp_path / "x.yaml"), "--terminals", "-", text="gateway gw\nGPIO22 wc.cord\n"
    )
    assert code == 78
    assert "a call could never be ended" in said
    assert "Nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("mine", encoding="utf-8")
    code, said = run(str(file), "--terminals", "-", text=LIST)
    assert (code, "was not changed" in said) == (1, True)
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("what", ["no folder", "no list", "no text"])
def test_what_cannot_be_read_or_written_is_said(tmp_path: Path, what: str) -> None:
    listed = tmp_path / "list"
    listed.write_bytes(b"\xff" if what == "no text" else LIST.encode())
    file = tmp_path / ("gone/x.yaml" if what == "no folder" else "x.yaml")
    given = tmp_path / "other" if what == "no list" else listed
    code, said = run(str(file), "--terminals", str(given))
    assert code == 1
    assert {"no folder": "Make it", "no list": "No such file", "no text": "Save it as UTF-8"}[
        what
    ] in said.replace("\n", " ")


def test_without_a_list_it_asks_and_asks_again_for_a_wrong_terminal(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    answers = {
        "called?": ["Rathaus Süd"],
        "time zone": [""],
        "holidays": ["DE-SN"],
        " door, such as": ["Haupteingang"],
        "door operator open": ["27"],
        "holds the door": [""],
        "leaf": ["27", "23"],  # the first one is taken
        "inside": [""],
        "outside": ["GPIO17"],
        "remote": [""],
        "key switch": [""],
        "another door": [""],
        " room, such as": [""],
    }
    text = "\n".join(answer for group in answers.values() for answer in group) + "\n"
    code, said = run(str(file), text=text)
    assert code == 0, said
    assert "GPIO27 is haupteingang.activation already" in said
    found = settings(file)
    assert (found.gateway.id, found.gateway.holidays) == ("rathaus-sued", "DE-SN")
    assert found.points["haupteingang.leaf"].settings.pin == "GPIO23"
    for question in answers:
        assert question in said, question
