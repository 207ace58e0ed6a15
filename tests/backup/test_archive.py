"""The archive gives back what was packed, or is refused: whatever has become of it."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backup import archive, key
from gateway.backup.archive import MANIFEST, Manifest, Member, Packed, Source, unpack
from gateway.journal.backup import BackupError

SOURCES = (
    Source("state/journal.sqlite", b"j" * 3_000),
    Source("config/portier.yaml", b"gateway: x\n", 0o644),
    Source("config/secrets/care", b"secret", 0o640, "root", "portier-notify"),
    Source("state/accepted-wiring.json", b""),
)


def manifest_of(*members: Member, **more: Any) -> Manifest:
    given = Manifest("office", "1.0", 1_800_000_000.0, "portier.yaml", True, (), members)
    return dataclasses.replace(given, **more)


def packed(
    public: key.PublicKey | None = None, sources: tuple[Source, ...] = SOURCES, **more: Any
) -> bytes:
    members = [one.member() for one in sources]
    manifest = manifest_of(*members, **more).to_bytes(public)
    return Packed(manifest, sources, members, lambda _: None).read_all()


def refused(data: bytes, into: Path, public: key.PublicKey | None = None) -> str:
    into.mkdir()
    with pytest.raises(BackupError) as caught:
        unpack(io.BytesIO(data), into, public)
    return str(caught.value)


@pytest.fixture(scope="module")
def recovery() -> key.RecoveryKey:
    return key.new()


def encrypted(recovery: key.RecoveryKey, data: bytes) -> bytes:
    out = io.BytesIO()
    key.encrypt(io.BytesIO(data), out, recovery.public)
    return out.getvalue()


def decrypted(recovery: key.RecoveryKey, data: bytes) -> bytes:
    out = io.BytesIO()
    key.decrypt(io.BytesIO(data), out, recovery)
    return out.getvalue()


def test_what_is_packed_comes_out_again(tmp_path: Path, recovery: key.RecoveryKey) -> None:
    data = decrypted(recovery, encrypted(recovery, packed(recovery.public)))
    found = unpack(io.BytesIO(data), tmp_path, recovery.public)
    assert found.members == tuple(one.member() for one in SOURCES)
    for one in SOURCES:
        assert (tmp_path / one.name).read_bytes() == one.content


def test_other_programs_read_it(tmp_path: Path) -> None:
    """In ten years there may be no Portier."""
    (tmp_path / "a.tar.gz").write_bytes(packed())
    done = subprocess.run(
        ["tar", "-tzf", tmp_path / "a.tar.gz"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [MANIFEST, *(one.name for one in SOURCES)]
    assert done.stderr == ""


def test_an_archive_that_is_cut_anywhere_is_refused(
    tmp_path: Path, recovery: key.RecoveryKey
) -> None:
    plain = packed()
    for end in range(0, len(plain), 7):
        assert refused(plain[:end], tmp_path / str(end)), end
    whole = encrypted(recovery, packed(recovery.public))
    for end in range(0, len(whole), 7):
        with pytest.raises(BackupError):
            decrypted(recovery, whole[:end])


def test_an_archive_in_which_a_byte_was_changed_is_refused(
    tmp_path: Path, recovery: key.RecoveryKey
) -> None:
    whole = encrypted(recovery, packed(recovery.public))
    for at in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[at] ^= 0x20
        with pytest.raises(BackupError):
            decrypted(recovery, bytes(changed))
    inner = bytearray(gzip.decompress(packed()))
    for at in (*range(600, 4_000, 101), *range(4_200, len(inner) - 1_024, 53)):
        changed = inner.copy()
        changed[at] ^= 0x01
        into = tmp_path / str(at)
        into.mkdir()
        try:
            unpack(io.BytesIO(gzip.compress(changed)), into, None)
        except BackupError:
            continue
        given = {one.name: (into / one.name).read_bytes() for one in SOURCES}
        assert given == {one.name: one.content for one in SOURCES}, at  # padding, or an owner


def test_what_follows_the_end_is_refused(tmp_path: Path) -> None:
    assert "not complete, or was changed" in refused(packed() + b"x", tmp_path / "a")
    assert "not complete, or was changed" in refused(packed() * 2, tmp_path / "b")
    inner = gzip.decompress(packed())
    assert "not complete, or was changed" in refused(gzip.compress(inner + b"\0"), tmp_path / "c")


def test_another_key_opens_nothing_and_the_remedy_is_named(recovery: key.RecoveryKey) -> None:
    whole = encrypted(recovery, packed(recovery.public))
    with pytest.raises(BackupError, match="take the one that was shown when the first backup"):
        decrypted(key.new(), whole)
    with pytest.raises(BackupError, match="it begins with AGE-SECRET-KEY-1"):
        key.read("AGE-SECRET-KEY-1 never")


def test_a_key_is_read_as_people_write_it(recovery: key.RecoveryKey) -> None:
    text = recovery.text
    written = f"# office\n{text[:30].lower()} \n  {text[30:].lower()}\n"
    assert key.read(written) == recovery
    assert key.read_public(json.dumps(recovery.public.to_json()).encode()) == recovery.public
    for damaged in (b"", b"[]", b"{}", b'{"recipient": "age1x", "seal": "00"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
            key.read_public(damaged)


def test_who_knows_only_the_public_half_cannot_make_an_archive(
    tmp_path: Path, recovery: key.RecoveryKey
) -> None:
    """Its recipient encrypts for anybody who has read it somewhere."""
    for number, seal in enumerate((None, key.new().public)):
        data = decrypted(recovery, encrypted(recovery, packed(seal)))
        said = refused(data, tmp_path / str(number), recovery.public)
        assert "does not have the seal of this recovery key" in said


# --- archives that somebody has made ------------------------------------------------------


def made(
    manifest: bytes, *members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.USTAR_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=format) as tar:
        for info, data in ((tarfile.TarInfo(MANIFEST), manifest), *members):
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def listed(name: str, data: bytes = b"x", **more: Any) -> Member:
    plain = Source("state/accepted-wiring.json", data).member()
    return dataclasses.replace(plain, name=name, **more)


BAD_NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "config/../../../etc/cron.d/x",
    "config/./x",
    "config//x",
    "config/a/b/c/d/e/f/g",
    "config/a\nb",
    "config/",
    "state/journal.sqlite-wal",
    "state/web/../x",
    "state/panel.sock",
    "state/link.key",
    "state/record/recorder-main.sqlite",
    "broker/mosquitto.conf",
    "manifest.json",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_portier_does_not_give_is_refused(tmp_path: Path, name: str) -> None:
    manifest = manifest_of(listed(name), config="").to_bytes(None)
    data = made(manifest, (tarfile.TarInfo(name), b"x"))
    assert "that Portier does not pack" in refused(data, tmp_path / "in")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "in"]


LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)


@pytest.mark.parametrize("kind", LINKS)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("config/portier.yaml")
    info.type, info.linkname = kind, "/etc/passwd"
    data = made(manifest_of(listed("config/portier.yaml")).to_bytes(None), (info, b""))
    assert "no plain file" in refused(data, tmp_path / "in")


def test_a_head_that_wants_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Extended heads of tar hold texts of any length."""
    long = tarfile.TarInfo("config/" + "x" * 300)
    data = made(b"{}", (long, b"x"), format=tarfile.PAX_FORMAT)
    manifest = manifest_of(listed("config/portier.yaml")).to_bytes(None)
    data = made(manifest, (long, b"x"), format=tarfile.PAX_FORMAT)
    assert "no plain file" in refused(data, tmp_path / "in")


