"""Commands about what happened: events, history, export, audit."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, Config, State
from gateway.app.cli.issuers import Issuers
from gateway.app.cli.listing import Listing
from gateway.core.facts import KINDS
from gateway.core.instant import UtcMs
from gateway.journal.queries.reader import CursorExpired, JournalUnavailable, Reader
from gateway.printable import in_a_line
from gateway.settings.values.problems import suggest
from gateway.wire import Row

audit = typer.Typer(
    no_args_is_help=True, help="List who did what, and check that nobody has changed it."
)

FOLLOW_EVERY_S = 0.25
PAGE_ROWS = 1_000
LAST = 50
MINUTE_MS = 60_000
PARTS = 24
"""Of a history, where nobody says how many."""


def add(cli: typer.Typer) -> None:
    cli.command()(events)
    cli.command()(history)
    cli.command()(export)
    cli.add_typer(audit, name="audit")


@contextmanager
def _journal(state: Path) -> Iterator[Reader]:
    reader = Reader(state / "journal.sqlite", patience_ms=None)  # somebody waits for all of it
    try:
        yield reader
    except JournalUnavailable as error:
        file = state / "journal.sqlite"
        if not os.access(file, os.R_OK) and os.access(file, os.F_OK):
            c.fail(f"you may not read {file}: sudo adduser $USER portier-read, then log in again")
        c.fail(f"the journal in {state} cannot be read ({error}). Another folder: --state")
    finally:
        reader.close()


def _kinds(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in KINDS:
            raise typer.BadParameter(f"there is no kind {name}; {suggest(name, KINDS)}")
    return names


Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only these kinds; repeatable.", callback=_kinds)
]


def _in_order(begin: UtcMs | None, end: UtcMs | None) -> None:
    if begin is not None and end is not None and begin >= end:
        raise typer.BadParameter("--from must be before --to")


# --- events -----------------------------------------------------------------------------


def events(
    state: State,
    config: Config,
    since: Annotated[str | None, typer.Option(help="2h, 18:00, 2026-11-22T18:00.")] = None,
    kind: Kinds = None,
    subject: Annotated[
        str | None, typer.Option(help="Only of this door, room, point or alarm.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="At most so many, the last ones.",
            show_default="50, with --since all",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until Ctrl-C, fact by fact.")
    ] = False,
    facts: Annotated[
        bool, typer.Option("--facts", help="Every fact in a line, with its values.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what happened, oldest first, as the page's logbook does: one opening, one call or one
    alarm is one entry. The last 50 entries, or all since a time.

    With --facts, --kind, --follow or --json each fact is listed by itself, as the journal has it.

    Example: `portier events --since 2h`, `portier events --kind door_request --follow`
    """
    who = Issuers(state)
    with _journal(state) as reader:
        if not (facts or kind or follow or as_json):
            from gateway.app.cli import logbook

            begin = None if since is None else c.an_instant(since)
            logbook.show(
                reader,
                (config, state),
                begin,
                subject,
                limit if since is not None else limit or LAST,
            )
            return
        head = reader.head_row()
        wanted: dict[str, Any] = {"kinds": kind, "subject": subject}
        if since is None or limit is not None:
            begin = None if since is None else c.an_instant(since)
            last = reader.before_row(head + 1, limit or LAST, from_utc_ms=begin, **wanted)
            _show(last[::-1], as_json, who)
        else:
            for rows in _since(reader, c.an_instant(since), head, wanted):
                _show(rows, as_json, who)
        try:
            while follow:
                time.sleep(FOLLOW_EVERY_S)
                head = _follow(reader, head, wanted, as_json, who)
        except KeyboardInterrupt:
            return


def _since(
    reader: Reader, from_utc_ms: int, head: int, wanted: dict[str, Any]
) -> Iterator[list[Row]]:
    row = 0
    while rows := reader.after_row(row, PAGE_ROWS, from_utc_ms=from_utc_ms, **wanted):
        yield [one for one in rows if one.row <= head]
        row = rows[-1].row
        if row >= head:
            return


def _follow(reader: Reader, row: int, wanted: dict[str, Any], as_json: bool, who: Issuers) -> int:
    """Show what came after ``row``; the newest row shown, or passed over."""
    head = reader.head_row()
    try:
        while rows := reader.after_row(row, PAGE_ROWS, **wanted):
            _show(rows, as_json, who)
            row = rows[-1].row
    except CursorExpired:
        return head  # another journal, or retention was faster than we
    return max(row, head) if not wanted["kinds"] and not wanted["subject"] else row


