"""No change of users, tokens or the test book without its entry in the audit chain, whether
``control`` is there or not."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest

from gateway.journal.audit import AuditEntry, entries
from gateway.journal.queries.reader import Reader
from gateway.web.identity.users import Users
from gateway.web.storage import handover, outbox
from gateway.web.storage.handover import GIVEN_UP_S, MEMORY_MOST, SURE_S, HandOver
from gateway.web.storage.testbook import Result, Step
from tests.identity import start_session
from tests.page.fake import guarantee, now_ms
from tests.web.conftest import PASSWORD, Client, Clock, Web, snapshot
from tests.web.test_audit import write

NEW = "another good password"


class Chain:
    """``control``: what it is sent gets into the chain when it commits."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.taken = 0

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [dict(message) for message in self.web.panel.audits]

    def commit(self) -> None:
        new, self.taken = self.sent[self.taken :], len(self.sent)
        write(
            self.web,
            *(
                AuditEntry(
                    one["actor"],
                    one["action"],
                    str(one["detail"].get("subject", "")),
                    str(one["detail"].get("outcome", "done")),
                    n,
                    json.dumps({k: v for k, v in one["detail"].items() if k != "subject"}),
                )
                for n, one in enumerate(new)
            ),
        )

    def lose(self) -> None:
        """It ends with what it has not committed."""
        self.taken = len(self.sent)
        self.web.away()

    def back(self) -> None:
        self.web.see(snapshot())
        self.turn()

    def turn(self, of: HandOver | None = None) -> None:
        self.web.runner.run((of or self.web.site.handover).turn())

    def actions(self) -> list[str]:
        with contextlib.closing(Reader(self.web.options.journal)) as reader:
            return [one.action for one in reader.read(lambda db: list(entries(db, 0, 1000)))]


@pytest.fixture
def chain(web: Web) -> Chain:
    write(web)
    return Chain(web)


def waiting(web: Web) -> list[str]:
    return [one.action for one in web.users.waiting_entries(1000)]


def prepared(web: Web) -> Client:
    """An administrator (user 1), and what there is to change (user 2)."""
    web.add("admin", "admin")
    web.add("anna", "staff")
    start_session(web.users, 2)
    web.users.confirm_factor(2, pyotp.TOTP(web.users.begin_factor(2)).now())
    for name, by in (("hers", "web:2"), ("old", "web:1")):
        web.users.add_token(name, "view", 9, by)
    return web.as_("admin")


CHANGES: list[tuple[str, str, dict[str, Any] | None, list[tuple[str, str]]]] = [
    ("POST", "users", {"name": "new", "role": "view", "password": PASSWORD},
     [("user_added", "web:3")]),
    ("POST", "tokens", {"name": "new", "role": "view", "days": 9}, [("token_added", "token:new")]),
    ("PUT", "users/2/role", {"role": "maintenance"}, [("role_changed", "web:2")]),
    ("PUT", "users/2/password", {"password": NEW}, [("password_set", "web:2")]),
    ("DELETE", "users/2/second-factor", None, [("factor_removed", "web:2")]),
    ("DELETE", "users/2/sessions", None, [("sessions_ended", "web:2")]),
    ("DELETE", "users/2", None, [("user_removed", "web:2"), ("token_revoked", "token:hers")]),
    ("DELETE", "tokens/old", None, [("token_revoked", "token:old")]),
    ("PUT", "me/password", {"old": PASSWORD, "new": NEW}, [("password_changed", "web:1")]),
    ("DELETE", "users/me/sessions", None, [("sessions_ended", "web:1")]),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "told"), CHANGES)
def test_a_change_while_control_is_away_is_handed_over_when_it_is_back(
    web: Web, chain: Chain, method: str, path: str, body: Any, told: list[tuple[str, str]]
) -> None:
    admin = prepared(web)
    start_session(web.users, 1)
    web.away()
    answer = admin.call(method, f"/api/v1/{path}", json=body)
    assert answer.status_code in (200, 201, 204), answer.text
    assert chain.sent == []
    assert waiting(web) == [action for action, _ in told]
    chain.back()
    assert [(one["action"], one["detail"]["subject"]) for one in chain.sent] == told
    assert {one["actor"] for one in chain.sent} == {"web:1"}
    chain.commit()
    chain.turn()
    assert waiting(web) == []
    chain.turn()
    assert len(chain.sent) == len(told), "once"


