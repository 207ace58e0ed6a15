"""A real PostgreSQL for process tests: Debian's, as an ordinary user, on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.process.parts import children
from tests.process.parts_mqtt import Part, free_port

PASSWORD = "only for tests"
_NOBODY = "nobody"


def programs() -> Path:
    """The folder of the newest version's programs, or a skip."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        pytest.skip("postgresql is not installed")
    return found[-1].parent


class Postgresql(Part):
    """A server with a database ``portier`` that the user of this name owns. ``kill`` is what the
    machine's end does to it: all its processes are killed."""

    def __init__(self, folder: Path, name: str = "postgresql", **settings: str) -> None:
        super().__init__(folder, name)
        self.port = free_port()
        self._bin = programs()
        # the server's user must reach it; folders of tests are for their user alone
        self._home = Path(tempfile.mkdtemp(prefix="portier-postgresql-"))
        self.data = self._home / "data"
        self._as: list[str] = []
        if os.geteuid() == 0:  # which PostgreSQL refuses
            user = pwd.getpwnam(_NOBODY)
            os.chown(self._home, user.pw_uid, user.pw_gid)
            self._as = [
                "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
            ]  # fmt: skip
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._home),
            "shared_buffers": "16MB",
            "max_connections": "30",
            **settings,
        }
        secret = self._home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        done = subprocess.run(
            [
                *self._as, str(self._bin / "initdb"), "-D", str(self.data), "-U", "admin",
                "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "-N",
            ],
            capture_output=True, text=True, check=False, cwd=self._home,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self._is_made = False
        self._frozen: list[int] = []

    def certify(self) -> Path:
        """Give the server a certificate of 127.0.0.1, before it is started; the file of whoever
        has signed it."""
        cert, key = self._home / "server.pem", self._home / "server.key"
        subprocess.run(
            [
                *self._as, "openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=test",
                "-addext", "subjectAltName=IP:127.0.0.1", "-out", str(cert), "-keyout", str(key),
            ],
            capture_output=True, check=True, cwd=self._home,
        )  # fmt: skip
        self._settings |= {"ssl": "on", "ssl_cert_file": str(cert), "ssl_key_file": str(key)}
        return cert

    def command(self) -> list[str]:
        options = [
            part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")
        ]
        return [*self._as, str(self._bin / "postgres"), "-D", str(self.data), *options]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LC_ALL": "C.UTF-8", "HOME": str(self._home)}

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-2000:]
        try:
            if not self._is_made:
                self.make()
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def make(self) -> None:
        with self.admin("postgres") as db:
            db.execute(f"CREATE ROLE portier LOGIN PASSWORD '{PASSWORD}'".encode())
            db.execute("CREATE DATABASE portier OWNER portier")
        self._is_made = True

    @contextlib.contextmanager
    def admin(self, database: str = "portier") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="admin", password=PASSWORD, dbname=database,
            autocommit=True, connect_timeout=10,
        ) as db:  # fmt: skip
            yield db

    def query(self, text: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.admin() as db:
            return db.execute(text.encode(), values or None).fetchall()

    def kill(self) -> None:
        """kill -9 of all its processes: the next start finds none of them alive."""
        if self.process is None:
            return
        self.signal(signal.SIGSTOP)  # it starts no further one
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().kill()

    def freeze(self) -> None:
        """Stop all its processes, as a machine that hangs does."""
        assert self.process is not None
        self._frozen = [self.process.pid]
        self.signal(signal.SIGSTOP)
        self._frozen += children(self.process.pid)
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    @contextlib.contextmanager
    def small_disk(self) -> Iterator[Callable[[], None]]:
        """The tables of ``portier`` lie on a disk of 2 MB; what is given makes it large."""
        place = self._home / "small"
        place.mkdir()
        if os.geteuid() != 0:
            pytest.skip("mounting a small tmpfs needs root")
        owner = pwd.getpwnam(_NOBODY)
        options = f"size=2m,uid={owner.pw_uid},gid={owner.pw_gid},mode=700"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("this machine does not let us mount")
        try:
            with self.admin() as db:
                db.execute(f"CREATE TABLESPACE small OWNER portier LOCATION '{place}'".encode())
                db.execute("ALTER DATABASE portier SET default_tablespace = small")

            def grow() -> None:
                subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)

            yield grow
        finally:
            self.stop()
            subprocess.run(["umount", str(place)], check=True)

    def stop(self) -> int | None:
        """At once and in order, whoever is connected."""
        self.thaw()
        if self.process is not None:
            self.signal(signal.SIGINT)
        return super().stop()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def store(self) -> str:
        return f"postgresql://portier@127.0.0.1:{self.port}/portier"

    def points(self) -> list[tuple[str, int, int]]:
        """(kind, time, sequence) of everything, by kind and time."""
        try:
            found = self.query(
                "SELECT kind, (extract(epoch FROM time) * 1000)::bigint, sequence"
                " FROM portier.events WHERE journal <> ''"
            )
        except psycopg.errors.UndefinedTable:
            return []
        return sorted(found)

    def readings(self) -> int:
        ((count,),) = self.query("SELECT count(*) FROM portier.readings")
        return int(count)
