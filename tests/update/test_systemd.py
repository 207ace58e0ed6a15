"""Commands to systemd: one that hangs ends, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.systemd import NO_ANSWER, systemctl


def instead(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_it_says_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(tmp_path, monkeypatch, 'echo "$@"; echo no >&2; exit 3')
    done = systemctl("is-active", "portier-web.service")
    assert (done.returncode, done.stdout, done.stderr) == (
        3,
        "is-active portier-web.service\n",
        "no\n",
    )


def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(tmp_path, monkeypatch, "exec sleep 1000")
    done = systemctl("stop", "portier-web.service", within_s=0.2)
    assert done.returncode == NO_ANSWER
    assert done.stderr == "systemctl stop portier-web.service did not end within 0 s"
