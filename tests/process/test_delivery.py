"""From the journal to the store, through a real broker and real stores, whatever is killed."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import re
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.asides import asides
from tests.process.parts_mqtt import (
    Influx1,
    Mosquitto,
    Part,
    Role,
    Victoria,
    eventually,
    free_port,
    running,
    sqlite_points,
)
from tests.process.stand_in import StandIn, links

pytestmark = pytest.mark.process

Points = list[tuple[str, int, int]]


def roles(folder: Path, broker: Mosquitto, store: str) -> tuple[Role, Role]:
    at = {"host": "127.0.0.1", "port": broker.port}
    link = Role(folder, "link", "link", {"gateway": "csg", "broker": at, "state": str(folder)})
    record = Role(
        folder,
        "record",
        "record",
        {"name": "main", "broker": at, "state": str(folder / "record"), "store": store},
    )
    return link, record


def expected(control: StandIn) -> list[tuple[str, int]]:
    """Kind and number of everything in the journal, each once."""
    return sorted((row.kind, row.seq) for row in control.rows())


class Stream:
    """Openings, one every few milliseconds, until it is told to end."""

    def __init__(self, control: StandIn, every_s: float = 0.005) -> None:
        self._control = control
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.count = 0

    def _run(self) -> None:
        for number in itertools.count():
            self._control.opening(number)
            self.count = 3 * (number + 1)
            if self._over.wait(self._every_s):
                return

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def more(self, facts: int) -> None:
        goal = self.count + facts
        eventually(lambda: self.count >= goal)


def everything_once(
    control: StandIn, stream: Stream, points: Callable[[], Points], record: Role
) -> None:
    """The store equals the journal: every fact once, at its own time or moved by a little."""
    eventually(lambda: control.settled(stream.count), what="journal")
    wanted = expected(control)
    eventually(
        lambda: len(points()) >= len(wanted),
        120,
        lambda: f"{len(points())} of {len(wanted)}\n{record.log()[-3000:]}",
    )
    found = points()
    assert sorted((kind, seq) for kind, _, seq in found) == wanted
    own = {(row.kind, row.seq): row.utc_ms or 0 for row in control.rows()}
    assert all(0 <= at - own[kind, seq] < 50 for kind, at, seq in found)


def test_what_is_in_the_journal_comes_into_the_store_and_is_told_back(
    tmp_path: Path, control: StandIn
) -> None:
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, "sqlite")
    with running(broker, link, record):
        with Stream(control) as stream:
            stream.more(300)
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )
        heads = control.reader.heads()
        eventually(lambda: control.reader.cursors().sent["urgent"] == heads["urgent"])
        eventually(
            lambda: (
                control.reader.cursors().recorded.get("main", ("", {}))[1]
                == {"urgent": heads["urgent"], "routine": heads["routine"]}
            )
        )


def store_of(kind: str, folder: Path) -> tuple[Part | None, str, Callable[[], Points]]:
    if kind == "sqlite":
        return None, "sqlite", lambda: sqlite_points(folder / "record" / "record.sqlite")
    if kind == "influx1":
        influx = Influx1(folder)
        return influx, influx.store, influx.points
    victoria = Victoria(folder)
    return victoria, victoria.store, victoria.points


@pytest.mark.parametrize("kind", ["sqlite", "influx1", "victoria"])
def test_whatever_is_killed_every_fact_is_in_the_store_once(
    tmp_path: Path, control: StandIn, kind: str
) -> None:
    """Broker killed with its queue, recorder killed, link killed, store killed, in a stream."""
    broker = Mosquitto(tmp_path)
    part, store, points = store_of(kind, tmp_path)
    link, record = roles(tmp_path, broker, store)
    parts = [broker, *([part] if part else []), link, record]
    with running(*parts):
        with Stream(control) as stream:
            stream.more(300)
            record.kill()
            stream.more(300)  # queued at the broker, and lost with it
            broker.kill()
            stream.more(100)
            record.start()
            broker.start()
            stream.more(300)
            link.kill()
            stream.more(100)
            link.start()
            if part is not None:
                stream.more(300)
                part.kill()
                stream.more(300)
                part.start()
            stream.more(300)
        everything_once(control, stream, points, record)


def test_a_broker_that_is_killed_and_loses_its_queue_loses_nothing(
    tmp_path: Path, control: StandIn
) -> None:
    """paho#634: messages lost because the queue is RAM. Here the very last ones are lost, so
    that no later fact shows the gap: the health message does."""
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, "sqlite")
    with running(broker, link, record):
        eventually(lambda: "connected" in record.log())
        record.kill()  # its persistent session now queues at the broker
        with Stream(control) as stream:
            stream.more(900)
        eventually(lambda: control.settled(stream.count))
        heads = control.reader.heads()
        eventually(lambda: control.reader.cursors().sent["urgent"] == heads["urgent"])
        broker.kill()
        record.start()
        broker.start()
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )


SLOW = -1
RECORDER_WAITS_S = 10.0


class Troubled(http.server.BaseHTTPRequestHandler):
    """A store at its worst: 503, 429, silence, slowness, and one field it will never take."""

    answers: Iterator[int | None]
    lines: dict[str, str]
    over: threading.Event

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = next(self.answers)
        if status is None:
            self.close_connection = True
            return
        if status == SLOW:  # it takes everything, and its answer comes when nobody waits any more
            self.over.wait(2 * RECORDER_WAITS_S)
            status = 204
        if status == 204 and '"poison"' in body:
            status = 400
        if status == 204:
            for line in body.splitlines():
                series, _, rest = line.partition(" ")
                self.lines[f"{series} {rest.rsplit(' ', 1)[1]}"] = line
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()


def of(series: str) -> str:
    """The measurement of a series."""
    return re.split("[, ]", series, maxsplit=1)[0]


@contextlib.contextmanager
def troubled() -> Iterator[tuple[int, dict[str, str]]]:
    lines: dict[str, str] = {}
    worst = itertools.chain([503, 429, None, 500, 204, SLOW, 429, 503], itertools.repeat(204))
    over = threading.Event()
    handler = type("Handler", (Troubled,), {"answers": worst, "lines": lines, "over": over})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], lines
        finally:
            over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("scheme", ["influx", "influx1"])
def test_a_store_that_is_slow_or_answers_429_and_5xx_gets_everything_but_what_it_calls_bad(
    tmp_path: Path, control: StandIn, scheme: str
) -> None:
    from gateway.core.facts import Fact
    from gateway.recorder.points import COUNTED
    from gateway.recorder.state import RecorderState
    from tests.process.stand_in import mono_ms

    broker = Mosquitto(tmp_path)
    with troubled() as (port, lines):
        link, record = roles(tmp_path, broker, f"{scheme}://127.0.0.1:{port}/portier")
        with running(broker, link, record):
            with Stream(control) as stream:
                stream.more(150)
                bad = Fact("gateway_stopped", "csg", mono_ms(), {"reason": "poison"})
                control.facts(bad)
                stream.more(150)
            eventually(lambda: control.settled(stream.count + 1))
            wanted = len(control.rows()) - 1

            counts = sum(row.kind in COUNTED for row in control.rows())

            def facts() -> int:
                """What is stored, but for counts, health and the recorder's own probes."""
                return sum(of(line) not in {"fact", "health", "recorder"} for line in [*lines])

            def counted() -> int:
                return sum(of(line) == "fact" for line in [*lines])

            eventually(
                lambda: facts() >= wanted and counted() >= counts,
                60,
                lambda: record.log()[-2000:],
            )
            assert (facts(), counted()) == (wanted, counts)
            heads = control.reader.heads()
            eventually(
                lambda: control.reader.cursors().recorded["main"][1]["urgent"] == heads["urgent"]
            )
        state = RecorderState(tmp_path / "record" / "recorder-main.sqlite")
        (aside,) = asides(state)
        state.close()
        assert "poison" in aside.event
        assert aside.reason.startswith("HTTP 400")


