"""The gateway itself, broker, store and page: nothing leaves the machine in plain text."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from functools import cache
from typing import Any

from gateway.settings.checks.draft import Draft, LinksDraft
from gateway.settings.model.configuration import Gateway, MeterOptions
from gateway.settings.model.link import Issuer, Tls, is_loopback
from gateway.settings.values import store_address
from gateway.settings.values.problems import suggest
from gateway.settings.values.reading import Part
from gateway.settings.values.units import say_ms

RETENTION_LEAST_MS = 3_600_000
JOURNAL_LEAST_BYTES = 1_000_000


def check(draft: Draft) -> None:
    """Report everything that is wrong with the gateway, broker, page and meters' limits."""
    if draft.gateway is not None and draft.gateway.value is not None:
        _gateway(draft, draft.gateway, draft.gateway.value)
    check_connections(draft)
    _issuers(draft)
    _brokerless(draft)
    _listening(draft)
    _journal(draft)
    _backup(draft)
    for part in draft.points.values():
        if part.value is None or not isinstance(part.value.options, MeterOptions):
            continue
        known = [name for name, _, _ in part.value.quantities]
        for quantity in part.value.options.deadband:
            if quantity not in known:
                draft.report(
                    part,
                    ("deadband", quantity),
                    f"{part.value.driver} does not measure {quantity[:40]}",
                    suggest(quantity, known),
                )


def check_connections(draft: LinksDraft) -> None:
    """Report everything that is wrong with broker, page, store and lives."""
    _mqtt(draft)
    _web(draft)
    _record(draft)
    _lives(draft)


def _backup(draft: Draft) -> None:
    part = draft.backup
    if part is None or part.value is None or part.value.mount is None:
        return
    mount, to = part.value.mount, part.value.to
    if to != mount and mount not in to.parents:
        draft.report(
            part,
            ("to",),
            f"{to} is not in the mount {mount}",
            f"write to: {mount}/portier, or another mount:",
        )


def _gateway(draft: Draft, part: Part[Gateway], gateway: Gateway) -> None:
    check_place(draft, part, gateway.timezone, gateway.languages)
    if gateway.holidays is not None:
        from gateway.settings.values.calendar import regions

        if gateway.holidays not in regions():
            draft.report(
                part,
                ("holidays",),
                f"no holidays are known for {gateway.holidays}",
                suggest(gateway.holidays, near_regions(gateway.holidays), "possible are"),
            )


def check_place(
    draft: LinksDraft, part: Part[Any], timezone: str, languages: Sequence[str]
) -> None:
    """Where it stands, and what is spoken there."""
    zones = zones_there_are()
    if timezone not in zones:
        draft.report(
            part,
            ("timezone",),
            f"there is no time zone {timezone[:40]}",
            suggest(timezone, zones, "write for example Europe/Berlin; known are"),
        )
    if not languages or len(set(languages)) != len(languages):
        draft.report(part, ("languages",), "wants each language once", "write [de, en]")


def _lives(draft: LinksDraft) -> None:
    """What would be removed as soon as it is written is a typing error."""
    part = draft.retention
    lives = dict(vars(part.value)) if part is not None and part.value is not None else {}
    for name, value in lives.items():
        if part is not None and value < RETENTION_LEAST_MS:
            least = say_ms(RETENTION_LEAST_MS)
            message = f"{say_ms(value)} keeps nothing"
            hint = f"write at least {least}; a month is 30 d"
            draft.bound(part, name, RETENTION_LEAST_MS, least, message, hint)


def _journal(draft: Draft) -> None:
    journal = draft.journal
    if journal is not None and journal.value and journal.value.limit_bytes < JOURNAL_LEAST_BYTES:
        message = "leaves no room for what happens"
        draft.bound(
            journal, "limit_bytes", JOURNAL_LEAST_BYTES, "1 MB", message, "write at least 1 MB"
        )


@cache
def zones_there_are() -> tuple[str, ...]:
    """Every time zone, in alphabetical order; found by walking through files, hence once."""
    return tuple(sorted(zoneinfo.available_timezones()))


def near_regions(region: str) -> list[str]:
    """The regions of the same country, else the countries."""
    from gateway.settings.values.calendar import regions

    country = region.partition("-")[0]
    same = [name for name in regions() if name.partition("-")[0] == country]
    return same or [name for name in regions() if "-" not in name]


def _mqtt(draft: LinksDraft) -> None:
    part = draft.mqtt
    if part is None or part.value is None:
        return
    mqtt = part.value
    if mqtt.embedded and not draft.bench():
        draft.report(
            part,
            (),
            "the embedded broker keeps nothing over a restart and is for the bench",
            f"write mqtt: {{host: …, tls: …}}, or bench: true under {draft.SECTION}:",
        )
    if mqtt.tls is None and not is_loopback(mqtt.host) and "tls" not in part.bad:
        draft.report(
            part,
            ("host",),
            f"{mqtt.host} is another machine, and the connection would be readable",
            "add tls: {ca: ca.pem, cert: gw.pem, key: gw.key}, or tls: none if you must",
        )
    if (mqtt.user is None) != (mqtt.password is None) and not part.bad & {"user", "password"}:
        key = "user" if mqtt.password is None else "password"
        draft.report(
            part,
            (key,),
            "user and password come together",
            "write user: NAME and password: !secret mqtt_password",
        )
    _pair(draft, part, mqtt.tls)


