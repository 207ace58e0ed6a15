"""How a release is built, and what it has to show before it may run."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from gateway.update import environment
from gateway.update.errors import UpdateError
from gateway.update.layout import Layout, Release


def release(folder: Path, script: str) -> Release:
    """One whose command is this shell script."""
    made = Release(folder, "0.2.0", "d")
    made.portier.parent.mkdir(parents=True)
    made.portier.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    made.portier.chmod(0o755)
    return made


def test_a_version_that_ends_on_simulated_points_is_refused_with_what_it_said(
    tmp_path: Path,
) -> None:
    broken = release(tmp_path, 'if [ "$2" = control ]; then echo no way; exit 3; fi; sleep 600')
    with pytest.raises(UpdateError, match=r"0\.2\.0 does not start on simulated points: no way"):
        environment.dry_start(broken)


def test_a_version_that_never_answers_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "DRY_WITHIN_S", 0.0)
    with pytest.raises(UpdateError, match="does not start on simulated points"):
        environment.dry_start(release(tmp_path, "exec sleep 600"))


def test_what_the_new_version_does_not_accept_is_said_with_the_command_that_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = tmp_path / "portier.yaml", tmp_path / "state"
    wrong = release(tmp_path / "wrong", 'echo "$@: line 3 is wrong"; exit 78')
    with pytest.raises(UpdateError) as caught:
        environment.check(wrong, config, state)
    assert f"check {config} --state {state}: line 3 is wrong" in caught.value.wrong
    assert f"sudo {wrong.portier} check {config}" in caught.value.remedy
    environment.check(release(tmp_path / "right", "exit 0"), config, state)
    assert f"accepts {config}" in capsys.readouterr().out


def test_without_room_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source/gateway").mkdir(parents=True)
    (tmp_path / "source/gateway/__init__.py").write_text('__version__ = "0.2.0"\n')
    monkeypatch.setattr(environment, "ROOM_BYTES", 1 << 60)
    with pytest.raises(UpdateError, match=r"MB free(.|\n)*vacuum-size"):
        environment.build(Layout(tmp_path), tmp_path / "source", "d", None)
    assert not (tmp_path / "releases").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source/gateway").mkdir(parents=True)
    (tmp_path / "source/gateway/__init__.py").write_text('__version__ = "0.2.0"\n')
    with pytest.raises(OSError, match="drivers"):
        environment.build(Layout(tmp_path), tmp_path / "source", "d", None)
    assert list((tmp_path / "releases").iterdir()) == []


def test_packages_are_taken_over_only_where_each_file_is_what_it_was(tmp_path: Path) -> None:
    info = tmp_path / "thing-1.dist-info"
    info.mkdir()
    assert not environment.intact(tmp_path), "there are none"
    (tmp_path / "thing.py").write_bytes(b"x = 1\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    record = f"thing.py,sha256={digest},6\n../../../bin/thing,sha256=other,1\nthing.pyc,,\n"
    (info / "RECORD").write_text(record)
    assert environment.intact(tmp_path)
    (tmp_path / "thing.py").write_bytes(b"x = 2\n")
    assert not environment.intact(tmp_path)
    (tmp_path / "thing.py").unlink()
    assert not environment.intact(tmp_path)
