"""``portier demo``: a state folder with a past, as ``control`` and the page would write it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from gateway.app import demo
from gateway.app.cli.main import cli
from gateway.app.configuration import load
from gateway.journal import audit
from gateway.journal.queries import history
from gateway.journal.queries.reader import Reader
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store
from gateway.settings.plan.cache import lives_of
from gateway.web.identity.users import Users, users_file
from gateway.web.presenter.terminals import terminals_of
from gateway.web.storage.testbook import TestBook
from tests.page.fake import contact, door, room
from tests.web.conftest import Web, snapshot

CONFIG = Path("config/demo.yaml")
DAY_MS = 86_400_000
NOW = int(datetime(2026, 11, 30, 15, 20, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
COUNT = 70
"""Since 22 September: with the test of October, two calls and two faults."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, demo.Demo, list[int]]:
    state = tmp_path_factory.mktemp("demo") / "state"
    told: list[int] = []
    done = demo.build(
        CONFIG, state, count=COUNT, seed=1, now_utc_ms=NOW, progress=told.append
    )  # fmt: skip
    return state, done, told


def test_it_says_how_far_it_is_and_what_it_has_made(
    made: tuple[Path, demo.Demo, list[int]],
) -> None:
    state, done, told = made
    assert told == list(range(1, COUNT + 1))
    assert 2 <= done.calls <= 3
    assert 2 <= done.alarms <= 4
    assert done.openings > 1_000
    assert not state.with_name("state.part").exists()


def test_the_past_ends_now_and_reaches_back_to_the_first_day(
    made: tuple[Path, demo.Demo, list[int]],
) -> None:
    reader = Reader(made[0] / "journal.sqlite", patience_ms=None)
    try:
        openings = reader.before_row(2**52, 100_000, kinds=["door_opened"])
        first, last = openings[-1].utc_ms, openings[0].utc_ms
        assert first is not None
        assert last is not None
        assert NOW - COUNT * DAY_MS < first < NOW - (COUNT - 2) * DAY_MS
        assert NOW - 4 * DAY_MS < last <= NOW
        chain = reader.read(audit.verify)
        assert chain.broken is None
        assert chain.entries >= 5
        week = history.buckets(reader, "wc.climate", "temperature_c", NOW - 7 * DAY_MS, NOW, 7, NOW)
        assert all(bucket.count > 20 for bucket in week)
        assert all((bucket.covered_ms or 0) > 0.9 * DAY_MS for bucket in week[1:])
    finally:
        reader.close()


def test_the_people_and_the_test_book_are_there(
    made: tuple[Path, demo.Demo, list[int]],
) -> None:
    file = users_file(made[0])
    users = Users(file)
    try:
        ids = {user.name: user.id for user in users.list_users()}
        assert ids == {"admin": 1, "hausmeister": 2, "empfang": 3}  # whom the audit chain names
        assert users.verify("admin", made[1].password)
        assert users.anybody_has_first_password()
    finally:
        users.close()
    pages = TestBook(file).signed_pages(10)
    assert {page.kind for page in pages} == {"call", "door"}
    assert all(page.whole and page.passed for page in pages)


def test_what_worked_and_in_which_mode_is_known_from_the_first_day_on(
    made: tuple[Path, demo.Demo, list[int]],
) -> None:
    """Else the system status and the history begin with a year of which nothing is known."""
    reader = Reader(made[0] / "journal.sqlite", patience_ms=None)
    try:
        own = ["gateway_started", "door_mode", "guarantee_changed", "gateway_stopped"]
        facts = reader.before_row(2**52, 1_000, kinds=own)[::-1]
    finally:
        reader.close()
    assert [fact.kind for fact in facts[:2]] == ["gateway_started", "door_mode"]
    assert facts[-1].kind == "gateway_stopped"
    values: dict[str, list[object]] = {}
    for fact in facts[2:-1]:
        values.setdefault(fact.subject, []).append(fact.data["value"])
    assert values["call"] == values["journal"] == values["clock"] == ["yes"]
    assert values["messages"] == ["not_configured"]
    assert values["door_by_button"][0] == values["door_by_button"][-1] == "yes"


def test_the_next_start_keeps_all_of_it(
    made: tuple[Path, demo.Demo, list[int]], tmp_path: Path
) -> None:
    """Every fact is younger than its life, so the first housekeeping removes nothing."""
    import shutil

    settings = load.settings(CONFIG, need=())
    copy = shutil.copy(made[0] / "journal.sqlite", tmp_path / "journal.sqlite")
    store = Store(Path(copy), "1b4e28ba-2fa1-11d2-883f-0016d3cca427-5000")
    try:
        upkeep = Upkeep(
            store, lives=lives_of(settings), limit_bytes=10**9, now_ms=lambda: 10_000,
            on_written=lambda rows: None, note=lambda fact: None,
        )  # fmt: skip
        before = store.one("SELECT count(*) FROM fact")
        for _ in upkeep.expire():
            pass
        assert store.one("SELECT count(*) FROM fact") == before > 10_000
        kept, _ = store.saved_state()
        assert kept
        assert kept["alarms"] == []
    finally:
        store.close(clean=True)


def test_a_year_of_door_events_is_longer_than_a_year() -> None:
    lives = lives_of(load.settings(CONFIG, need=()))
    for name in (
        "doors", "points", "alarms", "calls", "climate", "counts", "audit", "testbook", "gateway",
    ):  # fmt: skip
        assert lives[name] >= 366 * DAY_MS, name


def test_the_same_seed_and_day_are_the_same_year(tmp_path: Path) -> None:
    digests = [
        demo.build(
            CONFIG, tmp_path / str(n), count=3, seed=seed, now_utc_ms=NOW, progress=lambda _: None
        ).digest
        for n, seed in enumerate((4, 4, 5))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_the_command_makes_it_once(tmp_path: Path) -> None:
    words = ["demo", "--state", str(tmp_path / "d"), "--days", "2", "--only-build"]
    first = CliRunner().invoke(cli, words)
    assert first.exit_code == 0, first.output
    assert "admin, password " in first.output
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 0
    assert "has its year behind it already" in again.output
    assert "password" not in again.output


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/events?kind=all", "Haupteingang"),
        ("/maintenance", "Barrierefreies WC"),
        ("/history?points=wc.climate,front.leaf", "Barrierefreies WC, Raumklima"),
        ("/audit", "empfang"),
        ("/alarms", "front"),
    ],
)
def test_the_pages_open_on_it(
    made: tuple[Path, demo.Demo, list[int]], path: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Users, "has_first_password", lambda *_: False)
    settings = load.settings(CONFIG, need=())
    web = Web(made[0], bench=True, terminals=terminals_of(settings))
    try:
        climate = {
            **contact(),
            "kind": "meter",
            "quantities": {"temperature_c": {"value": 20.0, "at_ms": 1}},
        }
        told = snapshot(
            doors={"front": door("Haupteingang")},
            rooms={"wc": room("WC")},
            points={"wc.climate": climate, "front.leaf": contact()},
        )
        web.see(told | {"utc_offset_ms": NOW - told["now_ms"]})
        page = web.as_("admin").get(path, headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert shown in page.text
    finally:
        web.close()
