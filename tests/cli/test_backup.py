"""``portier backup`` and ``portier restore``, as people type them, and what ``doctor`` says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.app import paths
from gateway.app.cli import backup as commands
from gateway.app.doctor import backup as doctor
from gateway.app.doctor import broker_files
from gateway.app.findings import Finding
from gateway.backup import make, put_back, target
from gateway.backup.contents import Places
from gateway.backup.records import BackupRecords, LastBackup
from gateway.settings.model.backup import Backup
from gateway.settings.values.problems import SettingsError
from gateway.systemd import NO_ANSWER
from tests.backup.installed import filled, places_in
from tests.cli.test_cli_offline import portier, words
from tests.deploy.test_broker_files import DEBIAN, OURS_BEFORE
from tests.settings.house import SMALL, loaded

KEY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return filled(tmp_path / "here")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "office.age"


def run(places: Places, *arguments: str | Path, typed: str | None = None) -> Result:
    on = ("--config", places.config, "--state", places.state)
    return portier(*arguments, *on, typed=typed)


def shown_key(result: Result) -> str:
    (found,) = KEY.findall(result.output)
    assert isinstance(found, str)
    return found


def backed_up(places: Places, file: Path) -> str:
    """The first backup; the recovery key that it has shown."""
    done = run(places, "backup", file)
    assert done.exit_code == 0, done.output
    return shown_key(done)


def test_the_first_backup_shows_the_key_once_and_a_dry_run_proves_it(
    places: Places, file: Path
) -> None:
    first = run(places, "backup", file)
    key = shown_key(first)
    assert f"Show it with a check that changes nothing: portier restore {file} --dry-run" in words(
        first
    )
    again = run(places, "backup", file)
    assert KEY.search(again.output) is None
    assert "Nobody has shown yet" in words(again)
    stored = b"".join(
        one.read_bytes() for one in (places.state / "backup").iterdir() if one.is_file()
    )
    assert key.encode() not in stored

    other = run(places, "restore", file, "--dry-run", typed=f"{'A' * 70}\n")
    assert other.exit_code == 1
    assert "this is no recovery key" in words(other)
    proved = run(places, "restore", file, "--dry-run", typed=f"{key}\n")
    assert proved.exit_code == 0, proved.output
    said = words(proved)
    for part in ("gateway csg-office", "journal 1 file", "configuration 7 files", "every checksum",
                 "its configuration: read and checked", "The recovery key is proved",
                 "Nothing was changed"):  # fmt: skip
        assert part in said, said
    assert "Nobody has shown yet" not in words(run(places, "backup", file))


def test_a_dry_run_changes_nothing(places: Places, file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"# the office\n{backed_up(places, file)}\n", encoding="ascii")
    new = places_in(tmp_path / "new")
    done = run(new, "restore", file, "--dry-run", "--key", tmp_path / "key")
    assert done.exit_code == 0, done.output
    assert sorted(str(one.relative_to(new.state)) for one in new.state.rglob("*")) == [
        *("backup", "backup/lock")
    ]
    assert list(new.config.parent.iterdir()) == []
    assert "is proved" not in done.output, "it is another machine's key"


def test_a_new_machine_is_one_command_away(places: Places, file: Path, tmp_path: Path) -> None:
    key = backed_up(places, file)
    new = places_in(tmp_path / "new")
    done = run(new, "restore", file, "--key", "-", typed=f"{key}\n")
    assert done.exit_code == 0, done.output
    assert new.config.read_text(encoding="utf-8") == SMALL
    users = portier("user", "list", "--state", new.state)
    assert "anna" in users.output
    assert "The recovery key is proved" in done.output, "this machine goes on with it"
    trail = portier("audit", "list", "--state", new.state)
    assert f"restore csg-office  done  {file}" in trail.output


def test_a_broker_s_file_of_before_does_not_keep_mosquitto_from_starting(
    places: Places, file: Path, tmp_path: Path
) -> None:
    below = "conf.d/portier.conf"
    (places.broker / below).write_text(OURS_BEFORE, encoding="utf-8")
    key = backed_up(places, file)
    new = places_in(tmp_path / "new")
    (new.broker / "mosquitto.conf").write_text(DEBIAN, encoding="utf-8")
    done = run(new, "restore", file, "--key", "-", typed=f"{key}\n")
    assert done.exit_code == 0, done.output
    put_back_text = (new.broker / below).read_text(encoding="utf-8")
    assert broker_files.said_twice(put_back_text, DEBIAN) == {}
    assert f"{new.broker / below}: a line that Mosquitto takes once only" in words(done)


def test_another_key_and_a_cut_archive_are_refused_with_the_remedy(
    places: Places, file: Path, tmp_path: Path
) -> None:
    key = backed_up(places, file)
    other = shown_key(run(places, "backup", tmp_path / "other.age", "--new-key"))
    assert other != key
    refused = run(places, "restore", file, typed=f"{other}\n")
    assert refused.exit_code == 1
    assert "take the one that was shown when the first backup was made" in words(refused)
    assert run(places, "restore", file, "--dry-run", typed=f"{key}\n").exit_code == 0
    assert BackupRecords(places.state).key_proved_at_s() is None, "it is the key of before"
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    cut = run(places, "restore", file, typed=f"{key}\n")
    assert cut.exit_code == 1
    assert "it is not complete, or was changed; take another backup" in words(cut)
    file.write_bytes(b"hello")
    assert "is no backup of Portier" in words(run(places, "restore", file))
    missing = run(places, "restore", file.with_name("none"))
    assert "cannot be read" in words(missing)


def test_unencrypted_is_said_loudly_and_is_put_back_without_a_key(
    places: Places, file: Path, tmp_path: Path
) -> None:
    done = run(places, "backup", file, "--unencrypted")
    assert done.exit_code == 0, done.output
    assert KEY.search(done.output) is None
    assert "WARNING: not encrypted." in words(done)
    assert "not in it: 1 addresses of people that were entered on the page" in done.output
    new = places_in(tmp_path / "new")
    put = run(new, "restore", file)
    assert put.exit_code == 0, put.output
    assert "nothing says who has packed it" in words(put)
    for wrong in (("--unencrypted",), (file, "--unencrypted", "--new-key"), ("--journal",)):
        assert run(places, "backup", *wrong).exit_code == 2


def test_the_journal_alone_is_for_those_who_may_read_no_more(
    places: Places, file: Path, tmp_path: Path
) -> None:
    done = run(places, "backup", file, "--journal")
    assert done.exit_code == 0, done.output
    assert "WARNING: the journal alone" in words(done)
    assert not (places.state / "backup").exists(), "nothing of the machine's own is needed"
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM fact").fetchone()[0] >= 1
    dry = run(places, "restore", file, "--dry-run")
    assert dry.exit_code == 1
    assert "--dry-run is for whole archives" in words(dry)
    new = places_in(tmp_path / "new")
    assert "restored as journal" in run(new, "restore", file).output


def test_the_journal_alone_is_copied_where_there_is_room_for_it(
    places: Places, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to /tmp, which may be in memory."""
    work = tmp_path / "work"
    asked: list[Path] = []
    monkeypatch.setattr(make, "WORK", work)
    monkeypatch.delenv("TMPDIR", raising=False)
    real = shutil.disk_usage

    def usage(folder: Path) -> Any:
        asked.append(folder)
        return real(tmp_path)._replace(free=0 if folder == full else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    full: Path | None = work
    refused = run(places, "backup", file, "--journal")
    assert refused.exit_code == 1
    assert f"MB in {work}, and 0 MB are free; make room" in words(refused)
    full = None
    work.mkdir()
    done = run(places, "backup", file, "--journal")
    assert done.exit_code == 0, done.output
    assert len(asked) == 3, "the target, too"
    assert list(work.iterdir()) == []
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert run(places, "backup", file, "--journal").exit_code == 1


def test_a_part_is_named_or_wrong_usage(places: Places, file: Path, tmp_path: Path) -> None:
    key = backed_up(places, file)
    assert run(places, "restore", file, "--only", "everything", typed=f"{key}\n").exit_code == 2
    new = places_in(tmp_path / "new")
    assert run(new, "restore", file, "--only", "users", typed=f"{key}\n").exit_code == 0
    assert not new.config.exists()
    assert (new.state / "web/web.sqlite").exists()


def test_control_has_to_be_stopped_where_no_systemd_stops_it(
    places: Places, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = backed_up(places, file)
    monkeypatch.setattr("gateway.app.outputs.held", lambda _: True)
    before = places.config.stat().st_mtime_ns
    refused = run(places, "restore", file, typed=f"{key}\n")
    assert refused.exit_code == 1
    assert "control runs on" in words(refused)
    assert places.config.stat().st_mtime_ns == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links to others")
def test_root_writes_through_no_link_of_another_user(places: Places, tmp_path: Path) -> None:
    """Somebody had laid a link to a file of root where the backup was expected."""
    victim = tmp_path / "shadow"
    victim.write_text("root", encoding="utf-8")
    trap = tmp_path / "home"
    trap.mkdir()
    (trap / "office.age").symlink_to(victim)
    (trap / "stick").symlink_to(tmp_path)
    for name in ("office.age", "stick"):
        os.chown(trap / name, 12_345, 12_345, follow_symlinks=False)
    for more in ((), ("--unencrypted",), ("--journal",)):
        for file in (trap / "office.age", trap / "stick/shadow", trap / "stick/new"):
            done = run(places, "backup", file, *more)
            assert done.exit_code == 1
            assert "is a link" in words(done)
    out = portier("export", "--out", trap / "office.age", "--state", places.state)
    assert out.exit_code == 1
    assert "is a link that another user has made" in words(out)
    assert victim.read_text(encoding="utf-8") == "root"
    assert not (tmp_path / "new").exists()


# --- every night --------------------------------------------------------------------------


def configured(places: Places, text: str) -> None:
    places.config.write_text(f"{SMALL}\nbackup: {text}\n", encoding="utf-8")


def test_the_timer_does_nothing_that_nobody_has_asked_for(places: Places, tmp_path: Path) -> None:
    done = run(places, "backup", "--daily")
    assert done.exit_code == 0
    assert "has no backup: section, so none was made" in words(done)
    by_hand = run(places, "backup")
    assert by_hand.exit_code == 1
    assert "write backup: {to: FOLDER}" in words(by_hand)
    (tmp_path / "nas").mkdir()
    configured(places, f"{{to: {tmp_path}/nas, keep: 2}}")
    early = run(places, "backup", "--daily")
    assert early.exit_code == 1
    assert "run `sudo portier backup` once by hand" in words(early)
    assert KEY.search(early.output) is None, "the log is no place for it"
    assert run(places, "backup").exit_code == 0
    assert run(places, "backup", "--daily").exit_code == 0
    found = sorted(one.name for one in (tmp_path / "nas").iterdir())
    assert all(re.fullmatch(r"portier-small-\d{8}T\d{6}Z\.age", name) for name in found), found


def test_without_its_disk_the_timer_fails_and_says_so(places: Places, tmp_path: Path) -> None:
    (tmp_path / "nas/portier").mkdir(parents=True)
    configured(places, f"{{to: {tmp_path}/nas/portier, mount: {tmp_path}/nas}}")
    for more in ((), ("--daily",)):
        done = run(places, "backup", *more)
        assert done.exit_code == 1
    assert f"nothing is mounted at {tmp_path}/nas" in words(run(places, "backup"))
    assert list((tmp_path / "nas/portier").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{to: nas}", "is no absolute path"),
        ("{to: /mnt/../etc}", "is no absolute path"),
        ("{keep: 3}", "backup: to is missing"),
        ("{to: /mnt/nas, keep: 0}", "backup.keep"),
        ("{to: /srv/x, mount: /mnt/nas}", "is not in the mount /mnt/nas"),
        ("{to: /mnt/nas2, mount: /mnt/nas}", "is not in the mount /mnt/nas"),
    ],
)
def test_what_the_configuration_cannot_mean_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"{SMALL}\nbackup: {text}\n")
    assert said in str(caught.value)
    fine = loaded(tmp_path, f"{SMALL}\nbackup: {{to: /mnt/nas/a, mount: /mnt/nas}}\n")
    assert fine.backup is not None
    assert (fine.backup.keep, fine.backup.store) == (14, False)


