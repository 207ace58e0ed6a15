"""What stands on a disk that is full, when ``control`` is killed there: a call with its lamps and
its chain, a door that staff switched off, a leak, a test that nobody has confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.reserve import Reserve
from tests.process.parts import CALLING_BENCH, House, small_house, until
from tests.process.sinks import Webhook, serving
from tests.process.test_faults_machine import each_number_once, fill, journal_ok

pytestmark = pytest.mark.process

BUILDING = (
    CALLING_BENCH
    + """
contacts: {care: {channels: [!secret care]}}
escalations: {care: [{after: 0 s, notify: care}, {every: 30 s, notify: care}]}
messages: {test: {notify: [care], at: sun 02:01, confirm_within: 1 min}}
"""
)
START = ("--bench-start", "2026-03-01T02:00:00+01:00")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[House]:
    with small_house(tmp_path, BUILDING) as made:
        yield made


def alarms(place: House) -> dict[str, str]:
    return {one["id"]: one["state"] for one in place.snapshot()["alarms"]}


def standing(place: House) -> dict[str, Any]:
    """What must survive, as the panel and the wires have it."""
    shown = place.snapshot()
    call, wires = shown["rooms"]["wc"]["call"], place.bench("show")["points"]
    return {
        "call": (call["id"], call["state"], call["acknowledged_by"]),
        "lamps": [wires[one]["on"] for one in ("wc.lamp", "wc.sounder")],
        "flashes": shown["rooms"]["wc"]["lamps"]["lamp"],
        "mode": shown["doors"]["front"]["mode"],
        "leak": shown["rooms"]["wc"]["leak"]["latched"],
        "test": any("test_unconfirmed" in one for one in alarms(place)),
    }


def reserved(place: House) -> Mapping[str, Any]:
    """What the reserve holds; empty: nothing."""
    found = Reserve(place.state / "journal.sqlite").read()
    return {} if found is None else found[1].state


def fill_up(place: House) -> Path:
    """Take all room, until the journal has noticed."""
    ballast = place.state / "ballast"
    with pytest.raises(OSError, match="No space"):
        fill(ballast)
    while journal_ok(place):
        place.bench("press", point="front.button_inside", for_ms=200)
    return ballast


def test_what_stands_on_a_full_disk_survives_a_kill(small: House) -> None:
    hook = Webhook()
    (small.config.parent / "secrets").mkdir()
    (small.config.parent / "secrets" / "care").write_text(f"json://{hook.address}/care\n")
    control = small.control(*START)
    until((small.state / "journal.sqlite.reserve").exists)
    small.run("notify")
    until(lambda: small.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
    with serving(hook):
        ballast = fill_up(small)
        small.bench("travel", by_ms=61_000)
        until(lambda: hook.posted, what="the weekly test")
        small.bench("travel", by_ms=61_000)
        small.bench("set", point="wc.leak", value=True)
        small.bench("press", point="wc.cord", for_ms=500)
        until(lambda: len(hook.posted) == 2, what="the call's first message")
        until(lambda: standing(small)["leak"])
        # Long: a bench whose clock falls back at a start counts its uptime once more.
        done = small.command("set_mode", door="front", mode="off", for_ms=300 * 86_400_000)
        assert done["status"] == "accepted"
        until(lambda: reserved(small).get("overrides"))  # the last of all, so the others are there
        before = standing(small)
        assert before == {
            "call": ("wc-1", "raised", None),
            "lamps": [True, True],
            "flashes": "flashing",
            "mode": "off",
            "leak": True,
            "test": True,
        }
        for _ in range(2):
            control.kill()
            control = small.control(*START)
            assert standing(small) == before
            assert not journal_ok(small)
        until(lambda: small.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
        small.bench("travel", by_ms=31_000)
        until(lambda: len(hook.posted) == 3, what="the chain goes on")
        ballast.unlink()
        until(lambda: journal_ok(small))
        until(lambda: not reserved(small), what="the journal has it")
        control.kill()
        small.control(*START)
        assert standing(small) == before
    each_number_once(small)
