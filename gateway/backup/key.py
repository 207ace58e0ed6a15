"""The recovery key: whoever has it can read every backup, and nobody else can.

It is shown once, when it is made. The machine stores its public half, which encrypts, and a seal
that follows from the key: an archive that bears the seal was made by who had the key or this
machine's file of it. The public half alone, which encrypts for anybody, makes no such archive.
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
"""How every file begins that age has encrypted."""
_SEAL = b"portier backup seal 1"
WRONG_KEY = (
    "this recovery key does not open it; take the one that was shown when the first backup was made"
)
DAMAGED = "it was cut short or changed; take another backup"


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


def stored(data: bytes) -> PublicKey:
    """Of the bytes of the file in which it is stored. Raises :class:`ValueError`."""
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
    import pyrage  # large: where it is needed only

    return read(str(pyrage.x25519.Identity.generate()))


def read(text: str) -> RecoveryKey:
    """As somebody has typed or stored it: blanks and lines beginning with # do not count. Raises
    :class:`BackupError`."""
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
    """Keeps the error that its file has raised: the library replaces it."""

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
    """Raises what ``source`` and ``target`` raise, and :class:`BackupError`."""
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
    """Raises what ``source`` and ``target`` raise, and :class:`BackupError`. What was written until
    then is not to be used."""
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
