"""Whether the addresses of the contacts can be read by the role that sends messages.

Whoever asks is mostly another user and may not read them: then the file is judged by its kind,
size, owner and mode, and only where it may be read also by its content.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.model.configuration import Settings
from gateway.settings.values import recipients
from gateway.settings.values.problems import Phrase, phrase
from gateway.settings.values.recipients import RecipientError
from gateway.settings.values.secrets import Fault, Secret, SecretError, address

USER = "portier-notify"
"""Who reads them where Portier is installed."""
Judge = Callable[[str], bool]
"""Whether an address is understood."""


@dataclass(frozen=True, slots=True)
class AddressFault:
    """No message can go to ``contact`` over ``channel`` (from 0). ``hint``: the remedy."""

    contact: str
    channel: int
    secret: str
    message: Phrase
    hint: Phrase

    @property
    def key(self) -> str:
        """Where it is in the configuration."""
        return f"contacts.{self.contact}.channels[{self.channel}]"

    def __str__(self) -> str:
        return f"{self.key}: {self.message}; {self.hint}"


def faults(settings: Settings, judge: Judge | None = None) -> list[AddressFault]:
    """Every address that cannot be used, in the order of the contacts. ``judge``: of an address
    that may be read here."""
    found = []
    for name, contact in settings.contacts.items():
        for number, secret in enumerate(contact.channels):
            fault = wrong(secret, judge) or _of_page(secret, settings)
            if fault is not None:
                found.append(AddressFault(name, number, secret.name, *fault))
    return found


def _of_page(secret: Secret, settings: Settings) -> tuple[Phrase, Phrase] | None:
    """What is wrong with an address that was entered on the page, as far as it can be read here."""
    if not secret.of_page:
        return None
    messages = settings.messages
    try:
        found = recipients.read(secret.read(), messages.page_hosts)
    except SecretError:
        return None  # whether it is there is judged already
    except RecipientError as error:
        return error.message, error.hint
    if found.kind in recipients.OVER_ACCOUNT and getattr(messages, found.kind) is None:
        return (
            phrase("the building has no account for {kind}", kind=found.kind),
            phrase("an administrator writes messages: {{{kind}: !secret …}}", kind=found.kind),
        )
    return None


def new_faults(found: Iterable[AddressFault], before: Settings) -> list[AddressFault]:
    """Those of ``found`` that come with a change of the settings ``before``: an address that was
    there before and has gone missing must not keep anybody from changing something else."""
    known = {
        (name, secret.name)
        for name, contact in before.contacts.items()
        for secret in contact.channels
    }
    return [fault for fault in found if (fault.contact, fault.secret) not in known]


def wrong(secret: Secret, judge: Judge | None = None) -> tuple[Phrase, Phrase] | None:
    """What is wrong with a secret that ``notify`` reads, and the remedy."""
    user = _reader()
    try:
        path, info = _find(secret)
    except FileNotFoundError:
        return _named("missing", secret, user, secret.places[-1] / secret.name)
    except OSError:
        return None  # a folder that is closed to us, as systemd's credentials are
    fault: Fault | None = None
    value = ""
    if not stat.S_ISREG(info.st_mode):
        fault = "no_file"
    elif not info.st_size:
        fault = "empty"
    elif os.access(path, os.R_OK):
        try:
            value = address(secret)
        except SecretError as error:
            fault = error.fault
    if fault is None and not _may_read(user, path, info):
        fault = "unreadable"
    if fault is not None:
        return _named(fault, secret, user, path)
    if value and judge is not None and not secret.of_page and not judge(value):
        return (
            phrase("the secret {name} holds no address that Apprise knows", name=secret.name),
            phrase("write one line such as mailto://…, ntfys://… or json://…"),
        )
    return None


def _find(secret: Secret) -> tuple[Path, os.stat_result]:
    """Where it is, as :meth:`Secret.read` looks for it. Raises :class:`OSError`."""
    for place in secret.places:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return place / secret.name, (place / secret.name).stat()
    raise FileNotFoundError


def _named(fault: Fault, secret: Secret, user: str, path: Path) -> tuple[Phrase, Phrase]:
    name = secret.name
    if secret.of_page:
        if fault == "unreadable":
            return (
                phrase("the address cannot be read by {user}", user=user),
                phrase("sudo systemd-tmpfiles --create portier.conf, then enter it again"),
            )
        return phrase("the address has been removed"), phrase("enter it again on the page Settings")
    message = {
        "missing": phrase("there is no secret {name}", name=name),
        "unreadable": phrase("the secret {name} cannot be read by {user}", name=name, user=user),
        "no_file": phrase("the secret {name} is no file", name=name),
        "empty": phrase("the secret {name} is empty", name=name),
        "too_long": phrase("the secret {name} is too long", name=name),
        "no_text": phrase("the secret {name} is not text in UTF-8", name=name),
        "lines": phrase("the secret {name} has several lines, an address is one", name=name),
    }[fault]
    if user != USER:
        return message, phrase("write the address into {path}", path=path)
    remedy = phrase(
        "write the address into {path}, then: sudo chown root:{user} {path}; sudo chmod 640 {path}",
        path=path,
        user=user,
    )
    return message, remedy


def _reader() -> str:
    """The user that ``notify`` runs as, as far as can be known here: one of its own where it is
    installed, else whoever runs everything."""
    uid = os.geteuid()
    try:
        own = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    with contextlib.suppress(KeyError):
        if uid == 0 or own.startswith("portier-"):
            return pwd.getpwnam(USER).pw_name
    return own


def _may_read(user: str, path: Path, info: os.stat_result) -> bool:
    if user != USER:
        return os.access(path, os.R_OK)
    with contextlib.suppress(OSError):
        if "system.posix_acl_access" in os.listxattr(path):
            return True  # more than owner and mode decides; nobody is refused on a guess
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    with contextlib.suppress(OSError):
        if not _allowed(path.parent.stat(), entry.pw_uid, groups, stat.S_IXOTH):
            return False
    return _allowed(info, entry.pw_uid, groups, stat.S_IROTH)


def _allowed(info: os.stat_result, uid: int, groups: list[int], bit: int) -> bool:
    """Whether mode and owner allow ``bit`` (of others) to this user."""
    if info.st_uid == uid:
        bit <<= 6
    elif info.st_gid in groups:
        bit <<= 3
    return bool(info.st_mode & bit)
