"""What was set aside: kept whole, counted, listed, sent again, acknowledged; and its limit."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.app.cli.main import cli
from gateway.recorder import rejects
from gateway.recorder.points import Point
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.store import StoreDownError
from tests.recorder.conftest import T0, Bench, event


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "record").mkdir()
    bench = Bench()
    bench.state.close()
    bench.state = RecorderState(tmp_path / "record" / "recorder-main.sqlite")
    bench.again()
    yield bench
    bench.state.close()


def portier(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["record", *arguments, "--state", str(folder)])


def listed(folder: Path, *more: str) -> list[dict[str, Any]]:
    result = portier(folder, "aside", "--json", *more)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def refuse(bench: Bench, *seqs: int, text: str = "") -> None:
    """These facts come, and the store refuses them."""
    bench.store.bad |= set(seqs)
    for seq in seqs:
        data = {"outcome": "accepted", "activator": "front.button", "reason": text}
        one = event(seq, kind="door_request", subject="front", lane="urgent", data=data,
                    utc_ms=T0 + seq)  # fmt: skip
        bench.broker.event(one)
    bench.turn(1_500)


def test_what_is_set_aside_is_whole_counted_and_listed(bench: Bench, tmp_path: Path) -> None:
    refuse(bench, 1, 2, text="x" * 6_000)
    assert bench.recorded()["aside"] == 2
    assert bench.recorded()["lanes"]["urgent"] == 2
    first, second = listed(tmp_path)
    assert (first["topic"], first["gateway"], first["standing"]) == (
        "portier/csg/event/portier.door_request.v1", "csg", "open",
    )  # fmt: skip
    assert first["reason"] == "HTTP 400 field type conflict"
    assert json.loads(first["event"])["data"]["reason"] == "x" * 6_000
    assert abs(first["at_utc_ms"] - bench.utc_ms) < 2_000
    shown = portier(tmp_path, "aside")
    assert str(second["id"]) in shown.output
    assert "field type conflict" in shown.output


def test_what_is_sent_again_is_stored_at_the_same_time_and_counts_no_more(
    bench: Bench, tmp_path: Path
) -> None:
    refuse(bench, 1, 2)
    bench.broker.event(event(3, kind="door_request", subject="front", lane="urgent",
                             data={"outcome": "accepted", "activator": "front.button"},
                             utc_ms=T0 + 1))  # fmt: skip
    bench.turn(1_500)
    bench.store.bad = set()
    result = portier(tmp_path, "retry", "1")
    assert result.exit_code == 0
    assert "not running" in result.output
    bench.turn(1_500)
    assert {point.fields["seq"]: point.time_ms for point in bench.store.points.values()} == {
        1: T0 + 1,
        3: T0 + 3,  # its own time and the next were taken by those that are aside
    }
    assert bench.recorded()["aside"] == 1
    assert [one["id"] for one in listed(tmp_path)] == [2]
    assert [one["standing"] for one in listed(tmp_path, "--all")] == ["stored", "open"]
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    assert bench.store.seqs() == [1, 2, 3]
    assert bench.recorded()["aside"] == 0
    assert listed(tmp_path) == []


def test_the_time_of_what_is_aside_stays_its_own_however_long_it_lies(
    bench: Bench, tmp_path: Path
) -> None:
    refuse(bench, 1)
    data = {"outcome": "accepted", "activator": "front.button"}
    for seq in range(2, 60):
        bench.broker.event(event(seq, kind="door_request", subject="front", lane="urgent",
                                 data=data, utc_ms=T0 + 1_000 * seq))  # fmt: skip
    bench.turn(1_500)
    bench.again()
    bench.broker.event(event(60, kind="door_request", subject="front", lane="urgent", data=data,
                             utc_ms=T0 + 1))  # fmt: skip
    bench.turn(1_500)
    bench.store.bad = set()
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    assert bench.store.seqs() == list(range(1, 61))


def test_what_is_refused_again_stays_open_with_the_new_reason(bench: Bench, tmp_path: Path) -> None:
    refuse(bench, 1)
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    (one,) = listed(tmp_path)
    assert one["standing"] == "open"
    assert bench.recorded()["aside"] == 1


def test_what_is_acknowledged_counts_no_more_and_can_still_be_sent(
    bench: Bench, tmp_path: Path
) -> None:
    refuse(bench, 1, 2)
    assert portier(tmp_path, "aside", "--acknowledge", "1").exit_code == 0
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 1
    assert portier(tmp_path, "aside", "--acknowledge", "all").exit_code == 0
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 0
    bench.store.bad = set()
    portier(tmp_path, "retry", "2")
    bench.turn(1_500)
    assert bench.store.seqs() == [2]


def test_a_store_that_is_away_keeps_the_wish_to_send_again(bench: Bench, tmp_path: Path) -> None:
    refuse(bench, 1)
    portier(tmp_path, "retry", "--all")
    bench.store.bad = set()
    bench.store.troubles.append(StoreDownError("HTTP 503"))
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 1
    bench.again()  # a restart does not lose it either
    bench.turn(20_000)
    assert bench.store.seqs() == [1]


def test_a_fact_that_this_version_cannot_read_is_whole_and_read_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.recorder import ingest
    from gateway.wire import WireError

    def refuses(_raw: object) -> None:
        raise WireError("made by a newer version")

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "from_cloudevent", refuses)
        bench.broker.event(event(1))
        bench.turn(1_500)
        assert bench.recorded() == {
            "journal": "j1", "lanes": {"urgent": 0, "routine": 1}, "aside": 1
        }  # fmt: skip
        portier(tmp_path, "retry", "--all")
        bench.turn(1_500)
        assert [one["reason"] for one in listed(tmp_path)] == ["made by a newer version"]
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    assert bench.store.seqs() == [1]
    assert listed(tmp_path) == []


def test_what_is_no_fact_of_a_gateway_is_listed_and_no_guarantee_depends_on_it(
    bench: Bench, tmp_path: Path
) -> None:
    """Anybody whom the broker lets in could turn recording red, and fill the list."""
    bench.broker.event(event(1))
    for number in range(rejects.FOREIGN_MOST + 50):
        bench.broker.give("event/reading/x", b"\xff" + b"%d" % number)
        if number % 500 == 0:
            bench.turn(100)
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 0
    assert listed(tmp_path) == []
    assert len(listed(tmp_path, "--all")) == rejects.FOREIGN_MOST
    assert portier(tmp_path, "retry", "100").exit_code == 1


def test_at_the_limit_the_recorder_waits_and_says_so_until_somebody_has_looked(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would drop is lost; what it does not acknowledge stays in the journal."""
    monkeypatch.setattr(rejects, "MOST", 3)
    refuse(bench, 1, 2, 3)
    waited: list[str] = []
    pump = bench.broker.pump

    def look(wait_s: float) -> None:
        waits = [text.get("waits_for") for _, text in bench.broker.published]
        if len(bench.broker.acknowledged) == 3 and "aside_full" in waits and not waited:
            waited.append("full")
            portier(tmp_path, "aside", "--acknowledge", "2")
        pump(wait_s)

    stop = threading.Event()
    bench.store.bad |= {4}
    bench.broker.event(event(4))
    bench.broker.pump = look  # type: ignore[method-assign]  # watched
    bench.recorder.turn(stop)
    assert waited
    assert bench.broker.acknowledged == [1, 2, 3, 4]
    assert [one["id"] for one in listed(tmp_path)] == [1, 3, 4]


