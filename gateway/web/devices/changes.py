"""Registering, testing and removing one's own devices: the same for the page and the API."""

from __future__ import annotations

from time import time

from gateway.push import endpoints
from gateway.push.endpoints import EndpointError
from gateway.push.subscriptions import Subscription, TooManyDevices, are_keys
from gateway.web.identity.accounts import Who
from gateway.web.shared.problems import Problem
from gateway.web.site import Site


def owner(who: Who) -> int:
    """The user who asks, in a browser. Raises :class:`Problem` 403 for an access token."""
    if who.user_id is None or not who.session:
        raise Problem(403, "needs_person")
    return who.user_id


def own(site: Site, who: Who) -> list[Subscription]:
    """One's own devices, the newest first."""
    return [] if who.user_id is None else site.users.devices.of(who.user_id)


def _find(site: Site, who: Who, id: str) -> Subscription:
    for one in own(site, who):
        if one.id == id:
            return one
    raise Problem(404, "unknown_device")


async def add(
    site: Site, who: Who, endpoint: str, p256dh: str, auth: str, browser: str
) -> Subscription:
    """Take a device. Raises :class:`Problem` 422 for an address that no message may go to, 409
    where there are too many."""
    user_id = owner(who)
    if not site.device_limit.take(who.session):
        raise Problem(429, "limit", Retry_After="30")
    try:
        endpoints.parse(endpoint, site.options.push_hosts)
    except EndpointError:
        raise Problem(422, "push_service") from None
    if not are_keys(p256dh, auth):
        raise Problem(422, "malformed")
    made = Subscription(
        user_id, who.name, who.role, who.session, browser, time(), endpoint, p256dh, auth
    )
    author = site.author(who)

    def store() -> None:
        author.judge()
        site.users.devices.add(made)

    try:
        await site.saver.run(store)
    except TooManyDevices:
        raise Problem(409, "too_many_devices") from None
    await site.own_audit.note("device_added", "", user_id)
    return made


async def remove(site: Site, who: Who, id: str) -> None:
    """Raises :class:`Problem` 404."""
    found = _find(site, who, id)
    await site.saver.run(site.users.devices.remove, lambda one: one == found)
    await site.own_audit.note("device_removed", "", owner(who))


async def test(site: Site, who: Who, id: str) -> str:
    """Send a test message. Empty where the push service has taken it, else why not; a device that
    its push service does not know any more is removed."""
    owner(who)
    found = _find(site, who, id)
    if not site.device_limit.take(who.session):
        raise Problem(429, "limit", Retry_After="30")
    reason = await site.control.test_device(found.id)
    await site.saver.run(site.users.tidy_devices)
    return reason


def provider_of(site: Site, device: Subscription) -> str:
    """Who passes messages to this device."""
    try:
        endpoint = endpoints.parse(device.endpoint, site.options.push_hosts)
    except EndpointError:
        return ""  # of a push service that the configuration does not name any more
    return endpoints.provider(endpoint.host) or endpoint.host