# --- doctor -------------------------------------------------------------------------------


def findings(places: Places, tmp_path: Path, text: str = "") -> list[Finding]:
    settings = loaded(tmp_path, f"{SMALL}\nbackup: {text}\n" if text else SMALL)
    return list(doctor.examine(settings, places.state))


def test_doctor_says_when_the_last_one_was(
    places: Places, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly = f"{{to: {tmp_path}}}"
    (none,) = findings(places, tmp_path)
    assert none.value == "not_configured"
    assert "sudo portier backup FILE" in none.remedy
    (missing,) = findings(places, tmp_path, nightly)
    assert (missing.value, missing.remedy) == ("no", "sudo portier backup, once by hand")
    key = backed_up(places, file)
    last, proved = findings(places, tmp_path, nightly)
    assert last.value == "yes"
    assert "the last one was 0 min ago" in last.what
    assert "opened just now" in last.evidence
    assert proved.value == "no"
    assert f"restore {file} --dry-run" in proved.remedy
    run(places, "restore", file, "--dry-run", typed=f"{key}\n")
    assert [one.value for one in findings(places, tmp_path, nightly)] == ["yes", "yes"]

    own, now = BackupRecords(places.state), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86_400)
    late, _ = findings(places, tmp_path, nightly)
    assert (late.value, "3 days ago" in late.what) == ("no", True)
    monkeypatch.setattr(time, "time", lambda: now - 3 * 86_400)
    assert findings(places, tmp_path, nightly)[0].value == "unknown", "a clock that was set back"
    monkeypatch.setattr(time, "time", lambda: now)
    (tmp_path / "kept").write_bytes(file.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    whole = file.read_bytes()
    for damage in (file.unlink, lambda: file.write_bytes(whole[:-1]),
                   lambda: file.write_bytes(b"x"), lambda: file.write_bytes(b"x" * len(whole)),
                   lambda: os.replace(tmp_path / "link", file)):  # fmt: skip
        damage()
        assert findings(places, tmp_path, nightly)[0].value == "no"
    own.store_key_proved(now - 500 * 86_400)
    assert "again" in findings(places, tmp_path, nightly)[1].remedy
    own.begin_restore(file)
    assert "a restore was cut short" in findings(places, tmp_path, nightly)[0].what
    own.begin_restore(tmp_path / "newer.age")
    found = findings(places, tmp_path, nightly)[0]
    assert f"2 restores were cut short ({file}, {tmp_path / 'newer.age'})" in found.what
    assert found.remedy.endswith(f"restore {tmp_path / 'newer.age'}")


def test_doctor_names_the_disk_that_is_away(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{{to: {tmp_path}, mount: {tmp_path}}}"
    found = findings(places, tmp_path, text)
    assert f"nothing is mounted at {tmp_path}, so no backup is made" in found[0].what

    def unreadable(_: Path) -> bool:
        raise OSError("no /proc")

    monkeypatch.setattr(target, "is_mounted", unreadable)
    assert findings(places, tmp_path, text)[0].value == "unknown"


def test_doctor_says_nothing_green_of_what_it_cannot_read(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = BackupRecords(places.state)
    own.prepare()
    for text in ("[]", "{}", "no", '{"file": 1}'):
        (own.path / "last.json").write_text(text, encoding="utf-8")
        assert [one.value for one in findings(places, tmp_path)] == ["no"], text

    def denied(_: BackupRecords) -> LastBackup:
        raise PermissionError

    monkeypatch.setattr(BackupRecords, "last", denied)
    (found,) = findings(places, tmp_path)
    assert (found.value, found.remedy) == ("unknown", "sudo portier doctor")


# --- under systemd ------------------------------------------------------------------------


@pytest.fixture
def systemd(places: Places, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """An installation whose services are these words."""
    asked: list[tuple[str, ...]] = []

    def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        states = "active\nactive\nfailed\ninactive\nunknown\n"
        out = states if arguments[0] == "is-active" else ""
        return subprocess.CompletedProcess(arguments, 0, out, "")

    monkeypatch.setattr(commands, "systemctl", systemctl)
    monkeypatch.setattr(commands, "_is_installed", lambda _: True)
    return asked


def test_the_services_are_stopped_meanwhile_and_started_again_whatever_comes(
    places: Places, file: Path, systemd: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = backed_up(places, file)
    running = tuple(f"portier-{role}.service" for role in ("control", "link", "web"))
    started = ("start", "--no-block", *sorted((*running, "portier-notify.service")))
    assert run(places, "restore", file, typed=f"{key}\n").exit_code == 0
    assert ("stop", *running) in systemd
    assert systemd[-1] == started
    assert ("restart", "mosquitto.service") in systemd
    systemd.clear()
    monkeypatch.setattr("gateway.app.outputs.held", lambda _: True)
    assert run(places, "restore", file, typed=f"{key}\n").exit_code == 1
    assert systemd[-1] == started
    systemd.clear()
    assert run(places, "restore", file, "--dry-run", typed=f"{key}\n").exit_code == 0
    assert systemd == []


def test_after_one_that_was_killed_it_says_that_nothing_runs(
    places: Places, file: Path, systemd: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had stopped is stopped, and the next one finds nothing to start again."""
    key = backed_up(places, file)
    monkeypatch.setattr(commands, "_active", list)
    done = run(places, "restore", file, typed=f"{key}\n")
    assert done.exit_code == 0
    assert "Portier was stopped already" in words(done)
    assert "sudo systemctl start portier-control portier-link" in words(done)
    assert systemd == []


def test_a_systemd_that_hangs_ends_with_a_sentence_and_nothing_was_changed(
    places: Places, file: Path, systemd: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = backed_up(places, file)
    before = places.config.read_bytes()
    places.config.write_text("another", encoding="utf-8")

    def hangs(*words: str) -> subprocess.CompletedProcess[str]:
        if words[0] != which:
            return subprocess.CompletedProcess(words, 0, "active\n", "")
        return subprocess.CompletedProcess(words, NO_ANSWER, "", f"systemctl {which} did not end")

    monkeypatch.setattr(commands, "systemctl", hangs)
    for which in ("stop", "is-active"):
        done = run(places, "restore", file, typed=f"{key}\n")
        assert done.exit_code == 1
        assert f"nothing was restored: systemctl {which} did not end" in words(done)
        assert "systemctl list-jobs" in words(done)
        assert places.config.read_bytes() == b"another" != before


def test_a_lost_connection_leaves_no_service_stopped(
    places: Places, file: Path, systemd: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal of the session goes while everything is stopped."""
    key = backed_up(places, file)
    before = signal.getsignal(signal.SIGHUP)
    real = put_back.put_back

    def hung_up(*given: Any) -> Any:
        for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), one)
        return real(*given)

    monkeypatch.setattr(put_back, "put_back", hung_up)
    assert run(places, "restore", file, typed=f"{key}\n").exit_code == 0
    assert systemd[-1][0] == "start"
    assert signal.getsignal(signal.SIGHUP) == before


def test_what_is_cut_short_is_not_called_unchanged(
    places: Places, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = backed_up(places, file)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(put_back, "_database", full)
    done = run(places, "restore", file, typed=f"{key}\n")
    assert done.exit_code == 1
    assert "the restore was cut short: " in done.output
    assert "run the same command again" in words(done)
    for name in ("_write", "locked"):
        with monkeypatch.context() as broken:
            broken.setattr(BackupRecords, name, full)
            again = run(places, "backup", file, "--new-key")
            assert (again.exit_code, again.exception.__class__) == (1, SystemExit), name
            assert "no backup was made: " in again.output
    with monkeypatch.context() as broken:
        broken.setattr(BackupRecords, "locked", full)
        again = run(places, "restore", file, typed=f"{key}\n")
        assert "nothing was restored: " in again.output


def test_a_checkout_is_no_installation(places: Places) -> None:
    assert commands._is_installed(places) is False
    assert commands._is_installed(Places(paths.INSTALLED_CONFIG, places.state)) is False


def test_the_schema_has_the_section() -> None:
    found: Any = json.loads(json.dumps(Backup.model_json_schema()))
    assert set(found["properties"]) == {"to", "mount", "keep", "store"}
