"""Two recordings of real rooms, replayed through the whole core with the shipped settings.

*adl-home-a* is two weeks of one person's flat: the bathroom's sensors are motion and taps of a
room, everything else in the flat is motion elsewhere. Truth is what the person wrote down,
second by second: toileting, showering, grooming. Three rows of that end before they start
(real data is like that) and are dropped.

*room-climate* is a week of a real room, a row a minute: temperature, humidity, and the humidity
ratio that the dew point is compared with.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from pathlib import Path

from gateway.app.configuration import load
from gateway.core import building
from gateway.core.building.state import Building
from gateway.core.events import CivilTime, Event, Level, Reading
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.settings.plan.building import plan
from tests.benchmarks.figures import Figure
from tests.conftest import SHARED

FLAT = SHARED / "data/adl-home-a"
CLIMATE = SHARED / "data/room-climate/training.csv"
IN_THE_BATHROOM = ("Toileting", "Showering", "Grooming")
SHORTEST_MS: Ms = 500
"""A row that ends in the second in which it starts was active for less than a second."""
PRESSURE_HPA = 1013.25
"""Sea level by the standard atmosphere; the recording does not say, and its humidity ratios fit
1010.5 hPa. 10 hPa are 0.15 K of dew point."""
NOW_UTC_MS = 1_795_000_000_000


def there() -> bool:
    """The recordings lie beside the checkout; they are no part of the project."""
    return FLAT.is_dir() and CLIMATE.is_file()


def figures() -> list[Figure]:
    """What ``make bench`` shows of them."""
    if not there():
        return []
    seen, air = occupancy(), climate()
    return [
        Figure(
            "occupancy of a real bathroom, F1 per second",
            seen.f1,
            "",
            0.67,
            at_least=True,
            note=f"F1 {seen.f1:.4f}, precision {seen.precision:.3f}, recall {seen.recall:.3f}; "
            f"{seen.dropped} impossible rows dropped",
        ),
        Figure("labelled visits with a sensor in them, missed", len(seen.missed), "", 0),
        Figure("long-stay alarms in two weeks", seen.long_stays, "", 0),
        Figure(
            "dew point, furthest from the humidity ratio's",
            air.dew_point_off_k,
            "K",
            0.3,
            note=f"at {PRESSURE_HPA} hPa",
        ),
        Figure(
            "climate values sent",
            air.sent_percent,
            "%",
            25,
            note=f"{air.with_dew_point_percent:.1f} % with the dew points",
        ),
        Figure("last temperature sent, furthest off", air.temperature_off_k, "K", 0.2),
        Figure("last humidity sent, furthest off", air.humidity_off_percent, "%", 1),
    ]


class House:
    """A building that lives through a recording."""

    def __init__(self, text: str) -> None:
        self.plan = planned(text)
        self.facts: list[Fact] = []
        step = building.start(self.plan, None, 0)
        self.building: Building = step.state
        self.tell(CivilTime(0, True), 0)

    def tell(self, event: Event | None, now: Ms) -> None:
        step = building.step(self.building, event, now)
        self.building = step.state
        self.facts += step.facts

    def until(self, now: Ms) -> None:
        while (due := building.wake_at(self.building)) is not None and due <= now:
            self.tell(None, due)


def planned(text: str) -> BuildingPlan:
    """The plan that the shipped defaults make of this configuration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "portier.yaml")
        path.write_text(text, encoding="utf-8")
        return plan(load.settings(path, need=()), now_utc_ms=NOW_UTC_MS)


# --- occupancy ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Activation:
    """One row of the flat's sensors, in seconds since the first day's midnight."""

    point: str
    bathroom: bool
    pressed: bool
    """A flush or a cabinet, and not a motion sensor."""
    from_s: int
    to_s: int


@dataclass(frozen=True)
class Occupied:
    """How the belief compares with what the person wrote down."""

    precision: float
    recall: float
    missed: Sequence[tuple[int, int]]
    long_stays: int
    dropped: int
    hours: int

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def rows(name: str) -> Iterator[tuple[int, int, list[str]]]:
    """Start, end and the other fields of a table; some rows have one tab more than others."""
    lines = (FLAT / name).read_text().splitlines()[2:]
    table = [[field.strip() for field in line.split("\t") if field.strip()] for line in lines]
    day = datetime.fromisoformat(min(row[0] for row in table if row)).replace(hour=0, minute=0)
    for start, end, *rest in filter(None, table):
        at = [datetime.fromisoformat(instant) - day.replace(second=0) for instant in (start, end)]
        yield int(at[0].total_seconds()), int(at[1].total_seconds()), rest


def activations() -> list[Activation]:
    return [
        Activation(f"flat.{place}".lower(), room == "Bathroom", kind != "PIR", start, end)
        for start, end, (place, kind, room) in rows("sensors.txt")
    ]


