"""What the page of the centre needs of the picture, the broker and the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from gateway.panel.snapshot_types import Snapshot
from gateway.web.building.control_client import Answer

CommandName = Literal["open_door", "acknowledge_call", "acknowledge_alarm"]


class GatewaySeen(Protocol):
    """One gateway as it is known from what it publishes; instants are of the centre's clocks.
    ``fresh``: what is shown is so now, or was until ``fresh_since_utc_ms`` (``None``: since the
    centre began). ``silent``: nothing comes from it, although the broker says that it is
    connected; ``health_overdue``: other messages come, and its health does not."""

    @property
    def id(self) -> str: ...
    @property
    def presence(self) -> Literal["online", "offline", "unknown"]: ...
    @property
    def presence_since_utc_ms(self) -> int | None: ...
    @property
    def fresh(self) -> bool: ...
    @property
    def fresh_since_utc_ms(self) -> int | None: ...
    @property
    def heard_utc_ms(self) -> int | None: ...
    @property
    def silent(self) -> bool: ...
    @property
    def info(self) -> Mapping[str, Any]: ...
    @property
    def health_overdue(self) -> bool: ...
    @property
    def health_utc_ms(self) -> int | None: ...
    @property
    def health(self) -> Mapping[str, Any] | None: ...
    @property
    def recorded(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def complete(self) -> bool: ...
    @property
    def lacks(self) -> Sequence[str]: ...
    @property
    def snapshot(self) -> Snapshot | None: ...
    @property
    def changes(self) -> int: ...


class PictureSeen(Protocol):
    """``gateways``: the enrolled ones by their id. ``strangers``: messages of others, by name."""

    @property
    def gateways(self) -> Mapping[str, GatewaySeen]: ...
    @property
    def strangers(self) -> Mapping[str, int]: ...


class CommandsAsked(Protocol):
    """See :class:`gateway.sites.commands.Commands`."""

    async def ask(
        self,
        gateway: str,
        name: CommandName,
        subject: str,
        *,
        by: str,
        reason: str = "",
        attends: str = "",
    ) -> Answer: ...


class CentreSeen(Protocol):
    """The connection to the broker, see :class:`gateway.sites.broker.Centre`. ``on_change`` is
    called in the event loop with the id of the gateway that changed, or ``""`` for the connection
    itself. ``refused``: what the broker does not let the centre hear, and why.
    ``enrolments_unreadable``: why it is not known which gateways are enrolled."""

    @property
    def picture(self) -> PictureSeen: ...
    @property
    def connected(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def since_utc_ms(self) -> int: ...
    @property
    def refused(self) -> Mapping[str, str]: ...
    @property
    def enrolments_unreadable(self) -> str: ...
    @property
    def on_change(self) -> list[Callable[[str], None]]: ...
    @property
    def commands(self) -> CommandsAsked: ...
    async def run(self) -> None: ...
    def close(self) -> None: ...
