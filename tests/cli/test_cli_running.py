"""The command line against a running ``control`` on simulated points."""

from __future__ import annotations

import csv
import getpass
import io
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.app.cli.main import cli
from tests.cli.test_cli_offline import words
from tests.process.parts import BUILDING, House, running, until

pytestmark = pytest.mark.process

CONFIG = (
    BUILDING.replace("doors:", "  wc.climate: {driver: simulated_meter, every: 1 s}\ndoors:", 1)
    + "watch: {frost: {point: wc.climate, quantity: temperature_c, below: 3}}\n"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("cli"), "control", config=CONFIG) as made:
        until(lambda: made.rows("reading"))
        yield made


def portier(place: House, *arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(cli, [*words, "--state", str(place.state)])


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def test_status_shows_what_the_page_shows(place: House) -> None:
    text = said(portier(place, "status"))
    assert "Test building" in text
    assert "front" in text
    assert "door by button" in text
    assert json.loads(said(portier(place, "status", "--json")))["gateway"]["id"] == "test"


def test_points_are_listed(place: House) -> None:
    assert "front.activation" in said(portier(place, "points"))
    assert "wc.climate" in json.loads(said(portier(place, "points", "--json")))


def test_watching_without_a_terminal_is_a_line_for_each_change(place: House) -> None:
    watching = place.portier("points", "--watch", "--state", str(place.state))
    until(lambda: watching.said("front.button: inactive"))
    said(portier(place, "bench", "set", "front.button", "on"))
    until(lambda: watching.said("front.button: active"))
    said(portier(place, "bench", "set", "front.button", "off"))
    until(lambda: watching.lines.count("front.button: inactive") == 2)
    watching.popen.send_signal(signal.SIGINT)
    assert watching.wait() == 0
    assert not watching.said("Traceback")


def test_watching_ends_when_control_hangs(place: House) -> None:
    """What was shown last would stand there for ever."""
    watching = place.portier("points", "--watch", "--state", str(place.state))
    until(lambda: watching.said("front.button: inactive"))
    control = place.processes[0].popen
    control.send_signal(signal.SIGSTOP)
    try:
        assert watching.wait() == 1
    finally:
        control.send_signal(signal.SIGCONT)
    assert watching.said("control does not answer")


def test_a_press_on_the_bench_opens_the_door(place: House) -> None:
    # The leaf is open for four seconds, and a command may take as long on a busy machine: it stays.
    said(portier(place, "bench", "world", "front.leaf", "jam_open"))
    said(portier(place, "bench", "press", "front.button"))
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "open")
    shown = json.loads(said(portier(place, "bench", "show", "--json")))
    assert shown["front.leaf"]["active"] is True
    said(portier(place, "bench", "world", "front.leaf", "mend"))
    said(portier(place, "bench", "travel", "--by", "1min"))
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "closed")


def test_the_bench_refuses_what_is_not_there(place: House) -> None:
    result = portier(place, "bench", "press", "front.bell")
    assert result.exit_code == 1
    assert "no such simulated point" in result.output


def test_a_door_is_opened_in_the_name_of_who_asks(place: House) -> None:
    reply = json.loads(said(portier(place, "door", "open", "front", "--json")))
    assert reply["status"] in ("accepted", "merged", "extended")
    row = until(lambda: [r for r in place.rows("door_request") if r.data["via"] == "cli"])[-1]
    assert row.data["by"] == f"cli:{getpass.getuser()}"
    name = f"command line: {getpass.getuser()}"  # and not the word of the mechanism
    for asked in (("audit", "list"), ("events", "--kind", "door_request")):
        text = said(portier(place, *asked))
        assert (name in text, "cli:" in text) == (True, False), asked
    assert "all as they were written" in said(portier(place, "audit", "verify"))


def test_a_refusal_is_1_with_its_reason(place: House) -> None:
    said(portier(place, "door", "mode", "front", "off", "--for", "1h"))
    result = portier(place, "door", "open", "front")
    assert result.exit_code == 1
    assert "mode_off" in result.output
    said(portier(place, "door", "mode", "front", "schedule"))
    assert portier(place, "door", "open", "nowhere").exit_code == 1


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (("door", "open", "fornt"), "Did you mean front?"),
        (("point", "test", "front.activaton"), "Did you mean front.activation?"),
        (("bench", "press", "front.buton"), "did you mean front.button?"),
        (("alarm", "acknowledge", "front/left_opn"), "There is no alarm at all now."),
        (("room", "test", "wc"), "There is no room at all now."),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_one_that_was_meant(
    place: House, asked: tuple[str, ...], meant: str
) -> None:
    result = portier(place, *asked)
    assert result.exit_code == 1
    assert meant in words(result)


