"""Commands that save a whole gateway and put it back: backup, restore."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.app import paths
from gateway.app.cli import console as c
from gateway.app.cli.console import Config, State
from gateway.app.doctor import broker_files
from gateway.backup import key as recovery_key
from gateway.backup import make, put_back
from gateway.backup.contents import PARTS, Places, part_of
from gateway.backup.key import PublicKey, RecoveryKey
from gateway.backup.records import BackupRecords
from gateway.journal.backup import BackupError, CallStands, TakesPlaceLater
from gateway.printable import in_a_line
from gateway.settings.values.problems import SettingsError
from gateway.systemd import NO_ANSWER, systemctl

if TYPE_CHECKING:
    from gateway.settings.model.backup import Backup

UNITS = tuple(f"portier-{role}.service" for role in ("control", "link", "web", "record", "notify"))
MAY_END = "portier-notify.service"
"""It ends by itself where there is nobody to notify; after a restore there may be."""
BROKER_UNIT = "mosquitto.service"
_INTERRUPTS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


def add(cli: typer.Typer) -> None:
    cli.command()(backup)
    cli.command()(restore)


# --- backup -----------------------------------------------------------------------------


def backup(
    config: Config,
    state: State,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The archive.",
            show_default="a new one in the folder that backup: names",
        ),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="With the history of the recorder, where it is SQLite.")
    ] = False,
    unencrypted: Annotated[
        bool,
        typer.Option(
            "--unencrypted",
            help="Not encrypted, without addresses, secrets and private keys; on a disk of this"
            " machine only.",
        ),
    ] = False,
    journal: Annotated[
        bool,
        typer.Option(
            "--journal", help="The journal alone, not encrypted: for people who may only read that."
        ),
    ] = False,
    new_key: Annotated[
        bool,
        typer.Option("--new-key", help="Make a new recovery key, where the old one is lost."),
    ] = False,
    daily: Annotated[
        bool, typer.Option("--daily", help="For the timer: does nothing without backup:.")
    ] = False,
) -> None:
    """Save the whole gateway in one encrypted archive while everything goes on.

    The first time it shows the recovery key, without which nobody can read the archive. What
    sensors see of people in rooms is not in it, and no log-in.

    Examples: `sudo portier backup /media/stick/office.age` · `sudo portier backup`
    """
    places = Places(config, state)
    if journal:
        if file is None or unencrypted or new_key or store:
            raise typer.BadParameter("--journal takes a FILE and no other option")
        _journal_alone(file, places)
        return
    if unencrypted and (file is None or new_key):
        raise typer.BadParameter("--unencrypted takes a FILE, and no key")
    wanted = None if file is not None else _configured(config, state)
    if file is None and wanted is None:
        if daily:
            c.out.print(f"{config} has no backup: section, so none was made")
            return
        c.fail(
            "no file is named. Name one (portier backup /media/stick/office.age), or write backup: "
            f"{{to: FOLDER}} into {config} for one every night"
        )
    try:
        public = None if unencrypted else _public_key(places, new=new_key, may_show=not daily)
        chosen = make.Wanted(public, store or (wanted is not None and wanted[1].store), daily)
        with _progress(file.name if file else "backup") as progress:
            if file is not None:
                made = make.to_file(file, places, chosen, progress)
            elif wanted is not None:
                gateway, there = wanted
                if there.mount is not None:
                    make.check_mount(there.mount)
                made = make.to_folder(there.to, gateway, there.keep, places, chosen, progress)
    except (BackupError, OSError) as error:
        c.fail(f"no backup was made: {error}{_disk(error)}")
    _say(made, encrypted=public is not None)
    if public is not None:
        _remind(BackupRecords(state), made.file)


def _configured(config: Path, state: Path) -> tuple[str, Backup] | None:
    """The gateway's id and ``backup:``; ``None``: there is none."""
    from gateway.app.configuration import load

    settings = load.settings(config, state, need=())
    return None if settings.backup is None else (settings.gateway.id, settings.backup)


@contextmanager
def _progress(name: str) -> Iterator[make.Progress]:
    with c.progress() as shown:
        task = shown.add_task(in_a_line(name), total=1.0)
        yield lambda done: shown.update(task, completed=done)


