"""What a gateway and the broker need once the centre has a key for a gateway: what to put where.

Pure. The command line prints it; whoever sets up the gateway copies it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.mqtt.topics import Topics
from gateway.settings.model.link import SITES

ISSUER = SITES
"""Also the user of the centre at the broker."""
ACCESS_LIST = "/etc/mosquitto/portier.acl"
CONFIGURATION = "/etc/portier/portier.yaml"
SECRET = "sites_key"  # noqa: S105 - its name
SECRET_FILE = f"/etc/portier/secrets/{SECRET}"
GROUP, MODE = "portier-link", "640"
"""Of the secret on the gateway: its link alone reads it."""


def install(source: str) -> str:
    """The command that puts the key where the gateway looks for it."""
    return f"sudo install -m {MODE} -g {GROUP} {source} {SECRET_FILE}"


def configuration() -> Sequence[str]:
    """The lines of the gateway's configuration: what the centre may do there by default."""
    return (
        "mqtt:",
        "  issuers:",
        f"    {ISSUER}: {{key: !secret {SECRET}, may: [acknowledge], doors: {{}}}}",
    )


def centre_access(gateway: str) -> Sequence[str]:
    """The lines of the broker's access list for the centre: it reads what this gateway publishes,
    and asks it for what it may be allowed there. No mode of a door is among it."""
    topics = Topics(gateway)
    return (
        f"user {ISSUER}",
        f"topic read {topics.root}/#",
        f"topic write {topics.command('door/+/open')}",
        f"topic write {topics.command('call/+/acknowledge')}",
        f"topic write {topics.command('alarm/#')}",
    )


def gateway_access() -> Sequence[str]:
    """The lines for the gateways: each reads its own commands and writes its own answers. The
    access list of Portier has them."""
    topics = Topics("%u")
    return (f"pattern read {topics.commands}", f"pattern write {topics.root}/response/#")