def _show(rows: list[Row], as_json: bool, who: Issuers) -> None:
    for row in rows:
        if as_json:
            c.print_json(
                {
                    "row": row.row,
                    "lane": row.lane,
                    "sequence": row.seq,
                    "boot": row.boot,
                    "monotonic_ms": row.mono_ms,
                    "utc_ms": row.utc_ms,
                    "kind": row.kind,
                    "subject": row.subject,
                    "data": dict(row.data),
                }
            )
        else:
            said = {
                k: who(str(v)) if k == "by" else v for k, v in row.data.items() if v is not None
            }
            data = "  ".join(f"{k}={v}" for k, v in said.items())
            at = c.clock_text(row.utc_ms)
            c.line(f"{at}  {row.kind:20} {row.subject:24} {data}".rstrip())


# --- history and export -----------------------------------------------------------------


def history(
    point: str,
    state: State,
    from_: Annotated[str, typer.Option("--from", help="2h, 18:00, 2026-11-22.")] = "24h",
    to: Annotated[str | None, typer.Option(help="As --from; now if it is not written.")] = None,
    buckets: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="How many parts.", show_default="about 24, in even steps"
        ),
    ] = None,
    quantity: Annotated[str | None, typer.Option(help="Of a meter; all otherwise.")] = None,
    format_: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """List the past of one point: minimum, mean and maximum per interval of a meter, each change of
    a contact.

    The mean is weighted by time. An interval without a value is left out. covered_s: for how many
    seconds of it a value was known; empty in what an older version has summed up.

    Example: `portier history wc.climate --from 7d --buckets 168 --format csv > climate.csv`
    """
    from gateway.journal.queries import history as past

    if format_ not in ("table", "csv", "json"):
        raise typer.BadParameter(f"{format_}: table, csv or json")
    end = c.now_utc_ms() if to is None else c.an_instant(to)
    begin = c.an_instant(from_)
    _in_order(begin, end)
    begin, end, buckets = _parts(begin, end, buckets)
    with _journal(state) as reader:
        known = past.series(reader)
        quantities = [q for kind, name, q in known if kind == "reading" and name == point]
        if quantity is not None and quantity not in quantities:
            remedy = suggest(quantity, quantities) if quantities else "it is no meter"
            raise typer.BadParameter(f"{point} has no quantity {quantity}; {remedy}")
        if quantity is not None:
            quantities = [quantity]
        if quantities:
            rows: list[dict[str, Any]] = [
                {
                    "utc_ms": b.utc_ms,
                    "quantity": name,
                    "min": b.min,
                    "mean": b.mean,
                    "max": b.max,
                    "count": b.count,
                    "covered_s": None if b.covered_ms is None else b.covered_ms / 1000,
                }
                for name in quantities
                for b in past.buckets(reader, point, name, begin, end, buckets, c.now_utc_ms())
            ]
        elif any(name == point for _, name, _ in known):
            rows = [
                {"utc_ms": at, "active": active}
                for at, active in past.levels(reader, point, begin, end)
            ]
        else:
            c.fail(f"there is no history of {point}; `portier points` lists the points")
    _print_history(rows, format_)


def _parts(begin: UtcMs, end: UtcMs, buckets: int | None) -> tuple[UtcMs, UtcMs, int]:
    """The range and the number of its parts: in steps that people can read (parts of an hour begin
    at whole hours), unless another number is asked for; then at least from whole minutes."""
    from gateway.journal.queries import history as past

    least = (end - begin) / (buckets or PARTS)
    step = next((step for step in past.STEPS_MS if step >= least), 0)
    if buckets is None or 0 <= step - least < 1:  # "now" has gone on by some ms meanwhile
        begin, width, buckets = past.grid(begin, end, buckets or PARTS, c.zone())
        end = begin + buckets * width
    elif least >= MINUTE_MS:
        begin, end = begin // MINUTE_MS * MINUTE_MS, -(-end // MINUTE_MS) * MINUTE_MS
    return begin, end, buckets


def _print_history(rows: list[dict[str, Any]], format_: str) -> None:
    if format_ == "json":
        c.print_json(rows)
        return
    columns = [*rows[0]] if rows else ["utc_ms"]
    if format_ == "csv":
        import csv

        writer = csv.DictWriter(sys.stdout, columns)
        writer.writeheader()
        writer.writerows(rows)
        return
    table = Listing("time", *columns[1:])
    for row in rows:
        table.add_row(c.clock_text(row["utc_ms"]), *(_cell(row[name]) for name in columns[1:]))
    c.out.print(table if rows else "nothing in this time")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value).lower()