def test_what_was_done_by_whoever_else_may_leaves_one_as_well(tmp_path: Path) -> None:
    """Second factors, recovery codes, and a page of the test book."""
    web = Web(tmp_path, second_factor="doors")
    client = web.as_("staff")
    web.away()
    begun = client.post("/api/v1/me/second-factor/enrolment", json={"password": PASSWORD}).json()
    code = {"code": pyotp.TOTP(begun["secret"]).now()}
    codes = client.post("/api/v1/me/second-factor/confirmation", json=code).json()
    spent = client.post("/api/v1/me/second-factor", json={"code": codes["recovery_codes"][0]})
    assert spent.status_code == 204
    removed = client.post("/api/v1/me/second-factor/removal", json={"password": PASSWORD})
    assert removed.status_code == 204
    book = web.site.testbook
    page = book.begin("door", "front", "Haupteingang", [Step("look", "look", False)],
                      after_row=0, now=1)  # fmt: skip
    book.answer(page, "look", Result("ok", False, 1, None))
    found = book.page(page.id)
    assert found is not None
    author = web.site.author(web_who(web, client), "view")
    digest = book.sign(found, 1, "", 2, author=author).digest
    book.sign(found, 1, "", 3, author=author)
    assert waiting(web) == ["factor_added", "recovery_used", "factor_removed", "testbook_signed"]
    assert web.users.waiting_entries(9)[3].detail["digest"] == digest
    web.close()


def web_who(web: Web, client: Client) -> Any:
    from gateway.web.identity.accounts import Who
    from gateway.web.identity.users import hashed

    return Who("web:1", "staff", "staff", 1, hashed(client.cookie.partition("=")[2]))


def test_they_come_in_order_and_say_when_they_were_done(web: Web, chain: Chain) -> None:
    admin = prepared(web)
    web.away()
    an_hour_ago = time.time() - 3600
    web.users._now = lambda: an_hour_ago
    for number in range(5):
        body = {"name": f"user {number}", "role": "view", "password": PASSWORD}
        assert admin.post("/api/v1/users", json=body).status_code == 201
    chain.back()
    web.users._now = time.time
    assert admin.call("DELETE", "/api/v1/users/3").status_code == 204
    told = [one["detail"] for one in chain.sent]
    assert [one["subject"] for one in told] == [f"web:{n}" for n in (3, 4, 5, 6, 7, 3)]
    assert [one.get("done_utc_ms") for one in told] == [int(an_hour_ago * 1000)] * 5 + [None]
    assert len({one["entry"] for one in told}) == 6
    chain.commit()
    page = admin.get("/audit", headers={"Accept-Language": "en"}).text
    assert page.count("entered later") == 5
    assert "6 entries wait" in page
    chain.turn()
    assert "wait for the controller" not in admin.get("/audit").text


def test_a_change_that_fails_leaves_no_entry(web: Web, chain: Chain) -> None:
    admin = prepared(web)
    body = {"name": "anna", "role": "view", "password": PASSWORD}
    assert admin.post("/api/v1/users", json=body).status_code == 409
    assert admin.call("DELETE", "/api/v1/users/1").status_code == 409
    assert (waiting(web), chain.sent) == ([], [])


@pytest.mark.parametrize("committed", [True, False])
def test_what_control_took_before_it_went_is_not_entered_twice(
    web: Web, chain: Chain, committed: bool
) -> None:
    admin = prepared(web)
    assert admin.call("DELETE", "/api/v1/users/2").status_code == 204
    assert len(chain.sent) == 2
    if committed:
        chain.commit()
    chain.lose()
    assert admin.call("DELETE", "/api/v1/tokens/old").status_code == 204
    chain.back()
    chain.commit()
    chain.turn()
    assert chain.actions() == ["user_removed", "token_revoked", "token_revoked"]
    assert waiting(web) == []


@pytest.mark.parametrize("committed", [True, False])
def test_what_a_process_before_has_sent_is_not_entered_twice(
    web: Web, chain: Chain, committed: bool
) -> None:
    admin = prepared(web)
    assert admin.call("DELETE", "/api/v1/users/2").status_code == 204
    if committed:
        chain.commit()
    chain.taken = len(chain.sent)
    site = web.site
    begun = HandOver(web.users, site.control, site.records, site.saver, "test")
    web.runner.run(begun.send())
    assert len(chain.sent) == 2, "it looks at the chain first"
    chain.turn(begun)
    chain.commit()
    chain.turn(begun)
    assert chain.actions() == ["user_removed", "token_revoked"]
    assert waiting(web) == []


def test_without_a_journal_to_read_control_itself_is_the_evidence(web: Web) -> None:
    chain, admin, clock = Chain(web), prepared(web), Clock(0.0)
    web.site.handover._monotonic = clock
    assert admin.call("DELETE", "/api/v1/tokens/old").status_code == 204
    clock.now = SURE_S - 1
    chain.turn()
    assert waiting(web) == ["token_revoked"]
    slow = {**guarantee(now_ms()), "value": "no", "reason": "journal_slow"}
    web.see(snapshot(guarantees={"journal": slow}))
    clock.now = SURE_S + 1
    chain.turn()
    assert waiting(web) == ["token_revoked"], "it says that something waits for its commit"
    web.see(snapshot())
    chain.turn()
    assert waiting(web) == []


