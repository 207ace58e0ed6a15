"""A backup has all of it, tells nobody what only the key may tell, and never costs an older one."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gateway.backup import archive, contents, make, put_back, target
from gateway.backup.contents import Places
from gateway.backup.key import RecoveryKey
from gateway.backup.make import Wanted
from gateway.backup.records import BackupRecords
from gateway.journal.backup import BackupError
from tests.backup.installed import ADDRESS, PRIVATE, SECRET, files_below, filled, with_key
from tests.backup.test_target import MALLORY, needs_root
from tests.journal.journal_desk import Desk, opened

NEEDLES = (b"needle", ADDRESS.encode(), SECRET.encode(), PRIVATE.encode())
ALWAYS = {"state/journal.sqlite", "state/web/web.sqlite", "state/overlay.yaml",
          "state/accepted-wiring.json", "config/portier.yaml", "config/tls/ca.pem",
          "broker/portier.acl", "broker/portier.conf"}  # fmt: skip


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return filled(tmp_path / "here")


@pytest.fixture
def recovery(places: Places) -> RecoveryKey:
    return with_key(places)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


def unpacked(file: Path, places: Places, recovery: RecoveryKey | None) -> dict[str, bytes]:
    with put_back.unpacked(file, places, recovery) as found:
        return files_below(found.folder)


def test_all_of_it_is_in_an_encrypted_archive(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
    data = made.file.read_bytes()
    assert made.bytes == len(data)
    assert not any(needle in data for needle in NEEDLES)
    found = unpacked(made.file, places, recovery)
    addresses = {name for name in found if name.startswith("state/addresses/")}
    assert found.keys() == ALWAYS | addresses | {
        "config/secrets/caretaker_url",
        "config/tls/ca.key",
        "state/backup/key.json",
    }
    assert [found[name] for name in addresses] == [
        (places.state / "addresses" / name.rpartition("/")[2]).read_bytes() for name in addresses
    ]
    assert len(addresses) == 1
    assert b"needle" not in found["state/journal.sqlite"], "the local lane"


def test_an_archive_that_anybody_can_read_has_no_addresses_secrets_and_keys(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    made = make.to_file(folder / "office.tar.gz", places, Wanted(None))
    found = unpacked(made.file, places, None)
    assert found.keys() == ALWAYS
    assert not any(needle in data for needle in NEEDLES for data in found.values())
    assert recovery.public.seal.hex().encode() not in b"".join(found.values())
    said = " ".join(made.left_out)
    for what in ("1 addresses of people", "caretaker_url: secret", "ca.key: secret", "history"):
        assert what in said


def test_no_log_in_is_in_it_and_the_test_book_is(
    places: Places, recovery: RecoveryKey, folder: Path, tmp_path: Path
) -> None:
    make.to_file(folder / "office.age", places, Wanted(recovery.public))
    (tmp_path / "web.sqlite").write_bytes(
        unpacked(folder / "office.age", places, recovery)["state/web/web.sqlite"]
    )
    with closing(sqlite3.connect(tmp_path / "web.sqlite")) as db:
        rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                for name in ("users", "sessions", "testbook")}  # fmt: skip
    assert rows == {"users": 1, "sessions": 0, "testbook": 1}


def test_what_the_page_changes_while_it_runs_is_whole(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    (places.state / "journal.sqlite").unlink()
    desk = Desk(places.state / "journal.sqlite").start()
    stop = threading.Event()

    def busy() -> None:
        at = 0
        while not stop.is_set():
            at += 1
            desk.append(opened(at))
            stop.wait(0.001)

    writer = threading.Thread(target=busy)
    writer.start()
    desk.until(lambda: len(desk.rows) > 20)
    made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
    stop.set()
    writer.join()
    desk.close()
    with put_back.unpacked(made.file, places, recovery) as found:
        put_back.check_databases(found, ())


def test_the_history_comes_along_where_it_is_asked_for(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    for name in ("record.sqlite", "recorder-main.sqlite"):
        with closing(sqlite3.connect(places.state / "record" / name)) as db:
            db.execute("CREATE TABLE points (x)")
    make.to_file(folder / "office.age", places, Wanted(recovery.public, store=True))
    found = unpacked(folder / "office.age", places, recovery)
    assert [name for name in found if "/record/" in name] == ["state/record/record.sqlite"]


def test_what_is_no_file_is_named_and_a_link_of_the_administrator_is_followed(
    places: Places, recovery: RecoveryKey, folder: Path, tmp_path: Path
) -> None:
    there = places.config.parent
    (tmp_path / "live.pem").write_text("live", encoding="utf-8")
    (there / "tls/web.pem").symlink_to(tmp_path / "live.pem")
    (there / "tls/lost.pem").symlink_to(tmp_path / "nothing")
    os.mkfifo(there / "pipe")
    made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
    found = unpacked(made.file, places, recovery)
    assert found["config/tls/web.pem"] == b"live"
    assert {"config/pipe", "config/tls/lost.pem"}.isdisjoint(found)
    assert f"{there}/pipe: not a file" in made.left_out


@needs_root
@pytest.mark.parametrize(
    "name", ["overlay.yaml", "journal.sqlite", "web/web.sqlite", "addresses", "web"]
)
def test_root_reads_nothing_where_a_link_of_a_role_leads(
    places: Places, recovery: RecoveryKey, folder: Path, tmp_path: Path, name: str
) -> None:
    """Roles own their folders. What a link of theirs leads to would be theirs after a restore."""
    link = places.state / name
    os.rename(link, tmp_path / "there")
    link.symlink_to(tmp_path / "there")
    make.to_file(folder / "office.age", places, Wanted(recovery.public))
    os.chown(link, MALLORY, MALLORY, follow_symlinks=False)
    with pytest.raises(BackupError, match=f"{link.name} is a link to .* another user has made"):
        make.to_file(folder / "second.age", places, Wanted(recovery.public))
    assert [one.name for one in folder.iterdir()] == ["office.age"]


@pytest.mark.parametrize("name", ["journal.sqlite", "web.sqlite"])
def test_root_reads_no_database_that_takes_the_place_of_the_one_it_has_checked(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = folder / "of-somebody-else.sqlite"
    shutil.copy(next(places.state.rglob(name)), other)
    real = target.real_path

    def exchanged(fd: int) -> Path:
        path = real(fd)
        return other if path.name == name else path

    monkeypatch.setattr(target, "real_path", exchanged)
    with pytest.raises(BackupError, match=f"{name} was replaced while it was opened: run this"):
        make.to_file(folder / "office.age", places, Wanted(recovery.public))
    assert not (folder / "office.age").exists()


def test_what_leads_into_the_program_is_none_of_the_configuration(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    """A restore would put the schema of an older version in the place of the link."""
    schema = places.config.parent / "schema.json"
    schema.symlink_to("/opt/portier/current/config/schema.json")
    made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
    assert "config/schema.json" not in unpacked(made.file, places, recovery)
    assert not any("schema.json" in text for text in made.left_out)


@pytest.mark.parametrize("name", ["journal.sqlite", "web/web.sqlite", "record/record.sqlite"])
def test_what_is_damaged_pushes_out_no_older_one(
    places: Places, recovery: RecoveryKey, folder: Path, name: str
) -> None:
    """Nobody notices a page that is not read, and a restore would refuse every archive with it."""
    path = places.state / name
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE rarely_read (x)")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        (page,) = db.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    wanted = Wanted(recovery.public, store=True)
    whole = make.to_folder(folder, "office", 1, places, wanted).file.name
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    with pytest.raises(BackupError, match=f"{path.name} is damaged .* restart Portier"):
        make.to_folder(folder, "office", 1, places, wanted)
    assert [one.name for one in folder.iterdir()] == [whole]


@pytest.mark.parametrize("kind", ["missing", "secret", "of the program"])
def test_what_is_made_can_be_put_back_also_without_a_configuration(
    places: Places, recovery: RecoveryKey, folder: Path, kind: str
) -> None:
    if kind == "secret":
        places.config.write_text(f"# {PRIVATE}", encoding="utf-8")
    else:
        places.config.unlink()
    if kind == "of the program":
        places.config.symlink_to("/opt/portier/current/config/office.yaml")
    for public in (recovery.public, None):
        made = make.to_file(folder / "office.age", places, Wanted(public))
        found = unpacked(made.file, places, recovery if public else None)
        assert "state/journal.sqlite" in found
        if "config/portier.yaml" not in found:
            assert any(str(places.config) in text for text in made.left_out)


def test_a_list_that_the_reader_does_not_take_is_refused_when_it_is_made(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MANIFEST_MOST", 1_000)
    with pytest.raises(BackupError, match="an archive takes 1,000"):
        make.to_file(folder / "office.age", places, Wanted(recovery.public))
    assert list(folder.iterdir()) == []


def test_the_configuration_of_a_checkout_is_not_taken(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    bench = Places(folder / "config/bench.yaml", places.state)
    made = make.to_file(folder / "office.age", bench, Wanted(recovery.public))
    found = unpacked(made.file, places, recovery)
    assert not [name for name in found if name.startswith(("config/", "broker/"))]
    assert any("is no folder of an installation" in text for text in made.left_out)


# --- where it is written ------------------------------------------------------------------


def test_the_place_has_to_be_one_for_it(
    places: Places, recovery: RecoveryKey, folder: Path
) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(places.config)
    for file, why in (
        (folder / "none/office.age", "there is no folder"),
        (folder / "pipe", "is not a file"),
        (folder / "link", "is a link"),
        (places.state / "office.age", "lies in the state folder"),
        (places.state / "web/office.age", "lies in the state folder"),
        (places.config / "office.age", "choose another folder"),
    ):
        with pytest.raises(BackupError, match=why):
            make.to_file(file, places, Wanted(recovery.public))
    assert (folder / "pipe").is_fifo()
    assert not list(folder.glob(".*"))


def test_only_what_is_encrypted_goes_over_a_network(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("nfs4", "fuse.sshfs", "something", ""):
        monkeypatch.setattr(target, "file_system", lambda _, kind=kind: kind)
        with pytest.raises(BackupError, match="leave --unencrypted out"):
            make.to_file(folder / "office.tar.gz", places, Wanted(None))
    assert list(folder.iterdir()) == []
    make.to_file(folder / "office.age", places, Wanted(recovery.public))


def test_without_its_disk_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=f"nothing is mounted at {tmp_path}.*sudo mount"):
        make.check_mount(tmp_path)
    make.check_mount(Path("/"))


# --- older ones ---------------------------------------------------------------------------


def at(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    stamp = f"203001{day:02}T020000Z"
    monkeypatch.setattr(time, "strftime", lambda *_: stamp)


def daily(places: Places, recovery: RecoveryKey, folder: Path, keep: int = 3) -> make.Made:
    return make.to_folder(folder, "office", keep, places, Wanted(recovery.public, by_itself=True))


def test_the_oldest_go_and_nothing_else_does(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["notes.txt", "portier-other-20300101T000000Z.age", "portier-office-2030.age"]
    for name in others:
        (folder / name).touch()
    link = "portier-office-20290101T000000Z.age"
    (folder / link).symlink_to("notes.txt")
    for day in range(1, 6):
        at(monkeypatch, day)
        made = daily(places, recovery, folder)
    assert made.removed == ("portier-office-20300102T020000Z.age",)
    left = {one.name for one in folder.iterdir()} - {*others, link}
    assert left == {f"portier-office-2030010{day}T020000Z.age" for day in (3, 4, 5)}


def test_a_clock_that_was_set_back_removes_nothing(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (5, 6, 7, 2):
        at(monkeypatch, day)
        made = daily(places, recovery, folder, keep=2)
    assert "the clock of this machine is behind" in made.not_removed_because
    assert made.removed == ()
    assert len(list(folder.iterdir())) == 3
    assert made.file.exists(), "the new one is not the oldest that goes"


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_no_older_one(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    first = daily(places, recovery, folder, keep=1)
    before = files_below(places.state / "backup")
    at(monkeypatch, 2)
    for name in ("fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, name, full)
            with pytest.raises(BackupError, match="make room"):
                daily(places, recovery, folder, keep=1)
        assert list(folder.iterdir()) == [first.file]
    with monkeypatch.context() as broken:
        broken.setattr(contents, "ROOM_LEFT", 10**18)
        with pytest.raises(BackupError, match="make room"):
            daily(places, recovery, folder, keep=1)
    assert list(folder.iterdir()) == [first.file]
    assert files_below(places.state / "backup") == before, "nothing is left, and the note stays"


MOMENTS = ("open", "unlink", "replace", "fsync", "fdopen", "link", "listdir", "stat")


def killed_at(name: str, count: int, places: Places, recovery: RecoveryKey, folder: Path) -> bool:
    """Whether a backup came to the ``count``-th call of this function, where its process ended."""
    pid = os.fork()
    if pid == 0:
        real, calls = getattr(os, name), [0]

        def counted(*given: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == count:
                os._exit(9)
            return real(*given, **more)

        setattr(os, name, counted)
        try:
            daily(places, recovery, folder, keep=2)
        except BaseException:  # noqa: BLE001 - this process is a copy of the test
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return os.waitstatus_to_exitcode(status) == 9


@pytest.mark.parametrize("name", MOMENTS)
def test_a_kill_at_any_moment_leaves_the_older_ones_whole_and_the_next_one_works(
    places: Places, recovery: RecoveryKey, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    at(monkeypatch, 1)
    daily(places, recovery, folder)
    first = (folder / "portier-office-20300101T020000Z.age").read_bytes()
    at(monkeypatch, 2)
    for count in (*range(1, 12), *range(12, 60, 4)):
        if not killed_at(name, count, places, recovery, folder):
            break
        archives = sorted(folder.glob("*.age"))
        assert archives[0].read_bytes() == first
        for one in archives:
            with put_back.unpacked(one, places, recovery) as found:
                put_back.check_databases(found, ())
    daily(places, recovery, folder)
    assert not [one.name for one in folder.iterdir() if not one.name.endswith(".age")]
    assert {one.name for one in (places.state / "backup").iterdir()} == {
        *("key.json", "last.json", "lock"),
    }


def test_two_at_once_do_not_meet(places: Places, recovery: RecoveryKey, folder: Path) -> None:
    own = BackupRecords(places.state)
    with own.locked(), pytest.raises(BackupError, match="another backup or restore runs"):
        make.to_file(folder / "office.age", places, Wanted(recovery.public))
    make.to_file(folder / "office.age", places, Wanted(recovery.public))


def test_its_own_folder_is_nobody_elses(places: Places, recovery: RecoveryKey) -> None:
    own = BackupRecords(places.state)
    own.path.chmod(0o777)
    with pytest.raises(BackupError, match="sudo chmod 700"):
        own.prepare()
    own.path.chmod(0o700)
    own.prepare()
    elsewhere = own.path.with_name("elsewhere")
    own.path.rename(elsewhere)
    own.path.symlink_to(elsewhere)
    with pytest.raises(BackupError, match="others may write"):
        own.prepare()


def test_the_notes_do_not_grow(places: Places, recovery: RecoveryKey, folder: Path) -> None:
    sizes = set()
    for _ in range(3):
        made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
        BackupRecords(places.state).store_key_proved(1_800_000_000.5)
        sizes.add(tuple(files_below(places.state / "backup")))
        assert sum(map(len, files_below(places.state / "backup").values())) < 2_000
    assert sizes == {("key.json", "last.json", "lock", "proved.json")}
    assert list(folder.iterdir()) == [made.file]


def test_the_last_one_is_noted(places: Places, recovery: RecoveryKey, folder: Path) -> None:
    made = make.to_file(folder / "office.age", places, Wanted(recovery.public))
    last = BackupRecords(places.state).last()
    assert last is not None
    assert (last.file, last.bytes, last.encrypted) == (str(made.file), made.bytes, True)
    assert abs(last.at_s - time.time()) < 300
