"""Tables and pictures of the documents, generated from the code, so that none is out of date.

To add one: write a function that returns Markdown, name it in ``TABLES``, and put the two
marks (:func:`marks`) into the document. ``python -m tests.house_rules.tables`` writes all of
them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from gateway.app import files
from gateway.app.configuration.load import drivers
from gateway.control import guarantees
from gateway.core.point_roles import ALL
from gateway.settings.checks.points import uses
from gateway.settings.checks.wiring_trust import ORDER, role_of
from gateway.update import sbom
from gateway.web.identity.users import ROLES
from gateway.web.options import Options
from gateway.web.retention import retention
from gateway.web.shared.words import Words
from tests.house_rules import architecture
from tests.house_rules.test_files import DEPLOY, SEEN
from tests.settings.test_wiring_trust import WHOLE, drawn
from tests.web.test_access import needs, routes
from tests.web.test_retention import CONFIGURED

GATEWAY: Final = Path(__file__).parents[2] / "gateway"
README: Final = GATEWAY / "README.md"
STORED: Final = GATEWAY / "STORED.md"
ARCHITECTURE: Final = GATEWAY / "ARCHITECTURE.md"
DEPENDENCIES: Final = GATEWAY / "DEPENDENCIES.md"
LOCK: Final = GATEWAY.parent / "requirements.lock"


class Table(NamedTuple):
    """``name``: in the marks of the document ``file``; ``make``: its text."""

    name: str
    file: Path
    make: Callable[[], str]


def marks(name: str) -> tuple[str, str]:
    """The lines before and after the table."""
    return f"<!-- {name}: begin (generated) -->", f"<!-- {name}: end -->"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; no cell may hold a line feed or a bar."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def roles() -> str:
    """What a point can be, and how hard its driver must be to forge for that."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    with TemporaryDirectory() as folder:
        draft = drawn(Path(folder), WHOLE)
        for use in uses(draft):
            keys = [part for part in use.loc if isinstance(part, str) and part not in draft.points]
            section = use.owner.partition(".")[0]
            key = ".".join(dict.fromkeys([section, *keys]))
            found.setdefault(role_of(draft, use), (key, use.kinds))
    wiring = {"wired": "wired", "radio": "wired or radio", "network": "any"}
    rows = []
    for role, row in ALL.items():
        if role == "activator":
            continue  # its kinds have rows
        key, kinds = found[role]
        point = "meter" if role == "line" else kinds[0] if role == "cord" else " or ".join(kinds)
        name = role.replace("_", " ")
        rows.append((name, f"`{key}`", point, wiring[row.trust], row.note))
    by_trust = [
        (trust, ", ".join(f"`{one.name}`" for one in drivers().values() if one.trust == trust))
        for trust in ORDER
    ]
    return "\n\n".join(
        (
            markdown(("role", "where", "point", "wiring", "besides"), rows),
            markdown(("wiring", "drivers"), by_trust),
        )
    )


def lives() -> str:
    """What is stored, for how long by default, which key says so, and what removes it."""
    words = Words("en", UTC)
    options = Options(Path(), retention=CONFIGURED, store="sqlite", broker="embedded", systemd=True)
    found = [(row, "") for row in retention.rows(options, [DEPLOY / "system"])]
    found += [
        (row, " in PostgreSQL")
        for row in retention.rows(replace(options, store="postgresql"), ())
        if row.id == "recorded"
    ]
    other = Options(Path(), retention=CONFIGURED, store="influx")
    found += [
        (row, more)
        for row in retention.rows(other, ())
        for more in (" in InfluxDB or VictoriaMetrics" if row.id == "recorded" else
                     " under `portier run`" if row.id == "logs" else "",)
        if more
    ]  # fmt: skip
    rows = []
    for row, more in found:
        what = words(f"life.{row.id}")
        own = words.get(f"kept.own_{row.id}")
        long = words.lasting(row.life_ms) if row.life_ms else words(f"kept_until.{row.until}")
        key = f"`retention: {row.id}`" if row.id in CONFIGURED and not more else ""
        enforcer = f"`{row.enforcer}`" if row.enforcer else "nothing of ours"
        rows.append(
            (f"`{row.id}`", f"{what}{more}" + (f": {own}" if own else ""), long, key, enforcer)
        )
    return markdown(("row", "what", "how long", "key", "removed by"), rows)


