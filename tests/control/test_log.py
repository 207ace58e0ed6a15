"""What is tried again and again is not written again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import structlog

from gateway.app.roles import once_per_cause
from gateway.control.inbox import Inbox
from gateway.control.log import AGAIN_MOST_S, CAUSES_MOST, Repeats, cause
from gateway.control.points import Opened, PointFault, Points, Report, Source


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def written(
    repeats: Repeats, clock: Clock, until_s: float, every_s: float
) -> list[tuple[int, int]]:
    """When a line of one cause is written, in seconds, and how many were left out before."""
    found = []
    while clock.now_s < until_s:
        left_out = repeats.left_out("cause")
        if left_out is not None:
            found.append((int(clock.now_s), left_out))
        clock.now_s += every_s
    return found


def test_the_pauses_grow() -> None:
    clock = Clock()
    found = written(Repeats(clock), clock, 1000, 1)
    assert found == [(0, 0), (60, 59), (180, 119), (420, 239), (900, 479)]


def test_a_day_of_failures_is_a_few_lines_and_a_year_has_some_each_day() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert len(written(repeats, clock, 86_400, 1)) < 15
    clock.now_s = 400 * 86_400.0
    later = written(repeats, clock, 402 * 86_400, 10)
    assert later[-1][0] - later[-2][0] <= AGAIN_MOST_S + 10


def test_a_cause_that_was_away_is_new() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert repeats.left_out("cause") == 0
    clock.now_s = 121
    assert repeats.left_out("cause") == 0
    clock.now_s = 150
    assert repeats.left_out("cause") is None


def test_causes_are_bounded() -> None:
    repeats = Repeats(Clock())
    for number in range(3 * CAUSES_MOST):
        repeats.left_out(f"cause {number}")
    assert len(repeats._causes) == CAUSES_MOST


def test_numbers_make_no_other_cause() -> None:
    assert cause("GPIO17: no such line on chip 0") == cause("GPIO4: no such line on chip 12")


def test_a_role_leaves_repeated_lines_out() -> None:
    process = once_per_cause(structlog.DropEvent)

    def line(**fields: object) -> dict[str, object] | None:
        try:
            return dict(process(None, "warning", {"event": "store down", **fields}))
        except structlog.DropEvent:
            return None

    assert line(reason="errno 111", retry_s=1.0) is not None
    assert line(reason="errno 113", retry_s=2.0) is None
    assert line(reason="bad token", retry_s=4.0) is not None
    assert line(reason="errno 111", gateway="other") is not None


class Bus:
    """Contacts on a bus that is there or not; how often each was tried."""

    def __init__(self) -> None:
        self.there = False
        self.tried: dict[str, int] = {}
        self.enough = threading.Event()

    def opener(self, point: str) -> Callable[[Report], Opened]:
        def open_(report: Report) -> Opened:
            self.tried[point] = self.tried.get(point, 0) + 1
            if len(self.tried) == 15 and min(self.tried.values()) >= 5:
                self.enough.set()
            raise PointFault(f"pin {point}: no such chip")

        return open_


@pytest.mark.parametrize("kind", ["contact", "relay", "meter"])
def test_points_of_one_cause_are_one_line(kind: str) -> None:
    bus, lines = Bus(), []
    points = Points(
        [Source(str(n), kind, bus.opener(str(n)), ("c",)) for n in range(15)],  # type: ignore[arg-type]
        Inbox(),
        lambda: 0,
        lambda level, text, **fields: lines.append((level, text, fields)),
        retry_first_s=0.001,
    )
    points.open()
    assert bus.enough.wait(60)
    points.close()
    assert len(lines) <= 2  # meters are opened by the helper, maybe not all in one pass
    level, text, fields = lines[-1]
    assert (level, text) == ("warning", "points are not open")
    assert fields["points"] == sorted(str(n) for n in range(15))
