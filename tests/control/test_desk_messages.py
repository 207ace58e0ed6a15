"""What the desk knows of ``notify``: whether messages go out, and what became of them."""

from __future__ import annotations

from typing import Any, cast

from gateway.control.desk import Desk
from gateway.control.eye import Cursors
from gateway.control.guarantees import Guarantees
from gateway.core.events import Delivered
from gateway.panel import messages as m
from tests.control.control_bench import Rig


class Eye:
    """A journal without anything in it."""

    def cursors(self) -> Cursors:
        return Cursors("j", {}, {}, {})

    def first_after(self, lane: str, seq: int) -> tuple[None, None]:
        return None, None


def desk(rig: Rig, *, messages: bool = True, recorders: tuple[str, ...] = ()) -> Desk:
    rig.controller.begin(0)
    return Desk(
        controller=rig.controller,
        inbox=rig.inbox,
        clock=rig.clock,
        journal=cast("Any", rig.journal),
        eye=cast("Any", Eye()),
        bench=None,
        guarantees=Guarantees({}, {}),
        identity={},
        mqtt=False,
        recorders=recorders,
        messages=messages,
        heartbeat=messages,
    )


def reasons(one: Desk) -> tuple[object, object]:
    held = cast("dict[str, dict[str, object]]", one.snapshot()["guarantees"])
    return held["messages"]["reason"], held["heartbeat"]["reason"]


def test_messages_go_out_while_notify_is_there_and_they_arrive() -> None:
    one = desk(Rig())
    assert reasons(one) == ("notify_away", "notify_away")
    one.told(m.Hello("notify"))
    assert reasons(one) == ("", "")
    one.told(m.DeliveredTold("wc-1#1", False, "http 500"))
    one.told(m.HeartbeatTold(False, "connection"))
    assert reasons(one) == ("delivery_failed", "heartbeat_failed")
    one.told(m.DeliveredTold("wc-1#2", True, ""))
    one.told(m.HeartbeatTold(True, ""))
    assert reasons(one) == ("", "")
    one.gone("notify")
    one.told(m.DeliveredTold("wc-1#3", False, "notify_away"))
    assert reasons(one) == ("notify_away", "notify_away")


def test_what_became_of_a_message_goes_to_the_building() -> None:
    rig = Rig()
    one = desk(rig)
    while rig.inbox.take(0) is not None:
        pass
    one.told(m.DeliveredTold("wc-1#1", False, "http 500"))
    assert rig.inbox.take(0) == Delivered("wc-1#1", False, "http 500")


def test_where_nobody_is_named_nothing_is_promised() -> None:
    one = desk(Rig(), messages=False)
    one.told(m.Hello("notify"))
    one.told(m.HeartbeatTold(False, "x"))
    assert "messages" not in cast("dict[str, object]", one.snapshot()["guarantees"])


def test_only_expected_recorders_are_remembered_and_only_of_this_journal() -> None:
    rig = Rig()
    told: list[tuple[str, bool]] = []
    keeps: Any = rig.journal
    keeps.recorded = lambda who, _journal, _lanes, *, keep: told.append((who, keep))
    one = desk(rig, recorders=("main",))
    one.grown("j2", {"urgent": 5_000})
    for number in range(1_000):
        one.told(m.Recorded(f"stranger{number}", "j2", {"urgent": 5_000}))
    assert recording(one) == "recorder_missing"
    one.told(m.Recorded("main", "j1", {"urgent": 900_000}))
    assert recording(one) == "recorder_behind"
    one.told(m.Recorded("main", "j2", {"urgent": 4_999}))
    assert recording(one) == ""
    assert {who for who, keep in told if keep} == {"main"}
    assert len(told) == 1_002
    assert len(one._recorded) == 1


def recording(one: Desk) -> object:
    held = cast("dict[str, dict[str, object]]", one.snapshot()["guarantees"])
    return held["recording"]["reason"]