def export(
    state: State,
    out: Annotated[Path, typer.Option(help="The file to write; - is standard output.")],
    from_: Annotated[str | None, typer.Option("--from", help="7d, 2026-11-22.")] = None,
    to: Annotated[str | None, typer.Option(help="As --from.")] = None,
    format_: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet.")] = "csv",
    kind: Kinds = None,
) -> None:
    """Write every event of a time into a file, for a spreadsheet or a program.

    Example: `portier export --from 90d --format jsonl --out events.jsonl`
    """
    from gateway.journal.queries import export as ways

    if format_ not in ("csv", "jsonl", "parquet"):
        raise typer.BadParameter(f"{format_}: csv, jsonl or parquet")
    begin = None if from_ is None else c.an_instant(from_)
    end = None if to is None else c.an_instant(to)
    _in_order(begin, end)
    wanted = ways.Wanted(begin, end, kind)
    out = c.target(Path("/dev/stdout") if str(out) == "-" else out, state)
    beside = not out.exists() or out.is_file()
    if format_ == "parquet" and not beside:
        raise typer.BadParameter("Parquet needs a file of its own: --out FILE")
    new = out.with_name(out.name + ".part") if beside else out
    with _journal(state) as reader, c.progress() as progress:
        task = progress.add_task(in_a_line(out.name), total=1.0)
        counted = _Counted(reader, lambda done: progress.update(task, completed=done))
        try:
            if format_ == "parquet":
                _parquet(counted, wanted, new)
            else:
                write = ways.plain_csv if format_ == "csv" else ways.jsonl
                with new.open("w", encoding="utf-8", newline="") as file:
                    file.writelines(write(counted, wanted, c.zone()))
            if beside:
                new.replace(out)
        except OSError as error:
            c.fail(f"{out}: {error.strerror}")
        finally:
            if beside:
                with suppress(OSError):
                    new.unlink(missing_ok=True)
    if beside:
        c.err.print(f"{out}: {out.stat().st_size:,} bytes")


class _Counted(Reader):
    """A reader that says how far an export has come."""

    def __init__(self, reader: Reader, told: Any) -> None:
        self._inner = reader
        self._told = told
        self._head = reader.head_row()

    def head_row(self) -> int:
        return self._head

    def window(self, after: int, upto: int, **wanted: Any) -> list[Row]:
        rows = self._inner.window(after, upto, **wanted)
        self._told(upto / self._head if self._head else 1.0)
        return rows


def _parquet(reader: Reader, wanted: Any, file: Path) -> None:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        c.fail("Parquet is an extra: pip install 'portier[parquet]', or use --format csv or jsonl.")
    from gateway.journal.queries import export as ways

    schema = pa.schema(
        [
            ("row", pa.int64()),
            ("time", pa.timestamp("ms", tz="UTC")),
            ("lane", pa.string()),
            ("sequence", pa.int64()),
            ("boot", pa.string()),
            ("monotonic_ms", pa.int64()),
            ("kind", pa.string()),
            ("subject", pa.string()),
            ("data", pa.string()),
        ]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for _, page in ways.pages(reader, wanted):
            rows = [
                (r.row, r.utc_ms, r.lane, r.seq, r.boot, r.mono_ms, r.kind, r.subject, _text(r))
                for r in page
            ]
            columns = zip(*rows, strict=True) if rows else [()] * len(schema)
            arrays = [pa.array(v, f.type) for v, f in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _text(row: Row) -> str:
    return json.dumps(dict(row.data), ensure_ascii=False)


# --- audit --------------------------------------------------------------------------------


@audit.command("verify")
def audit_verify(state: State, as_json: AsJson = False) -> None:
    """Check that nobody has changed, added or removed an entry since it was written.

    Exit status 1 and the first broken entry, if somebody has.
    """
    from gateway.journal import audit as chain

    with _journal(state) as reader:
        verdict = reader.read(chain.verify)
    if as_json:
        c.print_json({name: getattr(verdict, name) for name in verdict.__slots__})
    elif verdict.broken is None:
        gone = f"; {verdict.removed} refusals were removed for lack of room"
        text = f"{verdict.entries} entries, all as they were written"
        c.out.print(text + (gone if verdict.removed else ""))
    if verdict.broken is not None:
        if as_json:
            raise typer.Exit(1)
        c.fail(f"entry {verdict.broken} is broken: {verdict.reason}")


@audit.command("list")
def audit_list(state: State, limit: c.Limit = 50, as_json: AsJson = False) -> None:
    """List who did what, oldest first: the last entries."""
    from gateway.journal import audit as chain

    with _journal(state) as reader:
        found = reader.read(lambda db: list(chain.entries(db)))[-limit:]
    who = Issuers(state)
    for entry in found:
        if as_json:
            c.print_json({name: getattr(entry, name) for name in entry.__slots__})
        else:
            actor, at = who(entry.actor), c.clock_text(entry.utc_ms)
            subject = who(entry.subject) if ":" in entry.subject else entry.subject
            line = f"{at}  {actor:16} {entry.action} {subject}"
            c.line(f"{line}  {entry.outcome}  {entry.detail or ''}".rstrip())
