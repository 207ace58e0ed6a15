"""A backup on an empty machine is the gateway that it was; on another nothing is mixed or lost."""

from __future__ import annotations

import grp
import io
import os
import pwd
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from gateway import set_aside
from gateway.backup import archive, key, make, put_back
from gateway.backup.contents import Places
from gateway.backup.make import Wanted
from gateway.backup.records import BackupRecords
from gateway.core.facts import Json
from gateway.journal import backup as journal_backup
from gateway.journal.backup import BackupError, CallStands
from gateway.journal.store import Store
from gateway.settings.editing.addresses import Addresses
from gateway.settings.editing.file import Store as Overlay
from gateway.web.identity.users import Users, users_file
from gateway.web.storage.testbook import TestBook
from tests.backup.installed import (
    ADDRESS,
    PASSWORD,
    files_below,
    filled,
    places_in,
    with_key,
)
from tests.backup.test_archive import encrypted, packed
from tests.backup.test_target import MALLORY, needs_root
from tests.journal.journal_desk import opened, read, work

CALLS: dict[str, Json] = {"format": 1, "calls": {"wc": {"number": 1, "call": {"id": "wc-1"}}}}


@pytest.fixture
def old(tmp_path: Path) -> Places:
    return filled(tmp_path / "old")


@pytest.fixture
def recovery(old: Places) -> key.RecoveryKey:
    return with_key(old)


@pytest.fixture
def file(old: Places, recovery: key.RecoveryKey, tmp_path: Path) -> Path:
    return make.to_file(tmp_path / "office.age", old, Wanted(recovery.public)).file


@pytest.fixture
def new(tmp_path: Path) -> Places:
    return places_in(tmp_path / "new")


def put(file: Path, places: Places, recovery: key.RecoveryKey | None, *only: str,
        keep_calls: bool = False) -> list[str]:  # fmt: skip
    start = put_back.Start("boot-9", None, keep_calls)
    with put_back.unpacked(file, places, recovery) as found:
        return put_back.put_back(found, places, start, only)


def test_an_empty_machine_becomes_the_gateway_that_it_was(
    old: Places, new: Places, recovery: key.RecoveryKey, file: Path
) -> None:
    put(file, new, recovery)
    assert files_below(new.config.parent) == files_below(old.config.parent)
    assert files_below(new.broker) == files_below(old.broker)
    assert (new.config.parent / "tls/ca.key").stat().st_mode & 0o777 == 0o600
    kinds = [row.kind for row in read(new.state / "journal.sqlite").lane("urgent", 1, 9)]
    assert kinds == ["gateway_started", "door_opened", "journal_recovered"]
    with closing(Users(users_file(new.state))) as users:
        anna = users.by_name("anna")
        assert users.verify("anna", PASSWORD) == anna
        assert users.list_sessions(anna.id) == []
    assert len(TestBook(users_file(new.state)).signed_pages(10)) == 1
    (id,) = (one.name for one in (new.state / "addresses").iterdir())
    assert Addresses(new.state).masked(id) == Addresses(old.state).masked(id) != ("", "")
    assert ADDRESS.encode() in (new.state / "addresses" / id).read_bytes()
    assert (new.state / "overlay.yaml").read_bytes() == (old.state / "overlay.yaml").read_bytes()
    assert BackupRecords(new.state).public_key() == recovery.public, "it goes on with the same key"
    assert sorted(one.name for one in (new.state / "backup").iterdir()) == ["key.json", "lock"]


def test_twice_is_the_same_as_once(new: Places, recovery: key.RecoveryKey, file: Path) -> None:
    put(file, new, recovery)
    before = files_below(new.config.parent), files_below(new.broker)
    put(file, new, recovery)
    assert (files_below(new.config.parent), files_below(new.broker)) == before


def test_what_is_replaced_stays_beside_it(
    old: Places, recovery: key.RecoveryKey, file: Path
) -> None:
    (old.config.parent / "secrets/caretaker_url").write_text("changed since", encoding="utf-8")
    (old.config.parent / "secrets/new_one").write_text("new", encoding="utf-8")
    with closing(Users(users_file(old.state))) as users:
        users.add_user("berta", "staff", PASSWORD)
    overlay = Overlay(old.state / "overlay.yaml")
    overlay.write("# cli 2026-12-01T00:00:00Z\n", 1)
    version = overlay.version()
    put(file, old, recovery)
    put(file, old, recovery)
    there = old.config.parent / "secrets"
    assert sorted(one.name for one in there.iterdir()) == [
        *("caretaker_url", "caretaker_url.before-restore", "new_one"),
    ]
    assert (there / "caretaker_url.before-restore").read_text(encoding="utf-8") == "changed since"
    with closing(Users(users_file(old.state))) as users:
        assert [one.name for one in users.list_users()] == ["anna"]
    away = set_aside.found(users_file(old.state))
    assert [set_aside.mark_of(one) for one in away] == [set_aside.SEEN], "the second is the same"
    assert overlay.version() != version
    assert overlay.old(version) == b"# cli 2026-12-01T00:00:00Z\n", "undo on the page"


