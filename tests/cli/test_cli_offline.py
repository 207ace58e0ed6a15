"""The command line without a running gateway: help, checks, wrong usage, clear ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway.app import console
from gateway.app import control as control_role
from gateway.app.cli import cli

BENCH = Path(__file__).resolve().parents[2] / "config" / "bench.yaml"


def portier(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=typed)


def commands(group: Any, way: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [way]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, (*way, name))
    return found


ALL = commands(typer.main.get_command(cli))


@pytest.mark.parametrize("way", ALL, ids=" ".join)
def test_every_command_has_help(way: tuple[str, ...]) -> None:
    result = portier(*way, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output.splitlines()) > 5


def completing(*arguments: str, home: Path, **environment: str) -> str:
    # The shell is named instead of looked for among the parents of this process.
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env={**os.environ, **named, **environment},
        cwd=BENCH.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_completes_commands(tmp_path: Path, shell: str) -> None:
    shown = completing("--show-completion", shell, home=tmp_path)
    assert "_PORTIER_COMPLETE=complete_" + shell in shown
    assert "portier" in shown.splitlines()[-1]
    assert shell in completing("--install-completion", shell, home=tmp_path)
    (start,) = [file for file in (tmp_path / ".bashrc", tmp_path / ".zshrc") if file.exists()]
    assert start.name == f".{shell}rc"
    words = {"COMP_WORDS": "portier poi", "COMP_CWORD": "1"}
    if shell == "zsh":
        words = {"_TYPER_COMPLETE_ARGS": "portier poi"}
    told = completing(home=tmp_path, _PORTIER_COMPLETE=f"complete_{shell}", **words)
    assert "points" in told


def test_what_the_contract_promises_is_there() -> None:
    promised = """run|check|doctor|schema|asyncapi|status|points|door open|door mode|alarm list
    alarm acknowledge|alarm shelve|events|history|export|outputs off|bench press|bench set
    bench show|user add|user list|user role|user password|user remove|token add|token list
    token revoke|backup|restore|audit verify|forget|point test|simulate"""
    ways = {" ".join(way) for way in ALL}
    assert {name.strip() for line in promised.splitlines() for name in line.split("|")} <= ways


def test_the_version_is_said() -> None:
    assert portier("--version").output.startswith("portier ")


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    assert portier("shout").exit_code == 2
    assert portier("door", "mode", "front", "party", "--state", tmp_path).exit_code == 2
    both = ("door", "mode", "front", "off", "--for", "1h", "--until", "18:00")
    assert portier(*both, "--state", tmp_path).exit_code == 2
    assert portier("bench", "press", "a", "--for", "2", "--state", tmp_path).exit_code == 2
    assert portier("run", "kitchen", "--config", BENCH, "--state", tmp_path).exit_code == 2


def test_a_good_configuration_passes() -> None:
    result = portier("check", BENCH)
    assert (result.exit_code, "is in order" in result.output) == (0, True)


def test_a_wrong_configuration_is_78_with_all_errors(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("gateway: {id: test}\npoints: {}\ndors: {}\nweb: {listen: 80}\n")
    result = portier("check", wrong)
    assert result.exit_code == 78
    assert f"{wrong}:3:1: dors" in result.output
    assert "did you mean doors?" in result.output
    assert f"{wrong}:4" in result.output
    listed = json.loads(portier("check", wrong, "--json").stdout)
    assert [problem["line"] for problem in listed] == [3, 4]


def test_the_documents_are_json() -> None:
    assert "properties" in json.loads(portier("schema").stdout)
    assert json.loads(portier("asyncapi", "--config", BENCH).stdout)["asyncapi"] == "3.0.0"


def test_without_control_it_says_how_to_start_it(tmp_path: Path) -> None:
    for arguments in (
        ("status",),
        ("door", "open", "front"),
        ("alarm", "list"),
        ("bench", "show"),
        ("points",),
    ):
        result = portier(*arguments, "--state", tmp_path)
        assert result.exit_code == 1
        assert "make run" in result.output


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    for arguments in (("events",), ("history", "wc.climate"), ("audit", "verify")):
        result = portier(*arguments, "--state", tmp_path)
        assert result.exit_code == 1
        assert "cannot be read" in result.output


def test_the_doctor_gives_remedies(tmp_path: Path) -> None:
    result = portier("doctor", "--config", BENCH, "--state", tmp_path, "--json")
    findings = json.loads(result.stdout)
    assert result.exit_code == 1
    assert all(finding["remedy"] for finding in findings if not finding["ok"])
    assert any(finding["what"].startswith("control") for finding in findings)


def test_outputs_off_switches_every_relay(tmp_path: Path) -> None:
    assert portier("outputs", "off", "--config", BENCH, "--state", tmp_path).exit_code == 0


def test_people_come_and_go(tmp_path: Path) -> None:
    state = ("--state", tmp_path)
    assert (
        portier("user", "add", "boss", "--role", "admin", *state, typed="long enough\n").exit_code
        == 0
    )
    assert portier("user", "add", "mia", *state, typed="long enough\n").exit_code == 0
    assert portier("user", "add", "mia", *state, typed="long enough\n").exit_code == 1
    assert portier("user", "add", "tom", *state, typed="short\n").exit_code == 1
    assert portier("user", "role", "mia", "maintenance", *state).exit_code == 0
    assert portier("user", "password", "mia", *state, typed="even longer\n").exit_code == 0
    listed = json.loads(portier("user", "list", "--json", *state).stdout)
    assert [(u["name"], u["role"]) for u in listed] == [("boss", "admin"), ("mia", "maintenance")]
    assert portier("user", "remove", "mia", *state).exit_code == 0
    assert portier("user", "remove", "boss", *state).exit_code == 1  # the last admin


def test_a_token_is_alone_on_standard_output(tmp_path: Path) -> None:
    made = portier("token", "add", "grafana", "--role", "view", "--state", tmp_path)
    assert made.exit_code == 0
    assert made.stdout.startswith("portier_")
    assert made.stdout.count("\n") == 1
    listed = portier("token", "list", "--json", "--state", tmp_path).stdout
    assert made.stdout.strip() not in listed
    assert portier("token", "revoke", "grafana", "--state", tmp_path).exit_code == 0
    assert portier("token", "revoke", "grafana", "--state", tmp_path).exit_code == 1


def test_the_short_way_to_control_understands_its_options() -> None:
    options = control_role.options(["--config", "a.yaml", "--state=b"])
    assert options == control_role.Options(Path("a.yaml"), Path("b"))
    assert control_role.options(["--help"]) is None
    assert control_role.options(["--config"]) is None
    assert control_role.options(["link"]) is None


@pytest.mark.parametrize(("text", "ms"), [("500ms", 500), ("2 min", 120_000), ("1.5h", 5_400_000)])
def test_durations(text: str, ms: int) -> None:
    assert console.a_duration(text) == ms


def test_instants(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000_000
    monkeypatch.setattr(console, "now_utc_ms", lambda: now)
    assert console.an_instant("2h") == now - 7_200_000
    assert console.an_instant("2h", ahead=True) == now + 7_200_000
    assert console.an_instant("1970-01-01T00:00:01+00:00") == 1000
    with pytest.raises(typer.BadParameter):
        console.an_instant("soon")
    for beyond in ("0001-01-01T00:00", "9999-12-31T23:59-23:59"):  # ended with a traceback
        with contextlib.suppress(typer.BadParameter):
            assert isinstance(console.an_instant(beyond), int)


def test_a_time_of_day_lies_ahead_when_it_must() -> None:
    for text in ("00:00", "12:00", "23:59"):
        ahead = console.an_instant(text, ahead=True)
        assert 0 < ahead - console.now_utc_ms() <= 86_400_000
