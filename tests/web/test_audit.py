"""The audit chain as the administration sees it."""

from __future__ import annotations

import ast
import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway
from gateway.app.cli import record as commands_record
from gateway.core.facts import Fact
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Batch
from gateway.journal.writer import Journal
from gateway.panel.commands import COMMANDS
from gateway.web.building import records
from gateway.web.shared.words import LANGUAGES, catalogue
from tests.page.fake import room
from tests.web.conftest import Web, snapshot

PATIENCE_S = 10


def write(web: Web, *entries: AuditEntry) -> None:
    """Into a journal on disk, as control does."""
    journal = Journal(
        web.options.journal,
        boot="b",
        limit_bytes=10_000_000,
        routine_wait_ms=40,
        cursor_wait_ms=200,
        lives={},
        on_commit=lambda told: None,
        on_state=lambda reason: None,
    )
    journal.clock(int(time.time() * 1000))
    journal.start()
    journal.saved_state(PATIENCE_S)
    journal.append(Batch(facts=(Fact("gateway_started", "test", 0, {}),), audit=entries))
    journal.close(PATIENCE_S)


@pytest.fixture
def chain(web: Web) -> Web:
    web.add("anna", "staff")
    anna = f"web:{web.users.by_name('anna').id}"
    write(
        web,
        AuditEntry(anna, "open_door", "front", "refused: mode_off", 1, '{"command": "c"}'),
        AuditEntry(anna, "set_mode", "front", "accepted", 2, '{"mode": "night"}'),
        AuditEntry("cli", "user_role", anna, "done", 3, '{"role": "view"}'),
        AuditEntry("system:reload", "reload", "c0ffee" * 10 + "cafe", "accepted", 4),
        AuditEntry("mqtt:ha", "something_new", "front", "accepted", 5, "not json"),
    )
    return web


@pytest.mark.parametrize(
    ("language", "signed", "ended"),
    [
        ("de", "Seite des Prüfbuchs unterschrieben", "beendet"),
        ("en", "Page of the test book signed", "ended"),
    ],
)
def test_a_signature_the_end_of_a_test_and_rooms_are_said_in_words(
    web: Web, language: str, signed: str, ended: str
) -> None:
    write(
        web,
        AuditEntry("cli:ada", "testbook_signed", "wc", "done", 1, '{"page": 1}'),
        AuditEntry("cli:ada", "test_room", "wc", "accepted", 2, '{"for_ms": 0}'),
        AuditEntry("cli:ada", "set_service", "front", "accepted", 3, '{"for_ms": 60000}'),
    )
    web.see(snapshot(rooms={"wc": room("Barrierefreies WC")}))
    page = web.as_("admin").get("/audit", headers={"Accept-Language": language}).text
    assert signed in page
    assert page.count("Barrierefreies WC") == 2
    assert len(re.findall(rf"<small>[^<]*{ended}", page)) == 1
    assert " 0 s" not in page


def test_an_alarm_is_named_as_on_the_list_of_alarms(web: Web) -> None:
    write(web, AuditEntry("cli:ada", "acknowledge_alarm", "front/left_open", "accepted", 1))
    page = web.as_("admin").get("/audit", headers={"Accept-Language": "de"}).text
    assert "Haupteingang steht offen" in page
    assert "left_open" not in page


def tamper(file: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    ("language", "more", "gone"),
    [
        ("de", "und 990 weitere innerhalb einer Minute", "Ablehnungen: 1.200, aus Platzmangel"),
        ("en", "and 990 more within a minute", "refusals: 1,200, for lack of room"),
    ],
)
def test_what_was_counted_and_what_was_removed_has_words(
    web: Web, language: str, more: str, gone: str
) -> None:
    write(
        web,
        AuditEntry("cli:ada", "set_mode", "", "done", 1, '{"count": 990, "window_ms": 60000}'),
        AuditEntry("gateway", "audit", "", "removed", 2, '{"count": 1200, "runs": [[1, 2, "h"]]}'),
    )
    page = web.as_("admin").get("/audit", headers={"Accept-Language": language}).text
    assert more in page
    assert gone in page


def test_it_says_who_did_what_to_which_door_and_how_it_ended(chain: Web) -> None:
    page = chain.as_("admin").get("/audit", headers={"Accept-Language": "de"}).text
    assert "Die Kette ist unversehrt (5 Einträge)." in page
    assert page.index("something_new") < page.index("Konfiguration neu lesen")
    for said in (
        "anna", "Haupteingang", "Tür öffnen", "abgelehnt: Die Betriebsart", "Nacht",
        "Rolle geändert", "not json", "<td>Kommandozeile</td>", "<td>Gateway</td>",
    ):  # fmt: skip
        assert said.casefold() in page.casefold()
    assert "<td>c0ffeec0</td>" in page
    english = chain.as_("admin").get("/audit", headers={"Accept-Language": "en"}).text
    assert "The chain is intact (5 entries)." in english


