"""What ``portier doctor`` says of the PostgreSQL store: whether it lets the recorder in, is new
enough, may be written to, and stores what it acknowledges. Nothing is made or changed."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.app.findings import Finding, no, unknown, yes
from gateway.recorder.stores import postgresql_schema
from gateway.recorder.stores.postgresql_connection import PostgresqlConnection
from gateway.recorder.stores.postgresql_rows import SERVER, unusable
from gateway.recorder.stores.store import BadPointsError, StoreDownError
from gateway.settings.values.store_address import StoreAddress

_PROBE = (
    "INSERT INTO events VALUES ('', '', 'doctor', 0, 'recorder', '', now(), true, '', 0, '{}')"
    " ON CONFLICT DO NOTHING",
    "DELETE FROM events WHERE gateway = '' AND lane = 'doctor'",
)


def examine(
    address: StoreAddress, secret: str, place: str, *, timeout_s: float
) -> Iterator[Finding]:
    """``place``: where the password is."""
    what = f"store: PostgreSQL at {address.where}"
    try:
        db = PostgresqlConnection(address, secret or None, timeout_s=timeout_s)
    except (StoreDownError, BadPointsError) as error:
        yield _refused(what, error, "is it running, and does it listen there? see record:", place)
        return
    try:
        yield from _server(db, what, address)
    except (StoreDownError, BadPointsError) as error:
        yield _refused(what, error, "look into its log", place)
    finally:
        db.close()


def _server(db: PostgresqlConnection, what: str, address: StoreAddress) -> Iterator[Finding]:
    ((version, text, encoding, read_only, unsafe, tls, may_make, user),) = db.rows(
        f"SELECT {SERVER},"
        " ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes']) AS name"
        " WHERE NOT current_setting(name)::boolean),"
        " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),"
        " has_database_privilege(current_database(), 'CREATE'), current_user"
    )
    if reason := unusable(version, text, encoding, read_only=read_only):
        problem, _, remedy = reason.partition("; ")
        yield no(f"{what}: {problem}", remedy, f"PostgreSQL {text}, {encoding}")
        return
    has_tables = postgresql_schema.version_of(db) > 0
    has_schema = has_tables or db.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'portier'")
    if not has_schema and not may_make:
        yield no(
            f"{what}: {user} may not make the schema portier in {address.database}",
            f"GRANT CREATE ON DATABASE {address.database} TO {user}, or let {user} own it",
            "has_database_privilege(CREATE) is false",
        )
        return
    way = "under TLS" if tls else "without TLS"
    if has_tables:
        with db.transaction():
            for statement in _PROBE:
                db.run(statement)
        yield yes(what, f"PostgreSQL {text}, {way}; it took an event of the doctor just now")
    else:
        yield unknown(
            f"{what}: has no tables yet",
            "systemctl start portier-record: the recorder makes them",
            f"PostgreSQL {text} took a connection just now, {way}",
        )
    for name in unsafe:
        yield no(
            f"{what}: it loses what it has acknowledged when the power fails ({name} = off)",
            f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()",
            f"{name} = off",
        )


def _refused(what: str, error: StoreDownError | BadPointsError, remedy: str, place: str) -> Finding:
    problem, _, its_remedy = str(error).partition("; ")
    if "password" in problem.casefold():
        its_remedy = f"is {place} the password of this user?"
    return no(f"{what}: {problem.removeprefix('PostgreSQL: ')}", its_remedy or remedy, problem)
