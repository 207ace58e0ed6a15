"""From contacts, escalations and messages to the part of the plan that tells people."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.core.plan import (
    DutyPlan,
    EscalationPlan,
    EscalationStepPlan,
    MailingPlan,
    ReceiverPlan,
)
from gateway.settings.model.configuration import Settings
from gateway.settings.model.messages import Moments
from gateway.settings.values.calendar import HORIZON_DAYS, holidays_of, instant, transitions, years
from gateway.settings.values.weekly import Rule, Rules


def receivers(settings: Settings, now_utc_ms: int) -> tuple[ReceiverPlan, ...]:
    """Who is told, with the instants of their duty for 400 days."""
    zone = ZoneInfo(settings.gateway.timezone)
    region = settings.gateway.holidays
    timed = any(contact.hours for contact in settings.contacts.values())
    free = holidays_of(region, years(now_utc_ms)) if timed and region else frozenset()
    return tuple(
        ReceiverPlan(name, contact.ways, _duty(contact.hours, zone, free, now_utc_ms))
        for name, contact in settings.contacts.items()
    )


def _duty(
    hours: Rules, zone: ZoneInfo, free: Container[date], now_utc_ms: int
) -> tuple[DutyPlan, ...]:
    found = transitions(working(hours), zone, free, now_utc_ms)
    return tuple(DutyPlan(utc_ms, value is not None) for utc_ms, value in found)


def working(hours: Rules) -> Rules:
    """Hours that name some days of the week do not count on public holidays, unless they say
    so: ``mon-fri`` are working days. Those that name all seven count on every day."""
    named = {day for rule in hours.of("days") for day in rule.days}
    if hours.of("holiday") or len(named) == 7 or not hours:
        return hours
    return Rules((*hours.rules, Rule("holiday", "holiday", "on", ranges=())), hours.otherwise)


def escalations(settings: Settings) -> tuple[EscalationPlan, ...]:
    """Who is told after whom."""
    return tuple(
        EscalationPlan(
            name,
            tuple(EscalationStepPlan(one.notify, one.after_ms, one.every_ms) for one in steps),
        )
        for name, steps in settings.escalations.items()
    )


def mailings(settings: Settings, now_utc_ms: int) -> tuple[MailingPlan, ...]:
    """The messages by the clock."""
    zone = ZoneInfo(settings.gateway.timezone)
    test, summary = settings.messages.test, settings.messages.summary
    made: list[MailingPlan] = []
    if test is not None:
        due = _due(test.at, zone, now_utc_ms)
        made.append(MailingPlan("test", test.notify, due, test.confirm_within_ms))
    if summary is not None:
        due = _due(summary.at, zone, now_utc_ms)
        made.append(MailingPlan("summary", summary.notify, due, None))
    return tuple(made)


def _due(at: Moments, zone: ZoneInfo, now_utc_ms: int) -> tuple[int, ...]:
    """Every instant of 400 days, from yesterday on: what fell due while nobody was here may
    still be sent."""
    days, minute = at
    today = datetime.fromtimestamp(now_utc_ms / 1000, zone).date()
    dates = (today + timedelta(days=n) for n in range(-2, HORIZON_DAYS + 1))
    return tuple(instant(day, minute, zone) for day in dates if day.weekday() in days)