def changes() -> list[tuple[str, Callable[[dict[str, Any]], object]]]:
    def member(**to: Any) -> Callable[[dict[str, Any]], object]:
        return lambda value: value["members"][0].update(to)

    return [
        ("no list", lambda value: value.update(members=7)),
        ("no names", lambda value: value.update(members=[{}])),
        ("a path for the configuration", lambda value: value.update(config="../x")),
        ("no such configuration", lambda value: value.update(config="y.yaml")),
        ("twice", lambda value: value["members"].append(value["members"][0])),
        ("below a file", lambda value: value["members"].append(
            {**value["members"][0], "name": "config/portier.yaml/x"})),
        ("infinite", lambda value: value.update(at=float("inf"))),
        ("no number of seconds", lambda value: value.update(at=10**400)),
        ("no date", lambda value: value.update(at=1e300)),
        ("before there were computers", lambda value: value.update(at=-1e300)),
        ("no time", lambda value: value.update(at="x")),
        ("no mapping", lambda value: value.update(members=["x"])),
        ("too many", lambda value: value.update(
            members=[{**value["members"][0], "name": f"config/{n}"} for n in range(3_000)])),
        ("setuid", member(mode=0o4755)),
        ("for all to write", member(mode=0o666)),
        ("no number", member(mode="x")),
        ("of a stranger", member(owner="mallory")),
        ("of a group of strangers", member(group="sudo")),
        ("too large", member(size=10**12)),
        ("negative", member(size=-1)),
        ("true", member(size=True)),
        ("more than is there", member(size=4_000_000)),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), changes(), ids=lambda one: str(one)[:20])
