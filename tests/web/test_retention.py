"""Each row of "Was gespeichert wird": something older than it says is made, and is removed."""

from __future__ import annotations

import asyncio
import importlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway import set_aside
from gateway.app.configuration import plans
from gateway.core.facts import KINDS, LANES, Fact
from gateway.journal.audit import AuditEntry
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store as Journal
from gateway.link.home_assistant import HomeAssistant
from gateway.link.refused_messages import Refusal, RefusedMessages
from gateway.mqtt.topics import Topics
from gateway.push.subscriptions import Subscription
from gateway.recorder import rejects
from gateway.recorder import state as recorder
from gateway.recorder.ingest import UNKNOWN_KEPT_MS
from gateway.recorder.main import open_store
from gateway.recorder.points import Point
from gateway.recorder.recorder import CHORES_MS
from gateway.recorder.rejects import RESOLVED_KEPT_MS
from gateway.recorder.rejects import SetAside as Refused
from gateway.recorder.stores import recent
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.settings.editing.file import VERSIONS_MOST
from gateway.settings.editing.file import Store as Overlay
from gateway.settings.model.configuration import Retention
from gateway.settings.values.store_address import parse
from gateway.web.identity.sessions import SESSION_IDLE_S
from gateway.web.identity.users import Users, hashed
from gateway.web.maintenance.upkeep import tidy
from gateway.web.options import Options
from gateway.web.retention import retention
from gateway.web.retention.retention import Retained, rows, system_log_ms
from gateway.web.shared.limits import Once
from gateway.web.storage.weeks import Week, Weeks
from gateway.wire import calendar_time
from tests.asides import asides
from tests.house_rules import test_files
from tests.identity import start_session
from tests.recorder.conftest import Bench, event
from tests.web.conftest import Clock, Screen, Web, snapshot

DAY_MS = 86_400_000
NOW_MS = 1_900_000_000_000
CONFIGURED = {name.removesuffix("_ms"): life for name, life in Retention().model_dump().items()}


def options(state: Path, **more: object) -> Options:
    given = {"retention": CONFIGURED, "store": "sqlite:history.sqlite", "broker": "h", **more}
    return Options(state=state, **given)  # type: ignore[arg-type]


def of(state: Path, name: str) -> Retained:
    return next(row for row in rows(options(state), ()) if row.id == name)


def life_ms(state: Path, name: str) -> int:
    found = of(state, name).life_ms
    assert found is not None
    return found


# --- one function for each row: whether what is younger stays, and what is older goes -----------