def test_files_get_the_owners_that_they_had_by_name(
    old: Places, new: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    monkeypatch.setattr(os, "geteuid", os.getuid)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"root": pwd.getpwuid(0)}[name])
    named = grp.struct_group(("portier-notify", "x", 4_242, []))
    monkeypatch.setattr(grp, "getgrnam", lambda name: {"portier-notify": named}[name])
    sources = (
        archive.Source("config/portier.yaml", b"", 0o644),
        archive.Source("config/secrets/a", b"", 0o640, "root", "portier-notify"),
        archive.Source("config/secrets/b", b"", 0o640, "portier-gone", "portier-gone"),
    )
    (tmp_path / "x.tar.gz").write_bytes(packed(None, sources, encrypted=False))
    put(tmp_path / "x.tar.gz", new, None)
    if os.getuid() == 0:
        assert given == [(0, 0), (0, 4_242), (0, 0)]


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("journal", {"journal.sqlite"}),
        ("users", {"web/web.sqlite"}),
        ("settings", {"overlay.yaml", "accepted-wiring.json"}),
        ("configuration", set()),
    ],
)
def test_a_part_can_be_put_back_by_itself(
    new: Places, recovery: key.RecoveryKey, file: Path, part: str, changed: set[str]
) -> None:
    put(file, new, recovery, part)
    found = {name for name in files_below(new.state)
             if not name.startswith(("backup/", "addresses/", "overlay.before/"))}  # fmt: skip
    assert found == changed
    assert new.config.exists() == (part == "configuration")


def test_while_a_call_stands_nothing_at_all_changes(
    old: Places, recovery: key.RecoveryKey, file: Path
) -> None:
    store = Store(old.state / "journal.sqlite", "boot-2")
    store.write(work(opened(9), saved_state=CALLS))
    store.close(clean=True)
    old.config.write_text("changed since", encoding="utf-8")
    before = files_below(old.config.parent), files_below(old.state)
    with pytest.raises(CallStands, match="the call wc-1 stands"):
        put(file, old, recovery)
    assert (files_below(old.config.parent), files_below(old.state)) == before
    put(file, old, recovery, keep_calls=True)
    store = Store(old.state / "journal.sqlite", "boot-3")
    kept, _ = store.saved_state()
    store.close(clean=True)
    assert kept is not None
    assert kept["calls"] == CALLS["calls"]


