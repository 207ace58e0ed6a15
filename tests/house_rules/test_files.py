"""Each file of Portier has a limit, which is held when it grows beyond it, and a row that says so.

Rows whose growth is tested beside the code that sees to it are named in ``SEEN``.
"""

from __future__ import annotations

import importlib
import os
import sqlite3
import string
from contextlib import closing
from pathlib import Path, PurePath

import pytest

from gateway.app import files, outputs
from gateway.app.configuration import plans
from gateway.core.facts import Fact
from gateway.journal import backup, reserve, schema
from gateway.journal.store import Store as Journal
from gateway.link import saved
from gateway.link.home_assistant import GONE_MOST, HomeAssistant
from gateway.link.refused_messages import FACTS_MOST, Refusal, RefusedMessages
from gateway.mqtt.limits import Limits
from gateway.mqtt.topics import Topics
from gateway.panel import tickets
from gateway.recorder.state import StateLock
from gateway.settings.editing import edit as overlay_edit
from gateway.settings.editing import file as overlay_file
from gateway.settings.editing.file import Store as Overlay
from gateway.web.identity import users
from gateway.web.identity.sessions import SESSIONS_MOST
from gateway.web.identity.tokens import TOKENS_MOST
from gateway.web.identity.users import Users
from gateway.web.storage import store as web_store
from gateway.web.storage import testbook
from gateway.web.storage.errors import UserError
from gateway.web.storage.testbook import TestBook
from tests.cli.test_cli_offline import portier
from tests.identity import start_session
from tests.journal.journal_desk import opened, work
from tests.link.test_discovery import snapshot
from tests.settings.house import DRIVERS, NOW, SMALL, write

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORD = "correct horse battery"
SEEN = {
    "broken": (
        "tests.journal.test_recovery:test_files_that_are_set_aside_have_a_size_together",
        "tests.journal.test_recovery:test_a_folder_that_was_set_aside_counts_with_what_is_in_it",
        "tests.journal.test_formats:"
        "test_what_is_set_aside_counts_into_the_limit_and_is_removed_by_its_life",
    ),
    "repair": ("tests.journal.test_recovery:test_what_was_cut_short_leaves_nothing_behind",),
    "reserve": ("tests.house_rules.test_files:test_the_reserve_does_not_outgrow_its_slots",),
    "journal": (
        "tests.journal.test_audit_budget:"
        "test_where_urgent_facts_fill_the_file_calls_and_alarms_go_last",
        "tests.journal.test_retention:test_series_of_which_nothing_is_left_go_and_come_back_on_use",
    ),
    "journal_log": ("tests.house_rules.test_files:test_write_ahead_logs_are_cut_back",),
    "users": (
        "tests.house_rules.test_files:test_users_tokens_and_log_ins_have_a_number",
        "tests.house_rules.test_files:test_a_full_test_book_takes_no_more_and_loses_nothing",
        "tests.web.test_retention:door_weeks",
        "tests.web.test_handover:test_at_the_limit_nobody_gets_a_right_and_rights_still_end",
        "tests.sites.test_rights:test_there_is_an_end_to_the_grants_of_a_user",
        "tests.sites.test_pages:test_the_oldest_entries_of_the_audit_go_where_there_are_too_many",
    ),
    "users_broken": (
        "tests.web.test_repair:test_a_second_damage_leaves_what_the_first_has_set_aside",
    ),
    "users_repair": ("tests.web.test_repair:test_a_repair_that_is_cut_short_is_done_again",),
    "users_log": ("tests.house_rules.test_files:test_write_ahead_logs_are_cut_back",),
    "recorder_broken": (
        "tests.recorder.test_damage:test_a_second_damage_leaves_what_the_first_has_set_aside",
        "tests.recorder.test_damage:test_what_is_set_aside_has_a_number_and_a_size_together",
        "tests.recorder.test_damage:test_what_is_set_aside_goes_after_its_life_and_its_log_with_it",
    ),
    "recorder_aside": (
        "tests.recorder.test_rejects:"
        "test_at_the_limit_the_recorder_waits_and_says_so_until_somebody_has_looked",
        "tests.recorder.test_limits:test_what_was_settled_in_the_list_has_a_number_and_a_size",
        "tests.recorder.test_doubtful:"
        "test_a_flood_of_doubtful_events_neither_stops_the_recorder_nor_is_it_forgotten",
    ),
    "recorder": (
        "tests.recorder.test_limits:test_starts_that_told_their_time_are_forgotten_oldest_first",
        "tests.recorder.test_limits:test_moved_times_marks_and_series_have_a_number",
        "tests.recorder.test_limits:test_journals_that_a_gateway_writes_no_more_have_a_number",
        "tests.recorder.test_limits:test_beyond_a_number_another_gateway_is_not_recorded",
        "tests.recorder.test_limits:test_facts_that_wait_for_a_time_have_a_number",
        "tests.recorder.test_doubtful:test_digests_of_a_lane_have_a_number_and_survive_a_restart",
    ),
    "recorder_lock": ("tests.house_rules.test_files:test_marks_and_notes_do_not_grow",),
    "recorded_recent": ("tests.recorder.test_recent:test_no_more_than_the_limit_wait",),
    "recorded": (
        "tests.recorder.test_expiry:test_over_its_limit_the_oldest_points_go_and_evidence_last",
        "tests.recorder.test_expiry:test_a_file_that_has_reached_its_limit_grows_no_more",
        "tests.recorder.test_recent:test_no_more_than_the_limit_wait",
    ),
    "link": (
        "tests.house_rules.test_files:test_the_state_of_the_link_fits_its_file_at_its_largest",
        "tests.house_rules.test_files:test_topics_that_cannot_be_cleared_have_a_number",
    ),
    "devices": ("tests.notify.test_push:test_there_are_not_more_devices_than_are_allowed",),
    "push_keys": (
        "tests.notify.test_push:test_the_key_is_made_once_and_only_its_owner_may_read_it",
        "tests.notify.test_push:test_devices_that_are_gone_do_not_pile_up",
    ),
    "plans": ("tests.house_rules.test_files:test_the_newest_plans_stay",),
    "overlay": ("tests.house_rules.test_files:test_an_overlay_that_is_too_large_is_refused",),
    "addresses": ("tests.settings.test_recipients:test_there_is_an_end_to_them",),
    "versions": ("tests.web.test_retention:versions",),
    "backup_notes": ("tests.backup.test_make:test_the_notes_do_not_grow",),
    "backup_work": (
        "tests.backup.test_make:"
        "test_a_kill_at_any_moment_leaves_the_older_ones_whole_and_the_next_one_works",
        "tests.backup.test_make:test_a_full_disk_costs_no_older_one",
    ),
    "sites_keys": (
        "tests.sites.test_keys:test_there_is_an_end_to_them",
        "tests.sites.test_keys:test_as_many_as_are_allowed_fit_into_the_file",
    ),
    "notes": ("tests.house_rules.test_files:test_marks_and_notes_do_not_grow",),
    "marks": ("tests.house_rules.test_files:test_marks_and_notes_do_not_grow",),
    "logs": (
        "tests.house_rules.test_files:test_what_others_store_for_us_has_the_limit_we_install",
    ),
    "broker": (
        "tests.house_rules.test_files:test_what_others_store_for_us_has_the_limit_we_install",
    ),
    "copies": (
        "tests.house_rules.test_files:test_a_copy_that_is_interrupted_leaves_nothing",
        "tests.backup.test_make:test_the_oldest_go_and_nothing_else_does",
    ),
}
"""Row -> the tests that let it grow beyond its limit."""


