"""The test book: a walk that the gateway watches, a signature, and what is overdue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Fact
from gateway.journal.queue import Batch
from gateway.journal.writer import Journal
from gateway.web.inspection.view import overdue_line
from gateway.web.inspection.walk import Due
from gateway.web.presenter.terminals import Terminals
from gateway.web.storage.testbook import EVERY_MS, Result, Step, TestBook
from tests.page.fake import now_ms, room
from tests.web.conftest import Client, Web, snapshot
from tests.web.years import lines

SERVED = {
    "wc.cord": ("WC", "room_cord"), "wc.lamp": ("WC", "room_lamp"),
    "wc.cancel": ("WC", "room_cancel"), "front.button": ("Haupteingang", "button_outside"),
    "front.leaf": ("Haupteingang", "leaf"),
}  # fmt: skip


class Walk:
    """A page that is open, somebody who walks, and the building's journal."""

    def __init__(self, state: Path) -> None:
        self.web = Web(state, terminals=Terminals(SERVED), retention={"testbook": 10**12})
        self.journal = Journal(
            self.web.options.journal, boot="b", limit_bytes=10**8, lives={}, routine_wait_ms=40,
            on_commit=lambda committed: None, on_state=lambda state: None,
        )  # fmt: skip
        self.journal.clock(int(time.time() * 1000) - now_ms())
        self.journal.start()
        self.journal.saved_state(30)
        self.web.site.control.connected = True
        self.web.see(snapshot())
        self.client: Client = self.web.as_("maintenance")

    def close(self) -> None:
        self.web.close()
        self.journal.close(30)

    def happens(self, kind: str, subject: str, **data: Any) -> None:
        head = self.head
        self.journal.append(Batch(facts=(Fact(kind, subject, now_ms(), data),)))
        deadline = time.monotonic() + 30
        while self.head == head:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def head(self) -> int:
        return self.web.runner.run(self.web.site.records.head())

    def begin(self, kind: str, subject: str) -> dict[str, Any]:
        answer = self.client.post("/api/v1/testbook", json={"kind": kind, "subject": subject})
        assert answer.status_code == 201
        page: dict[str, Any] = answer.json()
        return page

    def say(self, page: dict[str, Any], step: str, answer: str = "ok") -> Any:
        path = f"/api/v1/testbook/{page['id']}/steps"
        return self.client.post(path, json={"step": step, "answer": answer})

    def sign(self, page: dict[str, Any], note: str = "") -> Any:
        return self.client.post(f"/api/v1/testbook/{page['id']}/signature", json={"note": note})

    def called(self, page: dict[str, Any]) -> None:
        """The whole call test, in order."""
        assert self.say(page, "begin").status_code == 200
        self.happens("call_raised", "wc", call="wc-1", point="wc.cord", test=True, pulls=1)
        self.happens("relay_changed", "wc.lamp", on=True)
        for step in ("pull:wc.cord", "reach:wc.cord", "lit", "lamp"):
            assert self.say(page, step).status_code == 200
        self.happens("call_cancelled", "wc", call="wc-1", point="wc.cancel", test=True)
        self.happens("relay_changed", "wc.lamp", on=False)
        for step in ("cancel", "dark"):
            assert self.say(page, step).status_code == 200


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path)
    yield made
    made.close()


def due(walk: Walk) -> dict[str, bool]:
    told = walk.client.get("/api/v1/testbook").json()["due"]
    return {f"{one['kind']}:{one['subject']}": one["overdue"] for one in told}


def test_a_call_test_from_the_first_step_to_the_signature(walk: Walk) -> None:
    assert due(walk) == {"call:wc": True, "door:front": True}
    page = walk.begin("call", "wc")
    walk.called(page)
    signed = walk.sign(page, "Schnur gekürzt").json()
    assert (signed["passed"], signed["whole"], signed["note"]) == (True, True, "Schnur gekürzt")
    assert signed["signed_by"] == walk.web.users.by_name("maintenance").id
    by_gateway = {step["id"] for step in signed["steps"] if step["seen"]}
    assert by_gateway == {"begin", "pull:wc.cord", "lit", "cancel", "dark"}
    assert due(walk) == {"call:wc": False, "door:front": True}
    command = walk.web.panel.commands[0]
    assert (command["name"], command["args"]) == ("test_room", {"room": "wc", "for_ms": 1_800_000})
    (entry,) = walk.web.panel.audits
    assert entry["action"] == "testbook_signed"
    assert entry["detail"]["digest"] == signed["digest"]
    assert "maintenance" not in str(entry)  # ids only


