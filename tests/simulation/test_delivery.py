"""From the step to the store under all weathers: what was durable arrives, once, under one name,
and nobody obeys what may not be obeyed. A seed that fails becomes a named test of its room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import structlog

from gateway.simulation.agenda import MINUTE
from tests.simulation.delivery import Delivery, Weather

pytestmark = pytest.mark.thorough

SEEDS = range(5)
LASTS_MS = 6 * MINUTE


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(wrapper_class=before)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> list[Delivery]:
    return [lived(tmp_path_factory.mktemp("life"), seed) for seed in SEEDS]


def lived(folder: Path, seed: int, weather: Weather | None = None) -> Delivery:
    life = Delivery(folder, seed, weather)
    life.live(LASTS_MS)
    return life


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_durable_arrives_once_whatever_happens(lives: list[Delivery], seed: int) -> None:
    assert lives[seed].broken == []


def test_every_oracle_had_something_to_judge_in_every_weather(lives: list[Delivery]) -> None:
    asked = {name for life in lives for name in life.asked}
    assert asked == {
        "told_once",
        "one_reply",
        "kept_is_kept",
        "name_is_one_fact",
        "local_stays",
        "only_good_commands",
        "obeyed_once",
        "fresh_commands",
        "after_the_start",
        "ends_with_its_ttl",
        "clock_is_trusted",
        "backlog_empty",
        "all_accounted_for",
        "every_number_once",
        "written_once",
        "durable_stays",
        "sent_was_durable",
        "lost_only_when_full",
        "all_stored",
        "aside_was_refused",
        "aside_is_counted",
        "none_left_aside",
        "none_doubled",
        "none_invented",
        "none_private",
        "refused_is_named",
        "refused_delays_nobody",
        "refused_is_not_absent",
        "refusals_end_nothing",
        "others_arrive",
    }
    assert len({name for life in lives for name in life.faults}) > 12
    assert all(len(life.names) > 500 for life in lives)


def test_the_same_seed_is_the_same_life(tmp_path_factory: pytest.TempPathFactory) -> None:
    one, two, other = (lived(tmp_path_factory.mktemp("again"), seed).digest for seed in (7, 7, 8))
    assert one == two != other


def test_in_fine_weather_nothing_is_lost_or_sent_twice(tmp_path: Path) -> None:
    fine = Weather(**{field.name: 0.0 for field in fields(Weather)})
    life = lived(tmp_path, 1, fine)
    assert life.broken == []
    assert life.faults == {}
    assert life.net.recorder.repeats == 0


def test_a_broker_that_refuses_single_messages_delays_no_other_and_gets_them_later(
    tmp_path: Path,
) -> None:
    """By a reason, or by the end of the connection; until somebody mends its access list."""
    fine = {field.name: 0.0 for field in fields(Weather)}
    faults: set[str] = set()
    asked: set[str] = set()
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        life = lived(folder, seed, Weather(**{**fine, "broker_refuses": 120.0}))
        assert life.broken == []
        faults |= life.faults.keys()
        asked |= life.asked.keys()
    assert asked >= {"refused_is_named", "refused_delays_nobody", "others_arrive"}
    assert {what.split()[1] for what in faults} == {"refuses", "ends"}


def test_whatever_answers_instead_of_the_store_nothing_is_lost_doubled_or_set_aside(
    tmp_path: Path,
) -> None:
    fine = {field.name: 0.0 for field in fields(Weather)}
    life = lived(tmp_path, 0, Weather(**{**fine, "store_proxied": 240.0}))
    assert life.broken == []
    assert len(life.faults) > 8
    assert life.store.refused == set()


@pytest.mark.parametrize("seed", [0, 5, 7, 11, 34, 46])
def test_a_disk_that_lies_costs_what_was_torn_and_no_name_is_used_twice(
    tmp_path: Path, seed: int
) -> None:
    """Pages cut off and flipped between two runs. What is left arrives; what has a number has
    one fact, for ever."""
    fine = {field.name: 0.0 for field in fields(Weather)}
    life = lived(tmp_path, seed, Weather(**{**fine, "torn": 90.0}))
    assert sum(count for what, count in life.faults.items() if what.startswith("torn")) > 1
    assert life.broken == []


def test_a_fact_without_a_time_is_one_point_however_often_it_is_received(tmp_path: Path) -> None:
    """A seed of the long run: its time is that of the first receipt, and it came again."""
    life = Delivery(tmp_path, 1005)
    life.live(10 * MINUTE)
    assert life.broken == []
