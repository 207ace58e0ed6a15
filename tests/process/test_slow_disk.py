"""A card whose ``fsync`` takes half a minute, under everything: cord, lamp, message, door, page and
log-in go on, the greens are true, and afterwards everything is there once and in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.queries.reader import JournalUnavailable
from gateway.web.identity.users import Users, users_file
from tests.process.parts import CALLING_BENCH, House, Process, house, roles_of, until
from tests.process.parts_mqtt import free_port, sqlite_points
from tests.process.sinks import Webhook, serving
from tests.process.slow_disk import SlowDisk
from tests.process.test_faults_machine import each_number_once

pytestmark = pytest.mark.process

BUILDING = (
    CALLING_BENCH
    + """
contacts: {care: {channels: [!secret care]}}
escalations: {care: [{after: 0 s, notify: care}]}
mqtt: embedded
record: sqlite
"""
)
ROLES = ("control", "broker", "link", "record", "notify", "web")
PASSWORD = "a good password"
HELD_S = 12
"""Longer than every watchdog and every keep-alive here: 5 s of the supervisor are the longest."""
AT_ONCE_S = 3.0
"""A page or a lamp that waits for the card takes :data:`HELD_S`; on a busy machine all else takes
less than this."""


class Browser:
    """Somebody at the page."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, *, body: str = "", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=AT_ONCE_S)
        with contextlib.closing(connection):
            cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            sent = {"Sec-Fetch-Site": "same-origin", "Cookie": cookie, **headers}
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            for line in answer.headers.get_all("set-cookie") or ():
                self._cookies |= {name: one.value for name, one in SimpleCookie(line).items()}
            return answer.status, answer.read().decode()

    def log_in(self, name: str = "staff", password: str = PASSWORD) -> int:
        body = json.dumps({"name": name, "password": password})
        status, text = self.ask(
            "POST", "/api/v1/session", body=body, **{"Content-Type": "application/json"}
        )
        self.csrf = json.loads(text).get("csrf", "")
        return status

    def change(self, method: str, path: str, values: Mapping[str, Any]) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf}
        key = {"Idempotency-Key": os.urandom(8).hex()}
        return self.ask(method, path, body=json.dumps(values), **headers, **key)


@pytest.fixture
def disk(tmp_path: Path) -> SlowDisk:
    try:
        return SlowDisk.build(tmp_path / "state", tmp_path)
    except FileNotFoundError:
        pytest.skip("no C compiler here")


@pytest.fixture
def place(tmp_path: Path, disk: SlowDisk) -> Iterator[House]:
    made = house(tmp_path, BUILDING)
    made.environment = disk.environment
    yield made
    disk.release()
    made.end()


def roles(supervisor: Process) -> dict[str, int]:
    return roles_of(supervisor, ROLES)


def values(place: House) -> dict[str, tuple[str, str]]:
    shown = place.snapshot()["guarantees"]
    return {name: (one["value"], one["reason"]) for name, one in shown.items()}


def answers(browser: Browser, path: str = "/api/v1/status") -> bool:
    with contextlib.suppress(OSError):
        return browser.ask("GET", path)[0] == 200
    return False


