"""``portier simulate``: a page for the owner, JSON for scripts, one digest for one seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.app.cli.main import cli
from gateway.simulation.oracles.building import Oracles

BENCH = Path(__file__).resolve().parents[2] / "config" / "bench.yaml"


def simulate(*arguments: str | Path) -> Result:
    given = ["simulate", "--config", BENCH, "--days", "2", *arguments]
    return CliRunner().invoke(cli, [str(argument) for argument in given])


def test_the_page_says_what_happened() -> None:
    result = simulate("--seed", "3")
    assert result.exit_code == 0
    for part in ("week", "openings", "refused", "Calls", "Alarms", "0 errors", "Digest "):
        assert part in result.stdout


def test_people_read_words_and_programs_read_keys() -> None:
    page = simulate("--seed", "3").stdout
    told = page.partition("\n")[2]  # the first line names the file
    assert "_" not in told
    weeks = json.loads(simulate("--seed", "3", "--json").stdout)["weeks"]
    assert any("_" in key for week in weeks for key in (*week["alarms"], *week["refusals"]))


def test_the_same_seed_has_the_same_digest() -> None:
    one, two, other = (json.loads(simulate("--seed", s, "--json").stdout) for s in "778")
    assert one == two
    assert one["digest"] != other["digest"]
    assert one["broken"] == []
    assert one["weeks"][0]["openings"] > 20


def test_nothing_breaks_in_fine_weather() -> None:
    told = json.loads(simulate("--fine", "--json").stdout)
    assert told["faults"] == {}


def test_a_broken_invariant_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the building does: the oracles are asked, and one says no."""
    judge = Oracles.judge
    monkeypatch.setattr(
        Oracles, "judge", lambda one, name, _holds, text: judge(one, name, False, text)
    )
    result = simulate("--seed", "3")
    assert result.exit_code == 1
    assert "error of Portier" in result.stderr
    assert "hours_add_up" in result.stderr


def test_wrong_usage_and_wrong_configurations_are_told_apart(tmp_path: Path) -> None:
    assert simulate("--start", "tomorrow").exit_code == 2
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("gateway: {id: test}\npoints: {}\ndors: {}\n")
    result = CliRunner().invoke(cli, ["simulate", "--config", str(wrong)])
    assert result.exit_code == 78
    assert "dors" in result.stderr
