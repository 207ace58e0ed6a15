"""The keys of the gateways: who gets one, what is in the file, and what each error says."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from gateway import durable
from gateway.formats import UnknownFormat
from gateway.locks import held
from gateway.settings.values.secrets import Secret
from gateway.sites import keys
from gateway.sites.keys import Keys, KeysError


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(keys.SECRET, (tmp_path / "secrets",))


@pytest.fixture
def made(tmp_path: Path, secret: Secret) -> Keys:
    return Keys(tmp_path / "state", secret, utc_ms=lambda: 1_000)


def other(made: Keys, secret: Secret, now: int = 2_000) -> Keys:
    """Another process with the same state folder."""
    return Keys(made.path.parent.parent, secret, utc_ms=lambda: now)


def fault(made: Keys, gateway: str = "bad-1") -> str:
    with pytest.raises(KeysError) as caught:
        made.key(gateway)
    return str(caught.value)


def test_each_gateway_has_a_random_key_of_its_own(made: Keys, secret: Secret) -> None:
    assert (made.enrolled(), made.key("bad-1")) == ((), None)
    first, second = made.enrol("bad-2"), made.enrol("bad-1")
    assert len(bytes.fromhex(first.decode())) == 32
    assert first != second
    assert made.enrolled() == ("bad-1", "bad-2")
    assert other(made, secret).key("bad-2") == first


def test_the_file_is_its_owners_alone_and_says_nothing_of_what_is_in_it(
    made: Keys, secret: Secret, tmp_path: Path
) -> None:
    key = made.enrol("bad-1")
    for file in (made.path, made.path.with_name("keys.lock"), tmp_path / "secrets" / keys.SECRET):
        others = 0o007 if os.geteuid() == 0 and file.name == keys.SECRET else 0o077
        assert not stat.S_IMODE(file.stat().st_mode) & others, file
    written = made.path.read_bytes()
    for hidden in (key, b"bad-1", bytes.fromhex(key.decode()), secret.read().encode()):
        assert hidden not in written
    shown = f"{made!r} {made.enrolments()!r} {vars(made)!r}"
    assert key.decode() not in shown
    assert sorted(one.name for one in made.path.parent.iterdir()) == ["keys", "keys.lock"]


def test_enrolling_again_makes_another_key_that_is_not_confirmed_yet(
    made: Keys, secret: Secret
) -> None:
    old = made.enrol("bad-1")
    made.confirm("bad-1", old)
    assert made.is_confirmed("bad-1")
    later = other(made, secret)
    new = later.enrol("bad-1")
    found = made.enrolments()["bad-1"]
    assert (found.since_utc_ms, found.key_utc_ms, found.confirmed_utc_ms) == (1_000, 2_000, None)
    assert made.key("bad-1") == new != old
    made.confirm("bad-1", old)
    assert not made.is_confirmed("bad-1"), "that was an answer from before"
    made.confirm("bad-1", new)
    assert later.is_confirmed("bad-1")
    written = made.path.stat().st_ino
    made.confirm("bad-1", new)
    made.confirm("bad-9", new)
    assert made.path.stat().st_ino == written, "nothing was to be noted"


def test_a_running_centre_notices_a_revocation_at_once(made: Keys, secret: Secret) -> None:
    made.enrol("bad-1")
    centre = other(made, secret)
    assert centre.key("bad-1") is not None
    made.revoke("bad-1")
    assert (centre.key("bad-1"), centre.is_confirmed("bad-1")) == (None, False)
    with pytest.raises(KeysError, match="bad-1 is not enrolled"):
        made.revoke("bad-1")


@pytest.mark.parametrize("name", ["", "Bad-1", "bad/1", "bad+", "#", "b" * 65, "bad-1\n", "bäd"])
def test_what_is_no_id_of_a_gateway_is_refused(made: Keys, name: str) -> None:
    with pytest.raises(KeysError, match="is not the id of a gateway"):
        made.enrol(name)
    assert not made.path.exists()


def test_there_is_an_end_to_them(made: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST", 2)
    for name in ("bad-1", "bad-2"):
        made.enrol(name)
    with pytest.raises(KeysError, match="there is no room: revoke one"):
        made.enrol("bad-3")
    made.enrol("bad-1")
    assert made.enrolled() == ("bad-1", "bad-2")


def test_as_many_as_are_allowed_fit_into_the_file() -> None:
    known = {
        f"{number:064}": keys.Enrolment(2**45, 2**45, 2**45, "f" * 64)
        for number in range(keys.MOST)
    }
    assert len(keys._sealed(known, "x" * 44)) < keys.BYTES_MOST


def test_any_damage_is_named_and_nothing_is_written_over_it(made: Keys, secret: Secret) -> None:
    made.enrol("bad-1")
    whole = made.path.read_bytes()
    for place in range(0, len(whole), 7):
        for broken in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        ):
            made.path.write_bytes(broken)
            reader = other(made, secret)
            if broken.rstrip() == whole.rstrip():
                continue
            said = fault(reader)
            assert "is damaged (" in said or "in format" in said, (place, said)
            assert str(made.path) in said
            for change in (reader.enrol, reader.revoke):
                with pytest.raises(KeysError):
                    change("bad-1")
            assert made.path.read_bytes() == broken
    made.path.write_bytes(whole)
    assert other(made, secret).enrolled() == ("bad-1",)


def test_a_file_of_another_version_is_named_and_left(made: Keys) -> None:
    made.enrol("bad-1")
    text = json.loads(made.path.read_bytes()) | {"format": 2}
    made.path.write_text(json.dumps(text))
    assert "the keys of the centre in format 2, which this version" in fault(made)
    with pytest.raises(UnknownFormat):
        keys.check(made.path)


def test_another_secret_is_told_from_damage(made: Keys, secret: Secret, tmp_path: Path) -> None:
    made.enrol("bad-1")
    before = made.path.read_bytes()
    (tmp_path / "secrets" / keys.SECRET).write_text("another one " * 4)
    reader = other(made, secret)
    said = fault(reader)
    assert "another secret sites_key than the one that is there now: put the earlier one" in said
    assert f"sudo mv {made.path} {made.path}.old" in said
    with pytest.raises(KeysError):
        reader.enrol("bad-2")
    assert made.path.read_bytes() == before


def test_a_secret_that_is_gone_is_named_and_not_made_anew(
    made: Keys, secret: Secret, tmp_path: Path
) -> None:
    made.enrol("bad-1")
    assert made.key("bad-1")
    (tmp_path / "secrets" / keys.SECRET).unlink()
    reader = other(made, secret)
    assert "there is no secret sites_key (looked for in" in fault(reader)
    for one in (reader, made):  # the other one knows what is in the file
        with pytest.raises(KeysError, match="there is no secret"):
            one.enrol("bad-2")
    assert list((tmp_path / "secrets").iterdir()) == []


def test_a_secret_that_could_be_guessed_is_refused(
    made: Keys, secret: Secret, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / keys.SECRET).write_text("geheim123\n")
    with pytest.raises(KeysError, match="fewer than 32 characters") as caught:
        made.enrol("bad-1")
    assert "geheim123" not in str(caught.value)
    assert keys.secret_line(secret) in str(caught.value)


def test_a_secret_that_cannot_be_made_comes_with_the_line_that_makes_it(tmp_path: Path) -> None:
    secret = Secret(keys.SECRET, (tmp_path / "credentials", tmp_path / "none" / "secrets"))
    made = Keys(tmp_path / "state", secret)
    with pytest.raises(KeysError, match="cannot be made") as caught:
        made.enrol("bad-1")
    line = str(caught.value).rpartition("Make it with: ")[2]
    assert line.startswith("head -c 32 /dev/urandom | base64 | sudo install")
    assert line.endswith(f" {tmp_path / 'none' / 'secrets' / keys.SECRET}")
    assert not made.path.exists()


def test_the_credential_of_the_service_comes_first(tmp_path: Path) -> None:
    credentials, beside = tmp_path / "credentials", tmp_path / "secrets"
    credentials.mkdir()
    (credentials / keys.SECRET).write_text("c" * 44)
    made = Keys(tmp_path / "state", Secret(keys.SECRET, (credentials, beside)))
    made.enrol("bad-1")
    assert not beside.exists(), "there is one"


def test_two_who_enrol_at_once_lose_nothing(made: Keys, secret: Secret) -> None:
    names = [f"bad-{number}" for number in range(12)]
    begin = threading.Barrier(len(names))

    def enrol(name: str) -> None:
        one = other(made, secret)
        begin.wait()
        one.enrol(name)

    threads = [threading.Thread(target=enrol, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made.enrolled()) == sorted(names)


def test_who_finds_it_locked_says_so_and_changes_nothing(
    made: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made.enrol("bad-1")
    monkeypatch.setattr(keys, "LOCK_WITHIN_S", 0)
    with held(made.path.with_name("keys.lock"), 0):
        for change in (lambda: made.enrol("bad-2"), lambda: made.confirm("bad-1", key)):
            with pytest.raises(KeysError, match="another process is changing"):
                change()
        assert made.key("bad-1") == key, "reading needs no lock"
    made.confirm("bad-1", key)
    assert made.is_confirmed("bad-1")


def test_a_disk_that_is_full_leaves_the_keys_of_before(
    made: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made.enrol("bad-1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(KeysError, match="No space left"):
        made.enrol("bad-1")
    assert made.key("bad-1") == key
