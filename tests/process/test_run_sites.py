"""``make run-sites``: three simulated gateways, broker, recorder and centre, as one sees them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.app.running.simulated_sites import OPENS, REFUSES, SITES, SimulatedSite
from gateway.journal.queries.reader import Reader
from tests.process.parts import ROOT, House, Process, alive, children, until
from tests.process.parts_mqtt import free_port

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

READY_S = 240.0
"""On a machine that is busy with other tests, too."""


class Sites:
    """Everything that ``make run-sites`` starts, on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port(1 + len(SITES))
        self.house = House(folder / "none.yaml", folder, {"PORT": str(self.port)})
        self.token = ""

    def start(self) -> Process:
        started = self.house.start(
            sys.executable, "-m", "gateway.app.running.simulated_sites",
            "--config", str(ROOT / "config" / "bench.yaml"), "--state", str(self.folder),
        )  # fmt: skip
        until(lambda: started.said("Ready after"), READY_S, lambda: started.lines[-20:])
        page = next(line for line in started.lines if "Centre" in line and "http:" in line)
        self.port = int(page.rpartition(":")[2].partition("/")[0])
        return started

    def portier(self, *words: str) -> str:
        process = self.house.portier(*words)
        assert process.wait() == 0, process.lines
        return "\n".join(process.lines)

    def state(self, name: str) -> Path:
        return self.folder / name / "state"

    def make_token(self) -> None:
        """A token of the centre's owner, from the command line."""
        command = [sys.executable, "-m", "gateway", "token", "add", "test", "--role", "admin"]
        made = subprocess.run(
            [*command, "--state", str(self.state("centre"))],
            cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
        self.token = made.stdout.strip()  # alone there; what else is said is on standard error

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer of the centre's API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Accept-Language": "en",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def site(self, name: str) -> Any:
        """The line of one gateway on the overview."""
        return next(one for one in self.ask("sites")[1] if one["id"] == name)

    def door(self, site: SimulatedSite) -> Any:
        """The door of a gateway, as its page at the centre shows it."""
        return next(iter(self.ask(f"sites/{site.id}")[1]["doors"]))

    def calls(self) -> Any:
        return self.ask("calls")[1]

    def press(self, site: str, point: str) -> None:
        self.portier("bench", "press", point, "--state", str(self.state(site)))


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    made = Sites(tmp_path)
    yield made
    made.house.end()


def recorded(sites: Sites, gateway: str) -> list[tuple[str, int]]:
    """Kind and number of each urgent fact of a gateway in the centre's store, one row each."""
    path = sites.state("centre") / "record" / "record.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return sorted(
            db.execute(
                "SELECT measurement, seq FROM points JOIN series ON series.id = points.series"
                " WHERE gateway = ?",
                (gateway,),
            )
        )


def urgent(sites: Sites, gateway: str) -> list[tuple[str, int]]:
    """The same, in the gateway's own journal."""
    with closing(Reader(sites.state(gateway) / "journal.sqlite")) as reader:
        return sorted((row.kind, row.seq) for row in reader.lane("urgent", 1, 10_000))


def wait_for_everything(sites: Sites, gateway: str) -> None:
    """Until the centre has what the gateway has, and each of it once."""

    def is_there() -> bool:
        wanted = urgent(sites, gateway)
        kinds = {kind for kind, _ in wanted}
        return [one for one in recorded(sites, gateway) if one[0] in kinds] == wanted

    until(is_there, 60, lambda: (urgent(sites, gateway), recorded(sites, gateway)))


def test_a_call_a_door_a_gateway_that_goes_and_a_second_start(sites: Sites) -> None:
    started = sites.start()
    assert sum("log in: admin, password" in line for line in started.lines) == 1 + len(SITES)
    sites.make_token()
    until(
        lambda: all(one["works"] for one in sites.ask("sites")[1]), 60, lambda: sites.ask("sites")
    )
    assert {one["id"] for one in sites.ask("sites")[1]} == {one.id for one in SITES}

    # a call is there, and somebody goes
    sites.press(OPENS.id, "wc.cord")
    (call,) = until(sites.calls, 10)
    assert (call["site"], call["room"], call["state"]) == (OPENS.id, "wc", "raised")
    status, answer = sites.ask(
        f"sites/{OPENS.id}/calls/{call['id']}/acknowledge", {"attends": "Frau Beispiel"}
    )
    assert (status, answer["status"]) == (202, "accepted")
    until(lambda: sites.calls()[0]["state"] == "acknowledged", 10, sites.calls)
    assert "Frau Beispiel" in json.dumps(sites.calls(), ensure_ascii=False)

    # a door that its gateway allows, and one that it does not
    status, answer = sites.ask(f"sites/{OPENS.id}/doors/{OPENS.door}/open", {"reason": "Test"})
    assert (status, answer["status"]) == (202, "accepted")
    until(lambda: sites.door(OPENS)["leaf"] == "open", 20, lambda: sites.door(OPENS))
    status, answer = sites.ask(f"sites/{REFUSES.id}/doors/{REFUSES.door}/open", {"reason": "Test"})
    assert (status, answer["reason"]) == (409, "door_not_offered")

    # a gateway is killed, and named
    gone = next(pid for pid in children(started.pid) if REFUSES.id in command_of(pid))
    os.kill(gone, signal.SIGKILL)
    until(lambda: sites.site(REFUSES.id)["presence"] == "offline", 30)
    (trouble,) = sites.site(REFUSES.id)["troubles"]
    assert trouble["kind"] == "site_offline"
    assert trouble["since"] is not None
    until(lambda: started.said(f"{REFUSES.name} has ended"), 10, lambda: started.lines[-5:])
    assert sites.site(OPENS.id)["works"]

    # everything ends, with nothing left behind
    pids = [pid for pid in everything_below(started.pid) if alive(pid)]
    started.popen.send_signal(signal.SIGINT)
    assert started.wait(60) == 0
    until(lambda: not any(map(alive, pids)), 30)
    assert started.said("Stopped: every process has ended.")

    # and goes on from there
    again = sites.start()
    assert not any("password" in line for line in again.lines)
    until(lambda: sites.site(REFUSES.id)["works"], 60, lambda: sites.ask("sites"))
    (call,) = until(sites.calls, 10)
    assert (call["site"], call["state"]) == (OPENS.id, "acknowledged")
    assert "Frau Beispiel" in json.dumps(call, ensure_ascii=False)
    sites.press(OPENS.id, "wc.cancel")
    until(lambda: not sites.calls(), 10, sites.calls)
    for one in SITES:
        wait_for_everything(sites, one.id)
    wanted = {"call_raised", "call_cancelled", "door_opened"}
    assert wanted <= {k for k, _ in urgent(sites, OPENS.id)}

    # which the centre tells, too, from what its recorder has stored
    _, events = sites.ask(f"sites/{OPENS.id}/events?limit=1000")
    assert wanted <= {one["kind"] for one in events}
    _, leaf = sites.ask(f"sites/{OPENS.id}/points/{OPENS.door}.leaf/history")
    assert {True, False} <= {one["active"] for one in leaf["changes"]}


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")


def everything_below(pid: int) -> list[int]:
    found = children(pid)
    return [*found, *(below for child in found for below in everything_below(child))]
