"""The keys that the centre signs its commands with: a random one for each gateway.

They are in one file of the state folder, ``sites/keys``, encrypted under the secret ``sites_key``.
Whoever has the file alone (a copied disk, a backup of somebody else) can open no door. No database,
log, backup or error has a key.

Two processes write the file: the command line, which enrols, and the centre, which notes that a
gateway has answered a command that was signed with its key. A lock beside it keeps them apart;
readers see the file of before or the new one, and notice a new one by themselves.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway import durable, regular
from gateway.formats import UnknownFormat
from gateway.locks import LockedError, held
from gateway.settings.values.secrets import Secret, SecretError
from gateway.settings.values.types import ID_PATTERN

FOLDER, FILE = "sites", "keys"
SECRET = "sites_key"  # noqa: S105 - its name
FORMAT = 1
MOST = 5_000
"""Gateways of one centre."""
BYTES_MOST = 4_000_000
SECRET_LEAST = 32
"""Characters; a password that somebody remembers can be guessed by whoever has the file."""
LOCK_WITHIN_S = 10.0
_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_FOR_KEYS, _FOR_NAME = b"portier sites keys 1", b"portier sites keys name 1"


class KeysError(Exception):
    """The keys cannot be read or written. The message says why and what to do; nothing was
    changed."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A gateway that is enrolled. ``since_utc_ms``: the first time; ``key_utc_ms``: when its key
    was made; ``confirmed_utc_ms``: when it first answered a command that was signed with this key,
    ``None`` before: the key may not have been taken over there yet. By the clock of the centre."""

    since_utc_ms: int
    key_utc_ms: int
    confirmed_utc_ms: int | None = None
    key: str = field(default="", repr=False)
    """As both ends have it: 64 characters, the bytes of which sign."""


class Keys:
    """Those below this state folder. ``secret``: what encrypts them, see :func:`secret_line`.

    Everything that reads or writes the file raises :class:`KeysError`."""

    def __init__(
        self,
        state: Path,
        secret: Secret,
        *,
        utc_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.path = state / FOLDER / FILE
        self._secret = secret
        self._utc_ms = utc_ms
        self._read_at: tuple[int, ...] | None = None
        self._known: Mapping[str, Enrolment] = {}

    def __repr__(self) -> str:
        return f"Keys({str(self.path)!r})"

    # --- reading --------------------------------------------------------------------------

    def key(self, gateway: str) -> bytes | None:
        """What signs commands for this gateway, as it has it in its secret; ``None``: it is not
        enrolled."""
        found = self.enrolments().get(gateway)
        return None if found is None else found.key.encode("ascii")

    def enrolled(self) -> Sequence[str]:
        """The gateways, by name."""
        return tuple(sorted(self.enrolments()))

    def is_confirmed(self, gateway: str) -> bool:
        """Whether the gateway has answered a command that was signed with its present key."""
        found = self.enrolments().get(gateway)
        return found is not None and found.confirmed_utc_ms is not None

    def enrolments(self) -> Mapping[str, Enrolment]:
        """All of them. The file is read where it has changed since."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._read_at, self._known = None, {}
            return self._known
        except OSError as error:
            raise self._unreadable(error) from None
        seen = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
        if seen != self._read_at:
            self._known = self._read()
            self._read_at = seen
        return self._known

    def _read(self) -> Mapping[str, Enrolment]:
        try:
            data = regular.read(self.path)
        except OSError as error:
            raise self._unreadable(error) from None
        try:
            sealed = check(self.path, data)
        except UnknownFormat as error:
            raise KeysError(str(error)) from None
        except ValueError as error:
            raise self._damaged(str(error)) from None
        secret = self._read_secret()
        if sealed["secret"] != _name_of(secret):
            raise KeysError(
                f"{self.path} is encrypted under another secret {self._secret.name} than the one "
                "that is there now: put the earlier one back, or move the file away "
                f"(sudo mv {self.path} {self.path}.old) and enrol each gateway again"
            )
        try:
            return _opened(sealed["sealed"], secret)
        except ValueError as error:
            raise self._damaged(str(error)) from None

    def _unreadable(self, error: OSError) -> KeysError:
        who = " Run this as root: sudo portier …" if isinstance(error, PermissionError) else ""
        return KeysError(f"{self.path} cannot be read or written ({error.strerror}).{who}")

    def _damaged(self, why: str) -> KeysError:
        return KeysError(
            f"{self.path} is damaged ({why}), and was left as it is: put a whole one back, or move "
            f"it away (sudo mv {self.path} {self.path}.damaged) and enrol each gateway again"
        )

    def _read_secret(self) -> str:
        try:
            secret = self._secret.read()
        except SecretError as error:
            raise KeysError(
                f"the keys of the gateways cannot be opened: {error}. Where it is lost, move "
                f"{self.path} away and enrol each gateway again"
            ) from None
        if len(secret) < SECRET_LEAST:
            raise KeysError(
                f"the secret {self._secret.name} has fewer than {SECRET_LEAST} characters, and can "
                f"be guessed: {secret_line(self._secret)}"
            )
        return secret

    # --- writing --------------------------------------------------------------------------

    def enrol(self, gateway: str) -> bytes:
        """Make a new key for this gateway, which signs from now on; an earlier one is forgotten.
        Gives what the gateway has to have in its secret. The first time it makes the secret of
        the centre, too, where it may."""
        check_name(gateway)
        with self._changing() as known:
            before = known.get(gateway)
            if before is None and len(known) >= MOST:
                raise KeysError(f"{MOST:,} gateways are enrolled, and there is no room: revoke one")
            now = self._utc_ms()
            made = Enrolment(before.since_utc_ms if before else now, now, key=secrets.token_hex(32))
            known[gateway] = made
        return made.key.encode("ascii")

    def revoke(self, gateway: str) -> None:
        """Forget the key of this gateway: nothing is sent to it any more."""
        if gateway not in self.enrolments():
            raise KeysError(f"{gateway[:70]} is not enrolled: portier site list shows which are")
        with self._changing() as known:
            known.pop(gateway, None)

    def confirm(self, gateway: str, key: bytes) -> None:
        """Note that the gateway has answered a command that was signed with this key. Where
        somebody else is just writing, it is left for the next answer."""
        found = self.enrolments().get(gateway)
        if found is None or found.confirmed_utc_ms is not None:
            return
        with self._changing(waits=False) as known:
            found = known.get(gateway)
            if found is not None and hmac.compare_digest(found.key.encode("ascii"), key):
                known[gateway] = replace(found, confirmed_utc_ms=self._utc_ms())

    @contextmanager
    def _changing(self, *, waits: bool = True) -> Iterator[dict[str, Enrolment]]:
        """The enrolments, to be changed; afterwards they are written."""
        folder = self.path.parent
        try:
            owner = _owner(folder)
            within_s = LOCK_WITHIN_S if waits else 0.0
            with held(self.path.with_name(f"{FILE}.lock"), within_s) as lock:
                if owner is not None:
                    os.fchown(lock, *owner)
                known = dict(self.enrolments())
                if not self.path.exists():
                    make_secret(self._secret, owner)
                secret = self._read_secret()
                yield known
                durable.replace(self.path, _sealed(known, secret), 0o600, owner)
        except LockedError:
            raise KeysError(
                f"another process is changing {self.path}: ask again when it has ended"
            ) from None
        except OSError as error:
            raise self._unreadable(error) from None


