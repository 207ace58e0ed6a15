"""Who may say what over the panel: the kernel names a client's user, the user its role, and the
role the messages that control takes from it.

Where all roles run as one user, as on a bench, and for root, the role that a client names
applies."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from typing import Final, Literal

from gateway.panel import messages as m
from gateway.panel.messages import Role

USERS: Final[Mapping[str, Role]] = {
    "portier-link": "link",
    "portier-web": "web",
    "portier-notify": "notify",
    "portier-record": "record",
}
"""The user that the installer makes for each role -> its role."""

SENDERS: Final[Mapping[type, frozenset[Role]]] = {
    m.CommandMessage: frozenset({"web", "link", "cli"}),
    m.Refused: frozenset({"web", "link", "cli"}),
    m.Sent: frozenset({"link"}),
    m.Recorded: frozenset({"link"}),
    m.LinkTold: frozenset({"link"}),
    m.PointTold: frozenset({"link"}),
    m.ClockTold: frozenset(m.CLOCK_ROLES),
    m.DeliveredTold: frozenset({"notify"}),
    m.DeviceTested: frozenset({"notify"}),
    m.DeviceTestAsked: frozenset({"web"}),
    m.HeartbeatTold: frozenset({"notify"}),
    m.NotifyTold: frozenset({"notify"}),
    m.CertificatesTold: frozenset({"web"}),
    m.AuditNote: frozenset({"web", "cli"}),
    m.Forget: frozenset({"web", "cli"}),
    m.SettingsAsked: frozenset({"web"}),
    m.Bench: frozenset({"web", "cli"}),
}
"""Message -> the roles that control takes it from; ``hello`` from everybody."""

Via = Literal["web", "cli", "mqtt", "bench", "link"]
VIA: Final[Mapping[Role, frozenset[Via]]] = {
    "web": frozenset({"web", "link", "bench"}),
    "link": frozenset({"mqtt"}),
    "cli": frozenset({"cli"}),
}
"""Role -> the interfaces that it may name as a command's; a person on the command line is named
by control itself."""


def user_name(uid: int) -> str:
    """The name of a Unix user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def may_be(role: Role, uid: int, user: str, own_uid: int) -> bool:
    """Whether a client of this user may take this role. The user of a role has that one alone:
    whoever got hold of a role's process would else have the rights of the command line."""
    return uid in (0, own_uid) or role == USERS.get(user, "cli")


def refusal(role: Role, message: m.Message, *, speaks_for_itself: bool) -> str:
    """Why control does not take this message from this role; empty: it does.
    ``speaks_for_itself``: control names the client's own user as the actor."""
    senders = SENDERS[type(message)]
    if role not in senders:
        return f"for {' and '.join(sorted(senders))} only"
    if isinstance(message, m.CommandMessage) and not speaks_for_itself:
        via = message.command.issuer.via
        if via not in VIA.get(role, ()):
            return f"via: {role} does not speak for {via}"
    return ""
