"""An update loses nothing: state folders that earlier versions have written, started by this one.

Each archive in ``tests/fixtures`` was made by ``make_state.py`` with the code of its version.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from gateway.journal.reader import Reader
from tests.fixtures.make_state import (
    PASSWORD,
    Office,
    alarms,
    messages,
    press,
    secrets,
    stored,
    travel,
    unpacked,
)
from tests.process.parts import ROOT, until
from tests.process.sinks import Webhook, serving

pytestmark = pytest.mark.process

ARCHIVES = sorted((ROOT / "tests/fixtures").glob("state-*.tar.xz"))
Before = tuple[Office, dict[str, Any]]
AWAY_MS = 5_000
"""Between the last instant of the old version and the first of the new one."""


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Before]:
    """The house of a fixture, nothing running, and what is known of it."""
    place, known = unpacked(request.param, tmp_path)
    yield place, known
    place.end()


def starts(place: Office, known: dict[str, Any]) -> None:
    """This version's ``control``, a few seconds later."""
    at = datetime.fromtimestamp((known["utc_ms"] + AWAY_MS) / 1000, UTC)
    place.role("control", "--bench-start", at.isoformat())


def room(place: Office) -> dict[str, Any]:
    found: dict[str, Any] = place.snapshot()["rooms"]["wc"]
    return found


def journal(place: Office) -> tuple[str, dict[str, int], list[tuple[str, int]]]:
    """Its id, its heads, and kind and number of each fact that goes to the recorder."""
    with closing(Reader(place.state / "journal.sqlite")) as reader:
        rows = sorted((row.kind, row.seq) for row in reader.after_row(0, 100_000)
                      if row.lane != "local")  # fmt: skip
        return reader.journal_id(), dict(reader.heads()), rows


def test_what_was_there_is_there_after_the_update(before: Before) -> None:
    place, known = before
    hook = Webhook()
    secrets(place, hook)
    with serving(hook):
        starts(place, known)
        wc = room(place)
        assert (wc["call"]["id"], wc["call"]["state"]) == (known["call"], "raised")
        assert wc["lamps"] == {
            "reassurance": True, "lamp": "flashing", "sounder": True, "unlock": None,
        }  # fmt: skip
        assert sorted(alarms(place)) == known["alarms"]
        doors = place.snapshot()["doors"]
        assert (doors["front"]["mode"], doors["front"]["mode_source"]) == ("off", "override")
        assert doors["back"]["mode"] == "night", "the overlay"
        press(place, "front.button")
        until(lambda: place.rows("door_request")[-1].data["reason"] == "mode_off")
        assert place.snapshot()["doors"]["front"]["leaf"] == "closed"

        place.role("notify")
        until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
        assert messages(place) == ["caretaker delivered", "reception delivered"]
        assert hook.posted == [], "nobody is notified twice"
        shown = place.snapshot()
        due_ms = shown["rooms"]["wc"]["call"]["next_message_ms"] + shown["utc_offset_ms"]
        assert due_ms - known["utc_ms"] == pytest.approx(120_000, abs=2_000)
        travel(place, to_utc_ms=due_ms)
        until(lambda: messages(place)[2:] == ["care_service delivered"], what="the chain goes on")
        assert len(hook.posted) == 1

        assert place.command("confirm_message", delivery="test#1")["status"] == "accepted"
        until(lambda: "office/test_unconfirmed" not in alarms(place))
        press(place, "wc.cancel")
        until(lambda: room(place)["call"]["state"] == "quiet", what="ended in the room")
        assert room(place)["lamps"]["reassurance"] is False
        assert "wc/leak" in alarms(place)
        place.cli("alarm", "reset", "wc/leak")
        until(lambda: "wc/leak" not in alarms(place), what="dry and reset")
        assert place.rows("journal_recovered") == []
        assert place.roles["control"].stop() == 0
    id_, heads, _ = journal(place)
    assert id_ == known["journal"]
    assert all(heads[lane] >= head for lane, head in known["heads"].items())
    place.cli("audit", "verify")


def test_people_and_programs_come_in_as_before(before: Before) -> None:
    place, known = before
    with closing(sqlite3.connect(place.state / "web/web.sqlite")) as db, db:
        # the log-in is as old as it was, whenever this runs
        db.execute("UPDATE sessions SET created = ?1, seen = ?1, proved = ?1", (time.time(),))
        db.execute("UPDATE tokens SET expires = ?", (time.time() + 86_400,))
    starts(place, known)
    place.role("web")
    until(place.ready, what="the page")
    assert place.http("GET", "/api/v1/me", headers={"Cookie": known["cookie"]})[0] == 200
    token = {"Authorization": f"Bearer {known['token']}"}
    assert place.http("GET", "/api/v1/status", headers=token)[0] == 200
    for name in ("anna", "mara"):
        wrong = {"name": name, "password": PASSWORD + "!"}
        assert place.http("POST", "/api/v1/session", wrong)[0] == 401
    status, entered, cookie = place.http(
        "POST", "/api/v1/session", {"name": "anna", "password": PASSWORD}
    )
    assert (status, entered["second_factor"]) == (201, True)
    headers = {"Cookie": cookie, "X-CSRF-Token": entered["csrf"]}
    assert place.http("GET", "/api/v1/status", headers=headers)[0] == 403, "a code is wanted"
    given = {"code": pyotp.TOTP(known["secret"]).now()}
    assert place.http("POST", "/api/v1/me/second-factor", given, headers)[0] == 204
    assert place.http("GET", "/api/v1/status", headers=headers)[0] == 200
    given = {"code": known["recovery_code"]}
    assert place.http("POST", "/api/v1/me/second-factor", given, headers)[0] == 204
    assert place.http("POST", "/api/v1/me/second-factor", given, headers)[0] == 403, "once"
    listed = {line.split()[1]: line.split()[2] for line in place.cli("user", "list").splitlines()}
    assert {"anna": "staff", "mara": "maintenance", "admin": "admin"}.items() <= listed.items()


def test_a_recorder_that_was_behind_stores_each_fact_once(
    before: Before,
) -> None:
    place, known = before
    was = [(kind, seq) for kind, seq in known["stored"]]
    assert was == sorted((kind, seq) for kind, _, seq in stored(place))
    starts(place, known)
    for role in ("broker", "record", "link"):
        place.role(role)
    press(place, "back.button")
    until(lambda: place.rows("door_request"), what="a fact of this version")

    def complete() -> bool:
        place.bench("travel", by_ms=100)  # what waits is written
        found = [(kind, seq) for kind, _, seq in stored(place) if kind != "recorder"]
        return sorted(found) == journal(place)[2]

    until(complete, 120, what="everything is stored")
    found = Counter((kind, seq) for kind, _, seq in stored(place))
    assert set(found.values()) == {1}
    assert set(was) <= set(found)
    assert len(found) > len(was)
    assert journal(place)[0] == known["journal"]
