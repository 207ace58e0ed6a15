"""Real stores, with something in front of them, points that they refuse, and a second recorder."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recorder.state import RecorderState
from tests.asides import asides
from tests.process.parts_mqtt import (
    ROOT,
    Influx1,
    Mosquitto,
    Role,
    Victoria,
    eventually,
    running,
)
from tests.process.parts_mqtt import (
    http as ask,
)
from tests.process.stand_in import StandIn
from tests.process.test_delivery import Stream, everything_once, roles, store_of

pytestmark = pytest.mark.process


class Front(http.server.BaseHTTPRequestHandler):
    """A reverse proxy that sometimes answers itself."""

    protocol_version = "HTTP/1.1"
    behind: str
    answers: list[tuple[int, str, bytes]]
    """Its own answer: status, content type, body; none: the store's."""
    asked: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _serve(self, data: bytes | None) -> None:
        self.asked.append(self.path)
        if self.answers:
            status, kind, body = self.answers.pop(0)
            headers = {"Content-Type": kind, "Location": "/log-in"}
        else:
            request = urllib.request.Request(self.behind + self.path, data)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    status, headers, body = answer.status, dict(answer.headers), answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    status, headers, body = error.code, dict(error.headers), error.read()
            except OSError:
                status, headers, body = 502, {"Content-Type": "text/html"}, b"<html>502</html>"
        self.send_response(status)
        for name, text in headers.items():
            if name.casefold() not in {"content-length", "transfer-encoding", "connection", "date"}:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def in_front_of(port: int) -> Iterator[tuple[int, list[tuple[int, str, bytes]], list[str]]]:
    answers: list[tuple[int, str, bytes]] = []
    asked: list[str] = []
    handler = type(
        "Handler",
        (Front,),
        {"behind": f"http://127.0.0.1:{port}", "answers": answers, "asked": asked},
    )
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], answers, asked
        finally:
            server.shutdown()
            thread.join()


PAGES = [
    (400, "text/plain", b"bad request"),
    (400, "application/json", b'{"error":"partial write: dropped=1"}'),
    (200, "text/html", b"<html>Please log in</html>"),
    (204, "text/plain", b""),
    (302, "text/html", b""),
    (413, "text/html", b"<html>too large</html>"),
]


@pytest.mark.parametrize(
    ("kind", "known"), [("influx1", True), ("victoria", True), ("influx1", False)]
)
def test_whatever_answers_instead_of_the_store_every_fact_is_in_it_once(
    tmp_path: Path, control: StandIn, kind: str, known: bool
) -> None:
    """``known``: whether the store has answered before something else does."""
    broker = Mosquitto(tmp_path)
    part, store, points = store_of(kind, tmp_path)
    assert isinstance(part, Influx1 | Victoria)
    with in_front_of(part.port) as (port, answers, asked):
        link, record = roles(tmp_path, broker, store.replace(str(part.port), str(port)))
        with running(broker, part, link, record), Stream(control) as stream:
            if known:
                stream.more(30)
                eventually(points, 60, lambda: record.log()[-2000:])
            answers.extend(PAGES)
            stream.more(300)
            eventually(lambda: not answers, 100, lambda: record.log()[-2000:])
            stream.more(90)
            stream.__exit__()
            everything_once(control, stream, points, record)
            assert "not recording: waiting" in record.log()
            assert not any("log-in" in path for path in asked)
    with contextlib.closing(RecorderState(tmp_path / "record" / "recorder-main.sqlite")) as state:
        assert asides(state) == []


def record_command(state: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "record", *arguments, "--state", str(state)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_what_a_real_store_refuses_is_set_aside_and_sent_again_while_all_run(
    tmp_path: Path, control: StandIn
) -> None:
    """One field has another type in the store; what else is in its batches is stored."""
    broker, influx = Mosquitto(tmp_path), Influx1(tmp_path)
    link, record = roles(tmp_path, broker, influx.store)
    with running(broker, influx):
        for query in ("CREATE DATABASE portier",):
            ask(f"http://127.0.0.1:{influx.port}/query?q={query.replace(' ', '+')}", b"")
        status, body = ask(
            f"http://127.0.0.1:{influx.port}/write?db=portier", b'reading value="a text"'
        )
        assert status == 204, body
        with running(link, record):
            with Stream(control) as stream:
                stream.more(60)
            eventually(lambda: control.settled(stream.count))
            heads = control.reader.heads()
            eventually(
                lambda: (
                    control.reader.cursors().recorded.get("main", ("", {}))[1].get("routine")
                    == heads["routine"]
                ),
                60,
                lambda: record.log()[-2000:],
            )
            readings = stream.count // 3
            found = influx.points()
            assert len(found) == stream.count - readings
            code, text = record_command(tmp_path, "aside", "--json")
            rows = json.loads(text)
            assert (code, len(rows)) == (0, readings)
            assert all("field type conflict" in row["reason"] for row in rows)
            code, text = record_command(tmp_path, "retry", str(rows[0]["id"]), "--json")
            assert (code, json.loads(text)["refused"]) == (1, [rows[0]["id"]])
            influx.query("DROP MEASUREMENT reading")
            code, text = record_command(tmp_path, "retry", "--all", "--json")
            assert (code, len(json.loads(text)["stored"])) == (0, readings)
            everything_once(control, stream, influx.points, record)
            assert record_command(tmp_path, "aside") == (0, "Nothing is set aside.\n")


def test_two_recorders_of_one_name_are_named_and_do_not_fight(
    tmp_path: Path, control: StandIn
) -> None:
    broker = Mosquitto(tmp_path)
    _, one = roles(tmp_path, broker, "sqlite")
    _, two = roles(tmp_path / "other", broker, "sqlite")
    with running(broker, one):
        eventually(lambda: '"connected"' in one.log() or "connected" in one.log())
        two.start()
        try:
            eventually(lambda: "two recorders of one name" in one.log(), 60, one.log)
            assert broker.log().count("as portier-recorder-main") <= 8  # a fight: two a second
        finally:
            two.stop()


def test_a_second_process_with_the_same_state_ends_and_says_why(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    _, one = roles(tmp_path, broker, "sqlite")
    at = {"host": "127.0.0.1", "port": broker.port}
    settings = {"name": "main", "broker": at, "state": str(tmp_path / "record"), "store": "sqlite"}
    two = Role(tmp_path, "second", "record", settings)
    with running(broker, one):
        two.start(wait=False)
        assert two.process is not None
        assert two.process.wait(60) == 1
        assert "another recorder is running" in two.log()
        assert one.process is not None
        assert one.process.poll() is None
