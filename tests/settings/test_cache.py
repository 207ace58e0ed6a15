"""The cached plan: the same building without pydantic, YAML and holidays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings.load import load
from gateway.settings.plan import cache
from gateway.settings.plan.building import plan
from tests.settings.house import DRIVERS, NOW, ROOT, loaded
from tests.settings.test_doors import FULL

DAY = 86_400_000


def settings_of(driver: str) -> type[object]:
    return DRIVERS[driver].settings


def kept(folder: Path) -> cache.Cached:
    configuration = loaded(folder, FULL)
    return cache.of(configuration, plan(configuration, now_utc_ms=NOW), NOW)


@pytest.mark.parametrize("name", ["office.yaml", "bench.yaml"])
def test_a_plan_comes_back_as_it_was(name: str) -> None:
    configuration = load(ROOT / "config" / name, DRIVERS)
    cached = cache.of(configuration, plan(configuration, now_utc_ms=NOW), NOW)
    again = cache.plan_from_json(cache.plan_to_json(cached), settings_of, now_utc_ms=NOW)
    assert again == cached
    assert again.points[0].settings == configuration.points[again.points[0].name].settings
    assert (again.digest, again.bench) == (configuration.digest, configuration.gateway.bench)
    assert again.lives_ms["doors"] == 90 * DAY
    assert again.journal_limit_bytes == 10**9


def test_a_door_with_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    cached = kept(tmp_path)
    assert cache.plan_from_json(cache.plan_to_json(cached), settings_of) == cached


def test_reading_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, gateway.settings.plan.cache\n"
        "heavy = {'pydantic', 'yaml', 'holidays', 'zoneinfo', 'drivers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_a_plan_that_is_too_old_or_of_the_future_is_refused(tmp_path: Path) -> None:
    text = cache.plan_to_json(kept(tmp_path))
    assert cache.plan_from_json(text, settings_of, now_utc_ms=NOW + 299 * DAY)
    for now in (NOW + 301 * DAY, NOW - 1):
        with pytest.raises(cache.CacheError, match="too old, or of the future"):
            cache.plan_from_json(text, settings_of, now_utc_ms=now)


def test_a_plan_that_was_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    text = cache.plan_to_json(kept(tmp_path))
    for end in range(0, len(text) - 1, 97):
        with pytest.raises(cache.CacheError):
            cache.plan_from_json(text[:end], settings_of)


def test_a_plan_of_another_form_is_refused(tmp_path: Path) -> None:
    data = json.loads(cache.plan_to_json(kept(tmp_path)))
    others: list[object] = [{**data, "format": 99}, {**data, "more": 1}, {"format": 1}, [], None, 5]
    for changed in others:
        with pytest.raises(cache.CacheError):
            cache.plan_from_json(json.dumps(changed), settings_of)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_an_error(text: str) -> None:
    with pytest.raises(cache.CacheError):
        cache.plan_from_json(text, settings_of)


def test_the_key_changes_with_everything_the_plan_is_made_of(tmp_path: Path) -> None:
    file, over, driver = (tmp_path / name for name in ("a.yaml", "over.yaml", "d.py"))
    file.write_text("a")
    driver.write_text("x")
    keys = [cache.key([file, over], "1.0", [driver])]
    assert keys[0] == cache.key([file, over], "1.0", [driver])
    over.write_text("")
    keys.append(cache.key([file, over], "1.0", [driver]))
    file.write_text("b")
    keys.append(cache.key([file, over], "1.0", [driver]))
    driver.write_text("y")
    keys.append(cache.key([file, over], "1.0", [driver]))
    keys.append(cache.key([file, over], "1.1", [driver]))
    keys.append(cache.key([file, None], "1.1", [driver]))
    assert len(set(keys)) == 6
