"""Whatever bytes stand in the file of the users, the page starts, says so, and lets nobody in who
could not get in before."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyotp
import pytest
from structlog.testing import capture_logs

from gateway import set_aside, threads
from gateway.formats import UnknownFormat
from gateway.set_aside import beside
from gateway.web import serve
from gateway.web.identity import repair
from gateway.web.identity.users import Users, hashed
from gateway.web.storage import damage, outbox, store, testbook, weeks
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.testbook import Result, Step, TestBook
from tests.identity import start_session
from tests.web.conftest import PASSWORD, Web

FLIPS = 200
ROLES = {"admin": "admin", "anna": "staff", "bert": "maintenance", "cleo": "view"}


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with something in each table; of users and log-ins more than one page."""
    path = tmp_path_factory.mktemp("rich") / "web.sqlite"
    with closing(Users(path)) as users:
        for name, role in ROLES.items():
            users.add_user(name, role, PASSWORD)
            start_session(users, users.by_name(name).id)
        with users._change() as db:
            (hash_of,) = db.execute("SELECT password FROM users WHERE id = 1").fetchone()
            db.executemany(
                "INSERT INTO users (name, role, password, created) VALUES (?, 'view', ?, 1)",
                [(f"user {number}", hash_of) for number in range(200)],
            )
        for user in (1, 2):
            assert users.confirm_factor(user, pyotp.TOTP(users.begin_factor(user)).now())
        users.add_token("grafana", "view", 9, "web:1")
        users.keep_entry("web:1", "user_added", {"subject": "web:2"})
    book = TestBook(path)
    page = book.begin("door", "front", "Haupteingang", [Step("look", "look", False)],
                      after_row=0, now=1)  # fmt: skip
    book.answer(page, "look", Result("ok", False, 1, None))
    found = book.page(page.id)
    assert found is not None
    book.sign(found, 1, "", 2)
    PageTables(path, weeks.SCHEMA)
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO door_weeks VALUES ('front', '2030-01-07', 3, 900)")
        db.commit()
        db.execute("PRAGMA journal_mode=DELETE").fetchone()
    return path