def in_the_journal(name: str, tmp_path: Path) -> None:
    """A fact of every kind of the class, one day before and one after the end of its life."""
    store = Journal(tmp_path / "journal.sqlite", "boot-1")
    kinds = [kind for kind in KINDS.values() if kind.life == name]
    life = life_ms(tmp_path, name)
    ages = [2 * DAY_MS + life, DAY_MS // 2]
    now = life + 3 * DAY_MS
    for age in ages:
        facts = [Fact(kind.name, "x", now - age, {}) for kind in kinds]
        audit = [AuditEntry("web:1", "x", "x", "accepted", now - age)] if name == "audit" else []
        entries = [(i, LANES[0], fact) for i, fact in enumerate(facts)]
        store.write(Work(facts=entries, audit=audit, utc_offset_ms=NOW_MS - now))
    upkeep = Upkeep(
        store,
        lives={name: life},
        limit_bytes=10**9,
        now_ms=lambda: now,
        on_written=lambda _: None,
        note=lambda _: None,
    )
    for _ in upkeep.expire():
        pass
    left = store.connection.execute("SELECT count(*) FROM fact").fetchone()[0]
    entries_left = store.connection.execute("SELECT count(*) FROM audit").fetchone()[0]
    store.close(clean=False)
    assert (left, entries_left) == ((0, 1) if name == "audit" else (len(kinds), 0))


def broken(tmp_path: Path) -> None:
    journal, life = tmp_path / "journal.sqlite", life_ms(tmp_path, "broken")
    store = Journal(journal, "boot-1")
    store.write(Work(facts=[], utc_offset_ms=NOW_MS))
    for number, age in enumerate((life + DAY_MS, life - DAY_MS)):
        old = Path(f"{journal}.broken-20300101T000000Z-00{number}")
        for one in (old, Path(f"{old}-wal")):
            one.write_bytes(b"people")
            os.utime(one, ((NOW_MS - age) / 1000,) * 2)
    strange = Path(f"{journal}.broken-19700101T000000Z-002")
    strange.write_bytes(b"people")
    os.utime(strange, (60, 60))
    upkeep = Upkeep(
        store, lives={}, limit_bytes=10**9, now_ms=lambda: 0, on_written=lambda _: None,
        note=lambda _: None,
    )  # fmt: skip
    for _ in upkeep.expire():
        pass
    store.close(clean=False)
    left = {path.name for path in tmp_path.glob("*.broken-*")}
    assert left == {
        "journal.sqlite.broken-20300101T000000Z-001",
        "journal.sqlite.broken-20300101T000000Z-001-wal",
        "journal.sqlite.broken-19700101T000000Z-002",
    }  # fmt: skip
    assert strange.stat().st_mtime == NOW_MS / 1000, "its age counts from now"
    assert set_aside.remove_old(journal, NOW_MS + life + DAY_MS) == 2


def users_broken(tmp_path: Path) -> None:
    web, life = page(tmp_path), life_ms(tmp_path, "users_broken")
    now = web.site.control.now_utc_ms
    for ending, since_ms in (
        (".broken", now - life - DAY_MS),
        (".broken-seen", now - life + DAY_MS),
    ):
        for side in ("", "-wal"):
            old = Path(f"{web.options.users}{ending}{side}")
            old.write_bytes(b"people")
            os.utime(old, (since_ms / 1000,) * 2)
    tidy(web.site)
    assert [one.name for one in sorted(web.options.users.parent.glob("*.broken*"))] == [
        "web.sqlite.broken-seen", "web.sqlite.broken-seen-wal",
    ]  # fmt: skip
    strange = Path(f"{web.options.users}.broken")
    strange.write_bytes(b"people")
    os.utime(strange, (60, 60))
    tidy(web.site)
    assert int(strange.stat().st_mtime) == now // 1000, "its age counts from now"
    web.close()


def recorder_broken(tmp_path: Path) -> None:
    """Of the state, its list, the history and what waits beside it."""
    life = life_ms(tmp_path, "recorder_broken")
    state, store = tmp_path / "recorder-main.sqlite", tmp_path / "record.sqlite"
    files = (state, Path(rejects.path_of(state)), store, recent.path_of(store))
    for file in files:
        for number, age in enumerate((life + DAY_MS, life - DAY_MS)):
            for side in ("", "-wal"):
                old = Path(f"{file}.broken-20300101T000000Z-00{number}{side}")
                old.write_bytes(b"people")
                os.utime(old, ((NOW_MS - age) / 1000,) * 2)
        Path(f"{file}.broken").write_bytes(b"people")  # of a version before
        os.utime(f"{file}.broken", (60, 60))
    one = recorder.RecorderState(state)
    one.forget_old(NOW_MS)
    one.close()
    kept = SqliteStore(store)  # no class has a life here
    kept.expire(0, NOW_MS)
    kept.close()
    assert {one.name for one in tmp_path.glob("*.broken*")} == {
        f"{file.name}.broken{ending}"
        for file in files
        for ending in ("", "-20300101T000000Z-001", "-20300101T000000Z-001-wal")
    }
    assert Path(f"{store}.broken").stat().st_mtime == NOW_MS / 1000, "its age counts from now"


def page(tmp_path: Path) -> Web:
    return Web(tmp_path, retention=CONFIGURED)


def book_of_tests(tmp_path: Path, *, signed: bool) -> None:
    web = page(tmp_path)
    name = "testbook" if signed else "testbook_open"
    life, now = life_ms(tmp_path, name), web.site.control.now_utc_ms
    with sqlite3.connect(web.options.users) as db:
        for subject, age in (("old", life + DAY_MS), ("new", life - DAY_MS)):
            db.execute(
                "INSERT INTO testbook (kind, subject, name, begun_ms, after_row, steps, signed_ms)"
                " VALUES ('call', ?, 'x', ?, 0, '[]', ?)",
                (subject, now - age, now - age if signed else None),
            )
    db.close()
    tidy(web.site)
    with closing(sqlite3.connect(web.options.users)) as db:
        assert db.execute("SELECT subject FROM testbook").fetchall() == [("new",)]
    web.close()


def sessions(tmp_path: Path) -> None:
    web, clock = page(tmp_path), Clock(NOW_MS / 1000)
    web.users._now = clock
    user = web.users.add_user("anna", "staff", "correct horse battery")
    old = hashed(start_session(web.users, user.id))
    life_s, begun = life_ms(tmp_path, "sessions") / 1000, clock.now
    while clock.now < begun + life_s - SESSION_IDLE_S:
        clock.now += SESSION_IDLE_S - 1
        assert web.users.session(old) is not None
    clock.now = begun + life_s + 1
    new = web.users._db.execute("SELECT count(*) FROM sessions").fetchone()[0]
    assert new == 1, "it is over, and nobody has logged in since"
    tidy(web.site)
    assert web.users._db.execute("SELECT count(*) FROM sessions").fetchone()[0] == 0
    web.close()


def tokens(tmp_path: Path) -> None:
    web, clock = page(tmp_path), Clock(NOW_MS / 1000)
    web.users._now = clock
    web.users.add_token("short", "view", 1, "x")
    web.users.add_token("long", "view", 3650, "x")
    clock.now += 2 * 86_400
    tidy(web.site)
    assert [token.name for token in web.users.list_tokens()] == ["long"]
    web.close()


def users(tmp_path: Path) -> None:
    web = page(tmp_path)
    web.add("anna example", "staff")
    web.add("boss", "admin")
    web.users.remove_user("anna example")
    assert web.users._db.execute("SELECT password FROM users WHERE id = 1").fetchone() == ("",)
    web.users.forget("anna example")
    web.close()
    for file in web.options.users.parent.iterdir():
        assert b"anna example" not in file.read_bytes()


def answers(tmp_path: Path) -> None:
    now = [0.0]
    once: Once[int] = Once(monotonic=lambda: now[0])
    made: list[int] = []

    async def answer() -> int:
        made.append(1)
        return len(made)

    async def ask() -> None:
        assert await once.do("key", "x", answer) == 1
        now[0] = life_ms(tmp_path, "answers") / 1000 - 1
        assert await once.do("key", "x", answer) == 1
        now[0] += 2
        assert await once.do("key", "x", answer) == 2

    asyncio.run(ask())


def door_weeks(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path / "web.sqlite", UTC)
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC).date()
    life = life_ms(tmp_path, "door_weeks") // DAY_MS
    for age in (life + 8, life - 8):
        day = date.fromordinal(now.toordinal() - age)
        weeks._keep("front", [Week(day, 1, 5)], date(2000, 1, 1))
    Journal(tmp_path / "journal.sqlite", "boot-1").close(clean=False)
    reader = Reader(tmp_path / "journal.sqlite")
    weeks.of(reader, "another", NOW_MS)
    reader.close()
    with closing(sqlite3.connect(tmp_path / "web.sqlite")) as db:
        found = db.execute("SELECT monday FROM door_weeks WHERE door = 'front'").fetchall()
    assert found == [(date.fromordinal(now.toordinal() - life + 8).isoformat(),)]


