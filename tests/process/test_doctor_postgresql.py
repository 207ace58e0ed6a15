"""``portier doctor`` before a real PostgreSQL that is wrong in one way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.findings import Finding
from gateway.recorder.stores.postgresql import PostgresqlStore
from gateway.settings.values.store_address import parse
from tests.process.parts_mqtt import running
from tests.process.parts_postgresql import PASSWORD, Postgresql
from tests.process.test_doctor import broker_line, found

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    one = Postgresql(tmp_path_factory.mktemp("server"))
    with running(one):
        yield one
    one.remove()


def doctor(folder: Path, store: str, password: str = PASSWORD) -> list[Finding]:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "store").write_text(password + "\n", encoding="utf-8")
    line = f'record: {{store: "{store}", password: !secret store}}\n'
    findings = found(folder, broker_line(1), line, about="store")
    assert not any(password in f"{one.what}{one.evidence}{one.remedy}" for one in findings)
    return findings


def test_a_database_in_order_is_ok_and_says_what_was_observed(
    tmp_path: Path, server: Postgresql
) -> None:
    (new,) = doctor(tmp_path, server.store)
    assert (new.value, "has no tables yet" in new.what) == ("unknown", True)
    assert server.query("SELECT to_regclass('portier.events')") == [(None,)]
    store = PostgresqlStore(parse(server.store), PASSWORD)
    store.identity()
    store.close()
    (there,) = doctor(tmp_path, server.store)
    assert there.value == "yes"
    assert "it took an event of the doctor just now" in there.evidence
    assert server.query("SELECT count(*) FROM portier.events") == [(0,)]


@pytest.mark.parametrize(
    ("spoil", "mend", "what", "remedy"),
    [
        ("ALTER ROLE portier PASSWORD 'another'", f"ALTER ROLE portier PASSWORD '{PASSWORD}'",
         "password authentication failed", "secrets/store the password of this user?"),
        ("ALTER DATABASE portier RENAME TO other", "ALTER DATABASE other RENAME TO portier",
         "does not exist", "createdb"),
        ("ALTER DATABASE portier SET default_transaction_read_only = on",
         "ALTER DATABASE portier RESET default_transaction_read_only",
         "is read-only", "address of the primary"),
        ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM RESET fsync",
         "loses what it has acknowledged when the power fails", "ALTER SYSTEM SET fsync = on"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_remedy(
    tmp_path: Path, server: Postgresql, spoil: str, mend: str, what: str, remedy: str
) -> None:
    with server.admin("postgres") as db:
        db.execute(spoil.encode())
        db.execute("SELECT pg_reload_conf()")
    try:
        (wrong,) = [one for one in doctor(tmp_path, server.store) if one.value == "no"]
    finally:
        with server.admin("postgres") as db:
            db.execute(mend.encode())
            db.execute("SELECT pg_reload_conf()")
    assert what in wrong.what
    assert remedy in wrong.remedy


def test_rights_that_are_missing_are_named(tmp_path: Path, server: Postgresql) -> None:
    with server.admin("postgres") as db:
        db.execute("CREATE DATABASE bare")
    (wrong,) = doctor(tmp_path, f"{server.store.removesuffix('portier')}bare")
    assert wrong.value == "no"
    assert "may not make the schema portier in bare" in wrong.what
    assert "GRANT CREATE ON DATABASE bare TO portier" in wrong.remedy


def test_a_server_without_the_tls_that_its_address_asks_for_is_named(
    tmp_path: Path, server: Postgresql
) -> None:
    (wrong,) = doctor(tmp_path, f"{server.store}?sslmode=verify-full")
    assert wrong.value == "no"
    assert "SSL" in wrong.what
    assert "sslrootcert" in wrong.remedy


def test_nobody_listens(tmp_path: Path, server: Postgresql) -> None:
    (wrong,) = doctor(tmp_path, "postgresql://portier@127.0.0.1:1/portier")
    assert wrong.value == "no"
    assert "is it running" in wrong.remedy


def test_a_certificate_is_believed_by_its_name_and_its_authority_alone(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    authority = postgresql.certify()
    with running(postgresql):
        (new,) = doctor(tmp_path, f"{postgresql.store}?sslmode=verify-full&sslrootcert={authority}")
        (unknown,) = doctor(tmp_path, f"{postgresql.store}?sslmode=verify-full")
        (other,) = doctor(
            tmp_path,
            f"{postgresql.store}?sslmode=verify-full&sslrootcert={authority}".replace(
                "127.0.0.1", "localhost"
            ),
        )
    assert "took a connection just now, under TLS" in new.evidence
    assert (unknown.value, other.value) == ("no", "no")
    assert "certificate verify failed" in unknown.what
    assert 'does not match host name "localhost"' in other.what
    assert "sslrootcert" in unknown.remedy
    assert "a certificate of its name" in other.remedy