def _public_key(places: Places, *, new: bool, may_show: bool) -> PublicKey:
    """The key of this machine; made and shown where there is none."""
    own = BackupRecords(places.state)
    own.prepare()
    try:
        public = own.public_key()
    except (OSError, ValueError) as error:
        raise BackupError(
            f"{own.path / 'key.json'} cannot be read ({error}): `portier backup --new-key` makes "
            "another one"
        ) from error
    if public is not None and not new:
        return public
    if not may_show:
        raise BackupError(
            "there is no recovery key yet, and only a person may see it: run `sudo portier backup` "
            "once by hand"
        )
    made = recovery_key.new()
    with own.locked():
        # Shown before it is stored, so that nothing is encrypted for a key that nobody has seen.
        c.out.print(
            "The recovery key, which is shown now and never again:\n\n"
            f"    {made.text}\n\n"
            "Keep it away from this machine, on paper or in a password safe. Without it nobody\n"
            "can read a backup, and with it everybody can.",
            soft_wrap=True,
        )
        sys.stdout.flush()
        own.store_key(made.public)
    return made.public


def _say(made: make.Made, *, encrypted: bool) -> None:
    c.out.print(f"{made.file}: {made.bytes:,} bytes, {made.files} files", soft_wrap=True)
    for text in made.left_out:
        c.line(f"not in it: {text}")
    if made.removed:
        c.line(f"removed: {', '.join(made.removed)}")
    if made.not_removed_because:
        c.err.print(
            f"no older one was removed: {made.not_removed_because}", style="yellow", soft_wrap=True
        )
    if not encrypted:
        c.err.print(
            "WARNING: not encrypted. Whoever has this file reads who did what, and the check values"
            " of passwords and second factors. Leave --unencrypted out, or lock the file away.",
            style="yellow",
            soft_wrap=True,
        )


def _remind(own: BackupRecords, file: Path) -> None:
    try:
        proved = own.key_proved_at_s()
    except (OSError, ValueError, KeyError, TypeError):
        proved = None
    if proved is None:
        c.err.print(
            "Nobody has shown yet that the recovery key is at hand. Show it with a check that "
            f"changes nothing: portier restore {file} --dry-run\n"
            "Is it lost? `portier backup --new-key` makes another one.",
            style="yellow",
            soft_wrap=True,
        )


def _journal_alone(file: Path, places: Places) -> None:
    try:
        with _progress(file.name) as progress:
            size = make.journal_to_file(file, places, progress)
    except BackupError as error:
        c.fail(f"no backup was made: {error}")
    c.out.print(f"{file}: {size:,} bytes", soft_wrap=True)
    c.err.print(
        "WARNING: the journal alone, and not encrypted: who did what and when. The whole gateway: "
        "sudo portier backup FILE",
        style="yellow",
        soft_wrap=True,
    )


# --- restore ----------------------------------------------------------------------------


def _parts(names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in PARTS:
            raise typer.BadParameter(f"{name} is none of {', '.join(PARTS)}")
    return names or []


def restore(
    config: Config,
    state: State,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive.")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEYFILE", help="A file with the recovery key; - reads it from standard input."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check all of it, and change nothing.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART", help=f"Only this of {', '.join(PARTS)}; repeatable.", callback=_parts
        ),
    ] = None,
    keep_calls: Annotated[
        bool, typer.Option("--keep-calls", help="Also while a call stands: it stands on.")
    ] = False,
) -> None:
    """Put a whole gateway back, on this machine or a new one.

    All of the archive is checked before anything changes. Where Portier is installed, its services
    are stopped meanwhile and started again. What is replaced is set aside. Alarms of now stay, and
    so do the modes that staff have set; no mode of a backup opens a door. While a call stands
    nothing is restored, unless you say --keep-calls: the call then stays, too.

    A journal alone (of --journal, or one that was set aside) is put back as well; the gateway has
    to be stopped for that.

    Examples: `sudo portier restore office.age --dry-run` · `sudo portier restore office.age`
    """
    places = Places(config, state)
    parts = only or []
    try:
        head = put_back.head_of(file)
        if head.startswith(put_back.SQLITE_HEAD):
            _restore_journal(file, places, dry_run=dry_run, keep_calls=keep_calls)
            return
        recovery = _recovery_key(key) if head == recovery_key.HEAD else None
        if recovery is None and not head.startswith(put_back.GZIP_HEAD):
            raise BackupError(f"{file} is no backup of Portier; choose another file")
        with (
            _progress(file.name) as progress,
            put_back.unpacked(file, places, recovery, progress) as found,
        ):
            _judge(found, parts)
            _show(found, places, parts)
            if dry_run:
                _prove(BackupRecords(state), recovery)
                c.out.print("Nothing was changed. Without --dry-run it is put back.")
                return
            if recovery is None:
                c.err.print(
                    "WARNING: not encrypted, so nothing says who has packed it.", style="yellow"
                )
            with _stopped(places):
                said = put_back.put_back(found, places, _start(keep_calls=keep_calls), parts)
                said += _settled_broker(places)
    except CallStands as error:
        c.fail(_call_stands(error))
    except put_back.CutShort as error:
        c.fail(f"the restore was cut short: {error}")
    except TakesPlaceLater as error:
        c.fail(f"{error}: sudo portier doctor looks at the disk")
    except (BackupError, OSError) as error:
        c.fail(f"nothing was restored: {error}{_disk(error)}")
    for text in said:
        c.line(text)
    _prove(BackupRecords(state), recovery)
    c.out.print(f"restored from {file}")


