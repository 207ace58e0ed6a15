"""The logbook in the terminal: entries as on the page, days as headings, the building's time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app.cli import logbook
from gateway.app.cli.main import cli
from gateway.app.configuration import load, plans
from tests.web.years import DAY_MS, Years

BEGIN = 1_750_000_000_000 - 1_750_000_000_000 % DAY_MS
"""02:00 on 15 June 2025 in Berlin."""
BUTTON = {"activator": "front.button", "activator_kind": "button", "side": "outside"}
Portier = Callable[..., str]
BENCH = Path(__file__).resolve().parents[2] / "config" / "bench.yaml"


@pytest.fixture
def portier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portier:
    monkeypatch.setattr(plans, "timezone", lambda _: "Europe/Berlin")

    def run(*args: str) -> str:
        result = CliRunner().invoke(cli, [*args, "--state", str(tmp_path)], color=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def opened(years: Years, at: int) -> None:
    years.fact(at, "door_request", "front", outcome="accepted", **BUTTON)
    years.fact(at + 400, "door_opened", "front", cause="request", press_to_open_ms=400)
    years.fact(at + 7_400, "door_closed", "front", open_ms=7_000)


def test_an_opening_is_one_line_below_its_day(tmp_path: Path, portier: Portier) -> None:
    years = Years(tmp_path / "journal.sqlite", BEGIN)
    opened(years, BEGIN + DAY_MS)
    opened(years, BEGIN)
    years.close()
    lines = portier("events").replace("\u202f", " ").splitlines()
    assert lines == [
        "Sunday, 15 June 2025",
        "  02:00  Outside button opened the door  front · open for 7 s",
        "Monday, 16 June 2025",
        "  02:00  Outside button opened the door  front · open for 7 s",
        "Times in Europe/Berlin. One by one: --facts",
    ]


def test_facts_and_json_are_as_the_journal_has_them(tmp_path: Path, portier: Portier) -> None:
    years = Years(tmp_path / "journal.sqlite", BEGIN)
    opened(years, BEGIN)
    years.close()
    facts = portier("events", "--facts").splitlines()
    assert [line.split()[3] for line in facts] == ["door_request", "door_opened", "door_closed"]
    assert facts[0].startswith("2025-06-15 02:00:00 CEST")
    rows = [json.loads(line) for line in portier("events", "--json").splitlines()]
    assert [row["kind"] for row in rows] == ["door_request", "door_opened", "door_closed"]
    assert portier("events", "--kind", "door_opened").split()[3] == "door_opened"


def test_the_last_entries_and_those_since_a_time(
    tmp_path: Path, portier: Portier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the pieces that are read: each entry once, and whole."""
    years = Years(tmp_path / "journal.sqlite", BEGIN)
    for number in range(60):
        opened(years, BEGIN + number * 60_000)
    years.fact(BEGIN + DAY_MS, "alarm_raised", "wc/leak", severity="urgent", detail="", count=1)
    years.close()
    for piece in (2, 7, 1_000):
        monkeypatch.setattr(logbook, "PIECE", piece)
        lines = portier("events", "--limit", "10").splitlines()
        assert sum(line.endswith("open for 7\u202fs") for line in lines) == 9, piece
    assert sum("opened the door" in line for line in portier("events").splitlines()) == 49
    since = portier("events", "--since", "2025-06-15T02:58:00")
    assert sum("opened the door" in line for line in since.splitlines()) == 2
    about = portier("events", "--subject", "wc")
    assert "opened the door" not in about
    assert len(about.splitlines()) == 3


def test_an_entry_that_began_before_the_time_is_not_cut(tmp_path: Path, portier: Portier) -> None:
    years = Years(tmp_path / "journal.sqlite", BEGIN)
    opened(years, BEGIN)
    years.close()
    assert portier("events", "--since", "2025-06-15T02:00:05") == "nothing in this time\n"


def test_an_empty_journal_has_no_entry(tmp_path: Path, portier: Portier) -> None:
    Years(tmp_path / "journal.sqlite", BEGIN).close()
    assert portier("events") == "nothing yet\n"


def test_points_and_contacts_have_the_names_of_the_configuration_that_ran_here(
    tmp_path: Path, portier: Portier
) -> None:
    years = Years(tmp_path / "journal.sqlite", BEGIN)
    years.fact(
        BEGIN, "alarm_raised", "front.leaf/contact_stuck", severity="fault", detail="", count=1
    )
    years.close()
    config = tmp_path / "portier.yaml"
    config.write_text(BENCH.read_text())
    assert "Contact stuck: front.leaf" in portier("events", "--config", str(config))
    digest = load.settings(config, tmp_path, need=()).digest
    ran = tmp_path / "plan" / "one.json"
    ran.parent.mkdir()
    ran.write_text("{}\n" + json.dumps({"digest": digest, "timezone": "Europe/Berlin"}))
    said = portier("events", "--config", str(config))
    assert "Contact stuck: Haupteingang, leaf contact" in said
    config.write_text("not a configuration")
    assert "Contact stuck: front.leaf" in portier("events", "--config", str(config))