def _path(test: str) -> str:
    """``a.b:name`` as pytest names it."""
    module, _, name = test.partition(":")
    return f"{module.replace('.', '/')}.py::{name}"


def rights() -> str:
    """What each role of the page adds to the role before it."""
    words = Words("en", UTC)
    rows = []
    for role in ROLES:
        wanted = [(m, r.path) for m, r in routes() if needs(r)[0].role == role]
        pages = [(m, path) for m, path in wanted if "/api/" not in path]
        cells = [
            ", ".join(f"`{path}`" for m, path in pages if (m == "GET") == reads)
            for reads in (True, False)
        ]
        rows.append((f"{words(f'role.{role}')} (`{role}`)", RIGHTS[role], *cells))
    return markdown(("role", "may also", "pages", "does"), rows)


def stored_files() -> str:
    """Every file, its limit, and what happens at it."""
    rows = []
    for row in files.rows():
        where = "<br>".join(f"`{one}`" for one in row.where)
        enforcer = f"`{row.enforcer}`" if ":" in row.enforcer else row.enforcer
        tests = "<br>".join(f"`{_path(test)}`" for test in SEEN[row.id])
        rows.append((where, row.what, row.limit, row.then, enforcer, tests))
    return markdown(("file", "what", "limit", "at the limit", "held by", "tests"), rows)


def parts(container: str) -> str:
    """The parts of a package, with every import."""
    return markdown(("part", "what", "imports"), architecture.table(container))


def dependencies() -> str:
    """What Portier imports, and what for."""
    said = sbom.known()
    named = {**said["packages"], **said["optional"], **said["vendored"]}
    rows = [
        (f"`{name}`", one["why"], one["licence"]) for name, one in named.items() if "why" in one
    ]
    return markdown(("package", "what for", "licence"), sorted(rows))


def indirect_dependencies() -> str:
    """What comes with it, and with what."""
    said = sbom.known()["packages"]
    rows = [
        (f"`{one.name}`", ", ".join(f"`{by}`" for by in one.needed_by), said[one.name]["licence"])
        for one in sbom.locked(LOCK.read_text(encoding="utf-8"))
        if "why" not in said[one.name]
    ]
    return markdown(("package", "needed by", "licence"), rows)


RIGHTS: Final = {
    "view": "see doors, rooms, calls, alarms and events, without names, occupancy and history",
    "staff": "open doors and change their mode; take a call or an alarm; test the call system",
    "maintenance": "see the history; put a door into service; test outputs; shelve; sign tests",
    "admin": "change settings, users and tokens; read who changed what; confirm the time",
}

TABLES: Final = (
    Table("rights", GATEWAY.parent / "deploy" / "README.md", rights),
    Table("guarantees", README, guarantees.table),
    Table("roles", README, roles),
    Table("files", STORED, stored_files),
    Table("lives", STORED, lives),
    Table("packages", ARCHITECTURE, architecture.packages),
    Table("imports", ARCHITECTURE, lambda: parts("gateway")),
    Table("core", ARCHITECTURE, architecture.core),
    Table("dependencies", DEPENDENCIES, dependencies),
    Table("indirect", DEPENDENCIES, indirect_dependencies),
    Table("core_imports", ARCHITECTURE, lambda: parts("gateway.core")),
)


def written(table: Table) -> str:
    """What stands between the marks in the document."""
    begin, end = marks(table.name)
    return table.file.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip()


def renew() -> None:
    """Write all tables into their documents."""
    for table in TABLES:
        begin, end = marks(table.name)
        text = table.file.read_text(encoding="utf-8")
        before, after = text.split(begin)[0], text.split(end)[1]
        table.file.write_text(f"{before}{begin}\n{table.make()}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    renew()