@pytest.mark.parametrize(
    ("for_ms", "said"),
    [(1_000, "für 1 s"), (90_000, "für 1,5 min"), (7_200_000, "für 120 min")],
)
def test_a_duration_is_shown_in_a_unit_that_fits(web: Web, for_ms: int, said: str) -> None:
    write(web, AuditEntry("cli", "test_relay", "front", "accepted", 1, f'{{"for_ms": {for_ms}}}'))
    page = web.as_("admin").get("/audit", headers={"Accept-Language": "de"}).text
    assert said in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_action_of_the_command_line_has_words(language: str) -> None:
    sources = Path(commands_record.__file__).parent.glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    actions = set(re.findall(r'c\.audit\(\s*state, "(\w+)"', text))
    assert {"user_add", "record_acknowledge"} <= actions
    assert {one for one in actions if f"action.{one}" not in catalogue(language)} == set()


@pytest.mark.parametrize("piece", [2, 2_000])
def test_a_changed_entry_is_seen(chain: Web, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CHAIN_PIECE", piece)
    admin = chain.as_("admin")
    told = admin.get("/api/v1/audit/verdict").json()
    assert told == {"intact": True, "entries": 5, "removed": 0, "broken": None, "reason": ""}
    tamper(chain.options.journal, "UPDATE audit SET outcome = 'accepted' WHERE n = 4")
    tamper(chain.options.journal, "UPDATE audit SET actor = 'web:9' WHERE n = 4")
    told = admin.get("/api/v1/audit/verdict").json()
    assert (told["intact"], told["entries"], told["broken"]) == (False, 3, 4)
    page = admin.get("/audit", headers={"Accept-Language": "de"}).text
    assert "ab Eintrag 4" in page


def test_a_long_chain_is_paged(web: Web) -> None:
    write(web, *(AuditEntry("cli", f"act_{n:03}", "", "done", n) for n in range(1, 121)))
    admin = web.as_("admin")
    first = admin.get("/audit").text
    assert ("act_120" in first, "act_071" in first, "act_070" in first) == (True, True, False)
    assert "/audit?before=71" in first
    last = admin.get("/audit?before=21").text
    assert ("act_020" in last, "act_001" in last, "before=" in last) == (True, True, False)


def test_without_a_journal_it_says_so(web: Web) -> None:
    answer = web.as_("admin").get("/audit")
    assert answer.status_code == 200
    assert "answer bad" in answer.text
    assert web.as_("admin").get("/api/v1/audit/verdict").status_code == 503


WRITERS = {
    "AuditEntry": 1, "audit": 1, "_audit": 1, "keep_entry": 1, "_leave": 2, "leave": 2, "note": 0,
}  # fmt: skip
"""Whatever writes an entry -> which of its arguments is the kind."""
PASSED_ON = {
    "app/cli/people.py: action",
    "app/demo.py: done.action",
    "control/controller.py: message.name",
    "control/panel_handler.py: action",
    "control/panel_handler.py: message.name",
    "journal/audit.py: action",
    "journal/refusals.py: last.action",
    "sites/grants.py: action",
    "web/account/changes.py: action",
    "web/storage/handover.py: action",
    "web/storage/handover.py: one.action",
    "web/storage/store.py: action",
}
"""Where a kind is passed on that somebody else has given; commands are in the table."""
OTHERS = {
    "app/control.py: relays",
    "journal/queue.py: now_ms",
    "sites/commands.py: answer",
    "web/display/pages.py: display.actor",
    "web/people/api.py: limit",
    "web/people/changes.py: who.actor",
    "web/site.py: actor",
}
"""Of the same name, and no entries."""


def constants(value: ast.expr) -> Iterator[str]:
    """The texts that an expression may be."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from constants(value.body)
        yield from constants(value.orelse)


def kinds_of_entries() -> set[str]:
    """All that may stand in the chain, as the sources have it."""
    found, unknown = set(COMMANDS), set()
    sources = Path(gateway.__file__).parent
    for path in sorted(sources.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.setdefault(node.targets[0].id, set()).update(constants(node.value))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = WRITERS.get(name)
            if at is None or len(node.args) <= at:
                continue
            kind = node.args[at]
            texts = set(constants(kind)) or named.get(getattr(kind, "id", ""), set())
            found |= {text for text in texts if re.fullmatch("[a-z_]+", text)}
            if not texts:
                unknown.add(f"{path.relative_to(sources)}: {ast.unparse(kind)}")
    assert unknown == PASSED_ON | OTHERS
    return found


def test_a_backup_that_was_put_back_is_said_in_words(web: Web) -> None:
    write(
        web,
        AuditEntry("cli", "restore", "test", "done", 1, "backup.portier; 7 rows"),
        AuditEntry("gateway", "journal_recovered", "test", "done", 2, "torn; 7 rows kept"),
    )
    page = web.as_("admin").get("/audit", headers={"Accept-Language": "de"}).text
    assert "Sicherung zurückgespielt" in page
    assert "Journal repariert" in page
    assert "<td>Gateway</td>" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_entry_has_words(language: str) -> None:
    kinds = kinds_of_entries()
    assert {"restore", "journal_recovered", "reload", "user_added", "user_add", "open_door"} < kinds
    words = catalogue(language)
    assert {k for k in kinds if f"action.{k}" not in words and f"command.{k}" not in words} == set()
