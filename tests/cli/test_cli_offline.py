"""The command line without a running gateway: help, checks, wrong usage, clear ends."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway.app import broker, outputs
from gateway.app import control as control_role
from gateway.app.cli import console, history
from gateway.app.cli.main import cli
from gateway.journal.store import Store
from gateway.web.identity.users import Users, users_file
from tests.journal.journal_desk import opened, work

BENCH = Path(__file__).resolve().parents[2] / "config" / "bench.yaml"


def portier(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=typed)


def words(result: Result) -> str:
    """What was said, without the frame around it."""
    return " ".join(result.output.replace("│", " ").split())


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
    token revoke|backup|restore|audit verify|forget|point test|simulate|site enrol|site list
    site revoke"""
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
    bench = ("--config", BENCH, "--state", tmp_path)
    assert portier("run", "kitchen", *bench).exit_code == 2
    assert portier("run", "--bench-start", "soon", *bench).exit_code == 2
    assert portier("bench", "world", "front.leaf", "melt", "--state", tmp_path).exit_code == 2
    assert portier("bench", "set", "wc.climate", "nan", "--state", tmp_path).exit_code == 2
    until = ("door", "mode", "front", "schedule", "--for", "2h")
    assert portier(*until, "--state", tmp_path).exit_code == 2


def test_a_good_configuration_passes() -> None:
    result = portier("check", BENCH)
    assert (result.exit_code, "is in order: 16 points, 1 door\n" in result.output) == (0, True)


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


def test_check_reads_a_centre_too(tmp_path: Path) -> None:
    centre = tmp_path / "sites.yaml"
    centre.write_text("sites: {name: Centre}\nmqtt: {host: localhost}\ngroups: {All: [bad-1]}\n")
    result = portier("check", centre)
    assert (result.exit_code, f"{centre} is in order: 1 group\n" in result.output) == (0, True)
    centre.write_text(centre.read_text() + "doors: {}\nweb: {listen: 80}\n")
    listed = json.loads(portier("check", centre, "--json").stdout)
    found = [(one["line"], one["key"]) for one in listed]
    assert found == [(4, "doors"), (5, "web.listen")]


def test_check_hints_at_gateways_of_groups_that_are_not_enrolled(tmp_path: Path) -> None:
    centre, state = tmp_path / "sites.yaml", tmp_path / "state"
    centre.write_text("sites: {}\nmqtt: {host: localhost}\ngroups: {All: [bad-1, bad-2]}\n")
    enrolled = portier("site", "enrol", "bad-1", "--config", centre, "--state", state, "--show-key")
    assert enrolled.exit_code == 0, enrolled.output
    result = portier("check", centre, "--state", state)
    assert result.exit_code == 0, result.output
    assert "groups.All: bad-2 is not enrolled: portier site enrol bad-2" in result.output
    assert "bad-1 is not enrolled" not in result.output


def test_the_documents_are_json() -> None:
    made = json.loads(portier("schema").stdout)
    assert all("properties" in made[branch] for branch in ("then", "else"))
    assert json.loads(portier("asyncapi", "--config", BENCH).stdout)["asyncapi"] == "3.0.0"


