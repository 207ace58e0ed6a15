"""The loop: effects before facts, edges at their times, and nothing that fails stops the door."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from gateway.core import building as core
from gateway.core.building.snapshot import snapshot
from gateway.core.building.work import Work
from gateway.core.door import door
from gateway.core.events import JournalState, Level
from gateway.core.facts import Json
from gateway.core.plan import BuildingPlan
from gateway.core.signals.clock import Past
from tests.control.control_bench import BUTTON, LEAF, PLAN, RELAY, Rig


def test_the_relay_moves_before_anything_is_written() -> None:
    rig = Rig().start()
    rig.press()
    assert rig.log.index(f"{RELAY} on") < rig.log.index("fact door_request")
    assert rig.log.index(f"{RELAY} on") < rig.log.index("fact contact_changed")


def test_a_press_is_accepted_at_the_time_of_its_edge() -> None:
    rig = Rig().start()
    edge = rig.clock.now_ms()
    rig.level(BUTTON, True)
    rig.time.passes(400)
    rig.turn()
    rig.passes(10)  # what comes late comes in a row: it is judged in the next millisecond
    (request,) = rig.journal.facts("door_request")
    assert (request.data["outcome"], request.at_ms) == ("accepted", edge)


def test_a_short_press_that_nobody_looked_at_in_time_counts() -> None:
    rig = Rig().start()
    edge = rig.clock.now_ms()
    rig.time.passes(500)
    rig.level(BUTTON, True, edge)
    rig.level(BUTTON, False, edge + 60)
    rig.turn()
    (request,) = rig.journal.facts("door_request")
    assert request.data["outcome"] == "accepted"


@pytest.mark.parametrize("readable", [True, False], ids=["at the start", "read later"])
def test_a_saved_state_that_ends_in_an_error_ends_no_start(
    monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """It ended each start in the same error: no button, no cord, no page."""
    state: dict[str, Json] = {"format": 1, "calls": {"wc": {}}}
    whole: Callable[..., Sequence[Work]] = core.restored  # type: ignore[attr-defined]  # as imported

    def restored(building: core.Building, kept: object, past: Past) -> Sequence[Work]:
        if kept is state:
            raise IndexError("tuple index out of range")
        return whole(building, kept, past)

    monkeypatch.setattr(core, "restored", restored)
    rig = Rig(saved_state=state, readable=readable).start()
    rig.journal.state_before = state
    rig.passes(3_000)
    rig.command()
    assert rig.replies[0].status == "accepted"
    assert "state_unread" in {alarm.kind for alarm in rig.controller.view[0].alarms.by_id.values()}
    assert [str(error) for error in rig.unreadable] == ["tuple index out of range"]


def test_a_press_from_before_a_long_stall_is_stale() -> None:
    rig = Rig().start()
    edge = rig.clock.now_ms()
    rig.time.passes(door.FRESH_MS + 1000)
    rig.level(BUTTON, True, edge)
    rig.turn()
    rig.passes(100)
    (request,) = rig.journal.facts("door_request")
    assert (request.data["outcome"], request.data["reason"]) == ("refused", "stale")
    assert not rig.relay.on


def test_a_bounce_that_is_read_slowly_is_one_press() -> None:
    """On a busy machine the thread that reads edges is late and slow: each edge of a bounce of
    8 ms came after the deadline of the one before, and each level was taken to be quiet."""
    rig = Rig().start()
    begin = rig.clock.now_ms()
    rig.unread = [Level(BUTTON, i % 2 == 0, begin + i) for i in range(9)]
    rig.time.passes(35)
    for _ in range(9):
        rig.read(1)
        rig.turn()
        rig.time.passes(2)
        rig.turn()
    rig.passes(100)
    (request,) = rig.journal.facts("door_request")
    assert (request.at_ms, request.data["outcome"]) == (begin + 8, "accepted")
    changed = [f.data for f in rig.journal.facts("contact_changed") if not f.data["initial"]]
    assert [data["active"] for data in changed] == [True]


def test_a_line_that_was_quiet_in_between_was_pressed_twice_however_late_it_is_read() -> None:
    rig = Rig().start()
    begin = rig.clock.now_ms()
    at_ms = (0, 40, 80, 120)
    rig.unread = [Level(BUTTON, i % 2 == 0, begin + at) for i, at in enumerate(at_ms)]
    rig.time.passes(200)
    rig.read(1)
    rig.turn()
    rig.passes(100)
    requests = rig.journal.facts("door_request")
    assert [(r.at_ms - begin, r.data["outcome"]) for r in requests] == [
        (0, "accepted"),
        (80, "merged"),
    ]


def test_an_edge_of_another_line_judges_no_line_whose_edges_are_unread() -> None:
    """The leaf's edge is read first, 40 ms after the button's first: the time in between is not
    over for the button before its own edges are known. A command is no other way past them."""
    for event in ("leaf", "command"):
        rig = Rig().start()
        begin = rig.clock.now_ms()
        rig.level(BUTTON, True, begin)
        rig.turn()
        rig.unread = [Level(BUTTON, False, begin + 3)]
        rig.time.passes(40)
        if event == "leaf":
            rig.level(LEAF, True, begin + 40)
        else:
            rig.command("c1")
        rig.turn()
        rig.passes(100)
        pressed = [f for f in rig.journal.facts("door_request") if f.data["activator"] == BUTTON]
        assert pressed == []


def test_a_leaf_that_opened_in_time_did_open_however_late_its_edge_is_read() -> None:
    rig = Rig().start()
    rig.press()
    opens_within_ms = PLAN.doors[0].opens_within_ms
    begin = rig.clock.now_ms()
    rig.unread = [Level(LEAF, True, begin + 500)]
    rig.time.passes(opens_within_ms + 1000)
    rig.turn()
    rig.read()
    rig.passes(100)
    assert rig.journal.facts("door_opened")
    assert [f.subject for f in rig.journal.facts("alarm_raised")] == []


def test_the_pulse_ends_by_itself() -> None:
    """A second pulse during the first does not leave the relay on (mqtt-io#193)."""
    rig = Rig().start()
    rig.press(100)
    rig.press(100)
    during = rig.relay.on
    assert during
    rig.passes(1000)
    assert not rig.relay.on
    assert rig.log.count(f"{RELAY} on") == 1


def test_every_command_gets_one_answer_and_one_audit_entry() -> None:
    rig = Rig().start()
    rig.command("c1")
    rig.command("c2", life_ms=-1)
    assert [(r.command, r.status, r.reason) for r in rig.replies] == [
        ("c1", "accepted", ""),
        ("c2", "refused", "expired"),
    ]
    entries = [entry for batch in rig.journal.batches for entry in batch.audit]
    assert [(e.actor, e.action, e.subject, e.outcome) for e in entries] == [
        ("web:3", "open_door", "front", "accepted"),
        ("web:3", "open_door", "front", "refused: expired"),
    ]
    assert json.loads(entries[0].detail) == {"command": "c1", "reason": "delivery", "via": "web"}


def test_the_answer_travels_with_its_fact() -> None:
    rig = Rig().start()
    rig.command("c1")
    (batch,) = [batch for batch in rig.journal.batches if batch.replies]
    assert any(fact.data.get("command") == "c1" for fact in batch.facts)


def test_a_relay_that_fails_is_an_alarm_and_the_loop_goes_on() -> None:
    rig = Rig().start()
    rig.relay.broken = True
    rig.press()
    raised = [fact.subject for fact in rig.journal.facts("alarm_raised")]
    assert f"{RELAY}/relay_fault" in raised
    rig.level(LEAF, True)
    rig.passes(50)
    assert any(f.subject == LEAF for f in rig.journal.facts("contact_changed"))


def test_a_relay_that_comes_back_takes_its_level_and_clears_the_alarm() -> None:
    rig = Rig().start()
    rig.relay.broken = True
    rig.press()
    rig.relay.broken = False
    until = time.monotonic() + 30
    while not rig.journal.facts("alarm_cleared"):
        assert time.monotonic() < until
        time.sleep(0.005)
        rig.turn()  # no time passes: however long the helper takes, the pulse is not over
    assert rig.relay.on
    rig.passes(1000)
    assert not rig.relay.on


def test_modes_and_alarms_survive_a_restart() -> None:
    """A problem that is there at start, and acknowledgements, are as they were
    (home-assistant#59812, #94857)."""
    first = Rig().start()
    first.level(LEAF, True)
    first.passes(130_000, 1000)
    assert [f.subject for f in first.journal.facts("alarm_raised")] == ["front/left_open"]
    kept = [batch.saved_state for batch in first.journal.batches if batch.saved_state is not None][
        -1
    ]
    second = Rig(saved_state=kept).start()
    building, _ = second.controller.view
    assert not second.journal.facts("alarm_raised")
    shown = snapshot(building, second.clock.now_ms())["alarms"]
    assert "front/left_open" in json.dumps(shown)


@pytest.mark.parametrize("readable", [True, False])
def test_a_relay_that_was_exchanged_while_the_gateway_was_off_is_no_fault_any_more(
    readable: bool,
) -> None:
    """Its driver opens it and puts it off without a fault: that ends a fault in a run, too."""
    standing: Mapping[str, Json] = {
        "alarms": [{"subject": RELAY, "kind": "relay_fault", "severity": "fault", "standing": True}]
    }

    def states(*, broken: bool) -> list[object]:
        rig = Rig(saved_state=standing, readable=readable)
        rig.relay.broken = broken
        rig.start()
        if not readable:
            rig.journal.state_before = standing
            rig.passes(1500)
        shown = snapshot(rig.controller.view[0], rig.clock.now_ms())["alarms"]
        return [alarm["state"] for alarm in cast("Any", shown)]

    assert states(broken=True) == ["active"]
    assert states(broken=False) == ["cleared"]


def test_no_pulse_is_replayed_after_a_restart() -> None:
    """Relays do not fire at boot (mqtt-io#131, GarageQTPi#13)."""
    first = Rig().start()
    first.level(BUTTON, True)
    first.passes(100)
    assert first.relay.on
    kept = [batch.saved_state for batch in first.journal.batches if batch.saved_state is not None][
        -1
    ]
    second = Rig(saved_state=kept).start()
    second.passes(2000)
    assert f"{RELAY} on" not in second.log


def test_what_was_kept_comes_when_the_disk_does() -> None:
    source = Rig().start()
    source.level(LEAF, True)
    source.passes(130_000, 1000)
    kept = [batch.saved_state for batch in source.journal.batches if batch.saved_state is not None][
        -1
    ]
    rig = Rig(readable=False).start()
    rig.press()
    assert rig.relay.log.count(f"{RELAY} on") == 1  # the door does not wait for the disk
    assert all(batch.saved_state is None for batch in rig.journal.batches)
    rig.journal.state_before = kept
    rig.passes(1500)
    assert len(rig.journal.facts("gateway_started")) == 1
    later = [batch.saved_state for batch in rig.journal.batches if batch.saved_state is not None][
        -1
    ]
    assert "left_open" in json.dumps(later["alarms"])


def test_a_dead_journal_is_an_alarm_and_no_obstacle() -> None:
    rig = Rig().start()
    rig.inbox.offer(JournalState("journal_full"))
    rig.turn()
    assert any(f.subject.endswith("/journal_full") for f in rig.journal.facts("alarm_raised"))
    rig.press()
    assert rig.relay.log.count(f"{RELAY} on") == 1


def test_the_clock_is_not_trusted_until_somebody_says_so() -> None:
    rig = Rig(trusted=False).start()
    before = rig.controller.trust
    assert not before.trusted
    assert not rig.journal.offsets
    rig.controller.clock_told("link", True)
    rig.turn()
    offset = rig.time.utc_ms - rig.time.mono_ms
    assert rig.controller.trust.trusted
    assert rig.journal.offsets == [offset]
    assert [f.data for f in rig.journal.facts("clock_trusted")] == [{"utc_offset_ms": offset}]


def test_a_clock_step_is_a_fact() -> None:
    rig = Rig().start()
    rig.time.utc_ms += 3_600_000
    rig.passes(1100, 100)
    (step,) = rig.journal.facts("clock_stepped")
    assert step.data["by_ms"] == 3_600_000
    building, _ = rig.controller.view
    assert building.clock.offset_ms == rig.time.utc_ms - rig.time.mono_ms


def test_a_clock_that_is_only_corrected_is_no_step() -> None:
    rig = Rig().start()
    rig.time.utc_ms += 400
    rig.passes(2000, 100)
    assert not rig.journal.facts("clock_stepped")


def test_an_unknown_contact_is_opened_again() -> None:
    rig = Rig().start()
    first = rig.contacts[BUTTON]
    rig.level(BUTTON, None)
    until = time.monotonic() + 30
    while rig.contacts[BUTTON] is first:
        assert time.monotonic() < until
        time.sleep(0.005)
    assert first.closed
    rig.passes(100)
    rig.press()
    assert rig.log.count(f"{RELAY} on") == 1


def test_stopping_puts_every_relay_off() -> None:
    rig = Rig().start()
    rig.press(100)
    assert rig.relay.on
    rig.controller.stop("SIGTERM")
    assert rig.controller.run() == "SIGTERM"
    rig.points.close()
    assert not rig.relay.on


def test_an_empty_building_runs() -> None:
    rig = Rig(plan=BuildingPlan("empty"))
    rig.controller.begin(0.0)
    rig.inbox.offer(Level("nobody", True, rig.clock.now_ms()))
    rig.passes(2000, 500)


def test_what_is_due_is_served_when_it_is_due() -> None:
    """Else a journey of the bench's clock would stand still before it for ever."""
    rig = Rig().start()
    for _ in range(300):
        rig.time.passes(max(0, rig.controller.wake_at() - rig.clock.now_ms()))
        due = rig.controller.wake_at()
        rig.turn()
        assert rig.controller.wake_at() > due
        rig.time.passes(7)
        rig.turn()
