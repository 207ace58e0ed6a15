"""Root writes a backup where others may write, and never through what they have laid there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.backup import target
from gateway.journal.backup import BackupError

MALLORY = 12_345

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    fd = target.open_folder(folder)
    try:
        yield fd
    finally:
        os.close(fd)


def write(path: Path, data: bytes = b"new") -> None:
    with opened(path.parent) as fd, target.replacing(fd, path) as out:
        out.write(data)


def test_a_file_takes_the_place_of_the_one_before_and_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "office.age"
    write(path, b"old")
    write(path)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_file_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "office.age"
    write(path, b"old")
    with pytest.raises(KeyboardInterrupt), opened(tmp_path) as fd, target.replacing(fd, path):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    victim, path = tmp_path / "passwd", tmp_path / "office.age"
    victim.write_bytes(b"root")
    path.symlink_to(victim)
    with pytest.raises(BackupError, match="is a link; name the file that it leads to"):
        write(path)
    assert victim.read_bytes() == b"root"
    assert path.is_symlink()
    assert sorted(tmp_path.iterdir()) == [path, victim]


@needs_root
def test_a_folder_that_another_user_has_linked_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "etc"
    real.mkdir()
    link = tmp_path / "stick"
    link.symlink_to(real)
    write(link / "mine")
    os.chown(link, MALLORY, MALLORY, follow_symlinks=False)
    with pytest.raises(BackupError, match=r"stick is a link to .* that another user has made"):
        write(link / "office.age")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "up").symlink_to("../../stick")
    with pytest.raises(BackupError, match="another user"):
        write(inner / "up" / "office.age")
    assert [one.name for one in real.iterdir()] == ["mine"]


def test_links_lead_on_as_far_as_they_go(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("a/../a/b")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    (tmp_path / "circle").symlink_to("circle")
    write(tmp_path / "absolute" / "x")
    assert (tmp_path / "a" / "b" / "x").read_bytes() == b"new"
    with opened(tmp_path / "absolute") as fd:
        assert target.real_path(fd) == tmp_path / "a" / "b"
    for name, error in (("circle", OSError), ("none", FileNotFoundError)):
        with pytest.raises(error):
            write(tmp_path / name / "x")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file" / "x")


def test_who_exchanges_the_file_while_it_is_written_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of somebody else: the name is theirs, and what was written is not behind it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"root")
    replace = os.replace

    def exchanged(part: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        os.unlink(part, dir_fd=src_dir_fd)
        os.symlink(victim, part, dir_fd=src_dir_fd)
        replace(part, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", exchanged)
    with pytest.raises(BackupError, match="another user has replaced it"):
        write(tmp_path / "office.age")
    assert victim.read_bytes() == b"root"


def test_what_was_cut_short_is_removed_and_nothing_of_others(tmp_path: Path) -> None:
    mine = ".office.age.0123abcd.part"
    others = [".other.age.0123abcd.part", "office.age.0123abcd.part", ".office.age.part", "x"]
    for name in (mine, *others):
        (tmp_path / name).touch()
    (tmp_path / ".office.age.aaaaaaaa.part").symlink_to("x")
    with opened(tmp_path) as fd:
        target.remove_parts(fd, re.compile(r"office\.age"))
    names = {one.name for one in tmp_path.iterdir()}
    assert names == {*others, ".office.age.aaaaaaaa.part"}


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /mnt/nas rw shared:2 - autofs systemd-1 rw
31 30 0:31 / /mnt/nas rw shared:3 - nfs4 nas:/x rw
32 22 0:32 / /mnt/two\\040words rw - vfat /dev/sdb1 rw
33 22 0:33 / /mnt/later rw - autofs systemd-1 rw
"""


def test_mounts_are_read_as_the_kernel_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS, encoding="utf-8")
    monkeypatch.setattr(target, "_MOUNTS", file)
    places = {str(place): kind for place, kind in target.mounts()}
    assert places["/mnt/two words"] == "vfat"
    assert target.is_mounted(Path("/mnt/nas"))
    assert not target.is_mounted(Path("/mnt"))
    assert not target.is_mounted(Path("/mnt/later")), "it did not come"
    monkeypatch.setattr(target, "real_path", lambda fd: Path("/mnt/nas/office"))
    assert target.file_system(0) == "nfs4"
    monkeypatch.setattr(target, "real_path", lambda fd: Path("/mnt/nasty"))
    assert target.file_system(0) == "ext4"


def test_the_root_of_this_machine_is_a_mount_and_a_fresh_folder_is_none(tmp_path: Path) -> None:
    assert target.is_mounted(Path("/"))
    assert not target.is_mounted(tmp_path)
