"""Secrets come from files or from systemd's credentials, never from the configuration.

``!secret mqtt_password`` names a file ``mqtt_password`` in one of the places. The value is
read when it is needed, by the role that needs it; nothing of it is kept in the settings.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
LONGEST_BYTES = 65_536
ADDRESSES = "addresses"
"""The folder of the state with the addresses that were entered on the page."""


Fault = Literal["missing", "unreadable", "no_file", "too_long", "no_text", "empty", "lines"]


class SecretError(Exception):
    """A secret is not there or cannot be used; the message names the places, ``fault`` the kind."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


def places(configuration: Path) -> tuple[Path, ...]:
    """Where secrets are looked for: systemd's credentials, then ``secrets`` beside the file."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    beside = configuration.absolute().parent / "secrets"
    return (Path(credentials), beside) if credentials else (beside,)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by its name. ``places``: the folders it is looked for in, in this order.
    ``of_page``: the address of a person that was entered on the page
    (:mod:`gateway.settings.values.recipients`), no secret of an administrator."""

    name: str
    places: tuple[Path, ...] = ()
    of_page: bool = False

    def read(self) -> str:
        """The value, without white space at its end.

        :raises SecretError: no place has it, or it cannot be read, or it is empty
        """
        for place in self.places:
            path = place / self.name
            try:
                value = _bytes(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SecretError(
                    f"{path} cannot be read ({error.strerror})", "unreadable"
                ) from None
            if value is None:
                raise SecretError(f"{path} is no file", "no_file")
            if len(value) > LONGEST_BYTES:
                raise SecretError(f"{path} is too long", "too_long")
            try:
                text = value.decode("utf-8-sig").rstrip()
            except UnicodeDecodeError:
                raise SecretError(f"{path} is not text in UTF-8", "no_text") from None
            if "\0" in text:
                raise SecretError(f"{path} is not text in UTF-8", "no_text")
            if not text:
                raise SecretError(f"{path} is empty", "empty")
            return text
        looked = " and ".join(str(place) for place in self.places) or "no folder"
        raise SecretError(f"there is no secret {self.name} (looked for in {looked})", "missing")


def of_page(id: str, state: Path) -> Secret:
    """The address of this id that was entered on the page. ``state``: the state folder."""
    return Secret(id, (state / ADDRESSES,), of_page=True)


def address(secret: Secret) -> str:
    """The one line of a secret that is the address of a contact.

    :raises SecretError: as :meth:`Secret.read`, and where there are several lines
    """
    text = secret.read().strip()
    if "\n" in text or "\r" in text:
        lines = len(text.splitlines())
        raise SecretError(
            f"the secret {secret.name} has {lines} lines; an address is one line", "lines"
        )
    return text


def _bytes(path: Path) -> bytes | None:
    """The first bytes of a file; ``None`` where it is something else, such as a pipe that nobody
    writes to. Raises :class:`OSError`."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(LONGEST_BYTES + 1)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