@pytest.mark.parametrize(
    ("mqtt", "host", "security"),
    [
        ("mqtt: embedded\n", "{broker}", None),
        ("", "{broker}", ["certificate"]),
        ("mqtt: {host: mqtt.example.org, tls: {ca: c.pem, cert: g.pem, key: g.key}}\n",
         "mqtt.example.org:8883", ["certificate"]),
        ("mqtt: {host: \"::1\", tls: none, user: office, password: !secret mqtt}\n", "[::1]:1883",
         ["password"]),
        ("mqtt: {host: 127.0.0.1, tls: none}\n", "127.0.0.1:1883", None),
    ],
)  # fmt: skip
def test_the_description_of_mqtt_names_the_configured_broker(
    tmp_path: Path, mqtt: str, host: str, security: list[str] | None
) -> None:
    text = BENCH.read_text(encoding="utf-8").replace("mqtt: embedded\n", mqtt)
    config = tmp_path / "portier.yaml"
    config.write_text(text if mqtt else text.replace("record: sqlite\n", ""), encoding="utf-8")
    server = json.loads(portier("asyncapi", "--config", config).stdout)["servers"]["broker"]
    assert server["host"] == host
    found = [one["$ref"].rpartition("/")[2] for one in server.get("security", ())]
    assert found == (security or [])


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


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("begin", "buckets", "first", "width_min"),
    [
        ("2026-12-01T17:03:27.250+00:00", None, "2026-12-01T17:00:00+00:00", 60),  # 24 h
        ("2026-12-01T17:03:27.251+00:00", 24, "2026-12-01T17:00:00+00:00", 60),  # now went on
        ("2026-11-25T17:03:27.250+00:00", None, "2026-11-25T11:00:00+00:00", 12 * 60),  # 7 d
        ("2026-12-01T17:03:27.250+00:00", 10, "2026-12-01T17:03:00+00:00", 144.1),
    ],
)
def test_the_parts_of_a_history_begin_at_times_that_people_write(
    begin: str, buckets: int | None, first: str, width_min: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "zone", lambda: ZoneInfo("Europe/Berlin"))
    now = at("2026-12-02T17:03:27.250+00:00")
    found, end, count = history._parts(at(begin), now, buckets)
    assert found == at(first)
    assert end >= now
    assert (end - found) / count == pytest.approx(width_min * 60_000)


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
    assert portier("token", "add", "hers", "--role", "view", *state).exit_code == 0
    assert portier("token", "revoke", "hers", *state).exit_code == 0
    assert portier("user", "remove-factor", "mia", *state).exit_code == 0
    assert portier("user", "remove", "mia", *state).exit_code == 0
    assert portier("user", "remove", "boss", *state).exit_code == 1  # the last admin
    with contextlib.closing(Users(users_file(tmp_path))) as users:
        kept = users.waiting_entries(99)
    told = [(one.action, one.detail["subject"]) for one in kept]
    assert told == [
        ("user_add", "web:1"),
        ("user_add", "web:2"),
        ("user_role", "web:2"),
        ("user_password", "web:2"),
        ("token_add", "token:hers"),
        ("token_revoke", "token:hers"),
        ("user_factor", "web:2"),
        ("user_remove", "web:2"),
    ], "control is away: the page's role hands them over"
    assert {one.actor for one in kept} == {f"cli:{getpass.getuser()}"}


def test_a_token_is_alone_on_standard_output(tmp_path: Path) -> None:
    made = portier("token", "add", "grafana", "--role", "view", "--state", tmp_path)
    assert made.exit_code == 0
    assert made.stdout.startswith("portier_")
    assert made.stdout.count("\n") == 1
    listed = portier("token", "list", "--json", "--state", tmp_path).stdout
    assert made.stdout.strip() not in listed
    (one,) = json.loads(listed)
    assert one["by"].startswith("cli:")
    assert one["orphaned"] is False
    assert "command line" in portier("token", "list", "--state", tmp_path).stdout
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
    with pytest.raises(
        typer.BadParameter, match=r"did you mean 2 min\?; or a time such as 18:00, "
    ):
        console.an_instant("2m")
    late = console.an_instant("18:57:40") - console.an_instant("18:57")
    assert late == 40_000
    for text in ("18", "2026", "18:57:40.5"):
        with pytest.raises(typer.BadParameter):
            console.an_instant(text)
    for beyond in ("0001-01-01T00:00", "9999-12-31T23:59-23:59"):  # ended with a traceback
        with contextlib.suppress(typer.BadParameter):
            assert isinstance(console.an_instant(beyond), int)


def test_a_time_of_day_lies_ahead_when_it_must() -> None:
    for text in ("00:00", "12:00", "23:59"):
        ahead = console.an_instant(text, ahead=True)
        assert 0 < ahead - console.now_utc_ms() <= 86_400_000


