"""Export: every row of a range as CSV or JSON Lines, a page of rows at a time.

Each page is a short read of its own, so that an export of hours does not hold the journal up.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from gateway.core.facts import LANES, Lane
from gateway.core.instant import UtcMs
from gateway.journal.queries import history
from gateway.journal.queries.reader import Reader
from gateway.printable import in_json
from gateway.wire import PUBLISHED, Row, calendar_time

PAGE_ROWS = 5_000
COLUMNS = (
    "row",
    "time",
    "lane",
    "sequence",
    "boot",
    "monotonic_ms",
    "kind",
    "subject",
    "quantity",
    "value",
    "data",
)
BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that some spreadsheet takes for a formula; the last four are the wide forms of
the first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export. ``local`` also takes the lane that never leaves the gateway otherwise;
    ``before`` begins with the newest value of each series of ``subject`` before the range, which
    is the one that applies at its begin."""

    from_utc_ms: UtcMs | None = None
    to_utc_ms: UtcMs | None = None
    kinds: Sequence[str] | None = None
    subject: str | None = None
    local: bool = False
    before: bool = False
    rows: Callable[[Reader], Iterator[list[Row]]] | None = None
    """Reads these instead, some at a time."""


def pages(reader: Reader, wanted: Wanted) -> Iterator[tuple[float, list[Row]]]:
    """Pages of rows in order, each with how far the export is (0 to 1).

    Raises :class:`gateway.journal.queries.reader.JournalUnavailable`; what was yielded stays right.
    """
    if wanted.rows is not None:
        for rows in wanted.rows(reader):
            yield 0.0, rows
        return
    lanes: tuple[Lane, ...] = LANES if wanted.local else PUBLISHED
    if wanted.before and wanted.subject is not None and wanted.from_utc_ms is not None:
        found = history.before(reader, wanted.subject, wanted.from_utc_ms)
        kinds = wanted.kinds
        rows = [row for row in found if row.lane in lanes and (not kinds or row.kind in kinds)]
        yield 0.0, rows
    at, head = 0, reader.head_row()
    while at < head:
        upto = min(at + PAGE_ROWS, head)
        yield (
            upto / head,
            reader.window(
                at,
                upto,
                kinds=wanted.kinds,
                subject=wanted.subject,
                lanes=lanes,
                from_utc_ms=wanted.from_utc_ms,
                to_utc_ms=wanted.to_utc_ms,
            ),
        )
        at = upto


def jsonl(reader: Reader, wanted: Wanted, zone: tzinfo = UTC) -> Iterator[str]:
    """JSON Lines, some lines at a time; ``time`` in ``zone``, null where it is not known."""
    for _, page in pages(reader, wanted):
        yield "".join(
            _json(
                {
                    "row": row.row,
                    "time": local_time(row.utc_ms, zone),
                    "lane": row.lane,
                    "sequence": row.seq,
                    "boot": row.boot,
                    "monotonic_ms": row.mono_ms,
                    "kind": row.kind,
                    "subject": row.subject,
                    "data": dict(row.data),
                }
            )
            + "\n"
            for row in page
        )


def plain_csv(reader: Reader, wanted: Wanted, zone: tzinfo = UTC) -> Iterator[str]:
    """CSV as RFC 4180 has it: comma, decimal point, UTF-8."""
    yield from _csv(reader, wanted, zone, german=False)


def german_csv(reader: Reader, wanted: Wanted, zone: tzinfo = UTC) -> Iterator[str]:
    """CSV that a German Excel opens by itself: byte order mark, semicolon, decimal comma."""
    yield BOM
    yield from _csv(reader, wanted, zone, german=True)


def _csv(reader: Reader, wanted: Wanted, zone: tzinfo, *, german: bool) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if german else ",", lineterminator="\r\n")
    writer.writerow((*COLUMNS, "utc_offset") if german else COLUMNS)
    for _, page in pages(reader, wanted):
        for row in page:
            data = dict(row.data)
            quantity, value = data.pop("quantity", ""), data.pop("value", None)
            number = "" if value is None else repr(value)
            writer.writerow(
                (
                    row.row,
                    german_time(row.utc_ms, zone) if german else local_time(row.utc_ms, zone),
                    row.lane,
                    row.seq,
                    row.boot,
                    row.mono_ms,
                    row.kind,
                    safe(row.subject),
                    safe(str(quantity)),
                    number.replace(".", ",") if german else number,
                    _json(data) if data else "",
                    *([offset(row.utc_ms, zone)] if german else []),
                )
            )
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _json(value: object) -> str:
    """Readable, and with escapes for what would steer the terminal that shows it."""
    return in_json(json.dumps(value, ensure_ascii=False))


def safe(cell: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def local_time(utc_ms: UtcMs | None, zone: tzinfo) -> str | None:
    """RFC 3339 with the zone's offset, so that the hour that comes twice in autumn is clear."""
    if utc_ms is None:
        return None
    return calendar_time(utc_ms, zone).isoformat(timespec="milliseconds")


def german_time(utc_ms: UtcMs | None, zone: tzinfo) -> str:
    """A time that a German Excel can reckon with: therefore its offset has a column of its own."""
    if utc_ms is None:
        return ""
    instant = calendar_time(utc_ms, zone)
    return f"{instant:%d.%m.%Y %H:%M:%S},{instant.microsecond // 1000:03d}"


def offset(utc_ms: UtcMs | None, zone: tzinfo) -> str:
    return "" if utc_ms is None else f"UTC{calendar_time(utc_ms, zone):%z}"