def test_while_the_card_does_not_answer_everything_goes_on(place: House, disk: SlowDisk) -> None:
    port, hook = free_port(), Webhook()
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(f"{text}web: {{listen: 127.0.0.1:{port}}}\n", encoding="utf-8")
    (place.config.parent / "secrets").mkdir()
    (place.config.parent / "secrets" / "care").write_text(f"json://{hook.address}/care\n")
    with serving(hook):
        supervisor = place.run()
        until(lambda: supervisor.said("Ready after"))
        until(lambda: set(roles(supervisor)) == set(ROLES))
        with contextlib.closing(Users(users_file(place.state))) as users:
            users.add_user("staff", "staff", PASSWORD)
        until(lambda: values(place)["messages"][1] != "notify_away")
        known = Browser(port)
        leaving = Browser(port)
        for browser in (known, leaving):
            assert browser.log_in() == 201
        until(lambda: values(place)["recording"][0] == "yes")
        running = roles(supervisor)

        disk.hold()
        began = time.monotonic()
        place.bench("press", point="front.button_inside")
        until(lambda: place.snapshot()["doors"]["front"]["state"] == "open", AT_ONCE_S)
        until(lambda: any("journal.sqlite" in one for one in disk.waits()), AT_ONCE_S)
        place.bench("press", point="wc.cord", for_ms=500)
        until(lambda: place.snapshot()["rooms"]["wc"]["lamps"]["reassurance"], AT_ONCE_S)
        until(lambda: hook.posted, AT_ONCE_S, what="the message goes out before the commit")
        new = Browser(port)
        assert new.log_in() == 201
        until(lambda: any("web.sqlite" in one for one in disk.waits()), AT_ONCE_S)
        for browser in (known, new):
            assert browser.ask("GET", "/")[0] == 200
            assert browser.ask("GET", "/api/v1/status")[0] == 200
        requests = place.snapshot()["doors"]["front"]["counters"]["requests"]
        assert new.change("POST", "/api/v1/doors/front/open", {})[0] == 202
        until(lambda: place.snapshot()["doors"]["front"]["counters"]["requests"] > requests)
        assert known.change("POST", "/api/v1/calls/wc/acknowledge", {})[0] == 202
        assert place.snapshot()["rooms"]["wc"]["call"]["state"] == "acknowledged"
        third = Browser(port)
        assert third.log_in() == 201
        for browser in (third, leaving):
            cookies = dict(browser._cookies)
            status, text = browser.change("DELETE", "/api/v1/session", {})
            assert (status, json.loads(text)["status"]) == (200, "until_restart")
            browser._cookies = cookies  # as somebody has them who has copied them
            assert browser.ask("GET", "/api/v1/status")[0] == 401
        until(lambda: values(place)["journal"] == ("no", "journal_slow"), AT_ONCE_S)
        while time.monotonic() - began < HELD_S:
            found = values(place)
            for name in ("door_by_button", "door_by_staff", "call"):
                assert found[name] == ("yes", ""), name
            assert found["journal"] == ("no", "journal_slow")
            assert new.ask("GET", "/health/live")[0] == 200
            time.sleep(0.5)  # between two looks
        assert values(place)["forwarding"] == ("no", "unsent")
        assert roles(supervisor) == running, "nobody was ended for waiting"

        os.kill(running.pop("web"), signal.SIGKILL)  # it starts on that card, too
        until(lambda: set(roles(supervisor)) == set(ROLES))
        until(lambda: answers(known), what="the page is back")
        assert third.ask("GET", "/api/v1/status")[0] == 401
        assert answers(leaving), "as the answer has said"

        disk.release()
        until(lambda: values(place)["journal"] == ("yes", ""))
        until(lambda: place.rows("call_acknowledged"))
        until(lambda: values(place)["forwarding"] == values(place)["recording"] == ("yes", ""))
        assert roles(supervisor).items() >= running.items()
        assert not supervisor.said("hangs")
        each_number_once(place)
        order = [row.kind for row in place.rows("door_opened", "call_raised", "call_acknowledged")]
        assert order == ["door_opened", "call_raised", "call_acknowledged"]
        stored = place.state / "record" / "record.sqlite"
        until(lambda: {kind for kind, _, _ in sqlite_points(stored)} >= set(order))
        kinds = [kind for kind, _, _ in sqlite_points(stored) if kind in order]
        assert sorted(kinds) == sorted(order), "each once"
        with contextlib.closing(Users(users_file(place.state))) as users:
            until(lambda: len(users.list_sessions(users.by_name("staff").id)) == 3)
        assert leaving.change("DELETE", "/api/v1/session", {})[0] == 204


