"""The shapes of counters, drift and gaps, as OpenAPI documents them."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict


class WeekShape(BaseModel):
    """``median_ms``: from the press to the open leaf; null where it was never measured."""

    monday: date
    openings: int
    median_ms: int | None


class DoorCounters(BaseModel):
    """``missed``: how often it did not open, as far as the journal reaches. ``drift_ms``: how
    much later it opens than in the weeks from ``drift_since`` on; null: too few openings."""

    id: str
    name: str
    openings: int
    requests: int
    refusals: dict[str, int]
    missed: int
    weeks: list[WeekShape]
    drift_ms: int | None
    drift_since: date | None


class PointCounters(BaseModel):
    """Changes of a contact or operations of a relay since the controller was started."""

    id: str
    kind: str
    changes: int


class MeterGaps(BaseModel):
    """The last 30 days: readings without a value, how often it fell silent, and how many of
    ``hours`` had no value. ``heard``: its last value; ``told``: battery and signal."""

    id: str
    refused: int
    silent: int
    empty_hours: int
    hours: int
    heard: datetime | None
    told: dict[str, float]


class MonthShape(BaseModel):
    """Calls of a room in one month, and the median of how long it took from the first pull."""

    month: str
    calls: int
    tests: int
    acknowledged_ms: int | None
    attended_ms: int | None
    cancelled_ms: int | None


class RoomMonths(BaseModel):
    id: str
    months: list[MonthShape]


class UpkeepShape(BaseModel):
    """How the building wears."""

    doors: list[DoorCounters]
    points: list[PointCounters]
    meters: list[MeterGaps]
    rooms: list[RoomMonths]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "doors": [
                        {
                            "id": "front", "name": "Haupteingang", "openings": 81234,
                            "requests": 83102, "refusals": {"mode_off": 311}, "missed": 2,
                            "weeks": [
                                {"monday": "2025-03-03", "openings": 612, "median_ms": 1240}
                            ],
                            "drift_ms": 800, "drift_since": "2025-03-03",
                        }
                    ],
                    "points": [{"id": "front.activation", "kind": "relay", "changes": 190}],
                    "meters": [
                        {
                            "id": "wc.climate", "refused": 3, "silent": 1, "empty_hours": 5,
                            "hours": 720, "heard": "2025-08-25T09:14:03Z",
                            "told": {"battery_percent": 81.0, "rssi_dbm": -67.0},
                        }
                    ],
                    "rooms": [
                        {
                            "id": "wc",
                            "months": [
                                {
                                    "month": "2025-08", "calls": 2, "tests": 1,
                                    "acknowledged_ms": 12000, "attended_ms": 95000,
                                    "cancelled_ms": 180000,
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )  # fmt: skip
