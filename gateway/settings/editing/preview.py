"""The next days as the building will live them: the modes of each door, and who is on duty.

The core's own machines say what holds when; this module only asks them day by day.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.door import schedule
from gateway.core.events import CivilTime
from gateway.core.notification import duty_roster
from gateway.core.plan import BuildingPlan
from gateway.settings.checks.doors import together
from gateway.settings.model.configuration import Settings
from gateway.settings.values.calendar import holidays_of, instant, names_of, years

DAYS = 14
HOLIDAYS_DAYS = 365


def preview(settings: Settings, plan: BuildingPlan, now_utc_ms: int) -> list[dict[str, Any]]:
    """One entry a day. Times are the building's own clock; ``hours`` is 23 or 25 on a day on
    which it changes."""
    zone = ZoneInfo(settings.gateway.timezone)
    region = settings.gateway.holidays
    holidays = holidays_of(region, years(now_utc_ms, DAYS)) if region else frozenset()
    today = datetime.fromtimestamp(now_utc_ms / 1000, zone).date()
    found = []
    for day in (today + timedelta(days=n) for n in range(DAYS)):
        start, end = instant(day, 0, zone), instant(day + timedelta(days=1), 0, zone)
        found.append(
            {
                "date": day.isoformat(),
                "holiday": day in holidays,
                "hours": (end - start) // 3_600_000,
                "doors": {
                    door.id: {
                        "exception": _dated(settings, door.id, day),
                        "modes": _modes(door, start, end, zone),
                    }
                    for door in plan.doors
                },
                "duty": {
                    receiver.id: _duty(receiver, start, end, zone) for receiver in plan.receivers
                },
            }
        )
    return found


def coming(settings: Settings, now_utc_ms: int) -> list[dict[str, Any]]:
    """The public holidays of the next twelve months: ``date``, and their ``names`` by language."""
    region = settings.gateway.holidays
    if not region:
        return []
    today = datetime.fromtimestamp(now_utc_ms / 1000, ZoneInfo(settings.gateway.timezone)).date()
    end = today + timedelta(days=HOLIDAYS_DAYS)
    names = {language: names_of(region, years(now_utc_ms), language) for language in ("de", "en")}
    return [
        {"date": day.isoformat(), "names": {one: names[one].get(day, "") for one in names}}
        for day in sorted(names["de"])
        if today <= day < end
    ]


def _dated(settings: Settings, door: str, day: date) -> bool:
    rules = together(settings.doors[door]).of("dates")
    return any(rule.applies(day) for rule in rules)


def _modes(door: Any, start: int, end: int, zone: ZoneInfo) -> list[dict[str, str]]:
    machine = schedule.step(schedule.start(door, 0), CivilTime(start, trusted=True), 0).state
    moments = [start, *(t.utc_ms for t in door.schedule if start < t.utc_ms < end)]
    found: list[dict[str, str]] = []
    for utc_ms in moments:
        mode = schedule.scheduled_mode(machine, utc_ms - start)
        if not found or found[-1]["mode"] != mode:
            found.append({"from": _clock(utc_ms, zone), "mode": mode})
    return found


def _duty(receiver: Any, start: int, end: int, zone: ZoneInfo) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    moments = [start, *(d.utc_ms for d in receiver.duty if start < d.utc_ms < end)]
    for utc_ms in moments:
        civil = CivilTime(utc_ms, trusted=True)
        on_duty = duty_roster.step(duty_roster.start(receiver), civil, 0).state.on_duty
        if on_duty and (not found or found[-1]["to"] != "24:00"):
            found.append({"from": _clock(utc_ms, zone), "to": "24:00"})
        elif not on_duty and found and found[-1]["to"] == "24:00":
            found[-1]["to"] = _clock(utc_ms, zone)
    return found


def _clock(utc_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(utc_ms / 1000, zone).strftime("%H:%M")
