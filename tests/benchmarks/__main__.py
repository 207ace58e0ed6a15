"""``make bench``: every figure in one run, as a table on the terminal and a JSON file."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks import events, figures, press, record, start

BENCHES = {
    "start": start.figures,
    "press": press.figures,
    "events": events.figures,
    "record": record.figures,
}
OUT = Path(".cache/bench.json")


def main(names: list[str]) -> int:
    """Exit status 1 where a goal was missed: the table says which."""
    rows: list[figures.Figure] = []
    for name in names or BENCHES:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        rows += BENCHES[name]()
    print(f"\n{figures.machine()}\n\n{figures.table(rows)}\n")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(figures.to_json(rows))
    print(f"The same as JSON: {OUT}")
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
