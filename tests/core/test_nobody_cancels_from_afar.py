"""The proof that a real call is ended in the room and nowhere else.

A call stands, then anything happens that the building can be told at all, in any order: every
command there is, with any arguments, from every interface; every report of the terminal strip
but an edge of the cancel button (it may be jammed or fail); time; a restart, with what was
kept read at once or late.
The call must still stand, its lamps be lit, and its name be the same.

A new sort of event takes part by itself: what to say in its fields is looked up by their
names, and a field that nobody knows fails the test until it is written here.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import building
from gateway.core.events import MODES, AnyCommand, Event, Issuer, Level, TestRoom
from gateway.core.instant import Ms
from tests.core.room_bench import BATH, RoomBench

CANCEL = "wc.cancel"
POINTS = [
    *(contact.point for contact in BATH.contacts),
    *(relay.point for relay in BATH.relays),
    *(meter.point for meter in BATH.meters),
    "nothing",
]
NAMES = ["wc", "store", "wc-1", "wc-2", "wc-0-0", "front", "nothing", "wc.cord/cord_stuck"]
VIA: list[Any] = ["web", "cli", "mqtt", "bench", "link"]
ISSUERS = st.builds(
    Issuer, st.sampled_from(["web:3", "cli:root", "mqtt:x", "link:y"]), st.sampled_from(VIA)
)
SPANS = st.sampled_from([0, 1, 60_000, 60_001, 120_000, 600_000, 1_800_000, 10**9, -1])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "issuer": ISSUERS,
    "door": st.sampled_from(NAMES),
    "room": st.sampled_from(NAMES),
    "call": st.sampled_from(NAMES),
    "alarm": st.sampled_from([*NAMES, *(f"{point}/contact_unknown" for point in POINTS)]),
    "delivery": st.sampled_from(["wc-1#1", "wc-1#2", "test#1", ""]),
    "point": st.sampled_from(POINTS),
    "mode": st.sampled_from([*MODES, "schedule"]),
    "until_utc_ms": st.none() | st.integers(0, 2 * 10**12),
    "for_ms": SPANS,
    "receiver": st.sampled_from(["caretaker", "reception", "nobody", ""]),
    "reason": st.sampled_from(["", "gone"]),
    "command": st.just("c"),
    "name": st.sampled_from(["open_door", "cancel"]),
    "active": st.sampled_from([True, False, None]),
    "quantity": st.sampled_from(["line_ohm", "temperature_c", "humidity_percent"]),
    "value": st.sampled_from([None, 0.0, 21.5, 4_700.0, 10_000.0, 900_000.0, float("nan")]),
    "utc_ms": st.integers(1_600_000_000_000, 1_800_000_000_000),
    "trusted": st.booleans(),
    "settled": st.booleans(),
    "ok": st.booleans(),
    "medium": st.sampled_from(["", "sms"]),
    "attends": st.sampled_from(["", "Anna"]),
    "seen_only": st.booleans(),
    "names": st.sampled_from(["", "web.pem", "broker.pem, web.pem"]),
}
"""Field of an event -> what may stand in it; ``id``, ``expires_ms``, ``edge_ms`` are made."""

KINDS = get_args(Event)


@st.composite
def happenings(draw: st.DrawFn) -> tuple[Ms, type[Any] | str, dict[str, Any]]:
    """How long after the one before, what, and what it says."""
    after_ms = draw(st.sampled_from([0, 1, 30, 500, 5000, 61_000, 400_000]))
    kind = draw(st.sampled_from([*KINDS, "pull", "attend", "restart", "jammed", "late"]))
    if isinstance(kind, str):
        return after_ms, kind, {}
    given = {"id", "expires_ms", "edge_ms"}
    names = [f.name for f in dataclasses.fields(kind) if f.name not in given]
    said = {name: draw(FIELDS[name]) for name in names}
    if kind is Level and said["point"] == CANCEL:
        said["point"] = "wc.presence"
    return after_ms, kind, said


def happen(bench: RoomBench, what: type[Any] | str, said: dict[str, Any]) -> RoomBench:
    """Let it happen now; after a restart the building is another one."""
    now = bench.now
    if what == "pull":
        bench.press(now, "wc.cord", 500)
    elif what == "attend":
        bench.press(now, "wc.presence", 500)
    elif what == "jammed":
        bench.level(now, CANCEL, None, "chip is gone")
        bench.level(now + 1000, CANCEL, True)
    elif what == "restart":
        again = bench.again()
        again.level(10, CANCEL, True)
        return again
    elif what == "late":
        late = RoomBench(BATH, None, trusted=False, levels=False)
        late.until(1000)
        late.building = late.note(building.restore(late.building, bench.kept(), 1000))
        return late
    else:
        assert not isinstance(what, str)
        made = {f.name for f in dataclasses.fields(what)}
        if "id" in made:
            said = {**said, "id": bench.name(), "expires_ms": now + 1}
        if "edge_ms" in made:
            said = {**said, "edge_ms": now}
        bench.at(now, what(**said))
    return bench


def stands(bench: RoomBench, name: str) -> bool:
    record = bench.building.calls["wc"].record
    lit = {point: bench.building.relays[point].on for point in ("wc.reassurance", "wc.lamp")}
    return record is not None and record.id == name and not record.test and all(lit.values())


def test_every_command_and_every_report_takes_part() -> None:
    assert set(get_args(AnyCommand)) < set(KINDS)
    for kind in KINDS:
        known = {"id", "expires_ms", "edge_ms", *FIELDS}
        assert {f.name for f in dataclasses.fields(kind)} <= known, kind


@settings(max_examples=40, deadline=None)
@given(st.booleans(), st.lists(happenings(), max_size=25))
def test_a_real_call_is_ended_by_nothing_but_the_button_in_the_room(
    late_in_a_test: bool,
    story: list[tuple[Ms, type[Any] | str, dict[str, Any]]],
) -> None:
    bench = RoomBench()
    if late_in_a_test:
        bench.test_mode(500, 61_000)
    bench.pull(2000)
    name = "wc-1"
    assert stands(bench, name)
    for after_ms, what, said in story:
        bench.until(bench.now + after_ms)
        bench = happen(bench, what, said)
        assert stands(bench, name), what
    bench.level(bench.now + 1000, CANCEL, False)
    bench.press(bench.now + 40_000, CANCEL)
    assert bench.building.calls["wc"].record is None


@settings(max_examples=20, deadline=None)
@given(st.lists(happenings(), max_size=20))
def test_a_pull_calls_whatever_has_happened_before_unless_the_room_is_in_test(
    story: list[tuple[Ms, type[Any] | str, dict[str, Any]]],
) -> None:
    bench = RoomBench()
    for after_ms, what, said in story:
        bench.until(bench.now + after_ms)
        bench = happen(bench, what, said)
    bench.level(bench.now + 1000, "wc.shower", False)
    bench.until(bench.now + 2_000_000)  # the longest test is over
    bench.level(bench.now, "wc.shower", True)
    record = bench.building.calls["wc"].record
    assert record is not None
    assert record.test is False
    assert record.state == "raised"


def test_no_command_makes_lamps_dark_not_even_those_of_a_test_call() -> None:
    bench = RoomBench()
    bench.test_mode(1000)
    bench.pull(2000)
    bench.at(70_000, TestRoom("x", Issuer("web:3", "web"), 71_000, "wc", 0))
    assert bench.state == "raised"
    assert bench.building.relays["wc.reassurance"].on
    bench.press(80_000, CANCEL)
    assert bench.state == "quiet"