def _disk(error: Exception) -> str:
    """The remedy for an error of the disk; other errors name their own."""
    return ": sudo portier doctor looks at the disk" if isinstance(error, OSError) else ""


def _settled_broker(places: Places) -> list[str]:
    """Let Mosquitto start with a file of before that sets what Debian's own sets, too."""
    if not places.has_broker:
        return []
    try:
        changed = broker_files.settle(places.broker / "conf.d/portier.conf")
    except (OSError, ValueError) as error:
        return [f"the broker's files could not be compared ({error}): sudo portier doctor"]
    return [f"{one}: a line that Mosquitto takes once only was in two files" for one in changed]


def _recovery_key(file: Path | None) -> RecoveryKey:
    if file is not None and str(file) != "-":
        try:
            return recovery_key.read(file.read_text(encoding="ascii", errors="replace"))
        except OSError as error:
            raise BackupError(
                f"the recovery key in {file} cannot be read ({error.strerror})"
            ) from error
    if file is None and sys.stdin.isatty():
        import getpass

        return recovery_key.read(getpass.getpass("Recovery key: "))
    return recovery_key.read(sys.stdin.readline())


def _judge(found: put_back.Unpacked, parts: Collection[str]) -> None:
    """Check that this version can use what is in it. Raises :class:`BackupError`."""
    from gateway.app import formats

    put_back.check_databases(found, parts)
    unknown, unread = formats.unknown_files(found.state)
    for error in unknown:
        raise BackupError(f"{error.what} in it is of format {error.found}: {error.remedy}")
    for path, reason in unread.items():
        raise BackupError(f"{path.name} in it cannot be used ({reason}): take another backup")


def _show(found: put_back.Unpacked, places: Places, parts: Collection[str]) -> None:
    manifest = found.manifest
    at = datetime.fromtimestamp(manifest.at_s, UTC).astimezone(c.zone())
    members = found.wanted(parts)
    c.out.print(
        f"{found.file}: gateway {manifest.gateway}, {at:%Y-%m-%d %H:%M %Z}, Portier "
        f"{manifest.version}; every checksum is right",
        soft_wrap=True,
    )
    for part in PARTS:
        mine = [one for one in members if part_of(one.name) == part]
        if mine:
            size = sum(one.size for one in mine)
            count = f"{len(mine)} file{'s' * (len(mine) != 1)}"
            c.out.print(f"  {part:14} {count}, {size:,} bytes")
    for text in manifest.left_out:
        c.line(f"  not in it: {text}")
    _configuration(found, places)


def _configuration(found: put_back.Unpacked, places: Places) -> None:
    """Say what is wrong with the configuration in it; that does not stop the restore."""
    from gateway.app.configuration import load, people

    if found.config is None:
        return
    if not places.has_config_folder:
        c.line(
            f"  left out: the configuration, because {places.config} is not "
            f"{paths.INSTALLED_CONFIG}; install Portier first, or name it with --config"
        )
        return
    try:
        load.settings(found.config, found.state, judge=people.judge)
    except SettingsError as error:
        c.err.print(
            f"the configuration in it has {len(error.problems)} errors for this version, the "
            f"first: {error.problems[0].key}: {error.problems[0].message}; "
            f"afterwards: portier check {places.config}",
            style="yellow",
            soft_wrap=True,
        )
    else:
        c.line("  its configuration: read and checked")


