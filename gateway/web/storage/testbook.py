"""The test book (*Prüfbuch*): pages with steps and their results, signed by a user.

Kept in ``STATE/web/web.sqlite`` for as long as the configuration says (10 years). A page knows
its user by id only. A signed page does not change any more: its digest stands in the audit
chain, and is compared when the page is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gateway.core.facts import Json
from gateway.web.storage import outbox
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.store import Author

Kind = Literal["call", "door"]
Answer = Literal["ok", "bad"]
KINDS: tuple[Kind, ...] = ("call", "door")
DAY_MS = 86_400_000
EVERY_MS: dict[Kind, int] = {"call": 92 * DAY_MS, "door": 366 * DAY_MS}
"""How often a subject is to be tested: a quarter, a year."""
SIGNED_MOST = 20_000
"""Signed pages. They are evidence, so none makes room for another."""
UNSIGNED_MS = 2 * DAY_MS
"""A page that nobody signs is taken out after so long."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS testbook (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL,
  name TEXT NOT NULL, begun_ms INTEGER NOT NULL, after_row INTEGER NOT NULL,
  steps TEXT NOT NULL, signed_ms INTEGER, signed_by INTEGER, passed INTEGER,
  note TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX IF NOT EXISTS testbook_open ON testbook (kind, subject)
  WHERE signed_ms IS NULL;
CREATE TABLE IF NOT EXISTS testbook_steps (
  page INTEGER NOT NULL REFERENCES testbook(id) ON DELETE CASCADE, step TEXT NOT NULL,
  answer TEXT NOT NULL, seen INTEGER NOT NULL, at_ms INTEGER NOT NULL, took_ms INTEGER,
  PRIMARY KEY (page, step)) WITHOUT ROWID;
"""
_COLUMNS = (
    "id, kind, subject, name, begun_ms, after_row, steps, "
    "signed_ms, signed_by, passed, note, digest"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk. ``word``: the key of its texts; ``point``: what it is about;
    ``names``: what people call that, per language; ``measured``: the gateway sees it itself."""

    id: str
    word: str
    measured: bool
    point: str = ""
    names: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step. ``seen``: by the gateway itself, else the person says so."""

    answer: Answer
    seen: bool
    at_utc_ms: int
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """``after_row``: where the journal stood when it was begun; ``signed_by``: a user's id."""

    id: int
    kind: Kind
    subject: str
    name: str
    begun_utc_ms: int
    after_row: int
    steps: tuple[Step, ...]
    results: Mapping[str, Result]
    signed_utc_ms: int | None
    signed_by: int | None
    passed: bool | None
    note: str
    digest: str

    @property
    def signed(self) -> bool:
        return self.signed_utc_ms is not None

    @property
    def current(self) -> Step | None:
        """The first step without a result."""
        return next((step for step in self.steps if step.id not in self.results), None)

    def computed(self, signed_utc_ms: int, signed_by: int, note: str) -> str:
        """The digest of everything that is signed."""
        covered: dict[str, Any] = {
            "id": self.id, "kind": self.kind, "subject": self.subject,
            "begun_utc_ms": self.begun_utc_ms, "note": note,
            "steps": [{"id": s.id, **asdict(self.results[s.id])}
                      for s in self.steps if s.id in self.results],
            "signed_utc_ms": signed_utc_ms, "signed_by": signed_by,
        }  # fmt: skip
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def whole(self) -> bool:
        """Signed, and as it was signed."""
        if self.signed_utc_ms is None or self.signed_by is None:
            return False
        return self.digest == self.computed(self.signed_utc_ms, self.signed_by, self.note)


def steps_from(text: str) -> tuple[Step, ...] | None:
    """The steps of a page as they are stored. ``None`` where they cannot be read: a signed page is
    then not as it was signed, and says so."""
    try:
        return tuple(Step(**step) for step in json.loads(text))
    except (TypeError, ValueError):
        return None


class TestBookFull(Exception):
    """There are as many signed pages as there may be."""