def test_a_broker_that_freezes_is_noticed_and_nothing_is_lost(
    tmp_path: Path, control: StandIn
) -> None:

    broker = Mosquitto(tmp_path)
    at = {"host": "127.0.0.1", "port": broker.port, "keepalive_s": 3}
    link = Role(tmp_path, "link", "link", {"gateway": "csg", "broker": at, "state": str(tmp_path)})
    _, record = roles(tmp_path, broker, "sqlite")
    with running(broker, link, record):
        with Stream(control) as stream:
            stream.more(100)
            broker.signal(signal.SIGSTOP)
            eventually(
                lambda: (False, "frozen") in links(control),
                60,
                lambda: link.log()[-2000:],
            )
            broker.signal(signal.SIGCONT)
            stream.more(100)
        everything_once(
            control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
        )


def test_two_gateways_with_one_id_name_it_and_do_not_fight(
    tmp_path: Path, control: StandIn
) -> None:

    broker = Mosquitto(tmp_path)
    link, _ = roles(tmp_path, broker, "sqlite")
    twin = StandIn(_folder(tmp_path / "twin"))
    twin.start()
    other, _ = roles(twin.folder, broker, "sqlite")
    try:
        with running(broker, link):
            eventually(lambda: "connected" in link.log())
            other.start()
            eventually(lambda: (False, "taken_over") in links(control))
            time.sleep(3)  # a fight would be dozens of connections by now
            connections = broker.log().count("as portier-csg")
            other.stop()
            assert connections <= 6
    finally:
        other.stop()
        twin.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_broker_that_comes_late_and_a_journal_that_comes_later(tmp_path: Path) -> None:
    """Everything starts in any order."""
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, "sqlite")
    with running(link, record):
        eventually(lambda: "journal not readable" in link.log())
        control = StandIn(tmp_path)
        control.start()
        try:
            with Stream(control) as stream:
                stream.more(30)
                broker.start()
                stream.more(30)
            everything_once(
                control, stream, lambda: sqlite_points(tmp_path / "record/record.sqlite"), record
            )
        finally:
            broker.stop()
            control.close()


def test_a_port_that_nobody_listens_on_is_tried_for_ever_and_stops_at_once(
    tmp_path: Path, control: StandIn
) -> None:
    broker = Mosquitto(tmp_path)
    broker.port = free_port()
    link, record = roles(tmp_path, broker, "sqlite")
    with running(link, record):
        eventually(lambda: "broker lost" in link.log())
        eventually(lambda: "broker not reachable" in record.log())
        assert link.stop() == 0  # not killed after a while
        assert record.stop() == 0
