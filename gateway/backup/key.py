"""The recovery key: whoever has it can read every backup, and nobody else can.

It is shown once, when it is made. The machine stores its public half, with which anybody can
encrypt, and a seal that is derived from the key. Only someone who has the key, or the file in which
this machine stores the seal, can make an archive with that seal; the public half does not suffice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from gateway.journal.backup import BackupError

HEAD = b"age-encryption.org/v1\n"
"""The first bytes of every file that age has encrypted."""
_SEAL = b"portier backup seal 1"
WRONG_KEY = (
    "this recovery key does not open it; take the one that was shown when the first backup was made"
)
DAMAGED = "it is not complete, or was changed; take another backup"


class Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What the machine stores. ``recipient``: for whom age encrypts; ``seal``: 32 bytes, secret."""

    recipient: str
    seal: bytes

    def sign(self, data: bytes) -> str:
        return hmac.new(self.seal, data, hashlib.sha256).hexdigest()

    def to_json(self) -> dict[str, str]:
        return {"recipient": self.recipient, "seal": self.seal.hex()}


def read_public(data: bytes) -> PublicKey:
    """Read it from the content of its file. Raises :class:`ValueError`."""
    found: Any = json.loads(data)
    fields = found if isinstance(found, Mapping) else {}
    recipient, seal = str(fields.get("recipient", "")), str(fields.get("seal", ""))
    if not recipient.startswith("age1") or len(seal) != 64:
        raise ValueError("it names no recipient, or has no seal")
    return PublicKey(recipient, bytes.fromhex(seal))


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """``text``: the key as people write it down."""

    text: str
    public: PublicKey


def new() -> RecoveryKey:
    """Make a key."""
    import pyrage  # large, so imported only where it is needed

    return read(str(pyrage.x25519.Identity.generate()))


def read(text: str) -> RecoveryKey:
    """Read a key as somebody has typed or stored it. Blanks and lines that begin with # are
    ignored. Raises :class:`BackupError`."""
    import pyrage

    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    plain = "".join("".join(lines).split()).upper()
    try:
        identity = pyrage.x25519.Identity.from_str(plain)
    except pyrage.IdentityError:
        raise BackupError(
            "this is no recovery key: it begins with AGE-SECRET-KEY-1 and has 74 characters; copy "
            "it again, whole"
        ) from None
    seal = hmac.new(plain.encode(), _SEAL, hashlib.sha256).digest()
    return RecoveryKey(plain, PublicKey(str(identity.to_public()), seal))


class _Writer:
    """Remembers the error that its file has raised: the library raises another one instead."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except BaseException as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


class _Reader:
    """The same for what is read."""

    def __init__(self, file: Reader) -> None:
        self._file = file
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except BaseException as error:
            self.error = error
            raise


def encrypt(source: Reader, target: BinaryIO, public: PublicKey) -> None:
    """Encrypt a stream. Raises what ``source`` and ``target`` raise, and :class:`BackupError`."""
    import pyrage

    reader, writer = _Reader(source), _Writer(target)
    try:
        pyrage.encrypt_io(reader, writer, [pyrage.x25519.Recipient.from_str(public.recipient)])
    except (pyrage.EncryptError, pyrage.RecipientError, OSError) as error:
        if cause := writer.error or reader.error:
            raise cause from None
        raise BackupError(
            f"it cannot be encrypted ({error}); `portier backup --new-key` makes a new key"
        ) from error


def decrypt(source: BinaryIO, target: BinaryIO, key: RecoveryKey) -> None:
    """Decrypt a stream. Raises what ``source`` and ``target`` raise, and :class:`BackupError`; what
    was written until then must not be used."""
    import pyrage

    reader, writer = _Reader(source), _Writer(target)
    try:
        identity = pyrage.x25519.Identity.from_str(key.text)
        pyrage.decrypt_io(reader, writer, [identity])
    except (pyrage.DecryptError, OSError) as error:
        if cause := writer.error or reader.error:
            raise cause from None
        wrong_key = "No matching keys" in str(error)
        raise BackupError(WRONG_KEY if wrong_key else DAMAGED) from error
