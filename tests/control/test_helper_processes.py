"""What helps ``control`` from a process of its own works where a courtesy is refused, and the
supervisor knows a takeover from a hang."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from gateway.app.configuration import edit_overlay
from gateway.app.running.supervisor import HANG_S, START_WITHIN_S, Supervisor, _Role
from gateway.control.watchdog import Watchdog

BENCH = Path(__file__).resolve().parents[2] / "config" / "bench.yaml"


def refuse(_more: int) -> int:
    raise PermissionError(1, "Operation not permitted")


def test_the_settings_are_answered_where_niceness_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(os, "nice", refuse)
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"do": "show", "actor": "web:1"}'), "utf-8")
    )
    assert edit_overlay.main(BENCH, tmp_path, 1_795_215_600_000) == 0
    assert json.loads(capsysbinary.readouterr().out)["status"] == "accepted"


@pytest.mark.parametrize("leaving", ["starting", "reloading", "stopping"])
def test_a_takeover_under_the_supervisor_is_no_hang(leaving: str) -> None:
    one = Supervisor(("control",), lambda _: [], {}, print, lambda: None, lambda: True)
    one._heard.bind("")
    one._heard.setblocking(False)
    address = "@" + os.fsdecode(one._heard.getsockname()[1:])
    watchdog = Watchdog({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5000000"})
    control = _Role("control")
    try:
        one._turned_at = 100.0
        watchdog.turned(0.0)
        one._watch_over(control, 100.0)
        assert control.hangs_at == 100.0 + HANG_S
        getattr(watchdog, leaving)()
        one._watch_over(control, 101.0)
        assert control.hangs_at == 101.0 + START_WITHIN_S
        watchdog.ready()
        one._watch_over(control, 102.0)
        assert control.hangs_at == 102.0 + HANG_S
    finally:
        one._heard.close()


def test_a_long_message_of_the_notifications_is_heard_whole() -> None:
    one = Supervisor(("control",), lambda _: [], {}, print, lambda: None, lambda: True)
    one._heard.bind("")
    one._heard.setblocking(False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"RELOADING=1\nMONOTONIC_USEC=" + b"9" * 20, one._heard.getsockname())
    assert one._hear().endswith(b"9" * 20)
    one._heard.close()
