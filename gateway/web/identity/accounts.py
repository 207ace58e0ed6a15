"""Users, tokens and roles as values, and what a name and a password must be."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway.web.identity.easy_passwords import is_easy
from gateway.web.storage.errors import UserError

Role = Literal["view", "staff", "maintenance", "admin"]
ROLES: tuple[Role, ...] = ("view", "staff", "maintenance", "admin")
SecondFactor = Literal["off", "doors", "login"]
"""When a code is wanted: never, for what opens doors, or at the log-in."""

# OWASP's second recommended setting: 19 MiB, so that several log-ins fit the role's memory cap.
PASSWORDS = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1),))


@dataclass(frozen=True, slots=True)
class User:
    """``armed_s``: how long this person's open button stays armed, in seconds."""

    id: int
    name: str
    role: Role
    language: str
    armed_s: int


def may(has: Role, needed: Role) -> bool:
    """Whether a role has the rights of another."""
    return ROLES.index(has) >= ROLES.index(needed)


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is logged in. ``actor`` is how the journal and the audit chain know them."""

    actor: str
    name: str
    role: Role
    user_id: int | None = None
    session: str = ""
    """Hash of the session, or empty for an API token."""
    token: str = ""
    csrf: str = ""
    language: str = ""
    armed_s: int = 15

    def may(self, role: Role) -> bool:
        return may(self.role, role)


@dataclass(frozen=True, slots=True)
class Token:
    """``created``, ``expires``: seconds since 1970. ``by``: who made it, such as ``web:3`` or
    ``cli:root``."""

    id: int
    name: str
    role: Role
    created: float
    expires: float
    by: str = ""


def hashed(secret: str) -> str:
    """How a session id or token is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def known_role(role: str) -> Role:
    for known in ROLES:
        if role == known:
            return known
    raise UserError("bad_role", f"no such role: {role}; one of {', '.join(ROLES)}")


def normal_name(name: str) -> str:
    """A name in one form (NFKC), however the keyboard composed it."""
    return unicodedata.normalize("NFKC", name).strip()


def password_forms(password: str) -> list[str]:
    """The forms a typed password may have been hashed in, the one of today (NFC) first: before,
    each was hashed as the keyboard had composed it."""
    composed = unicodedata.normalize("NFC", password)
    decomposed = unicodedata.normalize("NFD", password)
    return list(dict.fromkeys((composed, password, decomposed)))


def good_name(name: str) -> str:
    name = normal_name(name)
    if not 1 <= len(name) <= 40 or not name.isprintable() or name.startswith("forgotten-"):
        raise UserError("bad_name", "a name has 1 to 40 printable characters")
    return name


def good_password(password: str, names: Iterable[str]) -> str:
    """The hash of a new password. ``names``: of the user and of the gateway."""
    password = password_forms(password)[0]
    if not 10 <= len(password) <= 200:
        raise UserError("bad_password", "a password has 10 to 200 characters")
    if is_easy(password, names):
        raise UserError(
            "easy_password",
            "this password is guessed too easily: choose one that is no common word with numbers,"
            " no sequence, and not the name of the user or of the gateway",
        )
    return PASSWORDS.hash(password)
