"""What a gateway has written after a rich run: every file is in the table of files."""

from __future__ import annotations

import os
import re
import signal
import uuid
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from gateway.app import files
from gateway.backup import key as recovery_key
from gateway.backup import put_back
from gateway.backup.contents import LEFT_OUT, Places
from gateway.panel import client
from tests.process.parts import House, Process, roles_of, until
from tests.process.parts_mqtt import free_port
from tests.process.sinks import Webhook, serving
from tests.process.test_service_chain import CHAIN

pytestmark = pytest.mark.process
DOOR = """
  front.button: {driver: simulated_contact}
  front.leaf: {driver: simulated_contact, wiring: normally_closed, follows: front.activation}
  front.activation: {driver: simulated_relay}
  wc.climate: {driver: simulated_meter, every: 10 s}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    leaf: front.leaf
    activators: [{point: front.button, kind: button, side: inside}]
rooms:"""
ROLES = ("control", "broker", "link", "record", "web", "notify")
ALWAYS = {
    "journal", "journal_log", "reserve",
    "users", "users_log", "recorder", "recorder_aside", "recorder_lock",
    "recorded", "recorded_recent", "link", "plans", "notes", "marks", "overlay", "versions",
    "push_keys", "backup_notes",
}  # fmt: skip


def found(state: Path) -> dict[str, list[Path]]:
    """The files by the row of the table that they are in; fails for one that is in none."""
    rows: dict[str, list[Path]] = {}
    for path in sorted(state.rglob("*")):
        if not path.is_dir():
            row = files.of(path.relative_to(state))
            assert row is not None, f"{path} is not in the table of gateway/app/files.py"
            rows.setdefault(row.id, []).append(path)
    return rows


def settings(house: House, do: str, **args: Any) -> dict[str, Any]:
    message = {"type": "settings", "id": uuid.uuid4().hex, "actor": "web:1", "do": do, "args": args}
    return client.ask(house.panel, message, role="web", timeout_s=60)


def started(house: House) -> Process:
    process = house.run()
    until(lambda: process.said("Ready after") or process.popen.poll() is not None)
    assert process.popen.poll() is None, process.lines
    return process


def used(house: House, supervisor: Process) -> set[str]:
    """A day in short: a press, a call that is told, readings, a change, a crash, two copies. The
    names in the backup."""
    out = house.config.parent / "out"
    out.mkdir(exist_ok=True)
    house.bench("press", point="front.button")
    house.bench("set", point="wc.cord", value=True)
    until(
        lambda: [row for row in house.rows("message") if row.data["result"] == "delivered"],
        what="the message of the call",
    )
    house.bench("set", point="wc.climate", value=20.5, quantity="temperature_c")
    version = settings(house, "show")["settings"]["version"]
    for mode in ("night", "automatic"):
        sections = {"doors": {"front": {"schedule": {"otherwise": mode}}}}
        done = settings(house, "put", version=version, sections=sections)
        assert done["status"] == "accepted", done
        version = done["settings"]["version"]
        until(lambda mode=mode: house.snapshot()["doors"]["front"]["mode"] == mode)
    before = roles_of(supervisor, ROLES)
    for role in ("control", "link", "record", "web"):
        os.kill(before[role], signal.SIGKILL)
    until(lambda: roles_of(supervisor, ROLES).keys() == set(ROLES), what="all roles are back")
    until(lambda: house.snapshot()["guarantees"]["recording"]["value"] == "yes", what="recording")
    said = []
    for words in (
        ("backup", str(out / "copy"), "--store"),
        ("export", "--out", str(out / "rows.csv")),
    ):
        copy = house.portier(*words, "--state", str(house.state))
        assert copy.wait() == 0, copy.lines
        said += copy.lines
    assert sorted(path.name for path in out.iterdir()) == ["copy", "rows.csv"]
    (key,) = re.findall("AGE-SECRET-KEY-1[0-9A-Z]{58}", "".join(said))
    places = Places(house.config, house.state)
    with put_back.unpacked(out / "copy", places, recovery_key.read(key)) as unpacked:
        return {one.name.removeprefix("state/") for one in unpacked.manifest.members}


def left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def test_every_file_of_a_rich_run_is_in_the_table(place: House, tmp_path: Path) -> None:
    """Also after crashes, and after damage to what was written; temporary files are none."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.environment = {
        name: str(elsewhere) for name in ("TMPDIR", "SQLITE_TMPDIR", "HOME", "XDG_CACHE_HOME")
    }
    text = CHAIN.replace("@PORT@", str(free_port())).replace("\nrooms:", DOOR)
    text = text.replace(", hours: mon-fri 08:00-16:00", "")
    text = text.replace(
        "    cancel: wc.cancel\n", "    cancel: wc.cancel\n    climate: wc.climate\n"
    )
    place.config.write_text(text + "mqtt: embedded\nrecord: sqlite\n")
    with serving(hook := Webhook()):
        folder = place.config.parent / "secrets"
        folder.mkdir()
        for name in ("caretaker", "reception", "care_service", "head_office"):
            (folder / name).write_text(f"json://{hook.address}/{name}\n")
        (folder / "heartbeat").write_text(f"http://{hook.address}/beat\n")

        supervisor = started(place)
        packed = used(place, supervisor)
        until(lambda: found(place.state).keys() >= ALWAYS, what="each role has written its files")
        assert found(place.state).keys() == ALWAYS
        rows = found(place.state)
        written = {str(one.relative_to(place.state)) for row in rows.values() for one in row}
        assert [one for one in sorted(written) if one not in packed and not left_out(one)] == [], (
            "pack it (gateway/backup/contents.py), or say there why not"
        )
        assert [one for one in sorted(packed) if left_out(one)] == []
        kept = {"journal.sqlite", "web/web.sqlite", "overlay.yaml"}
        assert kept | {"record/record.sqlite"} <= packed & written
        assert supervisor.stop() == 0
        assert found(place.state).keys() <= ALWAYS

        journal = place.state / "journal.sqlite"
        journal.write_bytes(journal.read_bytes()[:5_000] + b"\0" * 5_000)
        (place.state / "link" / "link.json").write_bytes(b"\0")
        supervisor = started(place)
        until(lambda: "broken" in found(place.state), what="the broken journal is set aside")
        rows = found(place.state)
        assert "link.json.unread" in {path.name for path in rows["link"]}
        assert supervisor.stop() == 0
        rows = found(place.state)
    assert rows.keys() <= ALWAYS | {"broken"}
    for path in (*rows["marks"], *rows["recorder_lock"]):
        assert path.stat().st_size <= 1_000, path
    assert list(elsewhere.iterdir()) == []
