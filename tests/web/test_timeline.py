"""The timeline of a call: what happened, to whom it was told, and how long it took."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Fact
from gateway.journal.queue import Batch
from gateway.journal.writer import Journal
from tests.page.fake import room
from tests.web.conftest import Web, snapshot

BEGUN_UTC_MS = 1_764_500_000_000


written = threading.Semaphore(0)
"""Released once for each commit."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(
        tmp_path / "journal.sqlite", boot="b", limit_bytes=100_000_000, routine_wait_ms=10,
        cursor_wait_ms=20, lives={}, on_commit=lambda _: written.release(), on_state=lambda _: None,
    )  # fmt: skip
    made.clock(BEGUN_UTC_MS)
    made.start()
    made.saved_state(30)
    yield made
    made.close(30)


@pytest.fixture
def web(tmp_path: Path, journal: Journal) -> Iterator[Web]:
    made = Web(tmp_path)
    made.see(snapshot(rooms={"wc": room("WC")}))
    yield made
    made.close()


def tell(journal: Journal, *facts: tuple[str, int, dict[str, Any]]) -> None:
    for kind, at, data in facts:
        while written.acquire(blocking=False):
            pass
        journal.append(Batch(facts=(Fact(kind, "wc", at, data),)))
        assert written.acquire(timeout=30)


def message(
    delivery: str, receiver: str, result: str, reason: str = "", medium: str = ""
) -> dict[str, Any]:
    return {
        "delivery": delivery, "receiver": receiver, "channel": 0, "about": "wc-7",
        "message": "call", "result": result, "reason": reason or None, "step": 0,
        **({"medium": medium} if medium else {}),
    }  # fmt: skip


def a_call(journal: Journal, by: str) -> None:
    tell(
        journal,
        ("call_raised", 0, {"call": "wc-6", "cause": "cord", "point": "wc.cord", "pulls": 1,
                            "test": True, "was": None}),
        ("call_raised", 1_000, {"call": "wc-7", "cause": "cord", "point": "wc.cord", "pulls": 1,
                                "test": False, "was": None}),
        ("message", 2_000, message("d1", "hausmeister", "skipped", "off_duty")),
        ("message", 2_000, message("d2", "empfang", "sent")),
        ("message", 4_000, message("d2", "empfang", "delivered")),
        ("call_acknowledged", 13_000, {"call": "wc-7", "by": by, "via": "web", "command": None,
                                       "after_ms": 12_000}),
        ("call_attended", 96_000, {"call": "wc-7", "point": "wc.presence", "after_ms": 95_000}),
        ("call_cancelled", 131_000, {"call": "wc-7", "point": "wc.cancel", "after_ms": 130_000,
                                     "test": False}),
    )  # fmt: skip


def lines(html: str) -> list[str]:
    return re.findall(r"<div><b>(.*?)</b>", html)


def test_a_call_is_told_from_the_first_pull_to_its_end(web: Web, journal: Journal) -> None:
    staff = web.as_("staff")
    a_call(journal, f"web:{web.users.by_name('staff').id}")
    html = staff.get("/timeline/wc-7", headers={"Accept-Language": "de"}).text
    assert [line.partition(":")[0] for line in lines(html)] == [
        "Schnur gezogen", "hausmeister", "empfang", "staff ist unterwegs", "Personal im Raum",
        "Im Raum beendet",
    ]  # fmt: skip
    assert "hausmeister: übersprungen (nicht im Dienst)" in html
    assert "empfang: übergeben" in html, "not also that it was on its way"
    assert "<dd>2\u202fmin 10\u202fs</dd>" in html
    assert "nach 1\u202fmin 35\u202fs" in html


def test_who_has_seen_it_and_who_goes_are_steps(web: Web, journal: Journal) -> None:
    said = {"call": "wc-8", "by": "mqtt:sites", "via": "mqtt", "command": None, "test": False}
    tell(
        journal,
        ("call_raised", 0, {"call": "wc-8", "cause": "cord", "point": "wc.cord", "pulls": 1,
                            "test": False, "was": None}),
        ("call_seen", 5_000, said | {"after_ms": 5_000}),
        ("call_acknowledged", 9_000, said | {"after_ms": 9_000, "attends": "Anna"}),
    )  # fmt: skip
    html = web.as_("staff").get("/timeline/wc-8", headers={"Accept-Language": "de"}).text
    assert [line.partition(":")[0] for line in lines(html)] == [
        "Schnur gezogen", "Zentrale hat den Notruf gesehen; noch ist niemand unterwegs",
        "Anna ist unterwegs",
    ]  # fmt: skip
    assert "Anna" not in web.as_("view").get("/timeline/wc-8").text
    facts = "/api/v1/events?kind=call_acknowledged"
    (fact,) = web.call("GET", facts, headers=web.token("staff")).json()
    assert fact["data"]["attends"] == "Anna"
    assert "Anna" not in web.call("GET", facts, headers=web.token("view")).text
    for role, found in (("staff", 1), ("view", 0)):
        rows = web.call("GET", "/api/v1/events?q=unterwegs+anna", headers={
            **web.token(role), "Accept-Language": "de",
        }).json()  # fmt: skip
        assert len(rows) == found, "and nobody finds it by a search"


def test_a_message_says_by_what_it_went(web: Web, journal: Journal) -> None:
    a_call(journal, "web:1")
    tell(
        journal,
        ("message", 5_000, message("d3", "pflege", "failed", "http 500", "sms")),
        ("message", 6_000, message("d4", "pflege", "delivered", medium="push")),
        ("message", 7_000, message("d5", "pflege", "delivered", medium="pigeon")),
    )
    staff = web.as_("staff")
    html = staff.get("/timeline/wc-7", headers={"Accept-Language": "de"}).text
    assert "pflege: SMS nicht übergeben (abgewiesen (500))" in html
    assert "pflege: Push-Nachricht an den Push-Dienst übergeben" in html
    assert "pflege: übergeben" in html, "of a medium that this version does not know"
    english = staff.get("/timeline/wc-7", headers={"Accept-Language": "en"}).text
    assert "pflege: text message not handed over (rejected (500))" in english


def test_names_are_for_staff(web: Web, journal: Journal) -> None:
    web.as_("staff")
    a_call(journal, f"web:{web.users.by_name('staff').id}")
    html = web.as_("view").get("/timeline/wc-7", headers={"Accept-Language": "de"}).text
    assert "Personal ist unterwegs" in html


def test_a_call_that_stands_says_what_ends_it(web: Web, journal: Journal) -> None:
    tell(journal, ("call_raised", 0, {"call": "wc-8", "cause": "cord", "point": "wc.cord",
                                      "pulls": 1, "test": False, "was": None}))  # fmt: skip
    html = web.as_("staff").get("/timeline/wc-8", headers={"Accept-Language": "de"}).text
    assert "Der Notruf endet mit dem Abstelltaster im Raum." in html
    assert "noch nicht beendet" in html


def test_a_call_that_nobody_knows_is_not_found(web: Web, journal: Journal) -> None:
    answer = web.as_("staff").get("/timeline/wc-99", headers={"Accept-Language": "de"})
    assert answer.status_code == 404
    assert "nichts mehr gespeichert" in answer.text


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    web = Web(tmp_path)
    assert web.as_("staff").get("/timeline/wc-1").status_code == 503
    web.close()
