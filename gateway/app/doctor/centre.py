"""What ``portier doctor`` examines at a centre of many gateways."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app import connections, formats
from gateway.app.configuration import load
from gateway.app.doctor import broker as doctor_broker
from gateway.app.doctor import machine as doctor_machine
from gateway.app.doctor import page as doctor_page
from gateway.app.doctor import program as doctor_program
from gateway.app.doctor import remedies
from gateway.app.doctor import store as doctor_store
from gateway.app.findings import Finding, Look, no, soon, unknown, yes
from gateway.app.running import readiness
from gateway.mqtt.session import Session
from gateway.mqtt.subscription import NO_SESSION, Received, Subscription
from gateway.mqtt.topics import Topics
from gateway.settings.model.sites import SitesSettings
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.secrets import Secret, SecretError, places
from gateway.sites import broker as sites_broker
from gateway.sites.broker import own_settings
from gateway.sites.keys import SECRET, Keys, KeysError

RETAINED_WITHIN_S = 4.0
"""For what the broker has retained of all gateways."""
NAMED_MOST = 5


def looks(config: Path, state: Path) -> list[tuple[str, Look]]:
    """The parts that are examined, each with its name."""
    alone: list[tuple[str, Look]] = [
        ("program", doctor_program.examine),
        ("disk", partial(doctor_machine.disk, state)),
        ("formats", partial(formats.examine, state)),
        ("users", partial(doctor_page.users, state)),
    ]
    try:
        settings = load.sites(config)
    except SettingsError as error:
        return [("configuration", partial(iter, [wrong(config, error)])), *alone]
    found = yes(f"configuration: {config}, of a centre", "read and checked just now")
    return [
        ("configuration", partial(iter, [found])),
        ("broker", partial(_broker, settings, config, state)),
        ("gateways", partial(_gateways, settings, config, state)),
        ("certificates", partial(doctor_page.certificates, settings, config)),
        ("store", partial(doctor_store.examine, settings, state)),
        ("page", partial(doctor_page.page, settings, config)),
        ("clock", partial(doctor_machine.clock, settings.sites.bench, None)),
        *alone,
    ]


def wrong(config: Path, error: SettingsError) -> Finding:
    """A configuration that cannot be used."""
    return no(
        f"configuration: {len(error.problems)} error{'s' * (len(error.problems) != 1)}",
        f"portier check {config}",
        str(error.problems[0]) if error.problems else "",
    )


def _client(settings: SitesSettings) -> str:
    return settings.mqtt.client or f"portier-{connections.CENTRE}"


def _is_connected(settings: SitesSettings) -> bool:
    """Whether the role ``sites`` runs here and has its connection. Another one with its
    certificate could end it: brokers may take the name in it for the client id."""
    web = settings.web
    if web is None:
        return False
    with contextlib.suppress(connections.RoleError):
        port = connections.web_port() or web.port
        return not readiness.page_check(web.host, port, tls=web.tls is not None)
    return False


def _broker(settings: SitesSettings, config: Path, state: Path) -> Iterator[Finding]:
    if _is_connected(settings):
        yield yes("broker: sites is connected", "its /health/ready says so just now")
        return
    yield from doctor_broker.connected(
        settings.mqtt, config, state, _client(settings), _subscriptions, remedies.CENTRE
    )


def _subscriptions(session: Session, _answer: Any) -> Iterator[Finding]:
    filters = [name for name, _ in sites_broker.filters()]
    answers = zip(filters, session.subscribe(filters), strict=False)
    refused = [(name, reason) for name, reason in answers if reason]
    for name, reason in refused:
        yield no(
            f"broker: refuses the subscription of {name} ({reason})",
            "let the centre read portier/+/# in the broker's access list",
            "in its answer to SUBSCRIBE",
        )
    if not refused:
        yield yes(f"broker: grants {len(filters)} subscriptions", "in its answer to SUBSCRIBE")


# --- gateways -----------------------------------------------------------------------------


def _gateways(settings: SitesSettings, config: Path, state: Path) -> Iterator[Finding]:
    """Whether the keys can be read, and whether the broker has retained messages of each gateway:
    a limit or an access list that drops them says nothing by itself."""
    keys = Keys(state, Secret(SECRET, places(config)))
    try:
        enrolled = keys.enrolled()
    except KeysError as error:
        denied = isinstance(error.__cause__, PermissionError) or "Permission" in str(error)
        make = unknown if denied else no
        yield make(f"gateways: {error}", "sudo portier doctor")
        return
    if not enrolled:
        yield soon(
            "gateways: none is enrolled yet, and none is shown",
            "portier site enrol GATEWAY, for each of them",
            f"looked just now for {keys.path}",
        )
        return
    yield yes(f"gateways: {len(enrolled)} enrolled", f"{keys.path} was read just now")
    grouped = {one for gateways in settings.groups.values() for one in gateways}
    strangers = sorted(grouped - set(enrolled))
    if strangers:
        yield soon(
            f"gateways: {_named(strangers)} in groups: and not enrolled yet",
            "portier site enrol GATEWAY, or correct groups:",
            "the configuration, and the keys",
        )
    yield from _retained(settings, config, state, enrolled)


def _retained(
    settings: SitesSettings, config: Path, state: Path, enrolled: Sequence[str]
) -> Iterator[Finding]:
    if _is_connected(settings):
        yield yes(
            "gateways: sites asks the broker for each of them",
            "it is connected; what is missing of a gateway is on its page, under Fleet",
        )
        return
    every = Topics("+")
    try:
        broker = doctor_broker.settings_of(settings.mqtt, config, state, _client(settings))
        heard = _heard(Subscription(
            own_settings(broker), [(every.availability, 0), (every.info, 0)], NO_SESSION
        ), enrolled)  # fmt: skip
    except (OSError, SecretError) as error:
        yield unknown(
            "gateways: what the broker has of them was not seen", "see broker", str(error)
        )
        return
    for what, remedy in (
        ("availability", "is it switched on, and may it write there (access list)?"),
        (
            "info",
            "does the broker drop what is retained? See the limits in docs/operations/sites.md",
        ),
    ):
        missing = sorted(set(enrolled) - heard[what])
        evidence = f"what came within {RETAINED_WITHIN_S:g} s of a new subscription"
        if missing:
            yield no(f"gateways: nothing retained on {what} of {_named(missing)}", remedy, evidence)
        else:
            yield yes(f"gateways: {what} of all {len(enrolled)} is retained", evidence)


def _heard(subscription: Subscription, enrolled: Sequence[str]) -> dict[str, set[str]]:
    """The gateways of which a retained message came, by topic."""
    found: dict[str, set[str]] = {"availability": set(), "info": set()}
    until = time.monotonic() + RETAINED_WITHIN_S
    try:
        while (left_s := until - time.monotonic()) > 0:
            subscription.pump(min(left_s, 0.5))
            while (got := subscription.take()) is not None:
                if isinstance(got, Received):
                    _, gateway, what = [*got.topic.split("/", 2), "", ""][:3]
                    if what in found:
                        found[what].add(gateway)
            if all(names >= set(enrolled) for names in found.values()):
                break
    finally:
        subscription.close()
    return found


def _named(gateways: Sequence[str]) -> str:
    """Some of them by name, and how many more."""
    more = len(gateways) - NAMED_MOST
    shown = ", ".join(gateways[:NAMED_MOST])
    return f"{shown} and {more} more" if more > 0 else shown