def named(name: str) -> object:
    """What ``module:name`` names."""
    module, _, way = name.partition(":")
    found: object = importlib.import_module(module)
    for step in way.split("."):
        found = getattr(found, step)
    return found


def test_every_row_has_a_test_and_names_code_that_there_is() -> None:
    rows = {row.id: row for row in files.rows()}
    assert rows.keys() == SEEN.keys()
    for row in rows.values():
        if ":" in row.enforcer:
            assert callable(named(row.enforcer)), row.id
        for test in SEEN[row.id]:
            assert callable(named(test)), test


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("journal.sqlite", "journal"),
        ("journal.sqlite-wal", "journal_log"),
        ("journal.sqlite.broken-20300101T000000Z-000-wal", "broken"),
        ("journal.sqlite.schema-9-20300101T000000Z-000", "broken"),
        ("web/web.sqlite.broken-seen", "users_broken"),
        ("web/web.sqlite.seen-20300101T000000Z-000-wal", "users_broken"),
        ("record/recorder-main.aside.sqlite", "recorder_aside"),
        ("record/recorder-main.aside.sqlite.broken", "recorder_broken"),
        ("record/record.sqlite.broken-wal", "recorder_broken"),
        ("record/record.sqlite.broken-20300101T000000Z-000", "recorder_broken"),
        ("record/record.sqlite-recent.broken-20300101T000000Z-000-wal", "recorder_broken"),
        ("record/recorder-main.sqlite-wal", "recorder"),
        ("record/history.sqlite", "recorded"),
        ("record/history.sqlite-recent-wal", "recorded_recent"),
        ("plan/0a.json", "plans"),
        ("push/5f1c2a9e5d1b4c6e9d430a5f6f0f7b11.json", "devices"),
        ("notify/vapid.key", "push_keys"),
        ("sites/keys", "sites_keys"),
        ("backup/last.json", "backup_notes"),
        ("backup/work-abc/web.sqlite", "backup_work"),
        ("journal.sqlite.copy", None),
        ("notes.txt", None),
        ("web/cache/picture.png", None),
    ],
)
def test_a_file_has_one_row_and_a_stranger_none(path: str, row: str | None) -> None:
    found = files.of(PurePath(path))
    assert (found and found.id) == row


