"""What ``portier doctor`` says about backups: when the last one was made, whether it is still
there, and when the recovery key was last at hand."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.app.findings import Finding, no, not_configured, soon, unknown, yes
from gateway.backup import key, target
from gateway.backup.records import BackupRecords, LastBackup
from gateway.settings.model.backup import Backup
from gateway.settings.model.configuration import Settings

HOUR_S, DAY_S = 3_600.0, 86_400.0
LATE_S = 36 * HOUR_S
"""A nightly backup that is older is reported as missing."""
PROVED_S = 400 * DAY_S
"""A recovery key that was at hand longer ago may be lost by now."""
NOW = "portier backup"


def examine(settings: Settings, state: Path) -> Iterator[Finding]:
    """Check the notes, the mount and the last archive, whose size and first bytes are looked at:
    only the recovery key could read it."""
    own = BackupRecords(state)
    try:
        last, proved_s = own.last(), own.key_proved_at_s()
        public, cut_short = own.public_key(), own.restoring()
    except PermissionError as error:
        yield unknown("backup: cannot be seen by this user", "sudo portier doctor", str(error))
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"backup: what is known of it cannot be read ({error})"
        yield no(text, f"sudo rm {own.path}/last.json {own.path}/proved.json; sudo {NOW}")
        return
    if cut_short:
        *others, last_one = cut_short
        text = "backup: a restore was cut short, so what is here is a mixture"
        if others:
            text = f"backup: {len(cut_short)} restores were cut short ({', '.join(cut_short)}), so "
            text += "what is here is a mixture"
        yield no(text, f"run it again, whole: sudo portier restore {last_one}", "read just now")
    if settings.backup is None and last is None:
        yield not_configured(
            "backup: none was ever made, and none is configured",
            f"sudo {NOW} FILE; for one every night write backup: {{to: FOLDER}}",
        )
        return
    if settings.backup is not None:
        yield from _mount(settings.backup)
    yield _last(last, settings.backup)
    if public is not None:
        yield _proved(proved_s, last)


def _mount(wanted: Backup) -> Iterator[Finding]:
    if wanted.mount is None:
        return
    try:
        there = target.is_mounted(wanted.mount)
    except OSError as error:
        yield unknown("backup: which disks are mounted is not known", "findmnt", str(error))
        return
    if not there:
        yield no(
            f"backup: nothing is mounted at {wanted.mount}, so no backup is made",
            f"plug the disk in, or sudo mount {wanted.mount}; then sudo {NOW}",
            "looked just now",
        )


def _last(last: LastBackup | None, wanted: Backup | None) -> Finding:
    if last is None:
        return no("backup: none was made yet", f"sudo {NOW}, once by hand", "no note of one")
    age_s = time.time() - last.at_s
    at = f"{datetime.fromtimestamp(last.at_s, UTC):%Y-%m-%d %H:%M} UTC"
    wrong = _wrong(last)
    if wrong:
        return no(
            f"backup: the last one, of {at}, {wrong}", f"sudo {NOW}", f"{last.file}, just now"
        )
    evidence = f"{last.file}, opened just now: {last.bytes:,} bytes, as it was written"
    if age_s < -HOUR_S:
        return unknown(
            f"backup: the last one is of {at}, which is in the future",
            "set the clock: timedatectl",
            evidence,
        )
    what = f"backup: the last one was {_ago(age_s)} ago"
    if wanted is None:
        return soon(what, "for one every night write backup: {to: FOLDER}", evidence)
    if age_s > LATE_S:
        return no(
            what, f"sudo {NOW}; systemctl status portier-backup.timer portier-backup", evidence
        )
    return yes(what, evidence)


def _wrong(last: LastBackup) -> str:
    """What is wrong with the archive; empty: it is as it was written."""
    path = Path(last.file)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "is not there any more"
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size != last.bytes:
            return f"has {found.st_size:,} bytes and had {last.bytes:,}"
        if last.encrypted and os.read(fd, len(key.HEAD)) != key.HEAD:
            return "is not encrypted any more: it was replaced"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    finally:
        os.close(fd)
    return ""


def _proved(proved_s: float | None, last: LastBackup | None) -> Finding:
    file = last.file if last is not None else "FILE"
    remedy = f"sudo portier restore {file} --dry-run; is it lost: sudo portier backup --new-key"
    if proved_s is None:
        return no(
            "backup: nobody has shown that the recovery key is at hand", remedy, "no note of it"
        )
    day = f"{datetime.fromtimestamp(proved_s, UTC):%Y-%m-%d}"
    what = f"backup: the recovery key was at hand on {day}"
    if time.time() - proved_s > PROVED_S:
        return soon(what, f"again: {remedy}", "more than a year ago")
    return yes(what, "noted when it opened an archive")


def _ago(age_s: float) -> str:
    if age_s >= 2 * DAY_S:
        return f"{age_s / DAY_S:.0f} days"
    return (
        f"{max(0.0, age_s) / HOUR_S:.0f} h"
        if age_s >= 2 * HOUR_S
        else (f"{max(0.0, age_s) / 60:.0f} min")
    )
