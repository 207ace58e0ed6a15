"""Whatever bytes stand in the small files of a state folder, ``control`` starts: what can be made
again is, and none is taken for what it does not say."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers.gpio_relay import Settings
from gateway.app import broker, outputs
from gateway.app.configuration import load, plans
from gateway.panel.tickets import KEY_FILE, Tickets, make_key
from gateway.settings.plan import cache

CONFIG = Path("config/bench.yaml").absolute()
NOW = time.time_ns() // 1_000_000
RELAYS: dict[str, tuple[str, Any]] = {
    "front.activation": ("gpio_relay", Settings("GPIO27")),
    "front.strike": ("gpio_relay", Settings("GPIO5", active="low")),
}
BYTES = {
    "empty": b"",
    "no text": b"\xff",
    "null": b"null",
    "a list": b"[[1,2],3]",
    "a word": b'"x"',
    "an object": b'{"relays": 3, "checksum": 4}',
    "cut short": b'{"checksum": 4, "relays": {"front',
    "deep": b"[" * 100_000,
    "zeros": bytes(4096),
}


def flipped(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the plan of the bench."""
    folder = tmp_path_factory.mktemp("state")
    plans.made(CONFIG, folder, NOW)
    return folder


def test_no_flipped_bit_of_a_plan_is_noticed_by_nobody(state: Path) -> None:
    content = plans.file(CONFIG, state).read_bytes()
    whole = plans.from_text(content.decode(), NOW)
    draw = random.Random(3)
    for _ in range(400):
        damaged = flipped(content, draw)
        try:
            found = plans.from_text(damaged.decode(), NOW)
        except (UnicodeDecodeError, cache.CacheError):
            continue
        assert found == whole, damaged


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES.keys())
def test_a_damaged_plan_is_made_again(
    state: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def make(config: Path, *_: object) -> plans.Plan:
        made.append(config)
        raise plans.ConfigurationWrong(["made again"])

    path = plans.file(CONFIG, state)
    before = path.read_bytes()
    monkeypatch.setattr(plans, "made", make)
    plans.known(CONFIG, state, NOW)
    assert made == []
    path.write_bytes(content)
    try:
        with pytest.raises(plans.ConfigurationWrong):
            plans.known(CONFIG, state, NOW)
        assert made == [CONFIG]
        assert plans.ran_before(state) == frozenset()
        assert plans.timezone(state) is None
    finally:
        path.write_bytes(before)


def test_a_driver_that_is_gone_is_no_plan_that_can_be_used(state: Path) -> None:
    whole = plans.from_text(plans.file(CONFIG, state).read_text(encoding="utf-8"), NOW)
    text = cache.plan_to_json(whole.cached).replace("simulated_contact", "simulatad_contact")
    with pytest.raises(cache.CacheError):
        cache.plan_from_json(text, plans._settings_of)


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES.keys())
def test_a_damaged_note_of_the_relays_is_written_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / outputs.NOTE).write_bytes(content)
    assert outputs._noted(tmp_path) is None
    outputs.note(RELAYS, tmp_path)
    assert outputs._noted(tmp_path) == RELAYS


def test_no_flipped_bit_of_the_note_names_another_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "outputs_off", dict)
    outputs.note(RELAYS, tmp_path)
    content = (tmp_path / outputs.NOTE).read_bytes()
    draw = random.Random(5)
    for _ in range(400):
        (tmp_path / outputs.NOTE).write_bytes(flipped(content, draw))
        assert outputs._noted(tmp_path) in (None, RELAYS)
        outputs.note(RELAYS, tmp_path)
        assert (tmp_path / outputs.NOTE).read_bytes() == content


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES.keys())
def test_the_other_small_files_are_read_whatever_they_hold(tmp_path: Path, content: bytes) -> None:
    (tmp_path / broker.FILE).write_bytes(content)
    assert broker.last(tmp_path) == broker.Ports(*broker.PORTS)
    (tmp_path / "accepted-wiring.json").write_bytes(content)
    assert plans.accepted_wiring(tmp_path) <= {"x"}
    plans.accept_wiring(tmp_path, {"wc.cord"})
    assert plans.accepted_wiring(tmp_path) == {"wc.cord"}
    plans.overlay(tmp_path).write_bytes(content)
    assert load.settings(CONFIG, tmp_path, need=()).digest


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_key_that_is_none_is_made_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    make_key(tmp_path)
    key = (tmp_path / KEY_FILE).read_text(encoding="utf-8")
    assert len(key) > 40
    make_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_text(encoding="utf-8") == key
    assert Tickets(tmp_path)._signer()
