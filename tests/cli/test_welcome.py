"""The box of ``portier run --log``: each line can be copied, and a password is shown once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.app import announcement
from gateway.app.announcement import Announcement, LogIn
from gateway.app.configuration import load
from gateway.app.running import welcome
from gateway.app.running.welcome import Welcome

BENCH = Path("config/bench.yaml")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Welcome:
    monkeypatch.setattr("sys.argv", [str(Path.cwd() / ".venv/bin/portier"), "run"])
    settings = load.settings(BENCH, need=())
    return Welcome(settings, Path("state"), Path("state/portier.log"), "127.0.0.1:1883 (MQTT 5)")


def text(box: Welcome, log_in: LogIn) -> str:
    return "\n".join(f"{word}: {line}" for word, line in box.rows(log_in))


def test_the_first_start_says_how_to_get_in_and_what_to_try(box: Welcome) -> None:
    shown = text(box, LogIn("http://127.0.0.1:8080/", "hunter2hunter2", True))
    assert "Page: http://127.0.0.1:8080/" in shown
    assert "admin, password hunter2hunter2" in shown
    assert shown.count(".venv/bin/portier bench press ") == 3
    assert "state/portier.log" in shown
    assert "--state" not in shown


def test_a_later_start_says_how_to_get_a_new_password(box: Welcome) -> None:
    shown = text(box, LogIn("http://127.0.0.1:8080/", "", True))
    assert "with the password that the first start printed" in shown
    assert ".venv/bin/portier user password admin" in shown
    shown = text(box, LogIn("http://127.0.0.1:8080/", "", False))
    assert "Log in: as before" in shown


def test_in_another_folder_every_command_names_it(box: Welcome) -> None:
    other = Welcome(box.settings, Path("/tmp/my house"), Path("/tmp/my house/log"))
    shown = text(other, LogIn("http://127.0.0.1:8080/"))
    commands = [line for line in shown.splitlines() if ".venv/bin/portier" in line]
    assert commands
    assert all("--state '/tmp/my house'" in line for line in commands)
    assert "export PORTIER_STATE='/tmp/my house'" in shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_box_is_whole_on_every_terminal(
    box: Welcome, capfdbinary: pytest.CaptureFixture[bytes], encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import io
    import sys

    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    box.show("Ready after 1.0 s.", LogIn("http://127.0.0.1:8080/", "geheim", True))
    shown = raw.getvalue().decode(encoding)
    lines = shown.splitlines()
    assert len({len(line) for line in lines[:-1]} if encoding == "utf-8" else {1}) == 1
    assert lines[-1] == "Ready after 1.0 s."
    assert "\x1b[" not in shown


def test_what_the_page_announces_reaches_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Announcement()
    try:
        assert said.log_in() == LogIn()
        monkeypatch.setenv(announcement.ANNOUNCE, str(said.fd))
        assert announcement.announce("http://x/", "secret", True)
        assert announcement.announce(
            "http://x/", None, True
        )  # the role has started again meanwhile
        assert said.log_in() == LogIn("http://x/", "secret", True)
    finally:
        said.close()
    assert not announcement.announce("http://x/", "secret", True)  # then it is said in the log
    monkeypatch.delenv(announcement.ANNOUNCE)
    assert not announcement.announce("http://x/", "secret", True)


def test_the_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "portier.log"
    for words in (b"first\n", b"second\n", b"third\n"):
        fd = welcome.rotated(log)
        os.write(fd, words)
        os.close(fd)
    assert log.read_bytes() == b"third\n"
    assert log.with_name("portier.log.1").read_bytes() == b"second\n"
    assert log.stat().st_mode & 0o007 == 0