def test_the_gateway_does_not_believe_what_it_has_not_seen(walk: Walk) -> None:
    walk.happens("call_raised", "wc", call="wc-0", point="wc.cord", test=True)  # before the walk
    page = walk.begin("call", "wc")
    walk.say(page, "begin")
    answer = walk.say(page, "pull:wc.cord")
    assert (answer.status_code, answer.json()["reason"]) == (409, "not_seen")
    walk.happens("call_raised", "wc", call="wc-1", point="wc.cord", test=False)  # a real one
    walk.happens("call_raised", "wc", call="wc-2", point="wc.other", test=True)
    walk.happens("call_raised", "bath", call="b-1", point="wc.cord", test=True)
    assert walk.say(page, "pull:wc.cord").status_code == 409
    assert walk.say(page, "pull:wc.cord", "bad").status_code == 200


def test_a_door_check_measures_each_button(walk: Walk) -> None:
    page = walk.begin("door", "front")
    walk.happens("door_request", "front", outcome="refused", activator="front.button")
    assert walk.say(page, "press:front.button").status_code == 409
    walk.happens("door_request", "front", outcome="accepted", activator="front.other")
    walk.happens("door_opened", "front", press_to_open_ms=900, cause="request", assumed=False)
    assert walk.say(page, "press:front.button").status_code == 409
    walk.happens("door_request", "front", outcome="accepted", activator="front.button")
    walk.happens("door_opened", "front", press_to_open_ms=1234, cause="request", assumed=False)
    told = walk.say(page, "press:front.button").json()
    assert told["steps"][0]["took_ms"] == 1234
    assert walk.say(page, "closes:front.button").status_code == 409
    walk.happens("door_closed", "front", open_ms=5000, assumed=False)
    walk.happens("door_opened", "front", press_to_open_ms=None, cause="hand", assumed=False)
    assert walk.say(page, "closes:front.button").status_code == 409  # it is open again
    walk.happens("door_closed", "front", open_ms=5000, assumed=False)
    for step in ("closes:front.button", "moves", "stops", "by_hand"):
        assert walk.say(page, step).status_code == 200
    assert walk.sign(page).json()["reason"] == "steps_open"
    walk.say(page, "marked", "bad")
    assert walk.sign(page, "Schild fehlt").json()["passed"] is False
    assert due(walk)["door:front"] is True  # a test that failed is no test passed


def test_a_walk_goes_on_where_it_was_left_and_answers_count_once(walk: Walk) -> None:
    page = walk.begin("door", "front")
    assert walk.say(page, "moves").json()["reason"] == "step_order"
    walk.say(page, "press:front.button", "bad")
    walk.say(page, "press:front.button", "ok")
    assert walk.begin("door", "front")["id"] == page["id"]
    told = walk.client.get(f"/api/v1/testbook/{page['id']}").json()
    assert [step["answer"] for step in told["steps"][:2]] == ["bad", None]
    assert walk.client.call("DELETE", f"/api/v1/testbook/{page['id']}").status_code == 204
    assert walk.client.get(f"/api/v1/testbook/{page['id']}").status_code == 404


def test_a_signed_page_stays_as_it_is_and_a_change_is_seen(walk: Walk) -> None:
    page = walk.begin("call", "wc")
    walk.called(page)
    signed = walk.sign(page).json()
    assert walk.sign(page, "anders").json() == signed
    assert walk.say(page, "cancel", "bad").json() == signed
    assert walk.client.call("DELETE", f"/api/v1/testbook/{page['id']}").status_code == 409
    book = walk.web.site.testbook
    with book._file.change() as db:
        db.execute("UPDATE testbook_steps SET answer = 'bad' WHERE step = 'lamp'")
    assert walk.client.get(f"/api/v1/testbook/{page['id']}").json()["whole"] is False
    assert (
        "nach der Unterschrift geändert"
        in walk.client.get(f"/maintenance/testbook/{page['id']}").text
    )


def test_only_a_person_signs_and_only_what_reaches_the_audit_chain(walk: Walk) -> None:
    page = walk.begin("call", "wc")
    walk.called(page)
    path = f"/api/v1/testbook/{page['id']}/signature"
    answer = walk.web.call("POST", path, headers=walk.web.token("maintenance"), json={})
    assert (answer.status_code, answer.json()["reason"]) == (409, "needs_user")
    walk.web.away()
    assert walk.sign(page).status_code == 503
    assert walk.web.panel.audits == []


def test_the_test_mode_of_the_room_ends_with_the_signature(walk: Walk) -> None:
    page = walk.begin("call", "wc")
    walk.called(page)
    walk.web.see(snapshot(rooms={"wc": room("WC", test_until_ms=now_ms() + 60_000)}))
    walk.sign(page)
    assert [command["args"]["for_ms"] for command in walk.web.panel.commands] == [1_800_000, 0]


def test_a_room_that_refuses_the_test_does_not_begin(walk: Walk) -> None:
    page = walk.begin("call", "wc")
    walk.web.panel.answer = {"status": "refused", "reason": "in_use", "fact": None}
    assert walk.say(page, "begin").json()["reason"] == "in_use"
    told = walk.client.get(f"/api/v1/testbook/{page['id']}").json()
    assert told["steps"][0]["answer"] is None


