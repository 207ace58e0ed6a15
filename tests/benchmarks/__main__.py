"""``make bench``: every figure in one run, as a table on the terminal and a JSON file."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks import (
    calls,
    centre_history,
    events,
    figures,
    history,
    live,
    peer,
    press,
    real_rooms,
    record,
    sites,
    start,
    wear,
    year,
)
from tests.benchmarks.figures import Figure

BENCHES: dict[str, tuple[str, Callable[[], list[Figure]]]] = {
    "start": ("control started → first press served", start.figures),
    "press": ("press → relay, edge → commit, memory; idle and under load", press.figures),
    "peer": ("press → relay of mqtt-io with an automation client", peer.figures),
    "calls": ("cord → lamp, page, broker, first message, under load", calls.figures),
    "events": ("events from the lines to the disk and to the broker", events.figures),
    "record": ("points from the broker into each kind of store", record.figures),
    "history": ("charts over ten million rows, cold and warm", history.figures),
    "rooms": ("two recordings of real rooms, replayed", real_rooms.figures),
    "year": ("a year of building life in virtual time", year.figures),
    "wear": ("bytes written and wake-ups: idle, and in a busy day; real time", wear.figures),
    "sites": ("the centre before 1,000 gateways: start, memory, processor", sites.figures),
    "centre-history": ("a year of one series among 17.5 million hours", centre_history.figures),
    "live": ("200 live pages × 50 events/s", live.figures),
}
OUT = Path(".cache/bench.json")
MINUTES = 45.0


class TimeIsUp(Exception):
    """The run may not take longer."""


def _time_is_up(*_: object) -> None:
    raise TimeIsUp


def _measured(name: str, left_s: float) -> list[Figure]:
    """The figures of one bench; one row with the reason where it could not be measured."""
    what, measure = BENCHES[name]
    reason = "no time was left"
    if left_s > 1:
        signal.setitimer(signal.ITIMER_REAL, left_s)
        try:
            return measure()
        except TimeIsUp:
            reason = "its time was up"
        except (pytest.skip.Exception, figures.Missing) as error:
            reason = str(error)
        except (
            OSError,
            ValueError,
            RuntimeError,
            AssertionError,
            subprocess.SubprocessError,
        ) as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return [Figure(what, None, "", note=f"not measured: {' '.join(reason.split())[:300]}")]


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where a goal was missed: the table says which."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure what the design promises, each figure beside its floor: what bare "
        "libraries need for the same in the same run. On a busy machine look at the ratio.",
        epilog="benches:\n" + "\n".join(f"  {n:9}{what}" for n, (what, _) in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="the same as --only NAME")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", choices=BENCHES)
    parser.add_argument("--json", type=Path, default=OUT, help=f"where to write (default {OUT})")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="at most (default 45)")
    options = parser.parse_args(arguments)
    names = [*options.names, *options.only] or list(BENCHES)
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGALRM, _time_is_up)
    until = time.monotonic() + options.minutes * 60
    rows: list[Figure] = []
    for name in names:
        print(f"measuring: {name} ({BENCHES[name][0]})", file=sys.stderr, flush=True)
        rows += _measured(name, until - time.monotonic())
    print(f"\n{figures.machine()}\n\n{figures.table(rows)}\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(figures.to_json(rows))
    print(f"The same as JSON: {options.json}")
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