def test_an_end_says_its_day_and_zone(place: House) -> None:
    text = said(portier(place, "door", "mode", "front", "exit_only", "--for", "2h"))
    assert re.search(r"front is exit_only until \d\d:\d\d (today|tomorrow) \(Europe/Berlin\)", text)
    assert "follows its schedule" in said(portier(place, "door", "mode", "front", "schedule"))
    text = said(portier(place, "door", "service", "front", "--for", "30min"))
    assert "(Europe/Berlin)" in text
    assert "service of front is over" in said(
        portier(place, "door", "service", "front", "--for", "0s")
    )


def test_the_bench_shows_words(place: House) -> None:
    text = said(portier(place, "bench", "show"))
    assert not set("{}'_") & set(text.replace("hold_open", ""))
    assert "temperature " in text
    assert " °C" in text
    assert "the leaf is " in text


def test_an_alarm_is_acknowledged_and_shelved(place: House) -> None:
    said(portier(place, "bench", "travel", "--by", "1min"))  # the door is closed by then
    said(portier(place, "bench", "world", "front.leaf", "jam_shut"))
    said(portier(place, "door", "open", "front"))
    said(portier(place, "bench", "travel", "--by", "10s"))
    until(lambda: place.snapshot()["alarms"])
    assert "front/did_not_open" in said(portier(place, "alarm", "list"))
    said(portier(place, "alarm", "acknowledge", "front/did_not_open"))
    said(portier(place, "alarm", "shelve", "front/did_not_open", "--for", "1h"))
    assert portier(place, "alarm", "acknowledge", "front/nothing").exit_code == 1
    said(portier(place, "bench", "world", "front.leaf", "mend"))


def test_the_time_is_confirmed_and_audited(place: House) -> None:
    assert "CE" in said(portier(place, "clock", "confirm"))  # the building's zone is named
    until(lambda: "confirm_clock" in said(portier(place, "audit", "list", "--json")))


def test_a_relay_is_tested(place: House) -> None:
    said(portier(place, "bench", "travel", "--by", "1min"))
    said(portier(place, "point", "test", "front.activation", "--for", "200ms"))
    until(lambda: place.rows("relay_tested"))


def test_events_are_listed_and_filtered(place: House) -> None:
    assert "Control started" in said(portier(place, "events", "--limit", "100000"))
    assert "gateway_started" in said(portier(place, "events", "--facts", "--limit", "100000"))
    lines = said(portier(place, "events", "--kind", "gateway_started", "--json")).splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["gateway_started"]
    assert "gateway_started" in said(portier(place, "events", "--facts", "--since", "1h"))


