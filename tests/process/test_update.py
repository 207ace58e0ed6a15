"""An update loses nothing: state folders that earlier versions have written, started by this one.

Each archive in ``tests/fixtures`` was made by ``make_state.py`` with the code of its version.
"""

from __future__ import annotations

import json
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

from gateway.journal.queries.reader import Reader
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
NEWEST = ARCHIVES[-1].name.removesuffix(".tar.xz")
Before = tuple[Office, dict[str, Any]]
AWAY_MS = 5_000
"""Between the last instant of the old version and the first of the new one."""


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Before]:
    """The house of a fixture, nothing running, and what is known of it."""
    place, known = unpacked(request.param, tmp_path)
    known["version"] = request.param.name.removesuffix(".tar.xz")
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
        return reader.journal_id(), {str(lane): seq for lane, seq in reader.heads().items()}, rows


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
    totp = pyotp.TOTP(known["secret"])

    def proves() -> bool:
        """A code that the process before may have accepted is refused: the next one is right."""
        given = {"code": totp.at(int(time.time()) + 30)}
        status, answer, _ = place.http("POST", "/api/v1/me/second-factor", given, headers)
        assert status == 204 or answer["reason"] == "code_early"
        return bool(status == 204)

    until(proves, what="a code of after the start")
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


def shape(value: Any) -> Any:
    """What a format is made of: the keys, without names, numbers and texts. Of lists and of
    mappings by name (rooms, doors, chains) the parts of their entries together."""
    if isinstance(value, list):
        return sorted({str(shape(one)) for one in value if isinstance(one, dict)})
    if not isinstance(value, dict):
        return ""
    return {key: shape(one) for key, one in sorted(value.items())}


def saved_state(place: Office) -> dict[str, Any]:
    with closing(sqlite3.connect(f"file:{place.state}/journal.sqlite?mode=ro", uri=True)) as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone()
    found: dict[str, Any] = json.loads(text)
    return found


def lacks(new: Any, old: Any, at: str = "") -> list[str]:
    """Which keys of the old shape are not in the new one."""
    if not isinstance(old, dict):
        return []
    if not isinstance(new, dict):
        return [at]
    missing = [f"{at}.{key}" for key in old if key not in new]
    return missing + [
        one for key in old if key in new for one in lacks(new[key], old[key], f"{at}.{key}")
    ]


def test_the_version_before_finds_all_that_it_reads(before: Before) -> None:
    """What an older version has saved is saved still, so that an update can be taken back; and
    this version's own fixture has all that this version saves. Where this is red: count the
    format up, migrate, decide what a way back means, and make the fixture of the version anew."""
    place, known = before
    old = shape(saved_state(place))
    starts(place, known)
    assert place.command("set_mode", door="front", mode="off")["status"] == "accepted"
    assert place.roles["control"].stop() == 0
    new = shape(saved_state(place))
    assert lacks(new, old) == []
    if known["version"] == NEWEST:
        assert lacks(old, new) == [], "the newest fixture is not of this version"


SCHEMA_3 = "UPDATE meta SET value = '3' WHERE key = 'schema'"


def test_after_a_way_back_too_far_the_door_serves_and_the_call_stands(before: Before) -> None:
    """A journal of a later version: doctor and check name it before anything is started."""
    place, known = before
    with closing(sqlite3.connect(place.state / "journal.sqlite")) as db, db:
        db.execute(SCHEMA_3)
    hook = Webhook()
    hook.server_close()  # nobody is notified here
    secrets(place, hook)
    checked = place.portier("check", str(place.config), "--state", str(place.state))
    assert checked.wait() == 78
    assert checked.said("journal.sqlite: the journal in format 3, which this version of Portier")
    starts(place, known)
    assert room(place)["call"]["id"] == known["call"]
    assert room(place)["lamps"]["reassurance"] is True
    assert place.snapshot()["doors"]["front"]["mode"] == "off"
    assert "office/journal_set_aside" in alarms(place)
    assert place.rows("journal_recovered") == []
    (aside,) = place.state.glob("journal.sqlite.schema-3-*-000")
    with closing(sqlite3.connect(f"file:{aside}?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT count(*) FROM fact").fetchone()
    assert count > 1_000, "nothing of it was taken away"
    checked = place.portier("check", str(place.config), "--state", str(place.state))
    assert checked.wait() == 0, "what is set aside holds up no update"
    doctor = place.portier("doctor", "--config", str(place.config), "--state", str(place.state))
    doctor.wait()
    assert doctor.said(f"portier restore {aside}")


def test_roles_name_a_file_of_another_version_and_end_for_good(before: Before) -> None:
    place, _ = before
    files = {
        "web": place.state / "web/web.sqlite",
        "record": place.state / "record/recorder-recorder.sqlite",
    }
    for file in files.values():
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA user_version = 9")
    doctor = place.portier("doctor", "--config", str(place.config), "--state", str(place.state))
    for role, file in files.items():
        process = place.run(role)
        assert process.wait() == 78, process.lines
        assert process.said(f"{file}: ")
        assert process.said("in format 9, which this version of Portier does not understand")
    doctor.wait()
    for file in files.values():
        assert doctor.said(f"formats: {file}: ")
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (9,)