def versions(tmp_path: Path) -> None:
    overlay = Overlay(tmp_path / "overlay.yaml")
    for number in range(VERSIONS_MOST + 5):
        overlay.write(f"# web:{number}\n", NOW_MS)
    assert VERSIONS_MOST == 20, "as the page says"
    assert len(overlay.before()) == VERSIONS_MOST


def recorders(tmp_path: Path) -> None:
    life = life_ms(tmp_path, "recorder")
    state = recorder.RecorderState(tmp_path / "state.sqlite")
    for seq, age in enumerate((life + DAY_MS, life - DAY_MS)):
        state._db.execute("INSERT INTO moved VALUES ('g', 'j', 'l', ?, ?)", (seq, NOW_MS - age))
    state.forget_old(NOW_MS)
    assert state._db.execute("SELECT seq FROM moved").fetchall() == [(1,)]
    state.close()


def recorded(tmp_path: Path) -> None:
    """A point of every published kind, one day before and one after the end of its life."""
    (tmp_path / "record").mkdir()
    lives = {row.id: row.life_ms for row in rows(options(tmp_path), ()) if row.life_ms}
    store = open_store(parse("sqlite"), tmp_path / "record", None, lives)
    kinds = [kind for kind in KINDS.values() if kind.lane != "local"]
    ages = {kind.name: lives[kind.life] for kind in kinds}
    for name, life in ages.items():
        for age in (life + DAY_MS, life - DAY_MS):
            point = Point(name, (("subject", "x"),), {"seq": 1}, NOW_MS - age)
            assert store.write([point]) == []
    for at_ms in (0, DAY_MS, DAY_MS):
        store.expire(at_ms, NOW_MS + at_ms - DAY_MS)
    store.close()
    with closing(sqlite3.connect(tmp_path / "record" / "record.sqlite")) as db:
        left = dict(db.execute(
            "SELECT measurement, time_ms FROM points JOIN series ON series.id = series"
        ).fetchall())  # fmt: skip
    assert left == {name: NOW_MS - life + DAY_MS for name, life in ages.items()}


