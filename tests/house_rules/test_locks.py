"""Whether somebody holds a lock: told, or named as what cannot be told."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from gateway.app import outputs
from gateway.locks import is_locked
from gateway.recorder.state import is_recording


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "control.lock"
    assert not is_locked(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    assert not is_locked(path)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert is_locked(path)
    assert outputs.held(tmp_path)
    os.close(fd)
    assert not is_locked(path)


def test_two_who_look_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert not is_locked(path)
    os.close(fd)


@pytest.mark.parametrize("error", [PermissionError(13, "no right"), OSError(37, "no locks there")])
def test_what_cannot_be_told_is_neither_yes_nor_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    (tmp_path / "recorder.lock").touch()
    (tmp_path / "control.lock").touch()

    def refuse(*_args: object) -> None:
        raise error

    monkeypatch.setattr("gateway.locks.fcntl.flock", refuse)
    with pytest.raises(OSError, match=error.strerror):
        outputs.held(tmp_path)
    with pytest.raises(OSError, match=error.strerror):
        is_recording(tmp_path / "recorder.sqlite")