def check_name(gateway: str) -> None:
    """Raises :class:`KeysError` where this cannot be the id of a gateway."""
    if len(gateway) > 64 or not _ID.match(gateway):
        raise KeysError(
            f"{gateway[:70]!r} is not the id of a gateway: write it as its configuration does "
            "(gateway: {id: …}), a-z, 0-9, _ and -"
        )


def _owner(folder: Path) -> durable.Owner | None:
    """Whom root gives the file to: the centre has a user of its own, and the folder is its. A
    folder that is missing is made."""
    is_new = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return None
    found = (folder.parent if is_new else folder).stat()
    if is_new:
        os.chown(folder, found.st_uid, found.st_gid)
    return found.st_uid, found.st_gid


# --- the file ---------------------------------------------------------------------------------


def check(path: Path, data: bytes | None = None) -> Mapping[str, str]:
    """The file as it is, still encrypted: ``secret`` (which one encrypts it) and ``sealed``.
    ``data``: what is in it, where that was read already.

    :raises UnknownFormat: it is of another version
    :raises ValueError: it is damaged
    :raises OSError: it cannot be read
    """
    data = regular.read(path) if data is None else data
    if len(data) > BYTES_MOST:
        raise ValueError("it is too long")
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not what was written") from None
    if not isinstance(found, dict) or "format" not in found:
        raise ValueError("it is not what was written")
    if found["format"] != FORMAT:
        raise UnknownFormat(path, "the keys of the centre", str(found["format"])[:40], (FORMAT,))
    texts = {name: str(found.get(name)) for name in ("secret", "sealed", "sha256")}
    if texts["sha256"] != _checksum(texts["secret"], texts["sealed"]):
        raise ValueError("its checksum does not fit")
    return texts


