"""The history of a point as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import tzinfo

from gateway.core.instant import UtcMs
from gateway.journal.queries.export import BOM, german_time, local_time, offset, safe
from gateway.web.building.records import History

_METER = ("quantity", "min", "mean", "max", "count", "covered_s")
_LANE = ("active",)


def history_csv(found: History, zone: tzinfo, *, german: bool) -> str:
    """Buckets or changes, each with the instant from which on it is valid. ``german``: as a German
    Excel opens it by itself."""
    text = io.StringIO()
    if german:
        text.write(BOM)
    writer = csv.writer(text, delimiter=";" if german else ",", lineterminator="\r\n")
    columns = _LANE if found.lane else _METER
    writer.writerow(("time", *columns, *(["utc_offset"] if german else [])))
    for utc_ms, cells in _rows(found):
        numbers = [_cell(cell, german=german) for cell in cells]
        if german:
            writer.writerow((german_time(utc_ms, zone), *numbers, offset(utc_ms, zone)))
        else:
            writer.writerow((local_time(utc_ms, zone), *numbers))
    return text.getvalue()


def _rows(found: History) -> Iterator[tuple[UtcMs, tuple[str | float | bool | None, ...]]]:
    for utc_ms, active in found.changes:
        yield utc_ms, (active,)
    for quantity, buckets in found.quantities.items():
        for one in buckets:
            covered_s = None if one.covered_ms is None else one.covered_ms / 1000
            yield one.utc_ms, (quantity, one.min, one.mean, one.max, one.count, covered_s)


def _cell(cell: str | float | bool | None, *, german: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, str):
        return safe(cell)
    return repr(cell).replace(".", ",") if german else repr(cell)