def test_users_tokens_and_log_ins_have_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "gateway.web.identity.users.good_password"
    monkeypatch.setattr(slow, lambda *_: "hash")
    with closing(Users(tmp_path / "web.sqlite")) as store:
        for number in range(users.REMOVED_MOST + 5):
            store.add_user(f"gone {number}", "view", PASSWORD)
            store.remove_user(f"gone {number}")
        for number in range(users.USERS_MOST):
            store.add_user(f"user {number}", "staff", PASSWORD)
        with pytest.raises(UserError, match="remove one first"):
            store.add_user("one more", "staff", PASSWORD)
        names = [name for (name,) in store._db.execute("SELECT name FROM users")]
        assert len(names) == users.USERS_MOST + users.REMOVED_MOST
        assert "gone 4" not in names
        assert "gone 5" in names

        anna, other = store.by_name("user 1"), store.by_name("user 2")
        kept = start_session(store, other.id)
        secrets = [start_session(store, anna.id) for _ in range(SESSIONS_MOST + 3)]
        assert len(store.list_sessions(anna.id)) == SESSIONS_MOST
        valid = [store.session(users.hashed(secret)) is not None for secret in secrets]
        assert valid == [False] * 3 + [True] * SESSIONS_MOST, "the oldest end"
        assert store.session(users.hashed(kept)) is not None, "those of others stay"

        for number in range(TOKENS_MOST):
            store.add_token(f"token {number}", "view", 1, "cli")
        with pytest.raises(UserError, match="revoke one first"):
            store.add_token("one more", "view", 1, "cli")
        store.revoke_token("token 0")
        store.add_token("one more", "view", 1, "cli")


def test_a_full_test_book_takes_no_more_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testbook, "SIGNED_MOST", 3)
    book = TestBook(tmp_path / "web.sqlite")
    for number in range(3):
        page = book.begin("call", f"wc-{number}", "WC", (), after_row=0, now=number)
        book.sign(page, 1, "", number)
    with pytest.raises(testbook.TestBookFull):
        book.begin("call", "wc-3", "WC", (), after_row=0, now=9)
    assert len(book.signed_pages(10)) == 3
    book.tidy(testbook.UNSIGNED_MS)
    assert len(book.signed_pages(10)) == 3