def test_an_entry_that_never_gets_into_the_chain_holds_up_nothing_for_ever(
    web: Web, chain: Chain
) -> None:
    admin, clock = prepared(web), Clock(0.0)
    web.site.handover._monotonic = clock
    assert admin.call("DELETE", "/api/v1/tokens/old").status_code == 204
    clock.now = GIVEN_UP_S - 1
    chain.turn()
    assert waiting(web) == ["token_revoked"]
    clock.now = GIVEN_UP_S
    chain.turn()
    assert waiting(web) == []


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST", 3)


def test_at_the_limit_nobody_gets_a_right_and_rights_still_end(
    web: Web, chain: Chain, small: None
) -> None:
    admin = prepared(web)
    web.away()
    for number in range(3):
        body = {"name": f"user {number}", "role": "view", "password": PASSWORD}
        assert admin.post("/api/v1/users", json=body).status_code == 201
    more = {"name": "more", "role": "admin", "password": PASSWORD}
    refused = admin.post("/api/v1/users", json=more, headers={"Accept-Language": "en"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "audit_waits")
    assert "start the controller first" in refused.json()["detail"]
    assert "more" not in {user.name for user in web.users.list_users()}
    form = admin.post("/users", data={"do": "add", **more, "csrf": admin.csrf})
    assert "Bitte erst die Steuerung starten" in form.text
    raised = admin.call("PUT", "/api/v1/users/2/role", json={"role": "admin"})
    assert raised.json()["reason"] == "audit_waits"
    for number in range(3, 6):
        assert admin.call("DELETE", f"/api/v1/users/{number}").status_code == 204
    assert admin.call("DELETE", "/api/v1/users/2").status_code == 204
    assert waiting(web) == ["user_added"] * 3 + ["user_removed", "token_revoked"]
    chain.back()
    assert [one["detail"].get("times") for one in chain.sent] == [None] * 3 + [4, None]
    chain.commit()
    chain.turn()
    assert admin.post("/api/v1/users", json=more).status_code == 201
    assert "4-mal" in admin.get("/audit", headers={"Accept-Language": "de"}).text


def test_more_than_a_piece_is_handed_over_piece_by_piece(
    web: Web, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "PIECE", 2)
    for number in range(5):
        web.users.keep_entry("cli:root", "user_role", {"subject": f"web:{number}"})
    for _ in range(4):
        chain.turn()
        chain.commit()
    assert [one["detail"]["subject"] for one in chain.sent] == [f"web:{n}" for n in range(5)]
    chain.turn()
    assert waiting(web) == []


def test_log_ins_wait_in_memory_and_what_there_is_no_room_for_is_counted(
    web: Web, chain: Chain
) -> None:
    web.away()
    for number in range(MEMORY_MOST + 7):
        web.runner.run(web.site.handover.note("web:unknown", "login_failed", {"n": number}))
    assert waiting(web) == [], "nothing is written for them"
    chain.back()
    told = chain.sent
    assert [one["detail"].get("n") for one in told[:-1]] == list(range(MEMORY_MOST))
    lost = {"subject": web.options.gateway, "outcome": "lost", "times": 7}
    assert (told[-1]["actor"], told[-1]["action"], told[-1]["detail"]) == ("gateway", "audit", lost)


def test_the_task_hands_over_when_control_is_back(web: Web, chain: Chain) -> None:
    web.users.keep_entry("cli:root", "user_role", {"subject": "web:1"})
    web.away()

    async def life() -> None:
        import asyncio

        sent = asyncio.Event()
        send: Callable[[Any], Any] = web.panel.send

        async def noted(message: Any) -> None:
            await send(message)
            sent.set()

        web.panel.send = noted  # type: ignore[method-assign]
        task = asyncio.create_task(web.site.handover.run())
        web.see(snapshot())
        await asyncio.wait_for(sent.wait(), 30)
        task.cancel()

    web.runner.run(life())
    assert [one["action"] for one in chain.sent] == ["user_role"]


def test_a_file_of_a_version_before_gets_its_table(tmp_path: Path) -> None:
    with contextlib.closing(Users(tmp_path / "web.sqlite")) as users, users._change() as db:
        db.execute("DROP TABLE audit_outbox")
    with contextlib.closing(Users(tmp_path / "web.sqlite")) as users:
        users.keep_entry("cli:root", "user_role", {"subject": "web:1"})
        assert [one.actor for one in users.waiting_entries(9)] == ["cli:root"]
