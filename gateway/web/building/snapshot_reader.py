"""The newest snapshot of a building, as whoever shows it reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from gateway.core.snapshot_types import AlarmShown, DoorShown, PointShown, RoomShown
from gateway.panel.snapshot_types import GatewayShown, GuaranteeShown, Snapshot

NO_PANEL = "no_panel"


class SnapshotReader:
    """A snapshot and how fresh it is, wherever it came from. While its source is away the last one
    stays, marked as stale with the instant since when.

    ``monotonic`` and ``wall`` give seconds."""

    away_reason = NO_PANEL
    """Why nothing can be asked of the building while it is stale."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._received = monotonic()
        self.snapshot: Snapshot | None = None
        self.connected = False
        self.since_utc_ms = int(wall() * 1000)
        """Since when it has been connected, or not, by this machine's clock."""
        self.changed_ms: int | None = None
        """The same by the clock of the snapshot; ``None`` before the first one."""

    @property
    def restarting(self) -> bool:
        """Whether the source is away because it starts again, and is expected back."""
        return False

    def contact_name(self, id: str) -> str:
        """What people call a contact; empty where that is not known."""
        return ""

    @property
    def now_ms(self) -> int:
        """Monotonic time of the building right now, as its last snapshot lets us reckon."""
        passed = int((self._monotonic() - self._received) * 1000)
        return passed + (int(self.snapshot["now_ms"]) if self.snapshot else 0)

    @property
    def utc_offset_ms(self) -> int | None:
        offset = self.snapshot.get("utc_offset_ms") if self.snapshot else None
        return None if offset is None else int(offset)

    @property
    def now_utc_ms(self) -> int:
        """Civil time of the building; this machine's clock while the building has none."""
        offset = self.utc_offset_ms
        return int(self._wall() * 1000) if offset is None else self.now_ms + offset

    @property
    def settled(self) -> bool:
        """Whether civil time may decide what is deleted: its gateway says so, just now."""
        settled = self.snapshot.get("clock_settled") if self.snapshot else None
        return self.connected and settled is True

    @property
    def stale(self) -> bool:
        return not self.connected

    def call(self, call: str) -> tuple[str, RoomShown] | None:
        """The room and the call of this id, while it stands."""
        for id, room in self.rooms.items():
            found = room.get("call")
            if found and found["state"] != "quiet" and found["id"] == call:
                return id, room
        return None

    @property
    def doors(self) -> Mapping[str, DoorShown]:
        """Those of the newest snapshot by their id; likewise below."""
        return self.snapshot.get("doors") or {} if self.snapshot else {}

    @property
    def rooms(self) -> Mapping[str, RoomShown]:
        return self.snapshot.get("rooms") or {} if self.snapshot else {}

    @property
    def points(self) -> Mapping[str, PointShown]:
        return self.snapshot.get("points") or {} if self.snapshot else {}

    @property
    def guarantees(self) -> Mapping[str, GuaranteeShown]:
        """As its gateway has evaluated them; see :mod:`gateway.web.building.guarantees`."""
        return self.snapshot.get("guarantees") or {} if self.snapshot else {}

    @property
    def gateway(self) -> GatewayShown | None:
        return self.snapshot.get("gateway") if self.snapshot else None

    @property
    def alarms(self) -> Sequence[AlarmShown]:
        return self.snapshot.get("alarms") or () if self.snapshot else ()

    def door(self, door: str) -> DoorShown | None:
        return self.doors.get(door)