@pytest.fixture
def path(rich: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    return Path(shutil.copy(rich, folder / "web.sqlite"))


def rows(path: Path, table: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def tear(path: Path, table: str) -> None:
    """The first page of a table, as a card may leave it."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)


def test_a_whole_file_stays_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    assert repair.repair(path, wants_factors=True) is None
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["web.sqlite"]
    assert repair.repair(path.with_name("other.sqlite"), wants_factors=True) is None


@pytest.mark.parametrize("content", [b"no database" * 1000, b"\xff" * 9000, b"", None])
def test_what_is_no_database_is_moved_away_and_nobody_gets_in(
    tmp_path: Path, path: Path, content: bytes | None
) -> None:
    path.unlink()
    if content is None:
        path.mkdir()
    elif content:
        path.write_bytes(content)
    else:
        shutil.copy(__file__, path)
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert (found.users, found.administrators, found.tokens) == (0, 0, 0)
    assert set(found.incomplete) == {table for table, *_ in repair.TABLES}
    away = repair.unseen(path)
    assert away is not None
    assert away.is_dir() if content is None else away.read_bytes()[:99] != b""
    web = Web(tmp_path)
    assert web.users.first_admin() is None, "this is no first start"
    for name in (*ROLES, "portier"):
        body = {"name": name, "password": PASSWORD}
        assert web.call("POST", "/api/v1/session", json=body).status_code == 401
    for language, said in (
        ("de", "portier user add NAME --role admin“"),
        ("en", "no administrator"),
    ):
        page = web.call("GET", "/login", headers={"Accept-Language": language})
        assert page.status_code == 200
        assert said in page.text
    assert web.call("GET", "/").status_code != 200
    web.users.add_user("new", "admin", PASSWORD)  # as the command line does
    assert web.users.by_name("new").id > 10_000, "nobody is taken for somebody of before"
    assert "no administrator" not in web.call("GET", "/login").text
    web.close()


LOST = {"users": {"users", "factors", "recovery"}, "testbook": {"testbook", "testbook_steps"}}
"""What goes with a table."""


@pytest.mark.parametrize("table", [table for table, *_ in repair.TABLES])
def test_what_can_be_read_of_other_tables_goes_on(path: Path, rich: Path, table: str) -> None:
    tear(path, table)
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert found.incomplete == (table,)
    for name, *_ in repair.TABLES:
        kept, before = rows(path, name), rows(rich, name)
        if name in LOST.get(table, {table}):
            assert len(kept) < len(before)
        elif name == "tokens":
            assert [row[:7] for row in kept] == [row[:7] for row in before]
        else:
            assert kept == before
    assert rows(path, "sessions") == [], "everybody logs in once more"
    with closing(Users(path)) as users:
        if table != "users":
            assert users.verify("anna", PASSWORD) is not None
            assert users.has_factor(2) == (table != "factors")
            assert users.tokens_above(1, None) if table != "tokens" else True
        assert users.first_admin() is None


def test_pages_of_a_table_that_are_whole_are_read(path: Path, rich: Path) -> None:
    """Most of the users are on other pages than the one that is torn."""
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = path.read_bytes()
    at = content.index(b"user 100view")
    with path.open("r+b") as file:
        file.seek(at // size * size)
        file.write(bytes(size))
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert "users" in found.incomplete
    kept, before = rows(path, "users"), rows(rich, "users")
    assert set(kept) < set(before)
    assert len(kept) > len(before) // 2
    assert {row[1] for row in kept} > set(ROLES)


def test_where_second_factors_are_wanted_a_lost_one_opens_nothing(path: Path) -> None:
    tear(path, "factors")
    found = repair.repair(path, wants_factors=True)
    assert found is not None
    assert (found.locked, found.administrators) == (204, 0)
    with closing(Users(path)) as users:
        assert users.verify("anna", PASSWORD) is None
        users.set_password("anna", "a new good password")  # of the administration
        assert users.verify("anna", "a new good password") is not None


def used(path: Path, roles: dict[str, str], tokens: dict[str, str]) -> bool:
    """A start of the page that ends where it meets damage, and the next one; whether the file was
    made anew. Nobody has a right that they had not."""
    for _ in range(2):
        with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            users, found = repair.open_users(path, "test", wants_factors=True)
            with closing(users):
                assert users.first_admin() is None
                for user in users.list_users():
                    assert roles.get(user.name, user.role) == user.role
                for token in users.list_tokens():
                    assert tokens.get(token.name, token.role) == token.role
                TestBook(path).signed_pages(9)
                if found is None:
                    return False
                assert users._all("SELECT * FROM sessions") == []
                for user_id in (1, 2):  # who had a second factor
                    row = users._one("SELECT password FROM users WHERE id = ?", user_id)
                    assert row in (None, ("",)) or users.has_factor(user_id)
                return True
        assert beside(path, damage.MARK).exists()
    pytest.fail("it does not start")


@pytest.mark.thorough
def test_one_flipped_bit_gives_nobody_a_right_and_keeps_no_page_from_starting(
    path: Path, rich: Path
) -> None:
    whole, draw, repaired = rich.read_bytes(), random.Random(1), 0
    known = {row[1]: row[2] for row in rows(rich, "users")}
    tokens = {row[1]: row[2] for row in rows(rich, "tokens")}
    for number in range(FLIPS):
        # half of them in what describes the tables
        at = draw.randrange(4096 if number % 2 else len(whole))
        for file in path.parent.iterdir():
            file.unlink()
        flipped = bytes([whole[at] ^ 1 << number % 8])
        path.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        try:
            found = used(path, known, tokens)
        except UnknownFormat:
            assert path.read_bytes()[60:64] != whole[60:64], "another version, by its number"
        else:
            repaired += found
    assert repaired > FLIPS / 10


@pytest.mark.parametrize(
    ("sql", "gone"),
    [
        ("UPDATE users SET role = 'stbff' WHERE name = 'anna'", {"anna"}),
        ("UPDATE users SET armed_s = 'x' WHERE name = 'anna'", {"anna"}),
        ("UPDATE users SET name = CAST(x'ff53656372657431' AS TEXT) WHERE name = 'anna'", {"anna"}),
        (
            "UPDATE users SET password = CAST(x'ff53656372657431' AS TEXT) WHERE name = 'anna'",
            {"anna"},
        ),
    ],
)
def test_a_value_that_nobody_wrote_takes_one_user_and_no_other(
    path: Path, sql: str, gone: set[str]
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert found.incomplete == ("users",)
    assert "Secret1" not in found.reason, "what is in it is in no log"
    with closing(Users(path)) as users:
        assert set(ROLES) - {user.name for user in users.list_users()} == gone
        assert users.verify("bert", PASSWORD) is not None


def test_a_file_of_another_version_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(UnknownFormat):
        repair.repair(path, wants_factors=False)
    assert path.read_bytes() == before


# --- while it runs ---------------------------------------------------------------------------


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the process would have ended."""
    found: list[str] = []
    monkeypatch.setattr(threads, "guarded", lambda: True)
    monkeypatch.setattr(threads, "fail", lambda name, error: found.append(name))
    return found


def test_damage_that_is_met_while_it_runs_ends_the_process_and_the_next_repairs(
    path: Path, ended: list[str]
) -> None:
    with closing(Users(path)) as users:
        tear(path, "audit_outbox")
        with pytest.raises(sqlite3.DatabaseError):
            users.waiting_entries(9)
    assert ended == ["users"]
    assert (path.parent / "web.sqlite.damaged").exists()
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert found.incomplete == ("audit_outbox",)
    assert not (path.parent / "web.sqlite.damaged").exists()
    assert repair.repair(path, wants_factors=False) is None


@pytest.mark.parametrize("part", ["a change", "the test book"])
def test_all_that_uses_the_file_notices(path: Path, ended: list[str], part: str) -> None:
    with closing(Users(path)) as users:
        uses: dict[str, tuple[str, Callable[[], object]]] = {
            "a change": ("audit_outbox", lambda: users.remove_entries([1])),
            "the test book": ("testbook", lambda: TestBook(path).signed_pages(9)),
        }
        table, use = uses[part]
        tear(path, table)
        with pytest.raises(sqlite3.DatabaseError):
            use()
    assert ended == ["users"]


def test_what_the_process_before_has_met_is_believed(path: Path) -> None:
    """The look at the start may end before it finds it."""
    beside(path, damage.MARK).write_text("row 7 missing from index")
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    assert (found.reason, found.users, found.incomplete) == ("row 7 missing from index", 204, ())


def test_an_error_that_is_no_damage_ends_nothing(path: Path, ended: list[str]) -> None:
    with closing(Users(path)) as users, closing(sqlite3.connect(path, isolation_level=None)) as db:
        users._db.execute("PRAGMA busy_timeout=0")
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            users.set_preferences(1, "de", 20)
        db.execute("ROLLBACK")
    assert ended == []
    assert repair.repair(path, wants_factors=False) is None


# --- how it is done ----------------------------------------------------------------------------


class _Cut(BaseException):
    """The power goes."""


@pytest.mark.parametrize("step", range(9))
def test_a_repair_that_is_cut_short_is_done_again(
    path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tear(path, "tokens")
    left, move = [step], Path.rename

    def cut(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise _Cut
        return move(self, target)

    with monkeypatch.context() as patch, suppress(_Cut):
        patch.setattr(Path, "rename", cut)
        repair.repair(path, wants_factors=False)
    repair.repair(path, wants_factors=False)
    with closing(Users(path)) as users:
        assert users.verify("anna", PASSWORD) is not None
        assert users.first_admin() is None
    names = {one.name for one in path.parent.iterdir() if not one.name.endswith(("-wal", "-shm"))}
    (away,) = set_aside.found(path)
    assert names == {"web.sqlite", away.name}
    assert repair.repair(path, wants_factors=False) is None


def test_a_file_that_does_something_by_itself_is_made_anew(path: Path) -> None:
    """A trigger could give rights back that an administrator has taken away."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TRIGGER back AFTER UPDATE OF role ON users BEGIN"
            " UPDATE users SET role = 'admin' WHERE id = new.id; END"
        )
    assert "trigger" in repair.damage_of(path)
    assert repair.repair(path, wants_factors=False) is not None
    assert repair.damage_of(path) == ""


def test_a_second_damage_leaves_what_the_first_has_set_aside(path: Path) -> None:
    """It took the first one's place, and with it what the repair had not been able to read."""
    torn = []
    for table in ("tokens", "users", "factors", "testbook"):
        tear(path, table)
        torn.append(path.read_bytes())
        assert repair.repair(path, wants_factors=False) is not None
    assert [one.read_bytes() for one in set_aside.found(path)] == torn[1:]
    assert repair.unseen(path) == set_aside.found(path)[-1]
    repair.mark_seen(path)
    assert repair.unseen(path) is None
    assert [one.read_bytes() for one in set_aside.found(path)] == torn[1:]
    tear(path, "tokens")
    assert repair.repair(path, wants_factors=False) is not None
    assert [set_aside.mark_of(one) for one in set_aside.found(path)] == ["seen", "seen", "broken"]


def test_a_log_that_was_not_written_back_is_read_and_kept(path: Path) -> None:
    with closing(Users(path)) as users:
        users._db.execute("PRAGMA wal_autocheckpoint=0")
        users.add_user("late", "staff", PASSWORD)
        copy = path.with_name("copy")
        for side in ("", "-wal"):
            shutil.copy(f"{path}{side}", f"{copy}{side}")
    for side in ("", "-wal"):
        shutil.move(f"{copy}{side}", f"{path}{side}")
    beside(path, damage.MARK).write_text("found while it ran")
    assert repair.repair(path, wants_factors=False) is not None
    with closing(Users(path)) as users:
        assert users.verify("late", PASSWORD) is not None
    (away,) = set_aside.found(path)
    assert beside(away, "-wal").exists()


# --- what is said of it -------------------------------------------------------------------------


def test_it_is_said_in_the_log_in_the_chain_and_on_the_page_until_it_is_seen(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tear(path, "tokens")
    found = repair.repair(path, wants_factors=False)
    assert found is not None
    web = Web(tmp_path)
    with capture_logs() as logs:
        serve.say_repaired(web.options, web.users, found)
    assert logs[0]["damaged"] == str(set_aside.found(path)[0])
    assert "portier user add" in logs[0]["remedy"]
    assert "war beschädigt" in web.call("GET", "/login", headers={"Accept-Language": "de"}).text
    admin, staff = web.as_("admin"), web.as_("anna")
    assert (
        "The file of the users was damaged"
        in admin.get("/users", headers={"Accept-Language": "en"}).text
    )
    form = {"do": "seen", "csrf": staff.csrf}
    assert staff.post("/users", data=form).status_code == 403
    assert admin.post("/users", data={**form, "csrf": admin.csrf}).status_code == 303
    for client in (admin.get("/users"), web.call("GET", "/login")):
        assert "beschädigt" not in client.text
    web.runner.run(web.site.handover.turn())
    _, repaired, seen = web.panel.audits
    assert (repaired["action"], repaired["detail"]["lacks"]) == ("users_repaired", ["tokens"])
    assert (seen["action"], seen["actor"]) == ("repair_seen", "web:1")
    assert [set_aside.mark_of(one) for one in set_aside.found(path)] == ["seen"]
    web.close()


def test_a_session_of_before_is_over(tmp_path: Path, path: Path) -> None:
    with closing(Users(path)) as users:
        secret = start_session(users, 1)
        assert users.session(hashed(secret)) is not None
    tear(path, "tokens")
    repair.repair(path, wants_factors=False)
    with closing(Users(path)) as users:
        assert users.session(hashed(secret)) is None


def test_every_table_is_repaired_or_left_out_on_purpose() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for script in (store.SCHEMA, outbox.SCHEMA, testbook.SCHEMA, weeks.SCHEMA):
            db.executescript(script)
        made = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    named = {table for table, *_ in repair.TABLES}
    assert made - named == {"sessions", "secrets", "uptime", "sqlite_sequence"}


def test_a_page_of_the_test_book_that_cannot_be_read_hides_no_other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO testbook (kind, subject, name, begun_ms, after_row, steps, signed_ms,"
            " signed_by, passed, digest) VALUES ('door', 'front', 'x', 1, 0, '[{', 3, 1, 1, 'd')"
        )
        db.commit()
    torn, whole = TestBook(path).signed_pages(9)
    assert (torn.whole, torn.steps) == (False, ())
    assert whole.whole
