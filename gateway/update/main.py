"""``portier-update``: the steps of an update, of the way back, and of the end."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.systemd import systemctl
from gateway.update import archive, environment, services
from gateway.update.errors import UpdateError, say
from gateway.update.layout import INCOMING, Layout, Pending, Release, order, version_of

LOCK = Path("/run/portier-update.lock")
DATA = (Path("/etc/portier"), Path("/var/lib/portier"))
LAID_DOWN = (
    "/etc/mosquitto/conf.d/portier.conf",
    "/etc/mosquitto/portier.acl",
    "/etc/systemd/journald.conf.d/50-portier.conf",
)
"""By the installer, to be edited; the broker's file names certificates in ``DATA``."""
USERS = tuple(f"portier-{role}" for role in ("control", "link", "web", "notify", "record"))
GROUPS = ("portier", "portier-read", "portier-ticket", "portier-address")
PURGE = "remove everything"
"""What has to be typed before the data go."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    asked = _parser().parse_args(arguments)
    layout = Layout()
    try:
        if asked.list:
            return _list(layout)
        if os.geteuid() != 0:
            raise UpdateError("This needs root.", "Type sudo in front of it.")
        # A lost connection must not end it halfway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with _alone():
            return _do(layout, asked)
    except UpdateError as error:
        sys.stderr.write(f"portier-update: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("portier-update: interrupted; what runs was not changed.\n")
    except OSError as error:
        sys.stderr.write(f"portier-update: {error}\nRun it again: it finishes or takes back.\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portier-update",
        description="Bring Portier up to date, with a way back. What runs is changed only after the"
        " new version has shown that it starts, and comes back by itself if it does not serve.",
    )
    add = parser.add_argument
    add("source", nargs="?", help="a checkout, or an archive portier-VERSION-release.tar.gz")
    add("--wheelhouse", type=Path, metavar="DIR", help="take packages from here, without a network")
    add("--unsigned", action="store_true", help="take an archive that nobody has signed")
    add("--older", action="store_true", help="take a version that is older than the one that runs")
    add("--dry-run", action="store_true", help="build and check it, and change nothing that runs")
    add("--restart", action="store_true", help="start everything anew, also where nothing is new")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--rollback", action="store_true", help="go back to the version before")
    what.add_argument("--list", action="store_true", help="list the versions that are there")
    what.add_argument("--uninstall", action="store_true", help="remove the program, not the data")
    what.add_argument("--finish", action="store_true", help="finish an update that was cut short")
    add("--purge", action="store_true", help="with --uninstall: the data and /etc/portier, too")
    return parser


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with LOCK.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UpdateError(
                f"Another update is running (process {lock.read().strip() or 'unknown'}).",
                "Wait until it has ended.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _do(layout: Layout, asked: argparse.Namespace) -> int:
    if asked.uninstall:
        return _uninstall(layout, purge=asked.purge)
    finished = _finish(layout)
    if asked.finish:
        return finished
    if asked.rollback:
        return _rollback(layout)
    for left in layout.half_built():
        say(f"removing {left}, which an update has left half built")
        layout.remove(left)
    return _update(layout, asked)


# --- an update ------------------------------------------------------------------------------


def _update(layout: Layout, asked: argparse.Namespace) -> int:
    if asked.wheelhouse is not None and not asked.wheelhouse.is_dir():
        raise UpdateError(f"There is no folder {asked.wheelhouse}.", "Name one that holds wheels.")
    layout.releases.mkdir(parents=True, exist_ok=True)
    with _source(layout, asked) as source:
        digest, version = archive.digest(source), version_of(source)
        running = layout.current()
        if running is None and layout.in_place() and not asked.dry_run:
            running = _take_over(layout, asked.wheelhouse)
        if running and not asked.older and order(version) < order(running.version):
            raise UpdateError(
                f"{version} is older than {running.version}, which runs.",
                "To the version before: portier-update --rollback. To this one: --older.",
            )
        there = next((one for one in layout.all() if one.digest == digest), None)
        if there is not None and running == there and not (asked.restart or asked.dry_run):
            if services.serves(there):
                say(f"Portier {version} runs already; nothing to do")
                return 0
            say(f"Portier {version} is installed and does not serve; it is started anew")
        wheels = asked.wheelhouse or _wheels(source)
        release = there or environment.build(layout, source, digest, wheels)
    if running is None and not asked.dry_run:
        return _first(layout, release)
    _checked(layout, release, new=there is None)
    if running is None or asked.dry_run:
        if there is None:
            layout.remove(release.folder)
        say(f"Portier {version} can be installed; nothing was changed")
        return 0
    if running == release:
        services.enable(services.lay_units(layout, release), release)
        services.start(release, all_of_them=True)
        return _served(release, services.ROLES, ())
    return _switch(layout, release, running)


def _checked(layout: Layout, release: Release, *, new: bool) -> None:
    try:
        environment.check(release)
    except UpdateError:
        if new:
            layout.remove(release.folder)
        raise


def _wheels(source: Path) -> Path | None:
    """What an archive brings along."""
    found = source / archive.WHEELHOUSE
    return found if found.is_dir() else None


@contextlib.contextmanager
def _source(layout: Layout, asked: argparse.Namespace) -> Iterator[Path]:
    """The folder of what is to be installed, an archive unpacked."""
    given = asked.source or _own_checkout(layout)
    path = Path(given).resolve()
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise UpdateError(f"There is no {given}.", "Name a checkout or an archive.")
    with tempfile.TemporaryDirectory(prefix=INCOMING, dir=layout.home) as name:
        folder = Path(name)
        # Judged and unpacked is this copy, which nobody else can change.
        copy = folder / path.name
        shutil.copyfile(path, copy)
        signature = path.with_name(f"{path.name}.sig")
        if asked.unsigned:
            say(f"WARNING: who made {path.name} is not checked (--unsigned)")
        else:
            running = layout.current()
            shipped = [running.folder / archive.SHIPPED_SIGNERS] if running else []
            who = archive.verify(copy, signature, [archive.SIGNERS, *shipped])
            say(f"{path.name} is signed by {who}")
        unpacked = archive.unpack(copy, folder)
        copy.unlink()
        yield unpacked


def _own_checkout(layout: Layout) -> str:
    """The checkout that this very file is in."""
    here = Path(__file__).resolve().parents[2]
    if here.is_relative_to(layout.home):
        raise UpdateError(
            "An update of what?", "portier-update ARCHIVE, or portier-update CHECKOUT; see --help."
        )
    return str(here)


def _take_over(layout: Layout, wheelhouse: Path | None) -> Release:
    """Make a release of an installation of before releases. Raises :class:`UpdateError`."""
    say(f"the installation in {layout.home} becomes a release, so that there is a way back")
    with tempfile.TemporaryDirectory(prefix=INCOMING, dir=layout.home) as name:
        source = Path(name)
        for part in archive.PARTS:
            if (layout.home / part).is_dir():
                shutil.copytree(layout.home / part, source / part, ignore=archive.ignore)
            elif (layout.home / part).is_file():
                shutil.copy2(layout.home / part, source / part)
        services.keep_units(source)
        digest = archive.digest(source)
        known = next((one for one in layout.all() if one.digest == digest), None)
        release = known or environment.build(layout, source, digest, wheelhouse)
    layout.make_current(release)
    services.lay_units(layout, release)
    return release


def _first(layout: Layout, release: Release) -> int:
    """The first installation: there is nothing to go back to."""
    layout.make_current(release)
    services.lay_system_files(release)
    services.enable(services.lay_units(layout, release), release)
    try:
        environment.check(release)
    except UpdateError as error:
        raise UpdateError(f"Installed, not started. {error.wrong}", error.remedy) from None
    environment.make_plan(release)
    services.start(release, all_of_them=True)
    return _served(release, services.ROLES, ())


def _served(release: Release, wanted: Sequence[str], before: Sequence[str]) -> int:
    wrong = services.wait_until_served(release, wanted, before)
    if wrong:
        raise UpdateError(
            f"Portier {release.version} was started and does not serve: " + "; ".join(wrong),
            "sudo portier doctor says what keeps it from working.",
        )
    say(f"Portier {release.version} serves")
    return 0


def _switch(layout: Layout, release: Release, running: Release) -> int:
    """Let another release run, and go back where it does not serve."""
    services.lay_system_files(release)
    environment.make_plan(release)
    pending = Pending(release.name, running.name, services.active(), services.sound())
    _not_interrupted()
    layout.begin(pending)
    layout.make_current(release)
    return _settle(layout, pending)


def _not_interrupted() -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)


def _finish(layout: Layout) -> int:
    """An update was cut short after it had begun to switch. The exit status."""
    pending = layout.pending()
    if pending is None:
        return 0
    say("an update was cut short; it is finished first")
    _not_interrupted()
    current = layout.current()
    if current is not None and current.name == pending.to:
        try:
            return _settle(layout, pending)
        except UpdateError as error:
            sys.stderr.write(f"portier-update: {error}\n")
            return 1
    if current is not None:
        _start(layout, current)
        say(f"the update to {pending.to} did not take place; Portier {current.version} runs")
    layout.end()
    return 0


def _start(layout: Layout, release: Release) -> None:
    new = services.lay_units(layout, release)
    services.enable(new, release)
    services.start(release, new)


def _settle(layout: Layout, pending: Pending) -> int:
    """Start what was switched to, wait until it serves, and go back if it does not."""
    new, back = layout.named(pending.to), layout.named(pending.back)
    if new is None or back is None:
        layout.end()
        raise UpdateError("A version of this update is missing.", "sudo portier-update CHECKOUT")
    _start(layout, new)
    wrong = services.wait_until_served(new, pending.roles, pending.guarantees)
    if not wrong:
        layout.make_previous(back)
        layout.end()
        say(f"Portier {new.version} serves")
        _tidy(layout)
        return 0
    say(f"Portier {new.version} does not serve: {'; '.join(wrong)}")
    say(f"going back to {back.version}")
    layout.make_current(back)
    _start(layout, back)
    still = services.wait_until_served(back, pending.roles, ())
    layout.end()
    if new != layout.previous():
        layout.remove(new.folder)
    after = f" It does not serve either: {'; '.join(still)}" if still else ""
    raise UpdateError(
        f"Portier {new.version} does not serve; {back.version} runs again.{after}",
        f"Why: {'; '.join(wrong)}. Report this with the log: journalctl -u 'portier-*'",
    )


def _tidy(layout: Layout) -> None:
    """What runs and the one before stay."""
    for one in layout.superfluous(layout.current(), layout.previous()):
        say(f"removing {one.name}")
        layout.remove(one.folder)
    if layout.in_place():
        layout.remove_in_place(archive.PARTS)


def _rollback(layout: Layout) -> int:
    running, before = layout.current(), layout.previous()
    if running is None or before is None:
        raise UpdateError("There is no version to go back to.", "portier-update --list")
    say(f"back from {running.version} to {before.version}")
    environment.check(before)
    return _switch(layout, before, running)


def _list(layout: Layout) -> int:
    current, previous = layout.current(), layout.previous()
    for one in layout.all():
        what = {current: "runs", previous: "the way back"}.get(one, "")
        sys.stdout.write(f"{one.name:<24} {what}".rstrip() + "\n")
    for left in layout.half_built():
        sys.stdout.write(f"{left.name:<24} half built; the next update removes it\n")
    return 0


# --- the end --------------------------------------------------------------------------------


def _uninstall(layout: Layout, *, purge: bool) -> int:
    if purge and not _confirmed():
        raise UpdateError("Nothing was removed.", f"Type exactly: {PURGE}")
    units = services.linked(layout)
    if units:
        systemctl("disable", "-q", "--now", *(unit.name for unit in units))
    for unit in units:
        unit.unlink(missing_ok=True)
    for file in (*services.COMMANDS, *services.SYSTEM_FILES.values()):
        Path(file).unlink(missing_ok=True)
    systemctl("daemon-reload")
    # A unit that had failed would be listed until the machine starts anew.
    systemctl("reset-failed", "portier-*")
    shutil.rmtree(layout.home, ignore_errors=True)
    say(f"the program is removed from {layout.home}")
    if not purge:
        say("/etc/portier, /var/lib/portier and the broker's files are kept; with --purge they go")
    else:
        for folder in DATA:
            shutil.rmtree(folder, ignore_errors=True)
        for file in LAID_DOWN:
            Path(file).unlink(missing_ok=True)
        systemctl("try-restart", "mosquitto", "systemd-journald")
        for user in USERS:
            subprocess.run(["userdel", user], capture_output=True, check=False)
        for group in GROUPS:
            subprocess.run(["groupdel", group], capture_output=True, check=False)
        say("configuration, certificates, journal, users and recordings are removed")
    return 0


def _confirmed() -> bool:
    folders = " and ".join(str(one) for one in DATA)
    sys.stdout.write(
        f"This removes {folders}: configuration, certificates, journal, users, recordings.\n"
        "The broker on this machine no longer lets anybody in with these certificates.\n"
        f"There is no way back. Type: {PURGE}\n> "
    )
    sys.stdout.flush()
    return sys.stdin.readline().strip() == PURGE