def _sealed(known: Mapping[str, Enrolment], secret: str) -> bytes:
    from cryptography.fernet import Fernet  # large: where it is needed only

    plain = json.dumps({gateway: asdict(one) for gateway, one in sorted(known.items())})
    sealed = Fernet(_key_of(secret)).encrypt(plain.encode()).decode("ascii")
    name = _name_of(secret)
    text = {"format": FORMAT, "secret": name, "sealed": sealed, "sha256": _checksum(name, sealed)}
    return json.dumps(text).encode() + b"\n"


def _opened(sealed: str, secret: str) -> Mapping[str, Enrolment]:
    """Raises :class:`ValueError`."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        plain = Fernet(_key_of(secret)).decrypt(sealed.encode())
        return {gateway: Enrolment(**one) for gateway, one in json.loads(plain).items()}
    except (InvalidToken, ValueError, TypeError, AttributeError):
        # without its cause: the text of some errors has what was read
        raise ValueError("it cannot be decrypted") from None


def _key_of(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), _FOR_KEYS, "sha256"))


def _name_of(secret: str) -> str:
    """By which a secret is known and not found out."""
    return hmac.digest(secret.encode(), _FOR_NAME, "sha256").hex()[:16]


def _checksum(*texts: Any) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


# --- the secret -------------------------------------------------------------------------------


def secret_line(secret: Secret) -> str:
    """The command that makes the secret of the centre."""
    place = secret.places[-1] if secret.places else Path("/etc/portier/secrets")
    return (
        "head -c 32 /dev/urandom | base64 | sudo install -D -m 640 -g portier-sites /dev/stdin "
        f"{place / secret.name}"
    )


def make_secret(secret: Secret, owner: durable.Owner | None) -> None:
    """Make the secret of the centre where there is none, in the last of its places. ``owner``: of
    the role that reads it. Raises :class:`KeysError`."""
    try:
        secret.read()
        return
    except SecretError as error:
        if error.fault != "missing":
            return  # whoever reads it says what is wrong
    place = secret.places[-1] if secret.places else None
    try:
        if place is None:
            raise FileNotFoundError
        place.mkdir(mode=0o711, exist_ok=True)
        path, text = place / secret.name, base64.b64encode(secrets.token_bytes(32)) + b"\n"
        made = place / f".{secret.name}.new"
        durable.write(made, text, 0o600, None if owner is None else (0, owner[1]))
        try:
            os.chmod(made, 0o600 if owner is None else 0o640)  # whatever the umask says
            os.link(made, path)  # unlike a rename, it replaces nothing
        finally:
            made.unlink(missing_ok=True)
        durable.sync_folder(place)
    except FileExistsError:
        pass  # another process was first
    except OSError as error:
        why = f" ({error.strerror})" if error.strerror else ""
        raise KeysError(
            f"the secret {secret.name}, which encrypts the keys, cannot be made in "
            f"{place or 'any folder'}{why}. Make it with: {secret_line(secret)}"
        ) from None
