"""The settings of the nightly backup."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from gateway.settings.values.types import Bool, Model, Whole, wrong

KEEP = 14


def _folder(value: object) -> Path:
    text = value if isinstance(value, str) else ""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or not text.isprintable() or len(text) > 200:
        raise wrong(f"{text[:60]!r} is no absolute path", "write for example /mnt/nas/portier")
    return Path(path)


Folder = Annotated[
    Path,
    BeforeValidator(_folder),
    WithJsonSchema({"type": "string", "pattern": "^/", "maxLength": 200}),
]


class Backup(Model):
    """The nightly backup of the whole gateway, encrypted."""

    to: Folder
    """The folder that the archives are written to; no unit, an absolute path."""
    mount: Folder | None = None
    """Where a disk or share must be mounted, or nothing is written; no unit, an absolute path that
    ``to`` is in. None: it is not checked."""
    keep: Whole = Field(default=KEEP, ge=1, le=1_000)
    """How many archives of this gateway stay there; a number from 1 to 1000."""
    store: Bool = False
    """With the history of the recorder, where its store is sqlite; no unit, yes or no."""
