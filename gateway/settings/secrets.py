"""Secrets come from files or from systemd's credentials, never from the configuration.

``!secret mqtt_password`` names a file ``mqtt_password`` in one of the places. The value is
read when it is needed, by the role that needs it; nothing of it is kept in the settings.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
LONGEST_BYTES = 65_536


class SecretError(Exception):
    """A secret is not there or cannot be read; the message names the places."""


def places(configuration: Path) -> tuple[Path, ...]:
    """Where secrets are looked for: systemd's credentials, then ``secrets`` beside the file."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    beside = configuration.absolute().parent / "secrets"
    return (Path(credentials), beside) if credentials else (beside,)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by its name. ``places``: the folders it is looked for in, in this order."""

    name: str
    places: tuple[Path, ...] = ()

    def read(self) -> str:
        """The value, without white space at its end.

        :raises SecretError: no place has it, or it cannot be read, or it is empty
        """
        for place in self.places:
            path = place / self.name
            try:
                with path.open("rb") as file:
                    value = file.read(LONGEST_BYTES + 1)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SecretError(f"{path} cannot be read ({error.strerror})") from None
            text = value.decode("utf-8", "replace").rstrip()
            if not text or len(value) > LONGEST_BYTES:
                raise SecretError(f"{path} is {'empty' if not text else 'too long'}")
            return text
        looked = " and ".join(str(place) for place in self.places) or "no folder"
        raise SecretError(f"there is no secret {self.name} (looked for in {looked})")