def test_one_that_is_cut_short_says_so_and_is_done_again(
    old: Places, new: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.replace, [0]

    def cut(*given: object, **more: object) -> None:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        real(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            put(file, new, recovery)
    assert BackupRecords(new.state).restoring() == (str(file),)
    with monkeypatch.context() as broken:
        broken.setattr(os, "link", full)
        new.config.write_text("another", encoding="utf-8")
        with pytest.raises(put_back.CutShort, match="No space left"):
            put(file, new, recovery)
    put(file, new, recovery)
    assert BackupRecords(new.state).restoring() == ()
    there = files_below(new.config.parent)
    assert there.pop("portier.yaml.before-restore") == b"another"
    assert there == files_below(old.config.parent)


def test_each_restore_that_was_cut_short_stays_noted_until_a_whole_one_has_ended(
    new: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = file.with_name("other.age")
    shutil.copy(file, other)
    own = BackupRecords(new.state)
    with monkeypatch.context() as patch:
        patch.setattr(put_back, "_small", full)
        for one in (file, other):
            with pytest.raises(put_back.CutShort):
                put(one, new, recovery)
    assert own.restoring() == (str(file), str(other))
    put(file, new, recovery, "users")
    assert own.restoring() == (str(other), str(file)), "they had begun more than the users"
    third = file.with_name("third.age")
    shutil.copy(file, third)
    put(third, new, recovery, "users")
    assert own.restoring() == (str(other), str(file)), "the third has left nothing undone"
    put(file, new, recovery)
    assert own.restoring() == ()


def test_a_restore_that_is_refused_leaves_what_was_cut_short_before_noted(
    new: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> str:
        raise BackupError("a call stands")

    own, other = BackupRecords(new.state), file.with_name("other.age")
    own.prepare()
    own.begin_restore(other)
    monkeypatch.setattr(journal_backup, "restore", refused)
    with pytest.raises(BackupError):
        put(file, new, recovery)
    assert own.restoring() == (str(other),)


def test_a_journal_that_takes_its_place_later_is_not_called_unchanged(
    new: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gateway.journal.recovery.finish", full)
        with pytest.raises(put_back.CutShort, match=r"takes its place at the next start .* again"):
            put(file, new, recovery)
    assert BackupRecords(new.state).restoring() == (str(file),)
    put(file, new, recovery)
    assert BackupRecords(new.state).restoring() == ()


def test_no_try_costs_what_was_there_before(
    old: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full stays so for some tries, and only three of a file are kept aside."""
    places = old
    for name in ("journal.sqlite", "web/web.sqlite"):
        with closing(sqlite3.connect(places.state / name)) as db:
            db.execute("CREATE TABLE before (x)")
            db.commit()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(put_back, "_small", full)
        for _ in range(5):
            with pytest.raises(put_back.CutShort):
                put(file, places, recovery)
    assert any("put back already" in text for text in put(file, places, recovery))
    for folder, name in (("", "journal.sqlite"), ("web", "web.sqlite")):
        kept = set_aside.found(places.state / folder / name)
        assert len(kept) == 1
        with closing(sqlite3.connect(kept[0])) as db:
            assert db.execute("SELECT * FROM before").fetchall() == []
    assert any("restored as journal" in text for text in put(file, places, recovery)), "asked anew"


@needs_root
def test_root_keeps_nothing_to_which_a_link_of_a_role_leads(
    new: Places, recovery: key.RecoveryKey, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "shadow").write_text("needle")
    link = new.state / "overlay.yaml"
    link.symlink_to(tmp_path / "shadow")
    os.chown(link, MALLORY, MALLORY, follow_symlinks=False)
    with pytest.raises(put_back.CutShort, match=r"overlay.yaml is a link to .* another user"):
        put(file, new, recovery)
    assert not any("needle" in one.read_text() for one in new.state.glob("overlay.before/*"))
    link.unlink()
    put(file, new, recovery)


def test_a_database_that_is_damaged_is_found_before_anything_changes(
    new: Places, tmp_path: Path
) -> None:
    sources = (archive.Source("state/web/web.sqlite", b"SQLite format 3\0" + b"x" * 5_000),)
    (tmp_path / "x.tar.gz").write_bytes(packed(None, sources, encrypted=False, config=""))
    with put_back.unpacked(tmp_path / "x.tar.gz", new, None) as found:
        with pytest.raises(BackupError, match=r"damaged .*: take another backup"):
            put_back.check_databases(found, ())
        put_back.check_databases(found, ("journal",))


def test_an_archive_has_to_be_what_it_says(
    new: Places, recovery: key.RecoveryKey, tmp_path: Path
) -> None:
    """One that was packed as unencrypted, and then encrypted by somebody, or the other way."""
    (tmp_path / "a").write_bytes(packed(None))
    with pytest.raises(BackupError, match="do not agree whether it is encrypted"):
        put(tmp_path / "a", new, None)
    wrapped = encrypted(recovery, packed(recovery.public, encrypted=False))
    (tmp_path / "b").write_bytes(wrapped)
    with pytest.raises(BackupError, match="do not agree whether it is encrypted"):
        put(tmp_path / "b", new, recovery)
    assert not new.config.exists()


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_named_and_leaves_nothing(
    new: Places, recovery: key.RecoveryKey, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(put_back, "ROOM_LEFT", 10**18)
        with pytest.raises(BackupError, match="make room"):
            put(file, new, recovery)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdopen", full)
        with pytest.raises(BackupError, match=r"No space left.*df -h"):
            put(file, new, recovery)
    assert [one.name for one in new.state.rglob("*")] == ["backup", "lock"]


def test_a_machine_without_that_place_names_what_is_left_out(
    new: Places, recovery: key.RecoveryKey, file: Path, tmp_path: Path
) -> None:
    (new.broker / "conf.d").rmdir()
    new.broker.rmdir()
    said = put(file, new, recovery)
    assert "left out: broker/portier.acl, which has no place on this machine" in said
    bench = Places(tmp_path / "config/bench.yaml", tmp_path / "bench")
    bench.state.mkdir()
    put(file, bench, recovery)
    assert not (tmp_path / "config").exists(), "nothing of a checkout is replaced"


def test_the_key_of_this_machine_stays(new: Places, recovery: key.RecoveryKey, file: Path) -> None:
    own = with_key(new)
    put(file, new, recovery)
    assert BackupRecords(new.state).public_key() == own.public


def test_the_head_tells_what_it_is(old: Places, file: Path, tmp_path: Path) -> None:
    assert put_back.head_of(file) == key.HEAD
    (tmp_path / "pipe").touch()
    assert put_back.head_of(tmp_path / "pipe") == b""
    os.mkfifo(tmp_path / "fifo")
    for name in ("none", "fifo", "."):
        with pytest.raises(BackupError, match="cannot be read"):
            put_back.head_of(tmp_path / name)
    with closing(sqlite3.connect(old.state / "journal.sqlite")) as db:
        db.execute("SELECT 1 FROM meta")
    assert put_back.head_of(old.state / "journal.sqlite").startswith(put_back.SQLITE_HEAD)
    assert io.BytesIO(packed()).read(2) == put_back.GZIP_HEAD
