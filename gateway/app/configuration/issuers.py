"""Who may send commands over the broker, from the configuration: keys are read here, for ``link``
alone."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import date

from gateway.link.commands import DoorHours, Issuer
from gateway.settings.model import link as model
from gateway.settings.model.configuration import Settings
from gateway.settings.plan.people import working
from gateway.settings.values.calendar import Days, holidays_of_any_year


def of(settings: Settings) -> dict[str, Issuer]:
    """Each issuer with its key and what it may ask for. Raises ``SecretError``."""
    issuers: Mapping[str, model.Issuer] = {} if settings.mqtt is None else settings.mqtt.issuers
    region = settings.gateway.holidays
    timed = any(one.doors for one in issuers.values())
    # late: computing holidays takes longer to import than everything else of this role
    free = holidays_of_any_year(region) if timed and region else frozenset()
    return {name: _issuer(name, one, free) for name, one in issuers.items()}


def _issuer(name: str, written: model.Issuer, free: Container[date]) -> Issuer:
    rights = written.rights(name)
    return Issuer(
        None if written.key is None else written.key.read().encode(),
        None if rights is None else frozenset(rights),
        {
            door: DoorHours(tuple(rule.key for rule in hours.rules), Days(working(hours), free))
            for door, hours in written.doors.items()
        },
        None if written.next_key is None else written.next_key.read().encode(),
    )