def _issuers(draft: Draft) -> None:
    part = draft.mqtt
    if part is None or part.value is None:
        return
    for name, issuer in part.value.issuers.items():
        if "issuers" not in part.bad:  # what is missing may only be misspelt
            _issuer(draft, part, name, issuer)
        _doors_of_issuer(draft, part, name, issuer)


def _issuer(draft: Draft, part: Part[Any], name: str, issuer: Issuer) -> None:
    """Rights are for somebody who proves who they are, and doors are opened one by one."""
    rights = issuer.rights(name)
    at = ("issuers", name)
    if rights is not None and issuer.key is None:
        draft.report(
            part,
            at,
            "has limited rights, and without a key anybody could take its name",
            f"write key: !secret {name}_key",
        )
    if issuer.next_key is not None and issuer.key is None:
        draft.report(
            part,
            (*at, "next_key"),
            "replaces no key",
            "write it as key, or write key: with the one that it replaces",
        )
    elif issuer.next_key is not None and issuer.next_key == issuer.key:
        draft.report(
            part,
            (*at, "next_key"),
            "is the same as key",
            "put the new key into a file of its own and name that",
        )
    if issuer.doors and "open" not in (rights or ()):
        draft.report(
            part,
            (*at, "doors"),
            "names doors that it may not open",
            "write may: [acknowledge, open], or remove doors",
        )
    if issuer.may is not None and "open" in issuer.may and not issuer.doors:
        draft.report(
            part,
            (*at, "may"),
            "opens no door, because none is named",
            "write doors: {DOOR: mon-fri 07:00-18:00}, or doors: [DOOR] for all hours",
        )


def _doors_of_issuer(draft: Draft, part: Part[Any], name: str, issuer: Issuer) -> None:
    known = draft.choices("doors")
    written = part.node.child("issuers")
    for step in (name, "doors"):
        written = None if written is None else written.child(step)
    for number, door in enumerate(issuer.doors):
        if door not in known:
            is_list = written is not None and written.items is not None
            where = ("issuers", name, "doors", number if is_list else door)
            draft.report(part, where, f"there is no door {door}", suggest(door, known))


def _listening(draft: Draft) -> None:
    """Points whose values come over the broker."""
    gateway = draft.gateway.value if draft.gateway is not None else None
    own = "" if gateway is None else f"portier/{gateway.id}/"
    for part in draft.points.values():
        if part.value is None or not part.value.driver.startswith("mqtt_"):
            continue
        if draft.mqtt is None:
            draft.report(
                part,
                ("driver",),
                "hears through the broker, and none is named",
                "write mqtt: with its host (or mqtt: embedded on the bench)",
            )
        topic = part.value.settings.topic
        if own and topic.startswith(own):
            draft.report(
                part,
                ("topic",),
                f"{topic} is what this gateway says itself",
                "name the topic of another device",
            )


def _brokerless(draft: Draft) -> None:
    """A recorder without a broker; a centre without one is no centre."""
    part = draft.record
    if part is None or part.value is None:
        return
    if part.value.store != "none" and draft.mqtt is None:
        draft.report(
            part,
            (),
            "the recorder takes the events from a broker, and none is named",
            "write mqtt: with its host (or mqtt: embedded on the bench), or remove record",
        )


def _pair(draft: LinksDraft, part: Part[Any], tls: Tls | None) -> None:
    if tls is not None and (tls.cert is None) != (tls.key is None):
        draft.report(
            part,
            ("tls", "cert" if tls.key is None else "key"),
            "cert and key come together",
            "write cert: gw.pem, key: gw.key",
        )


def _web(draft: LinksDraft) -> None:
    part = draft.web
    if part is None or part.value is None:
        return
    web = part.value
    if web.tls is None and not is_loopback(web.host) and "tls" not in part.bad:
        draft.report(
            part,
            ("listen",),
            f"{web.host} is reachable from other machines, and log-ins would be readable",
            "add tls: {cert: page.pem, key: page.key}, or listen on 127.0.0.1",
        )


def _record(draft: LinksDraft) -> None:
    part = draft.record
    if part is None or part.value is None:
        return
    problem = store_address.problem(part.value.store)
    nearest = store_address.nearest(part.value.store)
    if problem is not None and nearest is not None:
        draft.bound(part, "store", nearest, nearest, problem.problem, problem.remedy)
    _divided(draft, part, part.value)
    _pair(draft, part, part.value.tls)


def _divided(draft: LinksDraft, part: Part[Any], record: Any) -> None:
    """A share is of all gateways: a list divides them by itself."""
    if record.share.of > 1 and record.gateways != "all" and not part.bad & {"share", "gateways"}:
        draft.report(
            part,
            ("share",),
            "divides all gateways, and others are named",
            "write gateways: all, or remove share:",
        )