def _prove(own: BackupRecords, recovery: RecoveryKey | None) -> None:
    """Note that the recovery key is at hand, if it is the one of this machine's backups."""
    try:
        if recovery is None or own.public_key() != recovery.public:
            return
        own.store_key_proved(time.time())
    except (OSError, ValueError) as error:
        c.err.print(f"that the key is at hand could not be noted: {error}", style="yellow")
    else:
        c.out.print("The recovery key is proved: it opens the backups of this machine.")


def _start(*, keep_calls: bool) -> put_back.Start:
    from gateway.control.clock import Clock, boot

    clock = Clock()
    return put_back.Start(boot(clock), clock.utc_offset_ms(), keep_calls)


@contextmanager
def _stopped(places: Places) -> Iterator[None]:
    """Run the block while no role runs. Services are stopped before and started again after it,
    even after an error. Raises :class:`BackupError` where ``control`` runs without systemd."""
    from gateway.app.outputs import held

    installed = _is_installed(places)
    running = _active() if installed else []
    if running:
        c.out.print("stopping Portier; the doors' own buttons go on working")
    # A lost connection must not leave the services stopped.
    before = {one: signal.signal(one, signal.SIG_IGN) for one in _INTERRUPTS}
    try:
        if running:
            done = systemctl("stop", *running)
            if done.returncode == NO_ANSWER:
                raise BackupError(f"{done.stderr}; look at it first: systemctl list-jobs")
        try:
            held_here = held(places.state)
        except OSError as error:
            raise BackupError(f"it cannot be checked whether control runs ({error})") from error
        if held_here:
            raise BackupError(
                f"control runs on {places.state}; stop it first (systemctl stop portier-control)"
            )
        yield
    finally:
        if running:
            if systemctl("is-active", BROKER_UNIT).returncode == 0:
                systemctl("restart", BROKER_UNIT)  # its certificates may have changed
            wanted = sorted({*running, MAY_END})
            systemctl("reset-failed", *wanted)
            done = systemctl("start", "--no-block", *wanted)
            if done.returncode != 0:
                c.err.print(
                    f"Portier did not start: {done.stderr.strip()}; systemctl status 'portier-*'",
                    style="yellow",
                    soft_wrap=True,
                )
        elif installed:  # by hand, or a restore before was killed
            c.err.print(
                "Portier was stopped already, and nobody starts it now: sudo systemctl start "
                f"{' '.join(unit.removesuffix('.service') for unit in UNITS)}",
                style="yellow",
                soft_wrap=True,
            )
        for one, handler in before.items():
            signal.signal(one, handler)


def _is_installed(places: Places) -> bool:
    return (
        places.config == paths.INSTALLED_CONFIG
        and places.state == paths.INSTALLED_STATE
        and os.geteuid() == 0
        and shutil.which("systemctl") is not None
        and Path("/run/systemd/system").is_dir()
    )


def _active() -> list[str]:
    """The services that run. Raises :class:`BackupError` where systemd does not say so."""
    done = systemctl("is-active", *UNITS)
    if done.returncode == NO_ANSWER:
        raise BackupError(f"{done.stderr}, so it is not known what runs: systemctl list-jobs")
    states = done.stdout.split()
    idle = ("inactive", "unknown")
    return [unit for unit, state in zip(UNITS, states, strict=False) if state not in idle]


def _call_stands(error: CallStands) -> str:
    return (
        f"nothing was restored: {error}. Start the gateway, which reads it again, and end the "
        "call in its room; or add --keep-calls: the present call then stays"
    )


def _restore_journal(file: Path, places: Places, *, dry_run: bool, keep_calls: bool) -> None:
    """Put a journal alone in the place of the present one."""
    from gateway.app.outputs import held
    from gateway.journal.backup import restore as put_journal_back

    target = places.state / "journal.sqlite"
    if dry_run:
        raise BackupError(
            "it is a journal alone, and --dry-run is for whole archives; without it the present "
            "journal is set aside, not deleted"
        )
    try:
        if held(places.state):
            raise BackupError(
                f"control runs on {places.state}; stop it first (systemctl stop portier-control)"
            )
        places.state.mkdir(parents=True, exist_ok=True)
        start = _start(keep_calls=keep_calls)
        journal = put_journal_back(
            file, target, start.boot, start.utc_offset_ms, keep_calls=start.keep_calls
        )
        paths.give(target)
    except OSError as error:
        raise BackupError(str(error)) from error
    c.out.print(f"restored as journal {journal}")
