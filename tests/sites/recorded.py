"""What a recorder has stored, and what is to be read of it, whichever the store is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from gateway.core.facts import KINDS
from gateway.journal.schema import HOUR_MS
from gateway.recorder.points import Origin, Point, fields_of, tags_of
from gateway.recorder.stores.store import Store
from gateway.sites.history.stored import StoredHistory, Wanted
from gateway.wire import Event

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS
T0 = 1_760_000_400_000 // HOUR_MS * HOUR_MS
"""The begin of an hour, long ago."""


def point(
    seq: int,
    utc_ms: int,
    kind: str = "reading",
    subject: str = "wc.climate",
    *,
    gateway: str = "bad-1",
    boot: str = "b1",
    **data: Any,
) -> Point:
    """An event as the recorder gives it to a store."""
    if kind == "reading":
        data = {"quantity": "temperature_c"} | data
    lane = KINDS[kind].lane
    event = Event(
        gateway, "j1", lane, seq, boot, utc_ms - T0 + DAY_MS, utc_ms, kind, subject, data, False
    )  # fmt: skip
    return Point(kind, tags_of(event), fields_of(event, True), utc_ms, Origin(event, lane))


def opening(site: str, at: int, seq: int = 1) -> list[Point]:
    """Somebody presses the button, and the door opens for 7 s."""
    asked = {"activator_kind": "button", "side": "outside", "outcome": "accepted"}
    return [
        point(seq, at, "door_request", "front", gateway=site, **asked),
        point(seq + 1, at + 300, "door_opened", "front", gateway=site, cause="request"),
        point(seq + 2, at + 7_300, "door_closed", "front", gateway=site, open_ms=7_000),
    ]


@dataclasses.dataclass
class Recorded:
    """A store and a reader of it. ``finish``: what the recorder does beside writing."""

    store: Store
    history: StoredHistory
    finish: Callable[[], None] = lambda: None
    has_boots: bool = False

    def write(self, *points: Point) -> None:
        assert self.store.write(points) == []
        self.finish()

    def means(
        self, first: int, last: int, number: int, now: int = T0 + 1000 * DAY_MS
    ) -> list[tuple[int, float | None, float | None, float | None, int, int]]:
        """Bucket: minutes after T0, min, mean, max, count, covered minutes."""
        found = self.history.buckets(
            "bad-1", "wc.climate", "temperature_c", (first, last), number, now
        )
        return [
            (
                (b.utc_ms - T0) // MINUTE_MS,
                b.min,
                None if b.mean is None else round(b.mean, 4),
                b.max,
                b.count,
                (b.covered_ms or 0) // MINUTE_MS,
            )
            for b in found
        ]

    def levels(self, first: int, last: int) -> list[tuple[int, bool | None]]:
        found = self.history.levels("bad-1", "front.leaf", (first, last))
        return [((at - T0) // MINUTE_MS, active) for at, active in found]


def a_mean_is_weighted_by_time_and_a_gap_is_one(on: Recorded) -> None:
    on.write(
        point(1, T0 - 5 * MINUTE_MS, value=20.0),
        point(2, T0 + 20 * MINUTE_MS, value=30.0),
        point(3, T0 + 25 * MINUTE_MS, value=10.0),
        point(4, T0 + 30 * MINUTE_MS, value=None, reason="silent"),
        point(5, T0 + 200 * MINUTE_MS, value=40.0),
    )
    whole = on.means(T0, T0 + 4 * HOUR_MS, 4)
    mean = round((20 * 20 + 5 * 30 + 5 * 10) / 30, 4)
    # two heartbeats after the last reading nothing is valid any more
    assert whole == [(0, 10.0, mean, 30.0, 2, 30), (180, 40.0, 40.0, 40.0, 1, 30)]
    halves = on.means(T0, T0 + HOUR_MS, 4)
    assert halves == [
        (0, 20.0, 20.0, 20.0, 0, 15),
        (15, 10.0, round((5 * 20 + 5 * 30 + 5 * 10) / 15, 4), 30.0, 2, 15),
        (30, None, None, None, 0, 0),
    ]


def the_last_value_is_not_valid_beyond_now(on: Recorded) -> None:
    on.write(point(1, T0, value=20.0))
    assert on.means(T0, T0 + HOUR_MS, 6, now=T0 + 12 * MINUTE_MS) == [
        (0, 20.0, 20.0, 20.0, 1, 10),
        (10, 20.0, 20.0, 20.0, 0, 2),
    ]


def buckets_of_days_are_made_of_all_their_hours(on: Recorded) -> None:
    on.write(
        *(point(n, T0 + n * 15 * MINUTE_MS, value=float(n // 96)) for n in range(2 * 96)),
    )
    assert on.means(T0, T0 + 2 * DAY_MS, 2) == [
        (0, 0.0, 0.0, 0.0, 96, 1440),
        (1440, 1.0, 1.0, 1.0, 96, 1440),
    ]


def quantities_are_those_of_the_point(on: Recorded) -> None:
    on.write(
        point(1, T0, value=20.0),
        point(2, T0, value=50.0, quantity="humidity_percent"),
        point(3, T0, value=4.0, quantity="pressure_hpa", gateway="bad-2"),
    )
    assert on.history.quantities("bad-1", "wc.climate") == ["humidity_percent", "temperature_c"]
    assert on.history.quantities("bad-1", "other") == []
    other = on.history.buckets("bad-2", "wc.climate", "temperature_c", (T0, T0 + HOUR_MS), 4, T0)
    assert other == []


def a_level_is_known_from_before_and_unknown_after_a_run_has_ended(on: Recorded) -> None:
    leaf = "front.leaf"
    on.write(
        point(1, T0 - 30 * MINUTE_MS, "contact_changed", leaf, active=True, initial=False),
        point(2, T0 + 10 * MINUTE_MS, "contact_changed", leaf, active=False, initial=False),
        point(3, T0 + 12 * MINUTE_MS, value=20.0),
        point(4, T0 + 20 * MINUTE_MS, "gateway_started", "gateway", boot="b2", clean=False),
        point(5, T0 + 21 * MINUTE_MS, "contact_changed", leaf, boot="b2", active=True),
        point(6, T0 + 22 * MINUTE_MS, "contact_changed", leaf, boot="b2", active=None),
        point(7, T0 + 23 * MINUTE_MS, "contact_changed", leaf, gateway="bad-2", active=True),
    )  # fmt: skip
    assert on.levels(T0, T0 + HOUR_MS) == [
        (0, True),
        (10, False),
        (12, None),
        (21, True),
        (22, None),
    ]
    assert on.levels(T0 + 12 * MINUTE_MS, T0 + 15 * MINUTE_MS) == [(12, False)]
    assert on.levels(T0 - DAY_MS, T0 - HOUR_MS) == []


def a_start_on_the_same_boot_changes_no_relay(on: Recorded) -> None:
    if not on.has_boots:
        return
    on.write(
        point(1, T0, "relay_changed", "front.leaf", on=True),
        point(2, T0 + 20 * MINUTE_MS, "gateway_started", "gateway", clean=True),
    )
    assert on.levels(T0, T0 + HOUR_MS) == [(0, True)]


def events_come_newest_first_of_the_gateways_that_are_asked_for(on: Recorded) -> None:
    on.write(
        point(1, T0, "door_closed", "front", open_ms=7000),
        point(2, T0 + 1, "door_opened", "front", cause="request", assumed=False),
        point(3, T0 + 2, "fire_alarm", "fire", active=False),
        point(4, T0 + 2, "door_opened", "back", gateway="bad-2", cause="hand"),
        point(5, T0 + 2, "leak", "wc", wet=True),
        point(6, T0 + 3, "door_opened", "x", gateway="office", cause="hand"),
        point(7, T0 + 3, value=20.0),
    )
    both = ("bad-1", "bad-2")
    kinds = ("door_opened", "door_closed", "fire_alarm", "leak")

    def found(**wanted: Any) -> list[tuple[int, str, str]]:
        events = on.history.events(Wanted(**({"gateways": both, "kinds": kinds} | wanted)))
        times = [one.utc_ms for one in events]
        assert times == sorted(times, reverse=not wanted.get("oldest_first"))
        return sorted((one.utc_ms - T0, one.gateway, one.kind) for one in events)

    two = [(2, "bad-1", "fire_alarm"), (2, "bad-1", "leak"), (2, "bad-2", "door_opened")]
    earlier = [(0, "bad-1", "door_closed"), (1, "bad-1", "door_opened")]
    assert found() == [*earlier, *two]
    assert found(limit=1) == two, "all of one instant"
    assert found(to_utc_ms=T0 + 2) == earlier
    assert found(from_utc_ms=T0 + 2) == two
    assert found(limit=1, oldest_first=True, from_utc_ms=T0) == earlier[:1]
    assert found(gateways=("bad-2",)) == two[2:]
    assert found(gateways=()) == []
    assert found(subject="front", limit=9) == earlier
    assert (3, "bad-1", "reading") in found(kinds=None)
    (fire,) = on.history.events(Wanted(("bad-1",), ("fire_alarm",)))
    assert fire.data["active"] is False
    assert (fire.subject, fire.lane, fire.seq) == ("fire", KINDS["fire_alarm"].lane, 3)


CASES = (
    a_mean_is_weighted_by_time_and_a_gap_is_one,
    the_last_value_is_not_valid_beyond_now,
    buckets_of_days_are_made_of_all_their_hours,
    quantities_are_those_of_the_point,
    a_level_is_known_from_before_and_unknown_after_a_run_has_ended,
    a_start_on_the_same_boot_changes_no_relay,
    events_come_newest_first_of_the_gateways_that_are_asked_for,
)
