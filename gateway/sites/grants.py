"""Who may what at which gateway, in the page's own file (``STATE/web/web.sqlite``).

A user with the role ``admin`` owns the centre and may everything everywhere. Everybody else has
what was granted: a role at one gateway, at those of a group, or at all. The role of a user who
owns nothing says only that they may log in.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gateway.web.identity.accounts import ROLES, Role, Who, known_role, may
from gateway.web.identity.repair import OwnTable
from gateway.web.identity.users import Users
from gateway.web.storage import outbox
from gateway.web.storage.errors import UserError
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.store import Author

Scope = Literal["all", "group", "site"]
SCOPES: tuple[Scope, ...] = ("all", "group", "site")
GRANTS_MOST = 200
"""Of one user."""
NAME_MOST = 200
SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, scope TEXT NOT NULL,
  name TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (user, scope, name)) WITHOUT ROWID;
"""


def _is_grant(row: Mapping[str, Any]) -> bool:
    """A row that :meth:`Grants.give` writes: of a damaged file nothing else is taken."""
    name = row.get("name")
    named = isinstance(name, str) and len(name) <= NAME_MOST
    return (
        isinstance(row.get("user"), int)
        and row.get("scope") in SCOPES
        and named
        and bool(name) == (row["scope"] != "all")
        and row.get("role") in ROLES
    )


REPAIRED = OwnTable(SCHEMA, "grants", "user, scope, name", _is_grant)


class Grant(NamedTuple):
    """``name``: of the group or the id of the gateway; empty where it is of all."""

    scope: Scope
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may. ``cap``: no more than this anywhere. Two are equal where the same was
    granted, so that who sees the same shares what is made for it."""

    grants: frozenset[Grant]
    cap: Role = "admin"
    owner: bool = False
    groups_of: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def role_at(self, gateway: str) -> Role | None:
        """The role at a gateway; ``None``: whoever this is does not know that it exists."""
        if self.owner:
            return self.cap
        groups = self.groups_of.get(gateway, frozenset())
        places = [
            ROLES.index(grant.role)
            for grant in self.grants
            if grant.scope == "all"
            or (grant.scope == "site" and grant.name == gateway)
            or (grant.scope == "group" and grant.name in groups)
        ]
        return ROLES[min(max(places), ROLES.index(self.cap))] if places else None

    def may(self, gateway: str, role: Role) -> bool:
        found = self.role_at(gateway)
        return found is not None and may(found, role)


NO_RIGHTS = Rights(frozenset())


def groups_of(groups: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    """Gateway -> the groups that it is in."""
    found: dict[str, set[str]] = {}
    for group, gateways in groups.items():
        for gateway in gateways:
            found.setdefault(gateway, set()).add(group)
    return {gateway: frozenset(names) for gateway, names in found.items()}


class Grants:
    """The table. Reading asks the disk only after somebody has changed the file; may be used from
    any thread."""

    def __init__(self, path: Path, groups: Mapping[str, tuple[str, ...]]) -> None:
        self._tables = PageTables(path, SCHEMA)
        self._groups_of = groups_of(groups)
        self._read = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
        self._read.execute("PRAGMA query_only=ON")
        self._lock = threading.Lock()
        self._version = -1
        self._known: dict[int, frozenset[Grant]] = {}

    def close(self) -> None:
        with self._lock:
            self._read.close()

    def of_user(self, user: int) -> frozenset[Grant]:
        """Everything that was granted to a user."""
        return self.all().get(user, frozenset())

    def all(self) -> Mapping[int, frozenset[Grant]]:
        """By user; a row that this version does not understand grants nothing."""
        with self._lock:
            version = int(self._read.execute("PRAGMA data_version").fetchone()[0])
            if version != self._version:
                found: dict[int, set[Grant]] = {}
                rows = self._read.execute("SELECT user, scope, name, role FROM grants").fetchall()
                for user, scope, name, role in rows:
                    if scope in SCOPES and role in ROLES:
                        found.setdefault(user, set()).add(Grant(scope, name, role))
                self._known = {user: frozenset(grants) for user, grants in found.items()}
                self._version = version
            return self._known

    def rights_of(self, who: Who, users: Users) -> Rights:
        """What somebody who is logged in may. An access token may what whoever made it may, and no
        more than its own role; one made on the command line has its role everywhere."""
        if who.user_id is not None:
            owner = who.role == "admin"
            return Rights(self.of_user(who.user_id), "admin", owner, self._groups_of)
        token = users.token(who.token) if who.token else None
        if token is None:
            return NO_RIGHTS
        maker = token.by.removeprefix("web:")
        if maker.isdecimal():
            user = next((one for one in users.list_users() if one.id == int(maker)), None)
            if user is None:
                return NO_RIGHTS
            if user.role != "admin":
                granted = self.of_user(user.id)
                return Rights(granted, token.role, owner=False, groups_of=self._groups_of)
        everywhere = frozenset({Grant("all", "", token.role)})
        return Rights(everywhere, token.role, token.role == "admin", self._groups_of)

    def give(self, user: int, grant: Grant, author: Author) -> None:
        """Grant a role, in place of what was granted there before.

        :raises UserError: an unknown role, scope or user, or too many of them
        """
        role = known_role(grant.role)
        named = grant.name if grant.scope != "all" else ""
        if grant.scope not in SCOPES or (grant.scope != "all" and not 0 < len(named) <= NAME_MOST):
            raise UserError("bad_grant", "a grant is of a site, of a group, or of all sites")
        with self._tables.change(author) as db:
            found = db.execute(
                "SELECT 1 FROM users WHERE id = ? AND removed IS NULL", (user,)
            ).fetchone()
            if found is None:
                raise UserError("unknown_user", f"no such user: {user}")
            before = db.execute(
                "SELECT role FROM grants WHERE user = ? AND scope = ? AND name = ?",
                (user, grant.scope, named),
            ).fetchone()
            (count,) = db.execute("SELECT count(*) FROM grants WHERE user = ?", (user,)).fetchone()
            if before is None and count >= GRANTS_MOST:
                raise UserError("too_many_grants", f"a user has {GRANTS_MOST} grants at most")
            db.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)",
                (user, grant.scope, named, role),
            )
            _note(db, author, "grant_given", user, Grant(grant.scope, named, role))

    def take(self, user: int, scope: str, name: str, author: Author) -> None:
        """Take back what was granted there; nothing happens where that is nothing."""
        with self._tables.change(author) as db:
            row = db.execute(
                "DELETE FROM grants WHERE user = ? AND scope = ? AND name = ? RETURNING role",
                (user, scope, name),
            ).fetchone()
            if row is not None:
                taken = Grant(scope, name, row[0])  # type: ignore[arg-type]  # as it was stored
                _note(db, author, "grant_taken", user, taken)


def _note(db: sqlite3.Connection, author: Author, action: str, user: int, grant: Grant) -> None:
    """Leave the entry for the audit in the transaction of the change."""
    outbox.leave(
        db,
        author.actor,
        action,
        {"subject": f"web:{user}", "scope": grant.scope, "name": grant.name, "role": grant.role},
        at=time.time(),
        takes_away=action == "grant_taken",
    )