def test_a_state_folder_that_is_not_there_gets_no_users(tmp_path: Path) -> None:
    """A typing error made a store of its own, and a token that no gateway knew."""
    for arguments in (("user", "list"), ("token", "add", "grafana", "--role", "view")):
        result = portier(*arguments, "--state", tmp_path / "typo")
        assert result.exit_code == 1
        assert "there is no folder" in result.output
    assert not (tmp_path / "typo").exists()


def test_an_unknown_role_and_no_days_are_wrong_usage(tmp_path: Path) -> None:
    state = ("--state", tmp_path)
    assert portier("user", "add", "mia", "--role", "chief", *state).exit_code == 2
    assert portier("user", "role", "mia", "chief", *state).exit_code == 2
    token = portier("token", "add", "grafana", "--role", "view", "--days", "0", *state)
    assert token.exit_code == 2


def journal(folder: Path) -> None:
    store = Store(folder / "journal.sqlite", "boot")
    store.write(work(opened(1), saved_state={"format": 1}))
    store.close(clean=True)


def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Root, whose gifts are noted."""
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *to: given.update({Path(path).name: to}))
    return given


def test_what_root_makes_belongs_to_whom_the_folder_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page could not read the users that ``sudo portier user add`` had made."""
    given = owners(monkeypatch)
    folder = tmp_path.stat()
    state = ("--state", tmp_path)
    assert portier("user", "add", "mia", *state, typed="long enough\n").exit_code == 0
    journal(tmp_path)
    backup = tmp_path.with_name("portier.bak")
    assert portier("backup", backup, "--journal", *state).exit_code == 0
    assert portier("restore", backup, *state).exit_code == 0
    there = (folder.st_uid, folder.st_gid)
    assert given == {"web": there, "web.sqlite": there, "journal.sqlite": there}


def test_a_backup_replaces_no_device_and_nothing_in_the_state_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    journal(state)
    before = (state / "journal.sqlite").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target, why in (
        (pipe, "is not a file"),
        (state / "journal.sqlite", "choose another place"),
    ):
        result = portier("backup", target, "--state", state)
        assert result.exit_code == 1
        assert why in words(result)
    assert pipe.is_fifo()
    assert (state / "journal.sqlite").read_bytes() == before


def test_an_export_goes_through_links_and_into_what_is_no_file(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    journal(state)
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "target.csv")
    assert portier("export", "--out", link, "--state", state).exit_code == 0
    assert link.is_symlink()
    assert (tmp_path / "target.csv").read_text().startswith("row,")
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "export", "--out", "-", "--state", str(state)],
        cwd=BENCH.parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("row,")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert portier("export", "--out", tmp_path / "circle", "--state", state).exit_code == 1
    inside = portier("export", "--out", state / "journal.sqlite", "--state", state)
    assert inside.exit_code == 1
    full = portier("export", "--out", "/dev/full", "--state", state)
    assert full.exit_code == 1
    assert "No space left" in full.output
    assert Path("/dev/full").is_char_device()


def test_a_time_that_is_none_and_a_kind_that_is_none_are_wrong_usage(tmp_path: Path) -> None:
    journal(tmp_path)
    out = ("--out", tmp_path.with_name("out.csv"), "--state", tmp_path)
    assert portier("export", "--from", "2h", "--to", "3h", *out).exit_code == 2
    asked = portier("export", "--kind", "door_requset", *out)
    assert asked.exit_code == 2
    assert "did you mean door_request?" in words(asked)


def test_who_may_not_is_told_which_group_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.R_OK)
    result = portier("status", "--state", tmp_path)
    assert result.exit_code == 1
    assert "adduser $USER portier" in result.output
    (tmp_path / "journal.sqlite").mkdir()  # no journal
    result = portier("events", "--state", tmp_path)
    assert result.exit_code == 1
    assert "portier-read" in result.output


def test_the_doctor_knows_the_ports_of_the_last_broker(tmp_path: Path) -> None:
    assert broker.last(tmp_path) == broker.Ports(1883, 1884)
    config = '[v5.1]\nlisten = "127.0.0.1:1885"\n[v4.1]\nlisten = "127.0.0.1:1886"\n'
    (tmp_path / "broker.toml").write_text(config)
    assert broker.last(tmp_path) == broker.Ports(1885, 1886)
    result = portier("doctor", "--config", BENCH, "--state", tmp_path)
    assert "127.0.0.1:1885" in result.output


