"""One connection to PostgreSQL whose every step ends in time, and whose errors are the store's.

psycopg is imported here and nowhere else, and this file only where such a store is configured.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.abc import PQGen

from gateway.recorder.stores.postgresql_rows import failure
from gateway.recorder.stores.store import BadPointsError, StoreDownError
from gateway.settings.values.store_address import StoreAddress

CONNECT_S = 10
ANSWER_S = 20.0
"""For all statements of one transaction together."""
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""Those that Debian trusts. libpq from a wheel does not know where they are."""


class _Bounded(psycopg.Connection[tuple[Any, ...]]):
    """A server that is stopped, or a network that swallows everything, sends no error: the
    server's own time limits do not help then."""

    until_s = float("inf")

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        left_s = max(0.0, self.until_s - time.monotonic())
        return super().wait(gen, interval, left_s if timeout is None else min(left_s, timeout))


class PostgresqlConnection:
    """Raises :class:`StoreDownError` and :class:`BadPointsError`."""

    def __init__(self, address: StoreAddress, secret: str | None, *, timeout_s: float = ANSWER_S):
        self._timeout_s = timeout_s
        parameters: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "dbname": address.database,
            "user": address.user,
            "password": secret,
            "passfile": "/dev/null",  # a password comes from the configuration, or there is none
            "sslmode": address.tls,
            "gssencmode": "disable",
            "connect_timeout": min(CONNECT_S, int(timeout_s)),
            "application_name": "portier",
            "client_encoding": "UTF8",
            "options": "-c search_path=portier,pg_temp -c timezone=UTC",
        }
        if address.tls.startswith("verify"):
            parameters["sslrootcert"] = address.authorities or AUTHORITIES
        given = {name: value for name, value in parameters.items() if value is not None}
        with _translated_errors():
            self._db = _Bounded.connect("", autocommit=True, **given)

    def rows(
        self, sql: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """What a query finds. Outside of a transaction it is one of its own."""
        with self._bounded():
            return self._db.execute(sql.encode(), values or None).fetchall()

    def run(self, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> int:
        """How many rows it has changed."""
        with self._bounded():
            return self._db.execute(sql.encode(), values or None).rowcount

    def copy(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Put rows into a table."""
        statement = f"COPY {table} FROM STDIN".encode()
        with self._bounded(), self._db.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._bounded(), self._db.transaction():
            yield

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        is_outer = self._db.until_s == float("inf")
        if is_outer:
            self._db.until_s = time.monotonic() + self._timeout_s
        try:
            with _translated_errors():
                yield
        finally:
            if is_outer:
                self._db.until_s = float("inf")

    @property
    def is_usable(self) -> bool:
        """Whether the connection is there, and no transaction is open."""
        return not self._db.closed and self._db.info.transaction_status.name == "IDLE"

    def close(self) -> None:
        """Close it; an open transaction is undone by the server."""
        self._db.close()


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (StoreDownError, BadPointsError):
        raise
    except UnicodeEncodeError as error:
        raise BadPointsError(f"PostgreSQL: {error}") from error
    except psycopg.DataError as error:  # of the client itself, too
        raise BadPointsError(f"PostgreSQL {error.sqlstate or '22000'}: {_text(error)}") from error
    except psycopg.Error as error:
        raise failure(error.sqlstate or "", _text(error)) from error
    except OSError as error:
        raise failure("", str(error)) from error


def _text(error: psycopg.Error) -> str:
    """Without the detail, which may hold what is in the event."""
    return error.diag.message_primary or str(error)