def test_while_reads_of_the_journal_hang_control_goes_on(place: House, disk: SlowDisk) -> None:
    """The chain's step is due while they hang; only the thread that looks at the journal waits."""
    port, hook = free_port(), Webhook()
    text = place.config.read_text(encoding="utf-8").replace("after: 0 s", "after: 5 s")
    place.config.write_text(f"{text}web: {{listen: 127.0.0.1:{port}}}\n", encoding="utf-8")
    (place.config.parent / "secrets").mkdir()
    (place.config.parent / "secrets" / "care").write_text(f"json://{hook.address}/care\n")
    with serving(hook):
        place.control()
        place.environment = {}  # the others have a card that answers
        for role in ("broker", "link", "notify", "web"):
            place.run(role)
        browser = Browser(port)
        until(lambda: answers(browser, "/health/live"))
        with contextlib.closing(Users(users_file(place.state))) as users:
            users.add_user("staff", "staff", PASSWORD)
        until(lambda: values(place)["messages"][1] != "notify_away")
        until(lambda: values(place)["forwarding"] == ("yes", ""))
        assert browser.log_in() == 201

        disk.hold_reads()
        place.bench("press", point="wc.cord", for_ms=500)
        began = time.monotonic()
        until(lambda: place.snapshot()["rooms"]["wc"]["lamps"]["reassurance"], AT_ONCE_S)
        until(lambda: any("journal.sqlite" in one for one in disk.waits()), AT_ONCE_S)
        until(lambda: hook.posted, 5 + AT_ONCE_S, what="the message of the step")
        requests = place.snapshot()["doors"]["front"]["counters"]["requests"]
        place.bench("press", point="front.button_inside", for_ms=200)
        until(lambda: place.snapshot()["doors"]["front"]["state"] == "open", AT_ONCE_S)
        assert browser.change("POST", "/api/v1/doors/front/open", {})[0] == 202
        until(lambda: place.snapshot()["doors"]["front"]["counters"]["requests"] == requests + 2)
        assert browser.ask("GET", "/api/v1/status")[0] == 200
        while time.monotonic() - began < HELD_S:
            found = values(place)
            for name in ("door_by_button", "door_by_staff", "call"):
                assert found[name] == ("yes", ""), name
            time.sleep(0.5)  # between two looks
        assert browser.change("POST", "/api/v1/calls/wc/acknowledge", {})[0] == 202

        disk.release()
        until(lambda: values(place)["journal"] == values(place)["forwarding"] == ("yes", ""))
        until(lambda: place.rows("call_acknowledged"))
        each_number_once(place)


def test_a_start_while_reads_of_the_journal_hang_has_a_panel(place: House, disk: SlowDisk) -> None:
    place.config.write_text(
        BUILDING[: BUILDING.index("\ncontacts:")].replace("    escalation: care\n", "")
        + "\nmqtt: embedded\nrecord: sqlite\n",
        encoding="utf-8",
    )
    control = place.control()
    control.stop()
    disk.hold_reads()
    place.control()
    until(disk.waits)
    place.bench("press", point="front.button_inside", for_ms=200)
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "open", AT_ONCE_S)
    place.bench("press", point="wc.cord", for_ms=500)
    until(lambda: place.snapshot()["rooms"]["wc"]["lamps"]["reassurance"], AT_ONCE_S)
    found = values(place)
    assert found["journal"][0] != "yes"
    assert found["recording"] == ("unknown", "journal")
    disk.release()
    until(lambda: values(place)["journal"] == ("yes", ""))
    until(lambda: values(place)["recording"][1] != "journal")
    until(lambda: readable(place, "call_raised"))
    each_number_once(place)


def readable(place: House, kind: str) -> list[Any]:
    """The facts of a kind; none while the journal is still being opened by everybody at once."""
    with contextlib.suppress(JournalUnavailable):
        return list(place.rows(kind))
    return []