def test_the_reserve_does_not_outgrow_its_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "SLOT_MOST", reserve.SLOT_BYTES)
    kept = reserve.Reserve(tmp_path / "journal.sqlite")
    kept.save("j1", reserve.NumberedState(1, {"calls": "x" * 1_000}), durable=False)
    with pytest.raises(OSError, match="larger than"):
        kept.save(
            "j1", reserve.NumberedState(2, {"calls": os.urandom(200_000).hex()}), durable=False
        )
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 2 * reserve.SLOT_BYTES
    found = kept.read()
    assert found is not None
    assert found[1].number == 1, "the state of before stays"


def test_write_ahead_logs_are_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that keeps a snapshot lets a log grow; after the next checkpoint it is small."""
    monkeypatch.setattr(schema, "LOG_BYTES", 100_000)
    journal = tmp_path / "journal.sqlite"
    store = Journal(journal, "boot-1")
    users_file = tmp_path / "web.sqlite"
    monkeypatch.setattr(web_store, "WAL_BYTES", 100_000)
    with (
        closing(Users(users_file)) as people,
        closing(sqlite3.connect(journal)) as reader,
        closing(sqlite3.connect(users_file)) as other,
    ):
        for one in (reader, other):
            one.execute("BEGIN")
            one.execute("SELECT count(*) FROM sqlite_master").fetchone()
        for number in range(300):
            store.write(work(opened(number, note="x" * 2_000)))
            with people._change() as db:
                db.execute(
                    "INSERT OR REPLACE INTO secrets VALUES ('x', ?)",
                    (bytes([number % 256]) * 9_000,),
                )
        logs = [Path(f"{journal}-wal"), Path(f"{users_file}-wal")]
        assert all(log.stat().st_size > 500_000 for log in logs)
        for one in (reader, other):
            one.execute("ROLLBACK")
        store.checkpoint()
        people._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        store.write(work(opened(1)))
        people.secret("y")
        assert all(log.stat().st_size <= 100_000 for log in logs)
    store.close(clean=False)


def test_the_state_of_the_link_fits_its_file_at_its_largest(tmp_path: Path) -> None:
    """What is written is read back whole: a broker's reason may have 65,535 bytes."""
    aside = RefusedMessages(journal="j1")
    for lane in aside.facts:
        for seq in range(1, FACTS_MOST + 1):
            refusal = Refusal(f"portier/x/event/{seq}/" + "\x01" * 60_000, "\x01" * 60_000)
            assert aside.add_fact(lane, seq, refusal)
        assert not aside.add_fact(lane, FACTS_MOST + 1, Refusal("t", "r")), "the lane waits"
    saved.write(tmp_path, {"aside": aside.saved()})
    assert (tmp_path / saved.FILE).stat().st_size < saved.BYTES_MOST
    again = RefusedMessages()
    again.restore(saved.read(tmp_path)["aside"], 0)
    assert again.count_facts == aside.count_facts
    with pytest.raises(OSError, match="larger than"):
        saved.write(tmp_path, {"aside": "x" * saved.BYTES_MOST})
    assert saved.read(tmp_path)["aside"]["journal"] == "j1", "the file of before stays"
    for _ in range(3):
        (tmp_path / saved.FILE).write_bytes(b"\0")
        assert saved.read(tmp_path) == {}
    assert sorted(one.name for one in tmp_path.iterdir()) == [f"{saved.FILE}.unread"]
    for version in range(10, 16):
        (tmp_path / saved.FILE).write_text(f'{{"format": {version}}}')
        assert saved.read(tmp_path) == {}
    away = sorted(one.name for one in tmp_path.glob("*.format-*"))
    assert away == [f"{saved.FILE}.format-{version}" for version in (13, 14, 15)]