def test_points_beyond_the_stores_retention_never_stop_the_recorder(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another store is filled from the beginning, and keeps less than the journal has."""
    monkeypatch.setattr(rejects, "MOST", 3)
    reason = "HTTP 400 partial write: points beyond retention policy dropped=1"
    write = bench.store.write
    bench.store.write = lambda points: [  # type: ignore[method-assign]  # another reason
        type(bad)(bad.index, reason) for bad in write(points)
    ]
    refuse(bench, 1, 2, 3)
    refuse(bench, 4, 5)
    assert [json.loads(one["event"])["id"][-1] for one in listed(tmp_path)] == ["3", "4", "5"]
    assert len(bench.broker.acknowledged) == 5


def test_a_state_of_the_version_before_is_read_and_counts_what_the_store_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "record" / "recorder-main.sqlite"
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "CREATE TABLE aside (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, topic TEXT NOT"
            " NULL, reason TEXT NOT NULL, event TEXT NOT NULL)"
        )
        db.executemany(
            "INSERT INTO aside (at_ms, topic, reason, event) VALUES (1, ?, ?, '{}')",
            [("portier/csg/event/x/y", "HTTP 400 no"), ("portier/csg/event/x/y", "not JSON: x")],
        )
    state = RecorderState(path)
    assert state.aside_counts() == {"csg": 1}
    state.close()
    assert [one["reason"] for one in listed(tmp_path)] == ["HTTP 400 no"]
    assert len(listed(tmp_path, "--all")) == 2
    with contextlib.closing(sqlite3.connect(path)) as db:
        # and the version before writes on
        db.execute("INSERT INTO aside (at_ms, topic, reason, event) VALUES (1, 't', 'r', 'e')")
        assert db.execute("PRAGMA page_size").fetchone() == (1024,)


def test_a_point_of_the_recorders_own_can_be_refused_and_sent_again(
    bench: Bench, tmp_path: Path
) -> None:
    bench.broker.give("availability", b"online", retained=True)
    bench.turn()
    bench.store.bad = {0}
    bench.turn(61_000)
    (one,) = listed(tmp_path)
    assert (one["gateway"], one["event"]) == ("csg", "")
    bench.store.bad = set()
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    assert [point.measurement for point in bench.store.points.values()] == ["gateway_silent"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("retry",), 2),
        (("retry", "1", "--all"), 2),
        (("retry", "x"), 2),
        (("retry", "7"), 1),
        (("retry", "9" * 30), 1),
        (("aside", "--acknowledge", "7"), 1),
        (("aside", "--acknowledge", "1,x"), 2),
        (("aside", "--recorder", "other"), 1),
        (("aside", "--recorder", "../../x"), 1),
    ],
)
def test_wrong_usage_says_so(
    bench: Bench, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    refuse(bench, 1)
    result = portier(tmp_path, *arguments)
    assert result.exit_code == status, result.output
    assert len(result.output) > 20
    assert not (tmp_path / "record" / "recorder-other.sqlite").exists()


def test_two_recorders_in_one_folder_are_named(bench: Bench, tmp_path: Path) -> None:
    RecorderState(tmp_path / "record" / "recorder-second.sqlite").close()
    result = portier(tmp_path, "aside")
    assert result.exit_code == 2
    assert "second" in result.output
    assert portier(tmp_path, "aside", "--recorder", "second").exit_code == 0


def test_what_a_stranger_has_written_does_not_reach_the_terminal(
    bench: Bench, tmp_path: Path
) -> None:
    bench.broker.give("event/\x1b[2J/x", b"\xff")
    bench.turn(1_500)
    assert "\x1b" not in portier(tmp_path, "aside", "--all").output


def test_a_point_is_the_same_after_it_was_written_down() -> None:
    point = Point("reading", (("gateway", "csg"), ("subject", "ä")), {"seq": 1, "v": 1.5}, 7)
    assert rejects.decode_point(rejects.encode_point(point)) == point
