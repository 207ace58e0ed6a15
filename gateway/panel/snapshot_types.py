"""The snapshot as ``control`` sends it: the building, and what the gateway says of itself.

This is the one description of it for everybody who reads the panel. Programs of different versions
run beside each other during an update, so a key that is new may be missing in what is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from gateway.core.instant import Ms, UtcMs
from gateway.core.snapshot_types import EverythingShown

GuaranteeValue = Literal["yes", "no", "unknown", "not_configured"]


class IdentityShown(TypedDict):
    """What does not change while ``control`` runs. ``configuration``: SHA-256."""

    id: str
    name: str
    timezone: str
    version: str
    boot: str
    started_ms: Ms
    configuration: str


class GatewayShown(IdentityShown):
    """The gateway. ``journal``: its id; ``overflows``: how often more came in than could be
    taken."""

    journal: str
    overflows: int


class BrokerShown(TypedDict):
    """What the broker said when the connection was made; ``None``: it names no limit."""

    retain_available: bool
    maximum_qos: int
    maximum_packet_size: int | None
    topic_alias_maximum: int
    server_keep_alive_s: int | None


class LinkShown(TypedDict):
    """The connection to the broker, as ``link`` reports it. ``heard_ms``: the last answer of the
    broker; ``aside``: topic and reason of messages that it does not take, ``aside_count`` in
    all."""

    connected: bool
    reason: str
    since_ms: Ms
    heard_ms: Ms | None
    keepalive_ms: Ms | None
    aside: Sequence[Sequence[str]]
    aside_count: int
    broker: BrokerShown | None


class GuaranteeNumbers(TypedDict, total=False):
    """What *forwarding* and *recording* say beside their value. ``backlog``: facts that are not
    sent, not recorded. ``aside``: of *recording* how many points a recorder set aside, of
    *forwarding* topic and reason of messages that the broker does not take, ``aside_count`` in all.
    ``foreign``: messages on this gateway's topics that were somebody else's."""

    backlog: int
    oldest_unsent_ms: Ms
    aside: int | Sequence[Sequence[str]]
    aside_count: int
    recorded_until_utc_ms: UtcMs | None
    foreign: int


class GuaranteeShown(GuaranteeNumbers):
    """What the gateway promises. ``ok``: *yes* or *not_configured*; ``since_ms``: since when it has
    this value; ``reason``: why it is not *yes*, or empty; ``subject``: what that is about."""

    ok: bool
    value: GuaranteeValue
    since_ms: Ms
    reason: str
    subject: str
    evidence_ms: Ms | None
    void_after_ms: Ms | None


class Snapshot(EverythingShown):
    """Everything. ``link``: ``None`` where there shall be no broker."""

    gateway: GatewayShown
    link: LinkShown | None
    guarantees: Mapping[str, GuaranteeShown]