def test_history_in_three_forms(place: House) -> None:
    # One of each quantity: when more is worth telling depends on the hour of the simulated day.
    until(lambda: len(place.rows("reading")) > 1)
    ways = ("history", "wc.climate", "--from", "1h", "--to", "2100-01-01", "--buckets", "10")
    assert "temperature_c" in said(portier(place, *ways))
    rows = json.loads(said(portier(place, *ways, "--format", "json")))
    assert {row["quantity"] for row in rows} == {"temperature_c", "humidity_percent"}
    table = list(csv.DictReader(io.StringIO(said(portier(place, *ways, "--format", "csv")))))
    assert len(table) == len(rows)
    assert "active" in said(portier(place, "history", "front.leaf"))
    assert portier(place, "history", "nowhere").exit_code == 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_is_a_file(place: House, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"all.{form}"
    said(portier(place, "export", "--format", form, "--out", file))
    text = file.read_text()
    assert "gateway_started" in text
    assert len(text.splitlines()) > 3
    if form == "jsonl":
        assert all(json.loads(line) for line in text.splitlines())


def test_parquet_is_an_extra(place: House, tmp_path: Path) -> None:
    result = portier(place, "export", "--format", "parquet", "--out", tmp_path / "all.parquet")
    try:
        import pyarrow  # noqa: F401 - is it there?
    except ImportError:
        assert result.exit_code == 1
        assert "portier[parquet]" in result.output
    else:
        assert result.exit_code == 0


def test_a_backup_is_restored_only_when_control_is_stopped(place: House, tmp_path: Path) -> None:
    file = tmp_path / "portier.bak"
    said(portier(place, "backup", file, "--unencrypted"))
    assert portier(place, "restore", file).exit_code == 1
    elsewhere = ["restore", str(file), "--state", str(tmp_path / "state")]
    assert "restored as journal" in said(CliRunner().invoke(cli, elsewhere))


def test_a_user_is_forgotten(place: House) -> None:
    run = CliRunner()
    state = ["--state", str(place.state)]
    for name in ("boss", "mia"):
        made = run.invoke(
            cli, ["user", "add", name, "--role", "admin", *state], input="long enough\n"
        )
        assert made.exit_code == 0
    said(portier(place, "forget", "mia", "--yes"))
    assert "mia" not in said(portier(place, "user", "list"))
    until(lambda: "forget" in said(portier(place, "audit", "list")))
    assert "all as they were written" in said(portier(place, "audit", "verify"))


def test_the_relays_belong_to_control_while_it_runs(place: House) -> None:
    result = CliRunner().invoke(
        cli, ["outputs", "off", "--config", str(place.config), "--state", str(place.state)]
    )
    assert result.exit_code == 1
    assert "stop it first" in result.output


def test_what_control_does_not_take_is_said_so(place: House) -> None:
    """It was said to be away."""
    result = portier(place, "door", "open", "front", "--reason", "x" * 600)
    assert result.exit_code == 1
    assert "refused: reason: a text of 1 to 500 characters" in words(result)


def test_events_since_a_time_are_as_many_as_wanted(place: House) -> None:
    everything = said(portier(place, "events", "--facts", "--since", "1h")).splitlines()
    assert len(everything) > 2
    shown = said(portier(place, "events", "--facts", "--since", "1h", "--limit", "2"))
    assert len(shown.splitlines()) == 2


def test_a_quantity_that_a_point_does_not_have_is_wrong_usage(place: House) -> None:
    result = portier(place, "history", "wc.climate", "--quantity", "temprature_c")
    assert result.exit_code == 2
    assert "did you mean temperature_c?" in words(result)
    assert portier(place, "history", "front.button", "--quantity", "foo").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "wc.climate", "21", "--quantity", "foo"), "wc.climate has no foo; it has temp"),
        (("set", "wc.climate", "on"), "wc.climate is a meter: a number, or unknown"),
        (("set", "front.leaf", "3"), "front.leaf is no meter: on, off, or unknown"),
        (("press", "front.activation"), "front.activation: no such simulated point, or one of"),
        (("travel", "--to", "2020-01-01T07:00"), "the bench's clock goes forward only"),
    ],
)
def test_what_the_bench_cannot_do_is_refused(
    place: House, arguments: tuple[str, ...], told: str
) -> None:
    """It said that it had done it."""
    result = portier(place, "bench", *arguments)
    assert result.exit_code == 1
    assert told in words(result)


def test_an_end_that_has_passed_is_said_so(place: House) -> None:
    mode = portier(place, "door", "mode", "front", "night", "--until", "2020-01-01T10:00")
    tested = portier(place, "point", "test", "front.activation", "--for", "0s")
    for result in (mode, tested):
        assert result.exit_code == 1
        assert "Its end has to lie in the future. (past)" in words(result)
    assert "There is no relay of this name." in words(portier(place, "point", "test", "front.leaf"))


def test_what_ends_with_no_time_is_said_to_end(place: House) -> None:
    assert "service of front is over" in said(
        portier(place, "door", "service", "front", "--for", "0s")
    )


def test_days_pass_on_the_bench_with_people(place: House) -> None:
    said(portier(place, "door", "mode", "front", "schedule"))
    before = place.snapshot()["doors"]["front"]["counters"]["openings"]
    text = said(portier(place, "bench", "week", "--days", "2"))
    assert "2 days have passed; it is " in text
    assert place.snapshot()["doors"]["front"]["counters"]["openings"] > before
