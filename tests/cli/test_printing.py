"""What comes from outside is printed as text: it is no markup, and it steers no terminal."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from typer.testing import CliRunner

from gateway import printable
from gateway.app import roles
from gateway.app.cli import console, history, live, rooms, run
from gateway.app.cli.listing import Listing
from gateway.app.cli.main import cli
from gateway.app.doctor import examination
from gateway.app.findings import Finding
from gateway.control.log import Log
from gateway.core.facts import Fact
from gateway.journal.queries import export
from gateway.journal.queries.reader import Reader
from gateway.journal.store import Store
from gateway.web.identity.users import Users, users_file
from tests.journal.journal_desk import work

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\r\u202egnp.exe\u2066"
MARKUP = "[/] [red]x[/red] :door:"
EVIL = f"note {ESCAPES} {MARKUP}"
STEERS = {"Cc", "Zl", "Zp"}


def assert_harmless(text: str) -> None:
    """Nothing but ends of lines moves a cursor, and nothing turns the direction of writing."""
    found = {
        character
        for character in text
        if character != "\n"
        and (unicodedata.category(character) in STEERS or character in "\u202e\u2066")
    }
    assert not found, ascii(text)


def portier(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """With a note, a name and a maker that are meant to do harm."""
    data = {"outcome": "accepted", "reason": EVIL + "\n2026-01-01 forged", "by": EVIL}
    store = Store(tmp_path / "journal.sqlite", "boot")
    store.write(work(Fact("door_request", "front", 1, data)))
    store.close(clean=True)
    return tmp_path


def test_every_control_character_is_visible_and_no_other_is_changed() -> None:
    every = "".join(map(chr, range(0x3000)))
    shown = printable.in_a_line(every)
    assert_harmless(shown)
    assert "\n" not in shown
    assert (
        printable.in_a_line("Straße 21,5 °C – grün \U0001f6aa")
        == "Straße 21,5 °C – grün \U0001f6aa"
    )
    assert printable.in_a_text("a\n\tb\x1b") == "a\n\tb\\x1b"
    assert json.loads(printable.in_json(json.dumps(every, ensure_ascii=False))) == every


def test_a_note_steers_no_terminal_and_makes_no_line_of_its_own(state: Path) -> None:
    entry = portier("events", "--state", state)
    assert_harmless(entry)
    assert len(entry.splitlines()) == 3
    shown = portier("events", "--facts", "--state", state)
    assert_harmless(shown)
    assert len(shown.splitlines()) == 1
    assert "\\x1b[2J" in shown
    assert MARKUP in shown


def test_json_for_scripts_has_escapes_and_the_same_value(state: Path) -> None:
    shown = portier("events", "--json", "--state", state)
    assert_harmless(shown)
    assert json.loads(shown)["data"]["by"] == EVIL


def test_names_are_text(tmp_path: Path) -> None:
    """Also where such a name is there from an earlier version, which took every character."""
    Users(users_file(tmp_path)).close()
    with contextlib.closing(Users(users_file(tmp_path))) as users:
        for name in ("[/]", "[bold]b", ":door:"):
            users.add_user(name, "staff", "long enough for it")
            users.add_token(name, "view", 3, "cli:[/]")
    for group in ("user", "token"):
        shown = portier(group, "list", "--state", tmp_path)
        for name in ("[/]", "[bold]b", ":door:"):
            assert name in shown, group
    assert "[/] can no longer log in" in portier("user", "remove", "[/]", "--state", tmp_path)
    assert "[/] is revoked" in portier("token", "revoke", "[/]", "--state", tmp_path)


def evil(shape: Any) -> Any:
    """The same, with harm in every text and every name."""
    if isinstance(shape, dict):
        return {key if key.isidentifier() else EVIL: evil(value) for key, value in shape.items()}
    if isinstance(shape, list):
        return [evil(one) for one in shape]
    return EVIL if isinstance(shape, str) else shape


CALL = {
    "id": "!", "state": "!", "test": False, "since_ms": 1, "raised_utc_ms": 1,
    "acknowledged_by": "!", "messages": [{"receiver": "!", "result": "!", "reason": "!"}],
}  # fmt: skip
SNAPSHOT: Mapping[str, Any] = evil(
    {
        "now_ms": 10,
        "gateway": {"id": "!", "name": "!", "started_ms": 0},
        "doors": {
            "!": {
                "state": "!", "since_ms": 1, "mode": "!", "mode_source": "!",
                "mode_until_utc_ms": None, "last_request": {"outcome": "!", "reason": "!"},
                "last_result": {"result": "!"},
            }
        },
        "rooms": {"!": {"call": CALL, "cords": {"!": "!"}, "occupancy": "!", "leak": None}},
        "guarantees": {
            "!": {
                "value": "no", "reason": "!", "subject": "!", "since_ms": 1, "aside_count": 1,
                "aside": [["!", "!"]],
            }
        },
        "alarms": [
            {"id": "!", "severity": "!", "state": "!", "count": 1, "raised_utc_ms": 1,
             "detail": "!"}
        ],
        "points": {
            "!": {"kind": "!", "active": None, "faults": ["!"], "reason": "!", "quantities": {}},
            "?": {"kind": "!", "active": None, "faults": [], "quantities": {"!": {"value": "!"}}},
        },
    }
)  # fmt: skip


@pytest.mark.parametrize("width", [40, 400])
def test_what_control_says_is_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr(console, "snapshot", lambda state: SNAPSHOT)
    monkeypatch.setattr(live, "_snapshots", lambda state: iter([SNAPSHOT]))
    monkeypatch.setattr(console, "out", console.Terminal(width=width, highlight=False))
    live.status(Path())
    live.points(Path())
    live.points(Path(), watch=True)
    live.alarm_list(Path())
    rooms.room_list(Path())
    rooms.call_list(Path())
    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert "[/]" in shown
    assert "[yellow]" not in shown


def test_what_the_doctor_finds_is_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding(EVIL, "unknown", EVIL, f"{EVIL}\n{EVIL}")
    monkeypatch.setattr(examination, "examine", lambda *_, **__: [finding])
    with pytest.raises(typer.Exit):
        run.doctor(Path(), Path())
    assert_harmless(capsys.readouterr().out)


def test_a_refusal_and_the_bar_of_a_file_are_text(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        console.fail(EVIL)
    assert_harmless(capsys.readouterr().err)
    file = tmp_path.parent / "[red]x \x1b[2J.csv"
    history.export(state, file)
    assert_harmless(capsys.readouterr().err.replace("\r", ""))


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_of_the_log_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for out in (_Screen(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
        log = Log("control", out)
        log.say("error", EVIL, topic=EVIL + "\nforged")
        log.close(10)
        out.seek(0)
        (line,) = out.read().splitlines()
        assert_harmless(line)
    processed = roles.printable(None, "error", {"event": EVIL, "topic": [EVIL], "count": 3})
    assert_harmless(str(processed["event"]) + processed["topic"])
    assert processed["count"] == 3
    trace = roles.printable(None, "error", {"exception": f"a\n  {EVIL}"})["exception"]
    assert trace.startswith("a\n  note")
    screen = _Screen()
    monkeypatch.setattr("sys.stderr", screen)
    before = structlog.get_config()
    try:
        roles._log("link")
        structlog.get_logger().warning("x", topic="a\x9b2J\u202e")
    finally:
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
    assert "\x9b" not in screen.getvalue()
    assert "\u202e" not in screen.getvalue()


PASSES_BY = ("Console", "Progress", "print", "typer.echo", "Text.from_markup", "escape")


def test_there_is_one_place_that_prints() -> None:
    """A console of rich's own, its markup, or ``print`` would pass by it."""
    allowed = {("console.py", "Progress"), ("main.py", "typer.echo")}  # one that is safe; a version
    found = {
        (file.name, ast.unparse(node.func))
        for file in Path(console.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PASSES_BY
    }
    assert found == allowed


@pytest.mark.parametrize("format", [export.plain_csv, export.german_csv])
def test_no_cell_of_an_export_is_a_formula_and_numbers_are_numbers(
    tmp_path: Path, format: Any
) -> None:
    starts = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    store = Store(tmp_path / "journal.sqlite", "boot")
    for start in starts:
        cmd = f"{start}HYPERLINK(1)"
        data = {"outcome": "refused", "reason": cmd, "by": cmd}
        store.write(work(Fact("door_request", cmd, 1, data)))
    store.write(work(Fact("reading", "a", 1, {"quantity": "temperature_c", "value": -3.5})))
    store.close(clean=True)
    reader = Reader(tmp_path / "journal.sqlite")
    text = "".join(format(reader, export.Wanted())).removeprefix("\ufeff")
    reader.close()
    german = format is export.german_csv
    *rows, last = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if german else ",")
    assert len(rows) == len(starts)
    assert last["value"] == ("-3,5" if german else "-3.5")
    for row in rows:
        for name, cell in row.items():
            assert not cell.startswith(starts), (name, cell)
    assert_harmless(text.replace("\r\n", "").replace("\t", "").replace("\r", ""))


def test_a_table_leaves_what_it_was_given_as_it_is() -> None:
    """A text that has a style is used for many rows."""
    table = Listing("a", "b")
    table.add_row(live.VALUES["yes"], live.VALUES["no"])
    console.Terminal(width=2, file=io.StringIO()).print(table)
    assert str(live.VALUES["yes"].style) == "green"
    assert not live.VALUES["yes"].spans


def test_a_refusal_that_an_option_would_prevent_names_it() -> None:
    assert console.refusal("reason_needed").endswith("(reason_needed) Give one with --reason TEXT.")
    assert console.refusal("mode_off").endswith("(mode_off)")
    assert console.refusal("new_one") == "refused: new_one."
