"""The store's address: what it is taken for, and everything that is not wholly understood."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.recorder.main import open_store
from gateway.settings.values.store_address import AddressError, StoreAddress, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("none", {"kind": "none"}),
        ("sqlite", {"kind": "sqlite", "file": "record.sqlite"}),
        ("sqlite:other.sqlite", {"kind": "sqlite", "file": "other.sqlite"}),
        (
            "influx://store.example",
            {"url": "http://store.example:8086", "org": "portier", "bucket": "portier"},
        ),
        (
            "influxs://store.example:443/my%20org/b",
            {"url": "https://store.example:443", "org": "my org", "bucket": "b"},
        ),
        ("influx://h/both", {"org": "both", "bucket": "both", "forgets_ms": 300_000}),
        ("influx://h/o/b?forgets=0", {"forgets_ms": 0}),
        ("influx://h/o/b?forgets=120", {"forgets_ms": 120_000}),
        ("influx://h/o/b?forgets=5min", {"forgets_ms": 300_000}),
        ("influx://h/o/b?forgets=5%20min", {"forgets_ms": 300_000}),
        ("influx1://h", {"kind": "influx1", "database": "portier", "forgets_ms": 0}),
        ("influx1://h/db/", {"database": "db", "user": None}),
        ("influx1://me%40home@h/db", {"database": "db", "user": "me@home"}),
        ("influx1s://[::1]:9/db", {"url": "https://[::1]:9", "where": "[::1]:9"}),
        (
            "postgresql://me@db.example/p",
            {
                "kind": "postgresql",
                "host": "db.example",
                "port": 5432,
                "database": "p",
                "user": "me",
                "tls": "verify-full",
                "authorities": "",
                "forgets_ms": 0,
                "where": "db.example:5432",
            },
        ),
        ("postgresql://me@127.0.0.1:9", {"port": 9, "database": "portier", "tls": "prefer"}),
        ("postgresql://me@[::1]/p", {"host": "::1", "where": "[::1]:5432", "tls": "prefer"}),
        ("postgresql://localhost/p", {"user": None, "tls": "prefer"}),
        ("postgresql://h/p?sslmode=require", {"tls": "require"}),
        (
            "postgresql://h/p?sslrootcert=/etc/ca.pem&sslmode=verify-ca",
            {"tls": "verify-ca", "authorities": "/etc/ca.pem"},
        ),
        ("postgresql://portier@/p", {"host": "/run/postgresql", "tls": "prefer"}),
        ("postgresql:///p?host=/tmp/pg", {"host": "/tmp/pg", "where": "/tmp/pg"}),
    ],
)
def test_an_address_is_taken_for_what_it_says(text: str, wanted: dict[str, object]) -> None:
    found = parse(text)
    assert {name: getattr(found, name) for name in wanted} == wanted
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("influx1://host/path/db", "more than a database"),
        ("influx1://host/db?rp=x", "nothing after"),
        ("influx1://host/db?", "nothing after"),
        ("influx1://host//db", None),
        ("influx1://host/a//b", "empty name"),
        ("influx1://host/%00", "control character"),
        ("influx1://host/%ff", "not UTF-8"),
        ("influx://host/proxy/org/bucket", "more than organisation"),
        ("influx://h/o/b?forgets=", "no duration"),
        ("influx://h/o/b?forgets=-5", "no duration"),
        ("influx://h/o/b?forgets=1e3", "no duration"),
        ("influx://h/o/b?forgets=٣", "no duration"),
        ("influx://h/o/b?forgets=25h", "more than a day"),
        ("influx://h/o/b?forgets=99999999999999", "no duration"),
        ("influx://h/o/b?forgets=1&forgets=2", "only forgets="),
        ("influx://h/o/b?forget=300", "not forget"),
        ("influx://h/o/b?x", "not x"),
        ("influx://h/o/b#x", "after #"),
        ("influx://h:0/o/b", "no address"),
        ("influx://h:99999/o/b", "no address"),
        ("influx://[::1/o/b", "no address"),
        ("influx://me@h/o/b", "password or token"),
        ("influx1://me:pw@h/b", "password or token"),
        ("influx1://h/b?token=x", "password or token"),
        ("influx://", "no address"),
        ("postgresql://me:pw@h/b", "password or token"),
        ("postgresql://h/b?password=x", "password or token"),
        ("postgresql://h/b/c", "more than a database"),
        ("postgresql://h,i/b", "no address"),
        ("postgresql://h:0/b", "no address"),
        ("postgresql://h/b?sslmode=prefer", "proves nothing"),
        ("postgresql://h/b?sslmode=disable&sslmode=require", "each once"),
        ("postgresql://h/b?options=-csearch_path", "only sslmode="),
        ("postgresql://h/b?host=/tmp", "leaves no host"),
        ("postgresql:///b?host=other.example", "folder of a Unix socket"),
        ("postgresql://h/b#x", "after #"),
        ("postgres://h/b", "not known"),
        ("http://h/b", "not known"),
        ("sqlite://h/b", "not known"),
        ("sqlite:", "no file"),
        ("sqlite:../journal.sqlite", "no file"),
        ("sqlite:recorder-main.sqlite", "of the recorder itself"),
        ("sqlite:Recorder-main.sqlite", "of the recorder itself"),
        ("sqlite:record.sqlite-wal", "of the recorder itself"),
        ("sqlite:record.sqlite-recent", "of the recorder itself"),
        ("sqlit", "no store"),
    ],
)
def test_what_is_not_wholly_understood_is_refused(text: str, problem: str | None) -> None:
    if problem is None:
        assert parse(text).database == "db"
        return
    with pytest.raises(AddressError, match=problem) as refused:
        parse(text)
    assert refused.value.remedy


@given(
    st.one_of(
        st.text(max_size=40),
        st.builds(
            "{}://{}".format,
            st.sampled_from(["influx", "influxs", "influx1", "influx1s", "sqlite"]),
            st.text("abc/:?&=%#@.[]0129forgets min ", max_size=30),
        ),
    )
)
@example("influx://[")
def test_what_check_accepts_the_recorder_opens(text: str) -> None:
    try:
        found: StoreAddress = parse(text)
    except AddressError:
        return
    if found.kind in ("influx", "influx1"):
        open_store(found, Path("/nowhere"), "secret").close()
