"""An address that somebody enters on the page: from ``control`` through ``notify`` to a real
webhook, and nowhere else."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.living_files import contents
from tests.process.parts import BUILDING, House, running, until
from tests.process.sinks import Webhook, serving
from tests.process.test_settings import ask

pytestmark = pytest.mark.process
ALLOWED = BUILDING + "messages: {page_hosts: [127.0.0.1]}\n"
"""Loopback, which is forbidden to every address of the page where the configuration does not name
it."""
SECRET = "/hook/only-whoever-has-it-knows"


def add(house: House, to: str) -> dict[str, Any]:
    version = until(lambda: ask(house, "show"), what="control answers")["settings"]["version"]
    return ask(
        house,
        "put",
        version=version,
        sections={"contacts": {"desk": {"channels": [{"address": "new"}]}}},
        addresses={"new": {"kind": "own", "to": to}},
    )


def tried(house: House, *, ok: bool) -> dict[str, Any]:
    """The way after a test message that came to an end."""

    def attempt() -> Any:
        reply = house.command("test_message", receiver="desk")
        assert reply["status"] in ("accepted", "merged") or reply["reason"] == "unknown_receiver"
        shown = house.snapshot().get("receivers", {}).get("desk", {"ways": ()})["ways"]
        return next((way for way in shown if way["ok"] is ok and not way["under_way"]), None)

    found: dict[str, Any] = until(attempt, what="the message is tried")
    return found


def holding(folder: Path, text: str) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path, content in contents(folder)
        if text.encode() in content
    }


def test_it_reaches_a_webhook_and_stands_in_one_file(tmp_path: Path) -> None:
    hook = Webhook()
    with serving(hook), running(tmp_path, config=ALLOWED) as house:
        supervisor = house.run()
        done = add(house, f"json://{hook.address}{SECRET}")
        assert done["status"] == "accepted", done
        assert SECRET not in json.dumps(done)
        assert tried(house, ok=True)["reason"] == ""
        assert hook.posted[0]["title"].startswith("Testnachricht")
        (name,) = {name.partition("/")[0] for name in holding(house.state, SECRET[1:])}
        assert name == "addresses"
        assert not supervisor.said(SECRET)
        messages = [row.data for row in house.rows("message")]
        assert {(one["receiver"], one["message"]) for one in messages} == {("desk", "test")}

        (file,) = (house.state / "addresses").iterdir()
        posted = len(hook.posted)
        for forbidden in ("file:///etc/passwd", "json://[::1]:1/x", "json://169.254.169.254/x"):
            file.write_text(json.dumps({"kind": "own", "to": forbidden}), encoding="utf-8")
            assert tried(house, ok=False)["reason"] == "forbidden"
        assert len(hook.posted) == posted


def test_a_name_that_leads_to_this_machine_is_not_called(tmp_path: Path) -> None:
    """What it leads to is known only when it is called."""
    hook = Webhook()
    with serving(hook), running(tmp_path) as house:
        house.run()
        assert add(house, f"json://{hook.address}/x")["reason"] == "settings_wrong"
        named = f"json://{socket.gethostname()}:{hook.server_port}/x"
        assert add(house, named)["status"] == "accepted"
        assert tried(house, ok=False)["reason"] == "forbidden"
        assert hook.posted == []