def present_state(tmp_path: Path) -> None:
    """What is saved of a moment goes with the next one."""
    store = Journal(tmp_path / "journal.sqlite", "boot-1")
    store.write(Work(facts=[], saved_state=NumberedState(1, {"calls": {"wc": "anna example"}})))
    store.write(Work(facts=[], saved_state=NumberedState(2, {"calls": {}})))
    store.close(clean=True)
    for file in tmp_path.iterdir():
        assert b"anna example" not in file.read_bytes()


def starts(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for boot in ("boot-1", "boot-2"):
        store = Journal(path, boot)
        if boot == "boot-2":
            store.write(Work(facts=[(0, LANES[0], Fact("gateway_started", "x", 1, {}))]))
        store.close(clean=True)
    store = Journal(path, "boot-3")
    upkeep = Upkeep(
        store, lives={}, limit_bytes=10**9, now_ms=lambda: 0, on_written=lambda _: None,
        note=lambda _: None,
    )  # fmt: skip
    for _ in upkeep.drop_boots():
        pass
    left = store.connection.execute("SELECT boot FROM boot ORDER BY id").fetchall()
    store.close(clean=False)
    assert left == [("boot-2",), ("boot-3",)]


def unsent(tmp_path: Path) -> None:
    refused = RefusedMessages(journal="j1")
    for seq in (1, 2):
        assert refused.add_fact("urgent", seq, Refusal("portier/x/event", "not authorised"))
    refused.drop_fact("urgent", 1)
    assert [row[0] for row in refused.saved()["urgent"]] == [2]


def entries(tmp_path: Path) -> None:
    with closing(Users(tmp_path / "web.sqlite")) as store:
        for number in range(2):
            store.keep_entry("cli:root", "user_role", {"subject": f"web:{number}"})
        store.remove_entries([store.waiting_entries(1)[0].n])
        assert [one.detail["subject"] for one in store.waiting_entries(9)] == ["web:1"]


def published(tmp_path: Path) -> None:
    home = HomeAssistant(Topics("x"), "", {"homeassistant/device/x/config": {"door": "button"}})
    home.cleared("homeassistant/device/x/config")
    assert home.memory == {}


def configurations(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        test_files.test_the_newest_plans_stay(tmp_path, patch)
    assert plans.PLANS_MOST == 4, "as the page says"


def settled_values(tmp_path: Path) -> None:
    life = life_ms(tmp_path, "aside_done")
    state = recorder.RecorderState(tmp_path / "state.sqlite")
    for age in (life + DAY_MS, life - DAY_MS):
        for standing in ("stored", "acknowledged", "open"):
            one = Refused("t", "r", f"{age} {standing}", at_ms=NOW_MS - age, standing=standing)
            state.save_ledger(recorder.Ledger(aside=[one]))
    state.forget_old(NOW_MS)
    left = {(one.at_ms, one.standing) for one in asides(state)}
    state.close()
    old, new = NOW_MS - life - DAY_MS, NOW_MS - life + DAY_MS
    assert left == {(old, "open"), (new, "open"), (new, "stored"), (new, "acknowledged")}


def waiting(tmp_path: Path) -> None:
    """A value whose time nobody learns is stored at the time of its receipt, and waits no more."""
    bench = Bench()
    bench.broker.event(event(1, utc_ms=None))
    bench.turn()
    bench.turn(life_ms(tmp_path, "waiting") - CHORES_MS)
    assert 1 not in bench.store.seqs()
    bench.turn(2 * CHORES_MS)
    assert 1 in bench.store.seqs()
    assert bench.state.waiting() == []
    bench.state.close()


def devices(tmp_path: Path) -> None:
    """They have no life; each way in which one ends is in tests/web/test_devices.py."""
    web = page(tmp_path)
    web.add("anna", "staff")
    user = web.users.by_name("anna")
    address = "https://fcm.googleapis.com/fcm/send/x"
    made = Subscription(user.id, "anna", "staff", "s", "Chrome", 0.0, address, "p", "a")
    web.users.devices.add(made)
    assert web.users.tidy_devices() == []
    web.users.devices.add(replace(made, role="admin", endpoint=f"{address}2"))
    web.users.devices.add(replace(made, user_id=99, endpoint=f"{address}3"))
    assert len(web.users.tidy_devices()) == 2
    assert web.users.devices.all() == [made]
    web.close()


def displays(tmp_path: Path) -> None:
    web = page(tmp_path)
    screen = Screen(web)
    web.site.displays.remove(screen.display.id)
    with closing(sqlite3.connect(web.options.users)) as db:
        assert db.execute("SELECT count(*) FROM displays").fetchone() == (0,)
    web.close()


CASES: dict[str, Callable[[Path], None]] = {
    **{
        name: partial(in_the_journal, name)
        for name in sorted({kind.life for kind in KINDS.values()} | {"audit"})
    },
    "broken": broken,
    "users_broken": users_broken,
    "recorder_broken": recorder_broken,
    "testbook": partial(book_of_tests, signed=True),
    "testbook_open": partial(book_of_tests, signed=False),
    "sessions": sessions,
    "tokens": tokens,
    "users": users,
    "devices": devices,
    "displays": displays,
    "answers": answers,
    "door_weeks": door_weeks,
    "versions": versions,
    "recorder": recorders,
    "recorded": recorded,
    "state": present_state,
    "starts": starts,
    "unsent": unsent,
    "audit_outbox": entries,
    "published": published,
    "plans": configurations,
    "aside_done": settled_values,
    "waiting": waiting,
}
NOT_OURS = {"logs"}
"""Nothing of ours removes them, and the page says so."""
ELSEWHERE = {"aside"}
"""A number of rows and no life; tests/recorder/test_rejects.py shows that there are never more."""


@pytest.mark.parametrize("name", CASES)
def test_what_is_older_than_the_page_says_is_removed(tmp_path: Path, name: str) -> None:
    CASES[name](tmp_path)


def test_every_row_has_its_case_and_names_code_that_there_is(tmp_path: Path) -> None:
    found = {row.id: row for row in rows(options(tmp_path), ())}
    assert set(found) == set(CASES) | NOT_OURS | ELSEWHERE
    for name in (*CASES, *ELSEWHERE):
        module, _, way = found[name].enforcer.partition(":")
        code = importlib.import_module(module)
        for step in way.split("."):
            code = getattr(code, step)
        assert callable(code)
    assert {found[name].enforcer for name in NOT_OURS} == {""}
    assert retention.RECORDED_MS == recorder.MOVED_KEPT_MS
    assert retention.SETTLED_MS == RESOLVED_KEPT_MS
    assert retention.WAITING_MS == UNKNOWN_KEPT_MS


def test_another_store_removes_what_is_over_itself_and_the_page_says_so(tmp_path: Path) -> None:
    elsewhere = Options(state=tmp_path, retention=CONFIGURED, store="influx1://h/db")
    (row,) = (row for row in rows(elsewhere, ()) if row.id == "recorded")
    assert (row.enforcer, row.life_ms, row.until) == ("", None, "store")


def test_what_is_over_in_postgresql_is_removed_by_the_recorder(tmp_path: Path) -> None:
    elsewhere = Options(state=tmp_path, retention=CONFIGURED, store="postgresql://portier@h/db")
    (row,) = (row for row in rows(elsewhere, ()) if row.id == "recorded")
    assert (row.enforcer.partition(":")[2], row.until) == ("PostgresqlStore.expire", "classes")


def test_what_the_configuration_names_is_shown_as_it_is_enforced(tmp_path: Path) -> None:
    """Every life of ``retention:`` has its row, and no row promises more than what is done."""
    shown = {row.id: row.life_ms for row in rows(options(tmp_path), ())}
    assert set(CONFIGURED) <= set(shown)
    for name in set(CONFIGURED) - {"logs"}:
        assert shown[name] == CONFIGURED[name], name
    long = Options(state=tmp_path, retention={"sessions": 90 * DAY_MS})
    assert {row.id: row.life_ms for row in rows(long, ())}["sessions"] == 30 * DAY_MS
    short = Web(tmp_path, retention={"sessions": DAY_MS})
    assert short.users.session_life_s == 86_400
    short.close()


@pytest.mark.parametrize(
    ("files", "days"),
    [
        ({}, None),
        ({"etc/journald.conf": "[Journal]\n#MaxRetentionSec=1day\n"}, None),
        ({"etc/journald.conf": "[Journal]\nMaxRetentionSec=0\n"}, None),
        ({"etc/journald.conf": "[Journal]\nMaxRetentionSec=2week\n"}, 14),
        ({"etc/journald.conf.d/50-portier.conf": "[Journal]\nMaxRetentionSec=14day\n"}, 14),
        ({"etc/journald.conf.d/50-portier.conf": "MaxRetentionSec=14day\n",
          "etc/journald.conf.d/90-owner.conf": "MaxRetentionSec = 3d 24h\n"}, 4),
        ({"lib/journald.conf.d/50-a.conf": "MaxRetentionSec=14day\n",
          "etc/journald.conf.d/50-a.conf": "[Journal]\n"}, None),
        ({"etc/journald.conf": "MaxRetentionSec=long\n"}, None),
    ],
)  # fmt: skip
def test_logs_live_as_long_as_the_systems_journal_says(
    tmp_path: Path, files: dict[str, str], days: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    folders = [tmp_path / "lib", tmp_path / "etc"]
    assert system_log_ms(folders) == (None if days is None else days * DAY_MS)
    row = rows(options(tmp_path, systemd=True), folders)[-1]
    assert (row.life_ms is None) == (row.until == "system")
    assert row.enforcer == "systemd-journald"


def test_the_installer_sets_the_life_that_the_configuration_has() -> None:
    folder = Path(__file__).resolve().parents[2] / "deploy"
    text = (folder / "system" / "journald.conf").read_text()
    assert f"\nMaxRetentionSec={CONFIGURED['logs'] // DAY_MS}day\n" in text
    assert "/etc/systemd/journald.conf.d/50-portier.conf" in (folder / "install.sh").read_text()


def test_the_page_and_the_api_show_the_same_rows(tmp_path: Path) -> None:
    web = Web(tmp_path, retention=CONFIGURED, store="sqlite:history.sqlite", broker="h")
    told = web.as_("view").get("/api/v1/kept").json()
    assert {row["id"] for row in told["rows"]} == set(CASES) | NOT_OURS | ELSEWHERE
    assert told["lives_s"]["deliveries"] == 365 * 86_400
    assert "logs" not in told["lives_s"], "nothing is stored on a terminal"
    page = web.as_("view").get("/kept", headers={"Accept-Language": "de"}).text
    for words in ("90 Tage", "10 Jahre", "nicht gespeichert, nur auf dem Terminal", "14 Tage"):
        assert (words in page) is (words != "14 Tage")
    assert "Nachricht" in page
    web.close()


@pytest.mark.parametrize("doubt", ["in doubt", "unknown to an older control", "control is away"])
def test_a_clock_in_doubt_removes_nothing_of_the_page(tmp_path: Path, doubt: str) -> None:
    """Test book, log-ins, tokens, weeks: the clock stands ten years ahead."""
    web, clock = page(tmp_path), Clock(NOW_MS / 1000)
    web.users._now = clock
    user = web.users.add_user("anna", "staff", "correct horse battery")
    start_session(web.users, user.id)
    web.users.add_token("short", "view", 1, "x")
    shown = snapshot(clock_settled=False)
    if doubt != "in doubt":
        shown.pop("clock_settled")
    web.see(shown)
    if doubt == "control is away":
        web.see(snapshot())
        web.site.control._take({"type": "away"})
    now = web.site.control.now_utc_ms
    with sqlite3.connect(web.options.users) as db:
        db.execute(
            "INSERT INTO testbook (kind, subject, name, begun_ms, after_row, steps, signed_ms)"
            " VALUES ('call', 'wc', 'x', ?, 0, '[]', NULL)",
            (now - 3650 * DAY_MS,),
        )
    db.close()
    clock.now += 3650 * 86_400
    tidy(web.site)
    assert not web.site.control.settled
    with closing(sqlite3.connect(web.options.users)) as db:
        for kept in ("testbook", "sessions", "tokens"):
            assert db.execute(f"SELECT count(*) FROM {kept}").fetchone() == (1,), kept
    web.close()


def test_the_weeks_of_doors_are_not_deleted_by_a_clock_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path, "boot-1").close(clean=True)
    weeks = Weeks(tmp_path / "web.sqlite", UTC)
    monday = calendar_time(NOW_MS, UTC).date()
    monday -= timedelta(days=monday.weekday())
    weeks._keep("front", [Week(monday, 7, 900)], monday)
    reader = Reader(path)
    ahead = NOW_MS + 3650 * DAY_MS
    weeks.of(reader, "front", ahead, keep=False)
    assert list(weeks._kept("front", monday)) == [monday]
    weeks.of(reader, "front", ahead)
    assert monday not in weeks._kept("front", monday)
    reader.close()
