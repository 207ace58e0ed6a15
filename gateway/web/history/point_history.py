"""What charts of points need: a building, and where its history is read."""

from __future__ import annotations

from typing import Protocol

from gateway.core.snapshot_types import PointShown
from gateway.web.building.records import History
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.options import Options


class PointRecords(Protocol):
    """See :meth:`gateway.web.building.records.Records.history`."""

    async def history(
        self, id: str, point: PointShown, first: int, last: int, buckets: int, now: int
    ) -> History: ...


class PointHistory(Protocol):
    """A gateway's own page, or one site of many."""

    @property
    def control(self) -> SnapshotReader: ...
    @property
    def options(self) -> Options: ...
    @property
    def records(self) -> PointRecords: ...
