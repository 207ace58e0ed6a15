"""What a store is given, and how it lives with what it will not take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import KINDS
from gateway.recorder.main import open_store
from gateway.recorder.points import COUNTED, OTHER, Point, counted, fields_of, line, tags_of
from gateway.recorder.recorder import filters
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.recorder.stores.store import BadPointsError, StoreDownError, bisect
from gateway.settings.values.store_address import parse
from gateway.wire import from_cloudevent
from tests.recorder.conftest import event


def point_of(**fields: object) -> Point:
    one = from_cloudevent(event(7, **fields))  # type: ignore[arg-type]  # as the test says
    return Point(one.kind, tags_of(one), fields_of(one, True), 1_000)


def test_a_reading_is_a_series_of_its_point_and_quantity() -> None:
    assert line(point_of()) == (
        "reading,gateway=csg,point=wc.climate,quantity=temperature,subject=wc.climate"
        " seq=7i,value=21.5 1000"
    )


def test_a_whole_number_is_stored_in_the_type_of_its_field() -> None:
    assert "value=21.0 " in line(point_of(data={"quantity": "temperature", "value": 21}))
    opened = {"press_to_open_ms": 850, "cause": "request", "assumed": False}
    assert line(point_of(kind="door_opened", subject="front", lane="urgent", data=opened)) == (
        'door_opened,gateway=csg,subject=front seq=7i,press_to_open_ms=850i,cause="request",'
        "assumed=0i 1000"
    )


def test_the_contact_that_asked_is_a_tag_of_the_request() -> None:
    data = {"outcome": "accepted", "activator": "front.button"}
    point = point_of(kind="door_request", subject="front", lane="urgent", data=data)
    assert point.tags == (("gateway", "csg"), ("point", "front.button"), ("subject", "front"))


# --- what is counted where texts are not stored -----------------------------------------------


def count_of(**fields: object) -> str:
    """The line by which a fact of a door is counted."""
    found = counted(point_of(**{"subject": "front", "lane": "urgent", **fields}))
    assert found is not None
    return line(found)


def test_what_a_fact_says_in_words_is_a_tag_of_the_point_that_counts_it() -> None:
    refused = {"outcome": "refused", "reason": "mode_night", "activator": "front.button"}
    assert count_of(kind="door_request", data=refused) == (
        "fact,gateway=csg,kind=door_request,outcome=refused,point=front.button,reason=mode_night,"
        "subject=front count=1i 1000"
    )
    assert count_of(kind="door_opened", data={"cause": "hand", "assumed": False}) == (
        "fact,cause=hand,gateway=csg,kind=door_opened,subject=front count=1i 1000"
    )
    raised = {"severity": "fault", "count": 3}
    assert count_of(kind="alarm_raised", subject="front/left_open", data=raised) == (
        "fact,alarm=left_open,gateway=csg,kind=alarm_raised,severity=fault,subject=front/left_open"
        " count=1i 1000"
    )
    call = {"call": "wc-1", "cause": "cord", "pulls": 1, "test": True}
    assert "cause=cord,gateway=csg,kind=call_raised,subject=wc,test=1 count=1i" in count_of(
        kind="call_raised", subject="wc", data=call
    )


def test_how_long_a_call_took_is_counted_apart_from_tests() -> None:
    data = {"call": "wc-1", "point": "wc.presence", "after_ms": 80_000, "test": False}
    assert count_of(kind="call_attended", subject="wc", data=data) == (
        "fact,gateway=csg,kind=call_attended,subject=wc,test=0 count=1i,after_ms=80000i 1000"
    )


def test_refusals_that_were_counted_count_as_many() -> None:
    data = {"outcome": "refused", "reason": "stale", "by": "x", "count": 12, "window_ms": 1}
    assert "reason=stale,subject=front count=12i" in count_of(kind="refusals_counted", data=data)


def test_what_is_counted_by_is_in_the_catalogue() -> None:
    """A field that was renamed would be counted no more, silently."""
    for kind, names in COUNTED.items():
        assert set(names) <= KINDS[kind].fields.keys(), kind


def test_what_is_no_word_makes_no_series_of_its_own() -> None:
    """Somebody who may publish could fill a store with series."""
    for text in ("A sentence.", "x" * 41, "", "a,b=c"):
        assert f"cause={OTHER}," in count_of(
            kind="door_opened", data={"cause": text, "assumed": False}
        )


def test_the_points_that_exist_are_as_they_were_and_a_reading_is_counted_by_nobody() -> None:
    """A tag more, and a fact that is sent again after an update would be in the store twice."""
    assert counted(point_of()) is None
    opened = point_of(kind="door_opened", subject="front", data={"cause": "hand", "assumed": False})
    assert opened.tags == (("gateway", "csg"), ("subject", "front"))


def test_a_gap_is_a_point_without_a_value() -> None:
    assert "value" not in point_of(data={"quantity": "temperature", "value": None}).fields


def test_what_differs_between_first_sending_and_replay_is_not_stored() -> None:
    assert point_of(late=True) == point_of(late=False)


def test_what_only_a_newer_gateway_says_cannot_break_a_line_open() -> None:
    """A number too large for a float ended the recorder, again after each delivery; the name of
    a field or a line feed in a subject split the line."""
    point = point_of(
        kind="brand_new", subject="a\nb", data={"n": 10**400, "a b": 1, "c,d=1": 2, "": 3, "x": 4}
    )
    assert line(point) == r"brand_new,gateway=csg,subject=a\ b seq=7i,x=4.0 1000"


@given(st.text(max_size=300), st.text(min_size=1, max_size=20))
def test_no_text_can_break_a_line_open(text: str, tag: str) -> None:
    point = Point("k", (("subject", tag),), {"seq": 1, "t": text}, 5)
    written = line(point)
    assert "\n" not in written
    assert written.endswith('" 5')


def test_the_bad_ones_are_found_by_halves() -> None:
    stored: list[int] = []

    def send(items: Sequence[int]) -> None:
        if {3, 9} & set(items):
            raise BadPointsError("bad")
        stored.extend(items)

    rejected = bisect(range(12), send)
    assert [one.index for one in rejected] == [3, 9]
    assert sorted(set(stored)) == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]
    assert bisect([], send) == []


def test_a_store_that_is_down_is_not_taken_for_bad_points() -> None:
    def send(_items: Sequence[int]) -> None:
        raise StoreDownError("HTTP 503")

    with pytest.raises(StoreDownError):
        bisect([1, 2], send)


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    import contextlib
    import sqlite3

    store = SqliteStore(tmp_path / "record.sqlite")
    identity = store.identity()
    for _ in range(2):
        assert store.write([point_of(), point_of(data={"quantity": "humidity", "value": 1})]) == []
    store.close()
    again = SqliteStore(tmp_path / "record.sqlite")
    assert again.identity() == identity
    again.write([point_of()])
    again.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "record.sqlite")) as db:
        found = db.execute(
            "SELECT measurement, quantity, time_ms, seq, fields ->> 'value' FROM points"
            " JOIN series ON series.id = points.series ORDER BY quantity"
        ).fetchall()
    assert found == [
        ("reading", "humidity", 1_000, 7, 1.0),
        ("reading", "temperature", 1_000, 7, 21.5),
    ]


def test_a_store_file_that_cannot_be_opened_is_a_store_that_is_down(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "missing" / "record.sqlite")
    with pytest.raises(StoreDownError):
        store.write([point_of()])
    with pytest.raises(StoreDownError):
        store.identity()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sqlite", "SqliteStore"),
        ("sqlite:other.sqlite", "SqliteStore"),
        ("influx://localhost:8428/org/bucket", "InfluxStore"),
        ("influx1://user@localhost:8086/portier", "Influx1Store"),
        ("influx1s://[::1]:8086", "Influx1Store"),
    ],
)
def test_the_store_that_the_configuration_names(tmp_path: Path, text: str, kind: str) -> None:
    store = open_store(parse(text), tmp_path, "secret")
    assert type(store).__name__ == kind
    store.close()


@pytest.mark.parametrize("text", ["postgres://x", "sqlit", "file.sqlite"])
def test_any_other_store_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="store"):
        parse(text)


def test_recorders_divide_gateways_by_list() -> None:
    assert ("portier/a/event/#", 1) in filters(["a", "b"])
    assert ("portier/+/event/#", 1) in filters([])
    assert not any("+" in name for name, _ in filters(["a", "b"]))


def full(path: Path, store: SqliteStore) -> None:
    store._open().execute("PRAGMA max_page_count = 1")


def read_only(path: Path, store: SqliteStore) -> None:
    store._open().execute("PRAGMA query_only = ON")


def broken(path: Path, store: SqliteStore) -> None:
    store.close()
    path.write_bytes(b"no database " * 1_000)


@pytest.mark.parametrize("trouble", [full, read_only, broken])
def test_a_disk_that_is_full_read_only_or_broken_refuses_no_point(
    tmp_path: Path, trouble: Callable[[Path, SqliteStore], None]
) -> None:
    path = tmp_path / "record.sqlite"
    store = SqliteStore(path)
    store.write([point_of()])
    trouble(path, store)
    many = [point_of(data={"quantity": f"q{number}", "value": 1}) for number in range(200)]
    with pytest.raises(StoreDownError):
        store.write(many)
    store.close()


def test_a_value_that_sqlite_cannot_hold_is_the_points_own_fault(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "record.sqlite")
    far = point_of()._replace(time_ms=2**70)
    assert [one.index for one in store.write([point_of(), far])] == [1]
    store.close()


def test_a_store_file_that_was_removed_while_it_was_open_is_another_store(tmp_path: Path) -> None:
    """What was written into a file that is in no folder any more was lost."""
    path = tmp_path / "record.sqlite"
    store = SqliteStore(path)
    first = store.identity()
    for file in tmp_path.iterdir():
        file.unlink()
    assert store.identity() != first
    store.write([point_of()])
    store.close()
    assert path.exists()
