"""Real parts for process tests: a broker, stores, our own roles as processes of their own.

Everything listens on a free port of 127.0.0.1, lives in a temporary folder, and is ended by
its process id. A part that is not installed skips the test with that reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

ROOT = Path(__file__).resolve().parents[2]


_taken: list[socket.socket] = []
"""What keeps our ports for us until this process ends."""


def free_port(count: int = 1) -> int:
    """A port that nobody listens on, and that nobody else gets from here while we live; the first
    of ``count`` in a row.

    It lies below those that the kernel gives to outgoing connections. A name in the abstract
    namespace of Unix sockets is the lock: it goes with its process, whatever ends it."""
    while True:
        port = random.randrange(20_000, 32_000)
        if all(_claimed(port + more) for more in range(count)):
            return port


def _claimed(port: int) -> bool:
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0portier-test-port-{port}")
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
    except OSError:
        lock.close()
        return False
    _taken.append(lock)
    return True


def eventually(
    wanted: Callable[[], Any], within_s: float = 60.0, what: Callable[[], object] | str = ""
) -> Any:
    """Wait until ``wanted`` gives something true; its value. Fails after ``within_s``."""
    deadline = time.monotonic() + within_s
    while True:
        found = wanted()
        if found:
            return found
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {within_s} s: {text}")
        time.sleep(0.05)


def program(name: str) -> str:
    """Where a program is, or a skip."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class Part:
    """A process that can be killed and started again in the same place."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.began_at = 0

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self, *, wait: bool = True) -> None:
        with (self.folder / "log").open("ab") as log:
            self.began_at = log.tell()
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, env=self.environment()
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        eventually(self.ready, 60, lambda: f"{self.name}: {self.log()[-2000:]}")

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int | None:
        """SIGTERM, and what it exited with."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code


def port_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Mosquitto(Part):
    """A broker as shipped by us: nothing dropped from queues, no delay. It keeps nothing on
    disk, so that kill -9 loses its queues."""

    def __init__(self, folder: Path, name: str = "mosquitto", extra: str = "") -> None:
        super().__init__(folder, name)
        self.port = free_port()
        self.program = program("mosquitto")
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 0\nmax_inflight_messages 100\nset_tcp_nodelay true\n" + extra
        )

    def command(self) -> list[str]:
        return [self.program, "-c", "mosquitto.conf"]

    def ready(self) -> bool:
        return port_open(self.port)


class Influx1(Part):
    """InfluxDB 1.6 as Debian packages it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "influx1")
        self.port, self.program = free_port(), program("influxd")
        (self.folder / "influxdb.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\ndir = "{self.folder}/meta"\n'
            f'[data]\ndir = "{self.folder}/data"\nwal-dir = "{self.folder}/wal"\n'
            "query-log-enabled = false\n"
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
            "[monitor]\nstore-enabled = false\n"
        )

    def command(self) -> list[str]:
        return [self.program, "-config", "influxdb.conf"]

    def ready(self) -> bool:
        return http(f"http://127.0.0.1:{self.port}/ping")[0] == 204

    @property
    def store(self) -> str:
        return f"influx1://127.0.0.1:{self.port}/portier"

    def query(self, text: str) -> list[dict[str, Any]]:
        query = urlencode({"db": "portier", "epoch": "ms", "q": text})
        status, body = http(f"http://127.0.0.1:{self.port}/query?{query}")
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)["results"][0].get("series", [])
        return found

    def points(self, where: str = "") -> list[tuple[str, int, int]]:
        """(kind, time, seq) of everything, by kind and time."""
        if where == "" and not self._has_database():
            return []
        return sorted(
            (one["name"], row[0], row[1])
            for one in self.query(f"SELECT seq FROM /.*/ {where} GROUP BY *")
            for row in one["values"]
        )

    def _has_database(self) -> bool:
        names = self.query("SHOW DATABASES")
        return any(row == ["portier"] for one in names for row in one.get("values", ()))


class Victoria(Part):
    """VictoriaMetrics with the setting it needs to count a repeated point once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "victoria")
        self.port, self.program = free_port(), program("victoria-metrics")

    def command(self) -> list[str]:
        return [
            self.program,
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder}/data",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=256MB",
            "-selfScrapeInterval=0",
        ]

    def ready(self) -> bool:
        return http(f"http://127.0.0.1:{self.port}/health")[0] == 200

    @property
    def store(self) -> str:
        return f"influx://127.0.0.1:{self.port}/portier/portier"

    def points(self, field: str = "seq") -> list[tuple[str, int, int]]:
        """(kind, time, value) of one field of every kind."""
        match = quote('{__name__=~".+_' + field + '"}')
        status, body = http(
            f"http://127.0.0.1:{self.port}/api/v1/export?match[]={match}&reduce_mem_usage=0"
        )
        assert status == 200, body
        found = []
        for text in body.splitlines():
            one = json.loads(text)
            kind = one["metric"]["__name__"].removesuffix("_" + field)
            found += [
                (kind, at, int(value))
                for at, value in zip(one["timestamps"], one["values"], strict=True)
            ]
        return sorted(found)


def http(url: str, data: bytes | None = None) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, data=data, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def sqlite_points(path: Path) -> list[tuple[str, int, int]]:
    """(kind, time, seq) of everything in the embedded store, and of the readings that wait beside
    it: of a copy, because its file is the recorder's alone."""
    if not path.exists():
        return []
    waiting = _readings_that_wait(Path(f"{path}-recent"))  # first: they may be moved
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            stored = db.execute(
                "SELECT measurement, time_ms, seq FROM points"
                " JOIN series ON series.id = points.series"
            ).fetchall()
        except sqlite3.OperationalError:
            return []
    return sorted({*stored, *waiting})


def _readings_that_wait(path: Path) -> list[tuple[str, int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        try:
            for ending in ("", "-wal"):
                shutil.copy(f"{path}{ending}", f"{copy}{ending}")
            with contextlib.closing(sqlite3.connect(copy)) as db:
                return db.execute("SELECT 'reading', time_ms, seq FROM recent").fetchall()
        except (OSError, sqlite3.Error):  # not made yet, or in the middle of a write
            return []


class Role(Part):
    """One of our roles (``link`` or ``record``) as a process of its own."""

    def __init__(self, folder: Path, name: str, role: str, settings: dict[str, Any]) -> None:
        super().__init__(folder, name)
        self.role = role
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.process.role",
            self.role,
            "settings.json",
        ]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-4000:]
        now = self.log()[self.began_at :]
        return "recording" in now or "forwarding" in now


@contextlib.contextmanager
def running(*parts: Part) -> Iterator[None]:
    """Start these parts, and end whatever of them still runs."""
    try:
        for part in parts:
            part.start()
        yield
    finally:
        for part in reversed(parts):
            if part.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    part.signal(signal.SIGCONT)
            part.stop()