class TestBook:
    """The pages. Instants are civil time in ms."""

    __test__ = False  # not a test class, whatever its name says to pytest

    def __init__(self, path: Path, life_ms: int | None = None) -> None:
        self._file = PageTables(path, SCHEMA)
        self._life_ms = life_ms

    def begin(
        self,
        kind: Kind,
        subject: str,
        name: str,
        steps: Sequence[Step],
        *,
        after_row: int,
        now: int,
        author: Author | None = None,
    ) -> Page:
        """A new page; the open one where there is one of this subject already. Raises
        :class:`TestBookFull`."""
        told = json.dumps([asdict(step) for step in steps])
        opened = "SELECT id FROM testbook WHERE kind = ? AND subject = ? AND signed_ms IS NULL"
        ((signed,),) = self._file.rows("SELECT count(*) FROM testbook WHERE signed_ms IS NOT NULL")
        if signed >= SIGNED_MOST and not self._file.rows(opened, kind, subject):
            raise TestBookFull
        with self._file.change(author) as db:
            db.execute(
                "INSERT OR IGNORE INTO testbook (kind, subject, name, begun_ms, after_row, steps) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (kind, subject, name, now, after_row, told),
            )
        (number,) = self._file.rows(opened, kind, subject)[0]
        return self.page(number) or self._gone(number)

    def _gone(self, number: int) -> Page:
        raise LookupError(f"page {number} was taken out at this very moment")

    def page(self, number: int) -> Page | None:
        """One page with its results."""
        found = self._pages("WHERE id = ?", number)
        return found[0] if found else None

    def open_pages(self) -> list[Page]:
        return self._pages("WHERE signed_ms IS NULL ORDER BY id")

    def signed_pages(self, limit: int, before: int = 2**53) -> list[Page]:
        """Signed pages, the newest first."""
        return self._pages(
            "WHERE signed_ms IS NOT NULL AND id < ? ORDER BY id DESC LIMIT ?", before, limit
        )

    def last_passed(self) -> dict[tuple[str, str], int]:
        """(kind, subject) -> when it was last signed with every step in order."""
        rows = self._file.rows(
            "SELECT kind, subject, max(signed_ms) FROM testbook WHERE passed GROUP BY 1, 2"
        )
        return {(kind, subject): at for kind, subject, at in rows}

    def _pages(self, where: str, *values: object) -> list[Page]:
        pages = []
        for number, kind, subject, name, begun, after, steps, *signature in self._file.rows(
            f"SELECT {_COLUMNS} FROM testbook {where}", *values
        ):
            signed, by, passed, note, digest = signature
            results = {
                step: Result(answer, bool(seen), at, took)
                for step, answer, seen, at, took in self._file.rows(
                    "SELECT step, answer, seen, at_ms, took_ms FROM testbook_steps WHERE page = ?",
                    number,
                )
            }
            told = steps_from(steps) or ()
            verdict = None if passed is None else bool(passed)
            pages.append(
                Page(number, kind, subject, name, begun, after, told, results, signed, by,
                     verdict, note, digest)
            )  # fmt: skip
        return pages

    def answer(
        self, page: Page, step: str, result: Result, *, author: Author | None = None
    ) -> None:
        """Keep the result of a step; the first one counts, and none after the signature."""
        with self._file.change(author) as db:
            db.execute(
                "INSERT OR IGNORE INTO testbook_steps SELECT id, ?, ?, ?, ?, ? FROM testbook "
                "WHERE id = ? AND signed_ms IS NULL",
                (step, result.answer, result.seen, result.at_utc_ms, result.took_ms, page.id),
            )

    def again(self, page: Page, *, author: Author | None = None) -> None:
        """Take back the newest result of an unsigned page."""
        done = [step.id for step in page.steps if step.id in page.results]
        if done and not page.signed:
            with self._file.change(author) as db:
                db.execute(
                    "DELETE FROM testbook_steps WHERE page = ? AND step = ?", (page.id, done[-1])
                )

    def sign(
        self, page: Page, user_id: int, note: str, now: int, *, author: Author | None = None
    ) -> Page:
        """Sign a page whose steps all have a result, and leave the entry about it. A signed page
        stays as it is. Raises :class:`gateway.web.identity.accounts.UserError` ``audit_waits``."""
        digest = page.computed(now, user_id, note)
        passed = all(result.answer == "ok" for result in page.results.values())
        with self._file.change(author) as db:
            signed = db.execute(
                "UPDATE testbook SET signed_ms = ?, signed_by = ?, passed = ?, note = ?, "
                "digest = ? WHERE id = ? AND signed_ms IS NULL",
                (now, user_id, passed, note, digest, page.id),
            ).rowcount
            if signed and author is not None:
                about: dict[str, Json] = {"page": page.id, "kind": page.kind, "passed": passed}
                about |= {"subject": page.subject, "digest": digest}
                outbox.leave(db, author.actor, "testbook_signed", about, at=now / 1000)
        return self.page(page.id) or self._gone(page.id)

    def drop(self, page: Page, *, author: Author | None = None) -> None:
        """Take out a page that nobody has signed."""
        with self._file.change(author) as db:
            db.execute("DELETE FROM testbook WHERE id = ? AND signed_ms IS NULL", (page.id,))

    def tidy(self, now: int) -> None:
        """Take out what has been kept for its life, and pages that nobody signed."""
        life_ms = self._life_ms if self._life_ms is not None else 2**52
        with self._file.change() as db:
            db.execute(
                "DELETE FROM testbook WHERE signed_ms < ? OR (signed_ms IS NULL AND begun_ms < ?)",
                (now - life_ms, now - UNSIGNED_MS),
            )