def flat(sensors: Sequence[Activation]) -> str:
    """The configuration: nothing but which sensor is what."""
    points = dict.fromkeys(one.point for one in sensors)

    def named(bathroom: bool, pressed: bool | None) -> str:
        found = (
            one.point
            for one in sensors
            if one.bathroom is bathroom and pressed in (None, one.pressed)
        )
        return ", ".join(dict.fromkeys(found))

    return "\n".join(
        [
            "gateway: {id: flat, name: Flat, bench: true}",
            "points:",
            *(f"  {point}: {{driver: simulated_contact}}" for point in points),
            "rooms:",
            "  bath:",
            f"    motion: [{named(True, False)}]",
            f"    taps: [{named(True, True)}]",
            f"    elsewhere: [{named(False, None)}]",
            "",
        ]
    )


def occupancy() -> Occupied:
    """Replay the flat and compare, second by second."""
    sensors = activations()
    house = House(flat(sensors))
    for point in {one.point for one in sensors}:
        house.tell(Level(point, False, 0), 0)
    edges = [(one.from_s * 1000, True, one.point) for one in sensors]
    for one in sensors:
        edges.append((max(one.to_s * 1000, one.from_s * 1000 + SHORTEST_MS), False, one.point))
    for at, active, point in sorted(edges):
        house.until(at)
        house.tell(Level(point, active, at), at)
    house.until(max(edges)[0] + 3_600_000)

    believed = _seconds(_stays(house.facts))
    labels = [
        (start, end) for start, end, (what,) in rows("activities.txt") if what in IN_THE_BATHROOM
    ]
    visits = [(start, end) for start, end in labels if start <= end]
    truth = _seconds(visits)
    right = len(believed & truth)
    in_one = [
        (start, end)
        for start, end in visits
        if any(s.bathroom and s.from_s <= end and s.to_s >= start for s in sensors)
    ]
    return Occupied(
        precision=right / len(believed),
        recall=right / len(truth),
        missed=[(a, b) for a, b in in_one if believed.isdisjoint(range(a, b + 1))],
        long_stays=sum(f.kind == "alarm_raised" and "long_stay" in f.subject for f in house.facts),
        dropped=sum(start > end for start, end, _ in rows("activities.txt")),
        hours=sum(fact.kind == "occupancy_hour" for fact in house.facts),
    )


def _stays(facts: Sequence[Fact]) -> list[tuple[int, int]]:
    """From when to when the room was believed to be occupied, in whole seconds."""
    stays: list[tuple[int, int]] = []
    since: Ms | None = None
    for fact in facts:
        if fact.kind != "occupancy_changed":
            continue
        if fact.data["occupancy"] == "occupied":
            since = fact.at_ms
        elif since is not None:
            stays.append((round(since / 1000), round(fact.at_ms / 1000)))
            since = None
    return stays


def _seconds(spans: Sequence[tuple[int, int]]) -> set[int]:
    return {second for start, end in spans for second in range(start, end)}


# --- climate ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Air:
    """How the readings compare with the recording."""

    dew_point_off_k: float
    sent_percent: float
    with_dew_point_percent: float
    temperature_off_k: float
    """At worst, between a sample and the last value sent: that is what is shown."""
    humidity_off_percent: float


ROOM = """gateway: {id: room, name: Room}
points: {wc.climate: {driver: sht4x, bus: 1}}
rooms: {wc: {climate: wc.climate}}
"""


def climate() -> Air:
    """Replay a week of a room's air."""
    house = House(ROOM)
    with CLIMATE.open(newline="") as file:
        table = list(csv.reader(file))[1:]
    began = datetime.fromisoformat(table[0][1])
    off_dew = off_cold = off_humid = 0.0
    for _, at, temperature, humidity, _, _, ratio, *_ in table:
        now = 60_000 + int((datetime.fromisoformat(at) - began).total_seconds()) * 1000
        house.until(now)
        told = {"temperature_c": float(temperature), "humidity_percent": float(humidity)}
        for quantity, value in told.items():
            house.tell(Reading("wc.climate", quantity, value), now)
        series = house.building.meters["wc.climate"].series
        dew_c = house.building.climates["wc"].dew_point_c
        off = {
            quantity: abs(value - (series[quantity].told or 0.0))
            for quantity, value in told.items()
        }
        off_cold = max(off_cold, off["temperature_c"])
        off_humid = max(off_humid, off["humidity_percent"])
        off_dew = max(off_dew, abs((dew_c or 0.0) - dew_point_of_ratio_c(float(ratio))))
    sent = [fact.data["quantity"] for fact in house.facts if fact.kind == "reading"]
    samples = 2 * len(table)
    return Air(
        dew_point_off_k=off_dew,
        sent_percent=100 * sum(quantity != "dew_point_c" for quantity in sent) / samples,
        with_dew_point_percent=100 * len(sent) / samples,
        temperature_off_k=off_cold,
        humidity_off_percent=off_humid,
    )


def dew_point_of_ratio_c(ratio: float) -> float:
    """The dew point of air with so many kilograms of water on one of dry air, with the
    constants of Alduchov and Eskridge (1996), which are not those of the core."""
    e_hpa = ratio * PRESSURE_HPA / (0.62198 + ratio)
    x = log(e_hpa / 6.1094)
    return 243.04 * x / (17.625 - x)
