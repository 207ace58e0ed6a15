"""The key that push services know this gateway by (VAPID, RFC 8292): made on the machine by
``notify``, which alone can read it. Its public half is for browsers, and for everybody."""

from __future__ import annotations

import os
from pathlib import Path

from gateway import durable, regular
from gateway.push.subscriptions import NOTIFY_FOLDER

KEY_FILE, PUBLIC_FILE = "vapid.key", "vapid.pub"


def make_key(state: Path) -> None:
    """Make both halves where there is none. A new key makes every device void: it would have to be
    registered again. Raises :class:`OSError`."""
    folder = state / NOTIFY_FOLDER
    if read_key(state) and public_key(state):
        return
    from webpush.vapid import VAPID  # large: where it is needed only

    folder.mkdir(mode=0o751, exist_ok=True)
    private, _, public = VAPID.generate_keys()
    for name, data, mode in (
        (KEY_FILE, private, 0o600),
        (PUBLIC_FILE, f"{public}\n".encode(), 0o644),
    ):
        new = folder / f"{name}.new"
        durable.write(new, data, mode)
        os.chmod(new, mode)
        new.replace(folder / name)


def read_key(state: Path) -> bytes:
    """The private half (PEM); empty where it cannot be read."""
    try:
        return regular.read(state / NOTIFY_FOLDER / KEY_FILE)
    except OSError:
        return b""


def public_key(state: Path) -> str:
    """The public half (base64url), for the browser; empty where there is none."""
    try:
        return regular.read(state / NOTIFY_FOLDER / PUBLIC_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
