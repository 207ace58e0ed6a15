"""From the journal into a real PostgreSQL: every event once, whatever is killed."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import string
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.publish import multiple

from gateway.core.facts import Fact
from gateway.recorder.state import RecorderState
from tests.asides import asides
from tests.process.parts_mqtt import Mosquitto, Role, eventually, running
from tests.process.parts_postgresql import PASSWORD, Postgresql
from tests.process.stand_in import StandIn, mono_ms
from tests.process.test_delivery import Stream, everything_once
from tests.recorder.conftest import T0, event

pytestmark = pytest.mark.process


def roles(
    folder: Path, broker: Mosquitto, server: Postgresql, **settings: Any
) -> tuple[Role, Role]:
    at = {"host": "127.0.0.1", "port": broker.port}
    link = Role(folder, "link", "link", {"gateway": "csg", "broker": at, "state": str(folder)})
    return link, recorder(folder, broker, server, **settings)


def recorder(
    folder: Path, broker: Mosquitto, server: Postgresql, name: str = "main", **settings: Any
) -> Role:
    at = {"host": "127.0.0.1", "port": broker.port}
    wanted = {
        "name": name, "broker": at, "state": str(folder / f"state-{name}"),
        "store": server.store, "secret": PASSWORD, **settings,
    }  # fmt: skip
    return Role(folder, f"record-{name}", "record", wanted)


def readings_once(server: Postgresql, control: StandIn) -> None:
    """Each reading of the journal has one row of its own, with its value and its time."""
    wanted = sorted(
        (row.utc_ms or 0, row.data["value"]) for row in control.rows() if row.kind == "reading"
    )
    found = server.query(
        "SELECT (extract(epoch FROM time) * 1000)::bigint, value FROM portier.readings"
    )
    assert sorted(found) == wanted


def test_whatever_is_killed_every_event_and_its_reading_is_in_the_database_once(
    tmp_path: Path, control: StandIn, postgresql: Postgresql
) -> None:
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, postgresql)
    with running(broker, postgresql, link, record):
        with Stream(control) as stream:
            stream.more(300)
            record.kill()
            stream.more(300)  # queued at the broker, and lost with it
            broker.kill()
            stream.more(100)
            record.start()
            broker.start()
            stream.more(300)
            postgresql.kill()
            stream.more(300)
            record.kill()
            postgresql.start()
            record.start()
            stream.more(300)
            postgresql.kill()
            stream.more(100)
            postgresql.start()
            stream.more(300)
        everything_once(control, stream, postgresql.points, record)
        readings_once(postgresql, control)
        events = postgresql.query("SELECT lane, sequence, subject, data FROM portier.events")
        wanted = [(row.lane, row.seq, row.subject, dict(row.data)) for row in control.rows()]
        assert sorted(events, key=str) == sorted(wanted, key=str)
        heads = control.reader.heads()
        eventually(
            lambda: (
                control.reader.cursors().recorded.get("main", ("", {}))[1]
                == {"urgent": heads["urgent"], "routine": heads["routine"]}
            )
        )


def test_an_event_whose_time_is_learnt_late_and_corrected_is_there_once(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """The recorder stores what has no time by an offset that is an hour wrong, and then loses its
    own state: everything comes again, with other times."""
    broker = Mosquitto(tmp_path)
    record = recorder(tmp_path, broker, postgresql)

    def reading(seq: int, utc_ms: int | None, *, late: bool = False) -> dict[str, Any]:
        data = {"quantity": "temperature_c", "value": float(seq)}
        return event(seq, utc_ms=utc_ms, mono_ms=1_000 * seq, data=data, late=late)

    def told(utc_ms: int | None) -> dict[str, Any]:
        data = {"utc_offset_ms": T0 - 3_600_000}
        return event(
            21, kind="clock_trusted", subject="csg", utc_ms=utc_ms, mono_ms=21_000, data=data
        )

    with running(broker, postgresql, record):
        eventually(lambda: "connected" in record.log())
        publish(broker, *(reading(seq, None) for seq in range(1, 21)), told(None))
        eventually(lambda: len(postgresql.points()) == 21, 60, lambda: record.log()[-3000:])
        before = postgresql.points()
        assert {at for _, at, _ in before} == {T0 - 3_600_000 + 1_000 * n for n in range(1, 22)}
        record.kill()
        shutil.rmtree(tmp_path / "state-main")
        record.start()
        again = [reading(seq, T0 + 1_000 * seq, late=True) for seq in range(1, 21)]
        publish(broker, *again, told(T0 + 21_000), reading(22, T0 + 22_000))
        last = ("reading", T0 + 22_000, 22)
        eventually(lambda: last in postgresql.points(), 60, lambda: record.log()[-3000:])
        assert postgresql.points() == sorted([*before, last])
        assert postgresql.readings() == 21


def publish(broker: Mosquitto, *events: dict[str, Any]) -> None:
    """As the gateway ``csg`` sends them."""
    multiple(
        [
            (f"portier/csg/event/{one['type'].split('.')[1]}/x", json.dumps(one), 1, False)
            for one in events
        ],
        hostname="127.0.0.1",
        port=broker.port,
    )


def test_what_the_database_refuses_is_set_aside_alone(
    tmp_path: Path, control: StandIn, postgresql: Postgresql
) -> None:
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, postgresql)
    long = "".join(random.Random(1).choices(string.ascii_letters, k=9_000))
    poison = [
        Fact("gateway_stopped", "csg", mono_ms(), {"reason": "a\0b"}),
        Fact("reading", "wc.climate", mono_ms(), {"quantity": "x", "value": 1.0, "count": 2**40}),
        Fact("reading", "wc.climate", mono_ms(), {"quantity": long, "value": 1.0}),
    ]
    with running(broker, postgresql, link, record):
        with Stream(control) as stream:
            stream.more(150)
            for fact in poison:
                control.facts(fact)
            stream.more(150)
        eventually(lambda: control.settled(stream.count + len(poison)))
        eventually(
            lambda: len(postgresql.points()) == stream.count, 60, lambda: record.log()[-3000:]
        )
        heads = control.reader.heads()
        eventually(
            lambda: (
                control.reader.cursors().recorded.get("main", ("", {}))[1]
                == {"urgent": heads["urgent"], "routine": heads["routine"]}
            )
        )
        record.stop()
        with contextlib.closing(
            RecorderState(tmp_path / "state-main" / "recorder-main.sqlite")
        ) as state:
            aside = asides(state)
        data = {one.reason.partition(":")[0]: json.loads(one.event)["data"] for one in aside}
        assert data == {
            "PostgreSQL 22P05": poison[0].data,
            "PostgreSQL 22003": poison[1].data,
            "PostgreSQL 54000": poison[2].data,
        }
        found = postgresql.query("SELECT count(*) FROM portier.events WHERE journal = ''")
        assert found == [(0,)]  # the probe was undone


def test_two_recorders_side_by_side_make_the_tables_once_and_write_each_event_once(
    tmp_path: Path, control: StandIn, postgresql: Postgresql
) -> None:
    """Both of them record the same gateway, which is worse than dividing the gateways."""
    broker = Mosquitto(tmp_path)
    link, one = roles(tmp_path, broker, postgresql)
    two = recorder(tmp_path, broker, postgresql, "second")
    with running(broker, postgresql, link), Stream(control) as stream:
        one.start(wait=False)
        two.start(wait=False)
        try:
            stream.more(600)
            two.kill()
            stream.more(300)
            postgresql.kill()
            postgresql.start()
            two.start()
            stream.more(300)
            stream.__exit__()
            everything_once(control, stream, postgresql.points, one)
            heads = control.reader.heads()
            wanted = {"urgent": heads["urgent"], "routine": heads["routine"]}
            eventually(
                lambda: (
                    {name: told[1] for name, told in control.reader.cursors().recorded.items()}
                    == {"main": wanted, "second": wanted}
                ),
                60,
                lambda: two.log()[-3000:],
            )
            everything_once(control, stream, postgresql.points, two)
            readings_once(postgresql, control)
            assert postgresql.query("SELECT value FROM portier.meta WHERE name = 'version'") == [
                ("1",)
            ]
        finally:
            one.stop()
            two.stop()


WRONG = {
    "password": (
        "ALTER ROLE portier PASSWORD 'another'",
        f"ALTER ROLE portier PASSWORD '{PASSWORD}'",
        "password authentication failed",
    ),
    "database": (
        "ALTER DATABASE portier RENAME TO other",
        "ALTER DATABASE other RENAME TO portier",
        "make the database: createdb",
    ),
    "rights": (
        "ALTER DATABASE portier OWNER TO admin",
        "ALTER DATABASE portier OWNER TO portier",
        "GRANT CREATE ON DATABASE",
    ),
    "read-only": (
        "ALTER DATABASE portier SET default_transaction_read_only = on",
        "ALTER DATABASE portier RESET default_transaction_read_only",
        "write the address of the primary",
    ),
}


def _is_said(record: Role, word: str) -> bool:
    return word in record.log()


@pytest.mark.parametrize("what", WRONG)
def test_a_database_that_refuses_is_waited_for_and_gets_everything(
    tmp_path: Path, control: StandIn, postgresql: Postgresql, what: str
) -> None:
    spoil, mend, said = WRONG[what]
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, postgresql)
    with running(broker, postgresql):
        with postgresql.admin("postgres") as db:
            db.execute(spoil.encode())
        with running(link, record), Stream(control) as stream:
            stream.more(60)
            for word in (said, "store_refuses"):
                eventually(partial(_is_said, record, word), 60, lambda: record.log()[-3000:])
            assert PASSWORD not in record.log()
            with postgresql.admin("postgres") as db:
                db.execute(mend.encode())
            stream.more(60)
            stream.__exit__()
            everything_once(control, stream, postgresql.points, record)


def test_a_full_disk_is_named_and_nothing_is_lost(
    tmp_path: Path, control: StandIn, postgresql: Postgresql
) -> None:
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, postgresql)
    with (
        running(broker, postgresql),
        postgresql.small_disk() as grow,
        running(link, record),
        Stream(control) as stream,
    ):
        eventually(
            lambda: "its disk is full: make room" in record.log(),
            120,
            lambda: record.log()[-3000:],
        )
        grow()
        stream.more(60)
        stream.__exit__()
        everything_once(control, stream, postgresql.points, record)
        readings_once(postgresql, control)


def test_a_server_that_is_frozen_is_given_up_after_its_time_and_gets_everything(
    tmp_path: Path, control: StandIn, postgresql: Postgresql
) -> None:
    """It takes what is sent to it, and never answers: no error comes from it."""
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, postgresql)
    with running(broker, postgresql, link, record), Stream(control) as stream:
        stream.more(60)
        eventually(lambda: len(postgresql.points()) >= 60)
        postgresql.freeze()
        eventually(lambda: "not recording: waiting" in record.log(), 120)
        postgresql.thaw()
        stream.more(60)
        stream.__exit__()
        everything_once(control, stream, postgresql.points, record)
        readings_once(postgresql, control)
