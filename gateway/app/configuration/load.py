"""The configuration with everything the settings need to know of the drivers.

Heavy: pydantic, YAML and every driver's module. ``control`` comes here only when there is no
plan in its cache."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import drivers as driver_files
from gateway.app.configuration import plans
from gateway.settings import load, load_sites
from gateway.settings.checks import wiring_trust
from gateway.settings.checks.contact_secrets import Judge
from gateway.settings.editing.with_overlay import load_over
from gateway.settings.model.configuration import Settings
from gateway.settings.model.sites import SitesSettings
from gateway.settings.values.drivers import DriverInfo, info
from gateway.settings.values.problems import SettingsError


@cache
def drivers() -> Mapping[str, DriverInfo]:
    """Every driver there is."""
    return {
        name: info(name, importlib.import_module(f"drivers.{name}"))
        for name in driver_files.names()
    }


def settings(
    config: Path,
    state: Path | None = None,
    need: Collection[str] | None = None,
    judge: Judge | None = None,
    *,
    strict: bool = False,
    exact: bool = False,
) -> Settings:
    """The configuration, with the overlay of the state folder; alone where the overlay cannot
    be used, unless ``strict``. ``need``: the sections whose secrets must be there; ``judge``
    looks at each of those. ``exact``: no value is replaced by the nearest one that is allowed.
    Raises :class:`gateway.settings.values.problems.SettingsError`."""
    over = None if state is None else plans.overlay(state)
    read = partial(
        load.load if strict else load_over,
        config,
        drivers(),
        overlay=over,
        need=need,
        judge=judge,
        adjust=not exact,
    )
    if state is None:
        return read()
    try:
        return read(accepted=plans.accepted_wiring(state))
    except SettingsError:
        # What ran before wiring trust was checked goes on, with an alarm.
        with contextlib.suppress(SettingsError):
            settings = read(accepted=wiring_trust.ANY)
            if settings.tolerated and settings.digest in plans.ran_before(state):
                return settings
        raise


def sites(config: Path, need: Collection[str] | None = None) -> SitesSettings:
    """The configuration of a centre. ``need``: the sections whose secrets must be there. Raises
    :class:`gateway.settings.values.problems.SettingsError`."""
    return load_sites.load(config, need=need)


def of_centre(config: Path) -> bool:
    """Whether this is the configuration of a centre."""
    return load_sites.of_centre(config)


def schema() -> Mapping[str, Any]:
    """The JSON Schema of the configuration."""
    from gateway.settings.schema import schema

    return schema(drivers())


def asyncapi(config: Path) -> Mapping[str, Any]:
    """The AsyncAPI document of this gateway. Raises
    :class:`gateway.settings.values.problems.SettingsError`."""
    from gateway.wire import Broker, ShownBy, asyncapi

    found = settings(config, need=())
    broker, mqtt = Broker(), found.mqtt
    if mqtt is not None and mqtt.embedded:  # its port is chosen when it starts; this is the usual
        broker = Broker(port=mqtt.port_number, encrypted=False, shown_by="nothing")
    elif mqtt is not None:
        shown_by: ShownBy = "nothing"
        if mqtt.tls is not None and mqtt.tls.cert is not None:
            shown_by = "certificate"
        elif mqtt.user is not None:
            shown_by = "password"
        broker = Broker(mqtt.host, mqtt.port_number, mqtt.encrypted, shown_by)
    return asyncapi(found.gateway.id, broker=broker)