def test_a_manifest_that_is_wrong_is_refused(
    tmp_path: Path, name: str, change: Callable[[dict[str, Any]], object]
) -> None:
    value = json.loads(manifest_of(listed("config/portier.yaml")).to_bytes(None))
    change(value)
    manifest = json.dumps(value).encode()
    if name != "more than is there":
        with pytest.raises((BackupError, ValueError)):
            archive.read_manifest(manifest, None)
    assert refused(made(manifest, (tarfile.TarInfo("config/portier.yaml"), b"x")), tmp_path / "in")


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"format": 2}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, manifest: bytes) -> None:
    assert refused(made(manifest), tmp_path / "in")


def test_an_archive_of_a_later_format_names_the_remedy(tmp_path: Path) -> None:
    said = refused(made(b'{"format": 2}'), tmp_path / "in")
    assert "install the version that wrote it" in said


def test_it_begins_with_the_manifest(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    assert "is no backup of Portier" in refused(out.getvalue(), tmp_path / "in")


def test_no_more_is_unpacked_than_the_manifest_says(tmp_path: Path) -> None:
    """A few kilobytes that would become gigabytes."""
    info = tarfile.TarInfo("config/portier.yaml")
    bomb = made(manifest_of(listed(info.name)).to_bytes(None), (info, b"\0" * 20_000_000))
    assert len(bomb) < 100_000
    assert "not complete, or was changed" in refused(bomb, tmp_path / "in")
    assert [one for one in (tmp_path / "in").rglob("*") if one.is_file()] == []
    said = made(b" " * 3_000_000)
    assert "is no backup of Portier" in refused(said, tmp_path / "other")


def test_an_archive_for_which_there_is_no_room_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ROOM_LEFT", 10**18)
    assert "make room (df -h)" in refused(packed(), tmp_path / "in")
    assert list((tmp_path / "in").iterdir()) == []


def test_a_file_that_no_archive_can_have_is_named() -> None:
    for name in ("config/" + "x" * 150, "config/" + "ä" * 120, "config/\udcff", "state/x"):
        with pytest.raises(BackupError, match="rename the file"):
            packed(sources=(Source(name, b""),), config="")
    with pytest.raises(BackupError, match="move it elsewhere"):
        Source("config/film", b"\0" * (archive.SMALL_MOST + 1)).member()


def test_a_file_that_changes_meanwhile_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"1" * 100)
    source = Source("state/journal.sqlite", path)
    members = [source.member()]
    path.write_bytes(b"1" * 99)
    with pytest.raises(BackupError, match="has changed meanwhile"):
        Packed(b"{}", [source], members, lambda _: None).read_all()