def test_a_call_of_a_card_that_hangs_survives_a_kill(place: House, disk: SlowDisk) -> None:
    """The call waits behind a commit that hangs; the start after it meets the same card."""
    place.config.write_text(
        BUILDING[: BUILDING.index("\ncontacts:")].replace("    escalation: care\n", ""),
        encoding="utf-8",
    )
    control = place.control()
    until((place.state / "journal.sqlite.reserve").exists)
    disk.hold()
    place.bench("press", point="front.button_inside")
    until(disk.waits)
    place.bench("press", point="wc.cord", for_ms=500)
    until(lambda: place.snapshot()["rooms"]["wc"]["call"]["state"] == "raised")
    before = place.snapshot()["rooms"]["wc"]["call"]["id"]
    until(lambda: values(place)["journal"] == ("no", "journal_slow"))
    control.kill()
    began = time.monotonic()
    place.control()
    until(lambda: place.snapshot()["rooms"]["wc"]["call"]["state"] == "raised")
    assert place.snapshot()["rooms"]["wc"]["call"]["id"] == before
    assert place.bench("show")["points"]["wc.lamp"]["on"] is True
    print(f"{time.monotonic() - began:.1f} s from the start to the lamp")
    disk.release()
    until(lambda: values(place)["journal"] == ("yes", ""))
    each_number_once(place)


def starts(control: Process) -> int:
    return sum("control is ready" in line for line in control.lines)


def test_a_reload_waits_for_the_card_and_loses_nothing(place: House, disk: SlowDisk) -> None:
    """The takeover ends this process's memory, and the door would wait for the card with it."""
    disk = replace(disk, folder=place.state / "journal")  # and what begins so; no plan
    place.environment = disk.environment
    control = place.control()
    disk.hold()
    place.bench("press", point="front.button_inside", for_ms=200)
    until(disk.waits)
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(text.replace("2 min", "3 min"), encoding="utf-8")
    control.popen.send_signal(signal.SIGHUP)
    until(lambda: values(place)["journal"] == ("no", "journal_slow"))
    place.bench("press", point="front.button_outside", for_ms=200)
    until(lambda: place.snapshot()["doors"]["front"]["counters"]["requests"] == 2)
    began = time.monotonic()
    while time.monotonic() - began < HELD_S:  # the new configuration is read meanwhile
        assert starts(control) == 1
        assert place.snapshot()["doors"]["front"]["counters"]["requests"] == 2
        time.sleep(0.5)  # between two looks
    disk.release()
    until(lambda: starts(control) == 2)
    until(lambda: values(place)["journal"] == ("yes", ""))
    assert len(place.rows("door_request")) == 2
    each_number_once(place)


def test_a_recorder_whose_card_hangs_is_waited_for(place: House, disk: SlowDisk) -> None:
    """Its store and its state are on that card; the broker may lose patience with it."""
    mine = replace(disk, folder=place.state / "record")
    place.environment = mine.environment
    supervisor = place.run()
    until(lambda: supervisor.said("Ready after"))
    until(lambda: values(place)["recording"][0] == "yes")
    running = roles(supervisor)
    mine.hold()
    place.bench("press", point="front.button_inside", for_ms=200)
    until(mine.waits, what="the recorder writes")
    began = time.monotonic()
    while time.monotonic() - began < 2 * HELD_S:
        found = values(place)
        assert found["journal"] == found["call"] == ("yes", "")
        # On a busy machine a ping may be late; a connection that ends for that begins anew.
        until(lambda: values(place)["forwarding"] == ("yes", ""))
        time.sleep(0.5)  # between two looks
    mine.release()
    until(lambda: values(place)["recording"] == ("yes", ""))
    urgent = ["door_request", "door_opened", "door_closed"]
    until(lambda: place.rows("door_closed"))
    stored = place.state / "record" / "record.sqlite"
    until(lambda: {kind for kind, _, _ in sqlite_points(stored)} >= set(urgent))
    kinds = [kind for kind, _, _ in sqlite_points(stored) if kind in urgent]
    assert sorted(kinds) == sorted(urgent), "each once"
    assert roles(supervisor) == running