def test_topics_that_cannot_be_cleared_have_a_number() -> None:
    """The broker refuses the empty messages, and doors are renamed again and again."""
    memory = {
        f"homeassistant/device/csg/door-{number}/config": {"door": "button"}
        for number in range(GONE_MOST + 50)
    }
    home = HomeAssistant(Topics("csg"), "de", memory)
    wanted, _ = home.step(snapshot(), Limits(), 0)
    assert len([topic for topic in home.memory if topic in memory]) == GONE_MOST
    assert "homeassistant/device/csg/door-49/config" not in home.memory
    assert wanted["homeassistant/device/csg/door-50/config"] == b""
    assert home.dirty


def test_the_newest_plans_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With those whose writing was cut short."""

    class Text:
        def to_text(self) -> str:
            return "{}"

    for number in range(plans.PLANS_MOST + 6):
        path = tmp_path / "plan" / f"{number:02}.json"
        monkeypatch.setattr(plans, "file", lambda *_, path=path: path)
        plans.keep(Text(), tmp_path, tmp_path)  # type: ignore[arg-type]  # as far as it is used
        (tmp_path / "plan" / f"cut-{number:02}.new").write_text("{")
        assert path.exists()
        assert len(list((tmp_path / "plan").iterdir())) <= plans.PLANS_MOST + 1


def test_an_overlay_that_is_too_large_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path, SMALL)
    store = Overlay(tmp_path / "overlay.yaml")
    names = [f"{a}{b}{c}" for a in string.ascii_lowercase for b in string.ascii_lowercase
             for c in "xyz"]  # fmt: skip
    sections = {"contacts": {name: {"hours": ["x" * 400]} for name in names}}
    for do in ("put", "preview"):
        asked = {"do": do, "actor": "web:1", "version": "none", "sections": sections}
        answer = overlay_edit.edit(asked, config, store, DRIVERS, NOW)
        assert (answer["status"], answer["reason"]) == ("refused", "too_large")
    assert sorted(one.name for one in tmp_path.iterdir()) == [config.name]
    assert overlay_file.BYTES_MOST == 200_000


def test_marks_and_notes_do_not_grow(tmp_path: Path) -> None:
    """However often they are written."""
    sizes = []
    for number in range(5):
        outputs.note({}, tmp_path)
        tickets.make_key(tmp_path)
        plans.accept_wiring(tmp_path, [f"cancel:point-{number}:mqtt_contact"])
        lock = StateLock(tmp_path / "recorder-main.sqlite")
        lock.close()
        sizes.append(sum(one.stat().st_size for one in tmp_path.iterdir()))
    assert len(set(sizes)) == 1
    assert sizes[0] < 1_000


def test_what_others_store_for_us_has_the_limit_we_install() -> None:
    rows = {row.id: row.limit for row in files.rows()}
    log = (DEPLOY / "system" / "journald.conf").read_text(encoding="utf-8")
    assert "\nMaxRetentionSec=14day\n" in log
    assert "\nSystemMaxUse=500M\n" in log
    assert rows["logs"].startswith("14 days, 500 MB")
    broker = (DEPLOY / "mosquitto" / "portier.conf").read_text(encoding="utf-8")
    for line in ("max_queued_messages 200000", "max_queued_bytes 268435456",
                 "persistent_client_expiration 30d"):  # fmt: skip
        assert f"\n{line}\n" in broker
    assert rows["broker"].startswith("200,000 of a client and 268 MB")


def test_a_copy_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C in a backup, a restore or an export."""
    state, out = tmp_path / "state", tmp_path / "out"
    state.mkdir()
    out.mkdir()
    store = Journal(state / "journal.sqlite", "boot-1")
    store.write(work(*[Fact("door_opened", "front", at, {}) for at in range(100)]))
    store.close(clean=True)
    backup.backup(state / "journal.sqlite", tmp_path / "good")
    before = sorted(state.iterdir())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup.backup(state / "journal.sqlite", out / "copy", interrupted)
    monkeypatch.setattr(backup, "_renew", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup.restore(tmp_path / "good", state / "journal.sqlite", "boot-1", keep_calls=True)
    monkeypatch.setattr("gateway.journal.queries.export.plain_csv", interrupted)
    assert portier("export", "--out", out / "rows.csv", "--state", state).exit_code != 0
    assert list(out.iterdir()) == []
    assert sorted(state.iterdir()) == before