def test_a_terminal_without_umlauts_is_no_reason_to_fall(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "schema"],
        cwd=BENCH.parents[1],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    json.loads(done.stdout)


def test_relays_of_somebody_else_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", "control.lock")

    monkeypatch.setattr(outputs, "held", refuse)
    assert outputs.main(["--config", str(BENCH), "--state", str(tmp_path)]) == outputs.FAILED
    assert "sudo -u portier-control" in capsys.readouterr().err


@pytest.fixture
def _any_zone() -> Iterator[None]:
    yield
    console._zones.clear()


@pytest.mark.usefixtures("_any_zone")
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"])
def test_times_are_the_buildings_and_not_the_machines(tmp_path: Path, zone: str) -> None:
    """rpi_wordclock#109: the machine's zone was taken for the building's."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "a.json").write_text(f'{{}}\n{{"timezone": "{zone}"}}', encoding="utf-8")
    console._speak_for(tmp_path)
    at = datetime(2026, 11, 22, 18, tzinfo=ZoneInfo(zone))
    utc_ms = int(at.timestamp() * 1000)
    assert console.an_instant("2026-11-22T18:00") == utc_ms
    assert console.clock_text(utc_ms) == f"2026-11-22 18:00:00 {at.tzname()}"
    today = datetime.now(ZoneInfo(zone))
    ahead = datetime.fromtimestamp(console.an_instant("18:00", ahead=True) / 1000, ZoneInfo(zone))
    assert (ahead.hour, ahead.minute) == (18, 0)
    assert today < ahead <= today + timedelta(days=1, hours=1)


@pytest.mark.usefixtures("_any_zone")
@pytest.mark.parametrize("text", ["", "{}", '{}\n{"timezone": "No/Where"}', '{}\n{"timezone": 3}'])
def test_where_no_building_is_known_times_are_the_machines(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "a.json").write_text(text, encoding="utf-8")
    console._speak_for(tmp_path)
    assert console.zone().utcoffset(None) == console.machine_zone().utcoffset(None)


@pytest.mark.parametrize("command", ["asyncapi", "simulate", "check"])
def test_without_a_configuration_every_command_says_so(tmp_path: Path, command: str) -> None:
    """One of them ended with a traceback."""
    where = [tmp_path / "none.yaml"] if command == "check" else ["--config", tmp_path / "none.yaml"]
    result = portier(command, *where)
    assert result.exit_code == 78
    assert "cannot be read" in " ".join(result.output.split())
    assert isinstance(result.exception, SystemExit)


def test_the_help_has_every_command_under_a_heading() -> None:
    from gateway.app.cli.main import GROUPS, ORDER

    text = portier("--help").output
    for heading in GROUPS:
        assert f"─ {heading} ─" in text
    assert "─ Commands ─" not in text
    places = [text.index(f"│ {name} ") for name in ORDER]
    assert places == sorted(places)


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant() -> None:
    result = portier("stauts")
    assert result.exit_code == 2
    assert "Did you mean 'status'" in words(result)


def test_an_end_is_said_as_people_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.app.cli import console

    monkeypatch.setattr(console, "_zones", [ZoneInfo("Europe/Berlin")])
    now = int(datetime(2026, 11, 30, 15, 20, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
    hour = 3_600_000
    assert console.end_text(now + 2 * hour, now) == "until 17:20 today (Europe/Berlin)"
    assert console.end_text(now + 12 * hour, now) == "until 03:20 tomorrow (Europe/Berlin)"
    assert console.end_text(now + 50 * hour, now) == "until 17:20 on Wed 2026-12-02 (Europe/Berlin)"


def test_without_colours_and_without_a_terminal_there_are_no_escapes() -> None:
    for variables in ({"NO_COLOR": "1"}, {}):
        for arguments in (("--help",), ("check", str(BENCH)), ("door", "--help")):
            assert "\x1b" not in CliRunner().invoke(cli, list(arguments), env=variables).output