def test_the_walk_by_forms_alone(walk: Walk) -> None:
    def post(path: str, **form: str) -> Any:
        return walk.client.post(path, data={"csrf": walk.client.csrf, **form})

    answer = post("/maintenance/testbook", kind="call", subject="wc")
    path = answer.headers["location"]
    assert answer.status_code == 303
    assert "Schritt 1 von" in walk.client.get(path).text
    post(path, step="begin", do="ok")
    html = walk.client.get(path).text
    assert "Jetzt an der Schnur ziehen: WC, Zugtaster" in html
    assert "noch nichts gesehen" in html
    assert "ein echter Notruf" in html  # the building says that the room is not in test mode
    refused = post(path, step="pull:wc.cord", do="ok")
    assert "nicht gesehen" in walk.client.get(refused.headers["location"].split("#")[0]).text
    walk.happens("call_raised", "wc", call="wc-1", point="wc.cord", test=True)
    assert "Das Gateway hat es gesehen" in walk.client.get(path).text
    for _ in range(2):  # a reload sends the same form again
        assert post(path, step="pull:wc.cord", do="ok").status_code == 303
    assert "Hängt diese Schnur frei" in walk.client.get(path).text
    post(path, do="again")
    assert "Jetzt an der Schnur ziehen" in walk.client.get(path).text
    for step in ("pull:wc.cord", "reach:wc.cord"):
        post(path, step=step, do="ok")
    for step in ("lit", "lamp", "cancel", "dark"):
        post(path, step=step, do="bad")
    assert "Als maintenance unterschreiben" in walk.client.get(path).text
    post(path, do="sign", note="<b>Lampe</b> defekt")
    html = walk.client.get(path).text
    assert "Unterschrieben von maintenance" in html
    assert "Nicht alles war in Ordnung" in html
    assert "&lt;b&gt;Lampe" in html
    assert path in walk.client.get("/maintenance").text


def test_who_was_forgotten_is_a_number_under_the_signature(walk: Walk) -> None:
    page = walk.begin("call", "wc")
    walk.called(page)
    walk.sign(page)
    admin = walk.web.as_("admin")
    walk.web.users.forget("maintenance")
    html = admin.get(f"/maintenance/testbook/{page['id']}").text
    assert "Unterschrieben von forgotten-" in html
    assert "Unverändert seit der Unterschrift" in html


def test_overdue_tests_stand_on_the_overview_for_those_who_help(walk: Walk) -> None:
    new = "Die erste Prüfung steht noch aus für WC, Haupteingang"
    assert new in walk.web.as_("staff").get("/").text
    assert "Prüfung" not in walk.web.as_("view").get("/").text
    presenter = walk.web.site.scene_for("de", names=True)
    old = Due("call", "wc", "WC", 1, 2, overdue=True, page=None)
    assert overdue_line(presenter, [old]) == "Prüfbuch: Die Prüfung ist überfällig für WC."
    assert overdue_line(presenter, [replace(old, overdue=False)]) == ""
    assert 'href="/maintenance#testbook"' not in walk.web.as_("staff").get("/").text


def test_what_was_never_tested_is_not_late(walk: Walk) -> None:
    page = walk.web.as_("maintenance").get("/maintenance", headers={"Accept-Language": "de"}).text
    assert "Noch nie geprüft: Die erste Prüfung steht noch aus." in page
    assert "überfällig" not in page
    assert 'class="card overdue"' not in page


def test_nobody_tests_what_there_is_not(walk: Walk) -> None:
    for kind, subject, reason in (
        ("call", "attic", "unknown_room"), ("door", "attic", "unknown_door"),
    ):  # fmt: skip
        told = {"kind": kind, "subject": subject}
        answer = walk.client.post("/api/v1/testbook", json=told)
        assert (answer.status_code, answer.json()["reason"]) == (404, reason)
    answer = walk.client.post("/api/v1/testbook", json={"kind": "lift", "subject": "wc"})
    assert answer.status_code == 422


def test_pages_go_when_their_life_is_over_and_unsigned_ones_soon(tmp_path: Path) -> None:
    path = tmp_path / "web.sqlite"
    book = TestBook(path, life_ms=1000)
    step = Step("moves", "moves", False)
    page = book.begin("door", "front", "Front", [step], after_row=0, now=10**12)
    book.answer(page, "moves", Result("ok", False, 10**12, None))
    page = book.page(page.id) or page
    assert page.current is None
    book.sign(page, 3, "", 10**12)
    book.begin("door", "back", "Back", [step], after_row=0, now=10**12)
    book.tidy(10**12 + 1000)
    assert len(book.signed_pages(10)) == len(book.open_pages()) == 1
    book.tidy(10**12 + EVERY_MS["call"])
    assert book.signed_pages(10) == book.open_pages() == []
    assert lines(path, "SELECT count(*) FROM testbook_steps") == [(0,)]


def test_without_a_journal_nothing_begins(web: Web) -> None:
    client = web.as_("maintenance")
    answer = client.post("/api/v1/testbook", json={"kind": "call", "subject": "wc"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_journal")
