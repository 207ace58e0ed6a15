"""The pages of the centre and what is done there, without a script."""

from __future__ import annotations

import gzip
import re
import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.sites.grants import Grant
from gateway.web.building.control_client import Answer
from tests.identity import start_session
from tests.page.fake import alarm, guarantee, now_ms
from tests.sites.centre_web import OPENS, CentreWeb, FakeGateway, utc_ms
from tests.sites.conftest import STAFF
from tests.web.conftest import PASSWORD, Client, never_in_a_loop

changes_wait_for_no_loop = pytest.fixture(autouse=True)(never_in_a_loop)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- calls --------------------------------------------------------------------------------


def test_a_call_stands_first_with_its_place_and_is_answered_with_a_name(
    web: CentreWeb, anna: Client
) -> None:
    web.gateway("bad-2").call()
    html = anna.get("/").text
    assert html.index('id="call-bad-2-wc"') < html.index('id="wrong"')
    assert "Notruf: WC" in text_of(html)
    assert "Bad 2" in text_of(html)
    answer = anna.post(
        "/sites/bad-2/calls/acknowledge",
        data={"call": "wc-1", "attends": " Frau  Weber ", "do": "attend"},
    )
    assert answer.status_code == 303
    by = f"user:{web.users.by_name('anna').id}"
    assert web.centre.commands.asked == [
        {"gateway": "bad-2", "name": "acknowledge_call", "subject": "wc-1", "by": by,
         "text": "Frau Weber"}
    ]  # fmt: skip
    assert "Bad 2: Frau Weber geht hin." in text_of(anna.get(answer.headers["location"]).text)


def test_without_a_name_a_call_is_only_seen(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").call()
    path, call = "/sites/bad-1/calls/acknowledge", {"call": "wc-1"}
    forgotten = anna.post(path, data={**call, "attends": "  ", "do": "attend"})
    said = text_of(anna.get(forgotten.headers["location"].partition("#")[0]).text)
    assert "Bitte eintragen, wer hingeht." in said
    assert web.centre.commands.asked == []
    seen = anna.post(path, data={**call, "attends": "Weber", "do": "seen"})
    assert [one["text"] for one in web.centre.commands.asked] == [""]
    said = text_of(anna.get(seen.headers["location"]).text)
    assert "als gesehen markiert. Summer und Benachrichtigung laufen weiter" in said


def test_who_answers_second_is_told_that_their_name_is_not_entered(
    web: CentreWeb, anna: Client
) -> None:
    web.gateway("bad-1").call()
    web.centre.commands.answer = Answer("c1", "merged", "")
    path, call = "/sites/bad-1/calls/acknowledge", {"call": "wc-1", "attends": "Frau Weber"}
    second = anna.post(path, data={**call, "do": "attend"})
    said = text_of(anna.get(second.headers["location"]).text)
    assert "Bad 1: Es geht schon jemand hin. Frau Weber wurde nicht eingetragen." in said
    second = anna.post(path, data={**call, "do": "seen"})
    said = text_of(anna.get(second.headers["location"]).text)
    assert "Der Notruf war schon als gesehen markiert, oder es geht schon jemand hin." in said


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("no_answer", "Es bleibt nichts liegen"),
        ("not_allowed", "Der Standort erlaubt das der Zentrale nicht"),
        ("not_enrolled", "nicht angemeldet"),
        ("unknown_call", "keinen solchen Notruf"),
    ],
)
def test_a_refusal_is_said_in_words(web: CentreWeb, anna: Client, reason: str, said: str) -> None:
    web.gateway("bad-1").call()
    web.centre.commands.answer = Answer("c1", "refused", reason)
    answer = anna.post(
        "/sites/bad-1/calls/acknowledge", data={"call": "wc-1", "attends": "W", "do": "attend"}
    )
    shown = text_of(anna.get(answer.headers["location"].partition("#")[0]).text)
    assert "Bad 1: nicht ausgeführt." in shown
    assert said in shown
    html = anna.get(answer.headers["location"].partition("#")[0]).text
    assert 'value="W"' in html  # what was typed is there again


def test_who_may_only_look_sees_a_call_and_no_button(web: CentreWeb) -> None:
    web.gateway("bad-1").call()
    html = web.user("ben", Grant("site", "bad-1", "view")).get("/").text
    assert "Notruf: WC" in text_of(html)
    assert "/calls/acknowledge" not in html


def test_a_call_that_cannot_be_answered_from_here_says_why(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").call()
    web.gateway("bad-1").rights = {"may": [], "doors": {}}
    web.gateway("bad-2").call()
    web.gateway("bad-2").presence = "offline"
    for id in ("bad-1", "bad-2"):
        web.centre.changed(id)
    html = anna.get("/").text
    assert "/calls/acknowledge" not in html
    assert "nimmt von der Zentrale keine Bestätigung an" in text_of(html)
    assert "Von hier aus lässt sich nicht bestätigen: Das Gateway ist nicht verbunden." in text_of(
        html
    )


def test_a_call_of_a_site_that_is_away_is_the_last_known(web: CentreWeb, anna: Client) -> None:
    site = web.gateway("bad-1")
    site.call()
    assert 'class="tick" data-since' in anna.get("/").text
    site.presence, site.presence_since_utc_ms = "offline", utc_ms() - 60_000
    web.centre.changed("bad-1")
    html = anna.get("/").text
    assert re.search(
        r"Zuletzt bekannt: Es hat noch niemand reagiert\. "
        r"Das Gateway ist nicht verbunden, seit \d\d:\d\d( Uhr)?\.",
        text_of(html),
    )
    assert 'class="tick"' not in html
    web.centre.lose()
    assert "reagiert. Die Zentrale hat keine Verbindung zum Broker" in text_of(anna.get("/").text)


def test_a_countdown_and_who_goes_are_shown(web: CentreWeb, anna: Client) -> None:
    now = now_ms()
    web.gateway("bad-1").call(
        state="acknowledged",
        acknowledged_by=f"mqtt:sites (says: user:{web.users.by_name('anna').id})",
        acknowledged_ms=now,
        attend_by_ms=now + 120_000,
    )
    html = anna.get("/").text
    assert re.search(r"anna ist seit [\d:]+ unterwegs", text_of(html))
    assert 'data-until="' in html
    web.gateway("bad-1").call(
        state="acknowledged", acknowledged_by="mqtt:sites", attends="Frau Weber",
        acknowledged_ms=now,
    )  # fmt: skip
    web.centre.changed("bad-1")
    assert re.search(r"Frau Weber ist seit [\d:]+ unterwegs", text_of(anna.get("/").text))
    ben = web.user("ben", Grant("all", "", "view"))  # names of people are for staff
    for path in ("/", "/api/v1/calls", "/api/v1/sites/bad-1", "/sites/bad-1/parts"):
        assert "Weber" not in ben.get(path).text
    assert anna.get("/api/v1/calls").json()[0]["attends"] == "Frau Weber"


def test_who_has_only_seen_a_call_is_shown(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").call(seen_by="mqtt:sites", seen_ms=now_ms())
    shown = text_of(anna.get("/").text)
    assert re.search(r"Zentrale hat den Notruf um [\d:]+ gesehen", shown)
    english = anna.get("/", headers={"Cookie": f"{anna.cookie}; portier-language=en"}).text
    assert re.search(r"Centre saw the call at [\d:]+\.", text_of(english))


# --- what does not work -------------------------------------------------------------------


def test_sites_that_do_not_work_say_why_and_since_when(web: CentreWeb, anna: Client) -> None:
    offline, incomplete, deaf = (web.gateway(id) for id in ("bad-1", "bad-2", "office"))
    offline.presence, offline.presence_since_utc_ms = "offline", utc_ms() - 60_000
    incomplete.lacks = ("state/door/front",)
    assert deaf.building is not None
    deaf.building["guarantees"]["messages"] = guarantee(now_ms(), "no", "no_contact")
    for id in ("bad-1", "bad-2", "office"):
        web.centre.changed(id)
    shown = text_of(anna.get("/").text)
    assert re.search(r"Das Gateway ist nicht verbunden, seit \d\d:\d\d", shown)
    assert "Es fehlen Angaben: state/door/front" in shown
    assert shown.index("Geschäftsstelle") < shown.index("Bad 1")  # its calls reach nobody
    assert "3 Standorte gestört" in shown
    shown = text_of(anna.get("/alarms").text)
    assert re.search(r"Nicht erreichbar oder gestört: .*Bad 1.*\. Meldungen von dort", shown)


def test_without_the_broker_nothing_is_claimed_and_nothing_can_be_asked(
    web: CentreWeb, anna: Client
) -> None:
    web.gateway("bad-1").call()
    web.centre.lose()
    shown = text_of(anna.get("/").text)
    assert "keine Verbindung zum Broker" in shown
    assert "Standorte, die nicht arbeiten" not in shown
    answer = anna.post("/api/v1/sites/bad-1/doors/front/open")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_broker")
    assert web.call("GET", "/health/ready").status_code == 503
    assert web.centre.commands.asked == []


def test_what_a_site_does_not_confirm_is_shown_as_the_last_known(
    web: CentreWeb, anna: Client
) -> None:
    web.gateway("bad-1").confirms = False
    web.centre.changed("bad-1")
    shown = text_of(anna.get("/sites/bad-1").text)
    assert "Der Standort bestätigt seinen Stand nicht" in shown
    assert "Der Standort bestätigt seinen Stand nicht" in text_of(anna.get("/").text)
    answer = anna.post("/api/v1/sites/bad-1/doors/front/open")
    assert (answer.status_code, answer.json()["reason"]) == (503, "site_stale")
    assert anna.get("/api/v1/sites/bad-1").json()["stale"] is True
    assert web.centre.commands.asked == []


def test_what_one_gateway_says_does_not_hide_the_others(web: CentreWeb, anna: Client) -> None:
    broken = web.gateway("bad-1")
    broken.building = {"doors": {"front": {}}, "rooms": 7}
    web.centre.changed("bad-1")
    shown = text_of(anna.get("/").text)
    assert "Was das Gateway sendet, lässt sich nicht anzeigen" in shown
    assert "Bad 2" in shown


# --- doors --------------------------------------------------------------------------------


def test_a_door_opens_with_two_taps_that_name_place_door_and_state(
    web: CentreWeb, anna: Client
) -> None:
    path = "/sites/bad-1/doors/front/open"
    first = anna.post(path, data={"reason": "Lieferung"})
    address = first.headers["location"].partition("#")[0]
    html = anna.get(address).text
    assert "Bad 1, Haupteingang (Geschlossen): Noch einmal tippen zum Öffnen." in text_of(html)
    assert web.centre.commands.asked == []
    found = re.search(r'name="arm" value="([^"]+)"', html)
    assert found is not None
    done = anna.post(path, data={"arm": found.group(1), "reason": "Lieferung"})
    (asked,) = web.centre.commands.asked
    assert (asked["name"], asked["subject"], asked["text"]) == ("open_door", "front", "Lieferung")
    assert done.status_code == 303
    again = anna.post(path, data={"arm": found.group(1), "reason": "Lieferung"})
    assert again.status_code == 303
    assert len(web.centre.commands.asked) == 1  # the note is used once


def test_a_note_of_one_site_arms_no_door_of_another(web: CentreWeb, anna: Client) -> None:
    first = anna.post("/sites/bad-1/doors/front/open")
    found = re.search(r"armed=([^#]+)", first.headers["location"])
    assert found is not None
    anna.post("/sites/bad-2/doors/front/open", data={"arm": found.group(1)})
    assert web.centre.commands.asked == []
    assert 'name="arm"' not in anna.get(f"/sites/bad-2?armed={found.group(1)}").text


def test_a_door_that_the_gateway_does_not_offer_is_shown_as_not_possible(
    web: CentreWeb, anna: Client
) -> None:
    html = anna.get("/sites/bad-1").text
    assert "/doors/front/open" in html
    assert "/doors/back/open" not in html
    assert "lässt diese Tür nicht von der Zentrale aus öffnen" in text_of(html)
    assert "mon-fri 07:00-18:00" in text_of(html)
    answer = anna.post("/api/v1/sites/bad-1/doors/back/open")
    assert (answer.status_code, answer.json()["reason"]) == (409, "door_not_offered")
    assert web.centre.commands.asked == []
    assert anna.post("/api/v1/sites/bad-1/doors/none/open").status_code == 404


def test_a_gateway_of_an_older_version_offers_no_door(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").rights = None
    web.gateway("bad-1").call()
    html = anna.get("/sites/bad-1").text
    assert "/doors/front/open" not in html
    assert "/calls/acknowledge" in html  # its gateway judges


def test_a_gateway_of_an_older_version_is_not_told_that_a_call_was_only_seen(
    web: CentreWeb, anna: Client
) -> None:
    """It would take that for an acknowledgement: sounder and notifications would stop."""
    web.gateway("bad-1").call()
    assert 'value="seen"' in anna.get("/").text
    web.gateway("bad-1").rights = None
    assert 'value="attend"' in (html := anna.get("/").text)
    assert 'value="seen"' not in html
    path = "/sites/bad-1/calls/acknowledge"
    answer = anna.post(path, data={"call": "wc-1", "do": "seen"})
    assert "würden enden" in text_of(anna.get(answer.headers["location"]).text)
    answer = anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge")
    assert (answer.status_code, answer.json()["reason"]) == (409, "seen_not_offered")
    assert web.centre.commands.asked == []
    done = anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge", json={"attends": "Weber"})
    assert done.status_code == 202


def test_the_answer_of_the_gateway_is_the_answer_of_the_api(web: CentreWeb, anna: Client) -> None:
    path = "/api/v1/sites/bad-1/doors/front/open"
    done = anna.post(path, json={"reason": "Post"}, headers={"Idempotency-Key": "k1"})
    assert done.status_code == 202
    assert done.json()["command"] == "c1"
    assert anna.post(path, json={"reason": "Post"}, headers={"Idempotency-Key": "k1"}).json()
    assert len(web.centre.commands.asked) == 1
    web.centre.commands.answer = Answer("c2", "refused", "not_allowed")
    refused = anna.post(path)
    assert (refused.status_code, refused.json()["reason"]) == (409, "not_allowed")
    web.centre.commands.answer = Answer("c3", "refused", "no_answer")
    silent = anna.post(path)
    assert silent.status_code == 503
    assert "Es bleibt nichts liegen" in silent.json()["detail"]


def test_a_door_at_a_site_that_is_away_asks_for_nothing(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").presence = "offline"
    web.centre.changed("bad-1")
    answer = anna.post("/api/v1/sites/bad-1/doors/front/open")
    assert (answer.status_code, answer.json()["reason"]) == (503, "site_offline")
    assert web.centre.commands.asked == []
    assert 'aria-disabled="true"' in anna.get("/sites/bad-1").text


# --- the page of a site, lists -------------------------------------------------------------


def test_the_page_of_a_site_offers_nothing_that_only_its_gateway_does(
    web: CentreWeb, anna: Client
) -> None:
    gateway = web.gateway("bad-1")
    gateway.raise_alarm()
    assert gateway.building is not None
    gateway.building["doors"]["front"] |= {"mode_source": "override", "mode": "hold_open"}
    gateway.building["rooms"]["wc"]["leak"] = {"wet": False, "latched": True, "valve_closed": None}
    gateway.building["alarms"].append(alarm("wc", "leak", "urgent"))
    owner = web.user("owner", owner=True)
    for client in (anna, owner):
        html = client.get("/sites/bad-1").text
        forms = set(re.findall(r'<form method="post" action="([^"]+)"', html))
        assert forms - {"/logout", "/language", "/theme"} == {
            "/sites/bad-1/doors/front/open",
            "/sites/bad-1/alarms/acknowledge",
        }
        links = set(re.findall(r'href="(/[^"#?]*)', html))
        assert not {link for link in links if link.startswith(("/timeline", "/events"))}
        assert "/history?" not in html


def test_the_pieces_of_a_site_are_those_of_its_page(web: CentreWeb, anna: Client) -> None:
    parts = anna.get("/sites/bad-1/parts").json()
    html = anna.get("/sites/bad-1").text
    placed = {key.removeprefix("html:") for key in parts if key.startswith("html:")}
    assert {name for name in placed if f'data-part="{name}"' not in html} == set()
    assert parts["door:front"]["name"] == "Bad 1, Haupteingang (Geschlossen)"


def test_alarms_of_all_sites_the_gravest_first(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").raise_alarm("left_open", "fault")
    web.gateway("office").raise_alarm("leak", "emergency")
    for id in ("bad-1", "office"):
        web.centre.changed(id)
    shown = text_of(anna.get("/alarms").text)
    assert shown.index("Geschäftsstelle") < shown.rindex("Bad 1")
    answer = anna.post("/sites/office/alarms/acknowledge", data={"alarm": "front/leak"})
    assert answer.status_code == 303
    (asked,) = web.centre.commands.asked
    assert (asked["name"], asked["subject"]) == ("acknowledge_alarm", "front/leak")
    assert "Bad 1" not in text_of(anna.get("/alarms?only=office").text)


def test_a_tile_and_the_pill_say_what_an_urgent_alarm_is(web: CentreWeb, anna: Client) -> None:
    site = web.gateway("bad-1")
    assert site.building is not None
    site.building["alarms"] += [
        alarm("front", "left_open", "fault"),
        alarm("back", "left_open", "notice"),
        alarm("wc", "leak", "urgent"),
    ]
    web.centre.changed("bad-1")
    html = anna.get("/").text
    assert re.search(r'class="card group of-bad">\s*<h3><a href="/sites/bad-1">', html)
    assert re.search(r'<b class="badge bad">.*?Wasser in WC</b>', html)
    assert re.search(r'<b class="badge warn">.*?Haupteingang steht offen</b>', html)
    assert re.search(r'class="pill is-bad".*?1 dringende Meldung', html, re.DOTALL)
    site.building["alarms"] += [alarm("front", f"kind-{n}", "fault") for n in range(3)]
    web.centre.changed("bad-1")
    assert "3 weitere Meldungen" in text_of(anna.get("/").text)


def test_the_tile_of_a_group_counts_alarms_by_severity(tmp_path: Path) -> None:
    sites = [FakeGateway(f"s-{n}", f"Haus {n}") for n in range(30)]
    severities = ["emergency", "urgent", "urgent", "fault", "new"]
    for one, severity in zip(sites, severities, strict=False):
        one.raise_alarm("leak", severity)
    web = CentreWeb(tmp_path, sites, groups={})
    shown = text_of(web.user("anna", STAFF).get("/").text)
    assert "1 Notfall 2 dringende Meldungen 2 Störungen" in re.sub(" +", " ", shown)
    web.close()


def test_the_fleet_marks_what_is_older_than_the_newest(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").version = "0.9.1"
    web.gateway("bad-2").version = "0.10.0"
    web.gateway("office").version = "0.10.0rc1"
    shown = text_of(anna.get("/fleet").text)
    assert "Auf 2 Gateways läuft eine ältere Version als 0.10.0." in shown
    assert shown.count("älter") - shown.count("ältere") == 2


def test_a_site_is_found_by_name_id_and_group(web: CentreWeb, anna: Client) -> None:
    for asked, found in (("geschäfts", "office"), ("BAD 2", "bad-2"), ("pflege office", "office")):
        html = anna.get("/", params={"q": asked}).text
        assert f'href="/sites/{found}"' in html
        assert 'href="/sites/bad-1"' not in html
    assert "Kein Standort passt zu dieser Suche." in anna.get("/?q=nirgends").text


def test_many_sites_are_shown_by_their_groups_and_the_page_stays_small(tmp_path: Path) -> None:
    names = [f"bad-{n}" for n in range(1_000)]
    groups = {f"Park {n}": tuple(names[n * 40 : n * 40 + 40]) for n in range(25)}
    web = CentreWeb(tmp_path, [FakeGateway(id, f"Bad {id}") for id in names], groups=groups)
    anna = web.user("anna", STAFF)
    for id in names[:120]:
        web.gateway(id).presence = "offline"
    for id in names[200:210]:
        web.gateway(id).call()
    html = anna.get("/").text
    assert len(gzip.compress(html.encode(), 6)) <= 60_000
    assert 'href="/?group=Park%203"' in html
    assert html.count('class="card group') == 25
    assert "20 weitere Standorte" in text_of(html)
    assert 'href="/sites/bad-999"' in anna.get("/?group=Park%2024").text
    web.close()


# --- people and audit ----------------------------------------------------------------------


def test_an_owner_grants_and_withdraws(web: CentreWeb) -> None:
    owner = web.user("owner", owner=True)
    made = {"do": "add", "name": "carla", "password": PASSWORD}
    assert owner.post("/people", data=made).status_code == 303
    carla = Client(web, start_session(web.users, web.users.by_name("carla").id))
    assert "für die Sie Rechte haben" in carla.get("/").text
    grant = {"do": "grant", "name": "carla", "where": "group:Park", "role": "staff"}
    assert owner.post("/people", data=grant).status_code == 303
    assert "Gruppe Park" in owner.get("/people").text
    assert carla.get("/sites/bad-2").status_code == 200
    assert carla.get("/sites/office").status_code == 404
    taken = {"do": "ungrant", "name": "carla", "where": "group:Park"}
    assert owner.post("/people", data=taken).status_code == 303
    assert carla.get("/sites/bad-2").status_code == 404
    for wrong in ({**grant, "where": "house:x"}, {**grant, "role": "king"}):
        assert owner.post("/people", data=wrong).status_code == 422
    actions = [action for _, action, _ in web.audited()]
    assert actions == ["user_added", "grant_given", "grant_taken"]


def test_the_page_of_people_stays_small_with_many_sites(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path, [FakeGateway(f"bad-{n}") for n in range(1_000)])
    owner = web.user("owner", owner=True)
    for n in range(30):
        web.users.add_user(f"user-{n}", "view", PASSWORD)
    html = owner.get("/people").text
    assert html.count('value="site:bad-7"') == 1
    assert len(html) < 200_000
    web.close()


def test_who_sends_and_is_not_enrolled_is_named_to_an_owner(web: CentreWeb, anna: Client) -> None:
    web.centre.picture.strangers = {"bad-9": 7, "": 3}
    assert "nicht angemeldet: bad-9" in text_of(web.user("owner", owner=True).get("/fleet").text)
    assert "bad-9" not in anna.get("/fleet").text


def test_what_the_broker_refuses_is_said(web: CentreWeb, anna: Client) -> None:
    web.centre.refused = {"portier/+/info": "not authorized"}
    assert "lässt die Zentrale nicht alles hören: portier/+/info" in text_of(anna.get("/").text)


def test_who_saw_a_call_and_every_command_is_audited(web: CentreWeb, anna: Client) -> None:
    ben = web.user("ben", Grant("site", "bad-2", "view"))
    web.gateway("bad-1").call()
    actor = f"web:{web.users.by_name('anna').id}"
    for _ in range(3):
        anna.get("/")
        anna.get("/api/v1/calls")
        ben.get("/")
    assert web.audited() == [(actor, "call_looked_at", "bad-1")]
    anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge", json={"attends": "Weber"})
    web.centre.commands.answer = Answer("c1", "refused", "not_allowed")
    anna.post("/api/v1/sites/bad-1/doors/front/open")
    assert web.audited()[1:] == [
        (actor, "acknowledge_call", "bad-1"), (actor, "open_door", "bad-1"),
    ]  # fmt: skip
    (newest, *_) = web.page.audit.newest(1)
    assert newest.detail == {"subject": "front", "status": "refused", "reason": "not_allowed"}
    owner = web.user("owner", owner=True)
    shown = text_of(owner.get("/audit").text)
    assert "Notruf angesehen" in shown
    assert "Tür öffnen" in shown
    owner.post("/people", data={"do": "password", "name": "anna", "password": "a good sentence"})
    shown = text_of(owner.get("/audit").text)
    assert "Kennwort gesetzt anna" in shown
    assert "password_set" not in shown


def test_the_audit_is_in_words(web: CentreWeb, anna: Client) -> None:
    site = web.gateway("bad-1")
    site.call()
    site.raise_alarm()
    path = "/api/v1/sites/bad-1"
    anna.post(f"{path}/calls/wc-1/acknowledge", json={"attends": "Weber"})
    anna.post(f"{path}/calls/wc-1/acknowledge", json={})
    anna.post(f"{path}/alarms/front/left_open/acknowledge")
    anna.post(f"{path}/doors/front/open", json={"reason": "Lieferung"})
    web.centre.commands.answer = Answer("c1", "refused", "not_allowed")
    anna.post(f"{path}/doors/front/open")
    owner = web.user("owner", owner=True)
    for where, role in (("site:bad-2", "view"), ("group:Park", "staff"), ("all:", "maintenance")):
        owner.post("/people", data={"do": "grant", "name": "anna", "where": where, "role": role})
    web.call("POST", "/login", data={"name": "anna", "password": "wrong"})
    rows = re.findall(r"<tr>(.*?)</tr>", owner.get("/audit").text, re.DOTALL)
    shown = [re.sub(r"\s+", " ", text_of(row)).strip() for row in rows]
    for said in (
        "Haupteingang, abgelehnt: Der Standort erlaubt das der Zentrale nicht, oder nicht um "
        "diese Zeit Bad 1",
        "Haupteingang, „Lieferung“, angenommen Bad 1",
        "Haupteingang steht offen, angenommen Bad 1",
        "WC, Weber geht hin, angenommen Bad 1",
        "WC, nur als gesehen markiert, angenommen Bad 1",
        "Recht vergeben anna, Bad 2, Ansehen",
        "Recht vergeben anna, Gruppe Park, Personal",
        "Recht vergeben anna, Alle Standorte, Wartung",
        "unbekannt Anmeldung misslungen anna, abgelehnt: Benutzername oder Kennwort stimmt nicht",
    ):
        assert any(said in row for row in shown), f"{said}\n" + "\n".join(shown)
    assert not re.search(r"wc-1|accepted|refused|login_wrong|front|site,", " ".join(shown))


def test_an_entry_waits_for_a_disk_that_does_not_answer(
    web: CentreWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = web.page.audit._tables.change

    def fail(author: object = None) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(web.page.audit._tables, "change", fail)
    web.page.audit.looked("web:1", "bad-1", "wc-1")
    assert web.audited() == []
    monkeypatch.setattr(web.page.audit._tables, "change", change)
    web.page.audit.looked("web:1", "bad-2", "wc-1")
    assert [gateway for *_, gateway in web.audited()] == ["bad-1", "bad-2"]


def test_a_door_wants_the_second_factor_where_the_owner_wants_one(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path, second_factor="doors")
    anna = web.user("anna", STAFF)
    web.gateway("bad-1").call()
    refused = anna.post("/api/v1/sites/bad-1/doors/front/open")
    assert (refused.status_code, refused.json()["reason"]) == (403, "second_factor")
    page = anna.post("/sites/bad-1/doors/front/open", headers={"Accept": "text/html"})
    assert page.headers["location"].startswith("/second-factor")
    assert "/account#h-factor" in anna.get("/").text
    assert anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge").status_code == 202
    assert [one["name"] for one in web.centre.commands.asked] == ["acknowledge_call"]
    web.close()


def test_an_entry_of_the_audit_ends_with_its_life(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path, retention={"audit": 1_000})
    web.page.audit.looked("web:1", "bad-1", "wc-1")
    assert len(web.audited()) == 1
    assert web.page.audit.tidy() == 0
    web.page.audit._wall = lambda: utc_ms() / 1000 + 5
    assert web.page.audit.tidy() == 1
    assert web.audited() == []
    web.close()


def test_the_oldest_entries_of_the_audit_go_where_there_are_too_many(
    web: CentreWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sites.audit.ENTRIES_MOST", 3)
    for n in range(5):
        web.page.audit.looked("web:1", f"bad-{n}", "wc-1")
    assert len(web.audited()) == 5
    assert web.page.audit.tidy(limit=1) == 1
    assert web.page.audit.tidy() == 1
    assert [gateway for *_, gateway in web.audited()] == ["bad-2", "bad-3", "bad-4"]


def test_a_log_in_is_audited(web: CentreWeb) -> None:
    web.users.add_user("dora", "view", PASSWORD)
    web.call("POST", "/login", data={"name": "dora", "password": PASSWORD})
    assert [action for _, action, _ in web.audited()] == ["login"]


# --- programs --------------------------------------------------------------------------------


def test_metrics_name_calls_and_presences(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").call()
    web.gateway("bad-2").presence = "offline"
    for id in ("bad-1", "bad-2"):
        web.centre.changed(id)
    text = anna.get("/metrics").text
    assert 'portier_sites_gateways{presence="online"} 2.0' in text
    assert 'portier_sites_gateways{presence="offline"} 1.0' in text
    assert 'portier_call_active{gateway="bad-1",room="wc",state="raised"} 1.0' in text
    assert 'gateway="bad-2",room' not in text  # nothing is known of what is so there
    assert 'portier_site_works{gateway="bad-2"} 0.0' in text


def test_the_status_of_a_site_has_the_shape_of_a_gateways(web: CentreWeb, anna: Client) -> None:
    told = anna.get("/api/v1/sites/bad-1").json()
    doors = {door["id"]: door["can_open"]["staff"] for door in told["doors"]}
    assert doors["front"]["ok"] is True
    assert (doors["back"]["ok"], doors["back"]["reason"]) == (False, "door_not_offered")
    assert told["stale"] is False
    (listed, *_) = anna.get("/api/v1/sites").json()
    assert (listed["id"], listed["role"], listed["works"]) == ("bad-1", "staff", True)
    web.gateway("bad-1").call()
    web.centre.changed("bad-1")
    (call,) = anna.get("/api/v1/calls").json()
    assert (call["site"], call["place"], call["room"]) == ("bad-1", "Bad 1", "wc")


def test_programs_are_told_who_goes_to_a_call_where_staff_are(web: CentreWeb, anna: Client) -> None:
    """Of those who may only look, the name is kept, as the gateway keeps it."""
    web.gateway("bad-1").call(state="acknowledged", acknowledged_by="mqtt:sites", attends="Jo")
    web.centre.changed("bad-1")
    looks = web.user("otto", Grant("site", "bad-1", "view"))
    assert [call["attends"] for call in anna.get("/api/v1/calls").json()] == ["Jo"]
    assert [call["attends"] for call in looks.get("/api/v1/calls").json()] == [None]


def test_the_api_is_described(web: CentreWeb, anna: Client) -> None:
    answer = anna.get("/api/openapi.json")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    opens = told["paths"]["/api/v1/sites/{site}/doors/{door}/open"]["post"]
    assert opens["x-least-role"] == "staff"
    assert told["paths"]["/api/v1/sites"]["get"]["x-least-role"] == "view"
    assert "all sites" in told["servers"][0]["description"]


@pytest.mark.parametrize("path", ["/", "/sites/bad-1", "/alarms", "/fleet", "/account", "/more"])
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_page_speaks_both_languages(
    web: CentreWeb, anna: Client, path: str, language: str
) -> None:
    web.gateway("bad-1").call()
    web.gateway("bad-1").raise_alarm()
    answer = anna.get(path, headers={"Cookie": f"{anna.cookie}; portier-language={language}"})
    assert answer.status_code == 200
    assert f'lang="{language}"' in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ("Notruf" in text_of(answer.text)) == (language == "de")


def test_rights_of_a_site_name_the_doors(web: CentreWeb, anna: Client) -> None:
    """What the gateway says is read however it says it."""
    for doors, opens in (
        ({"front": "always"}, True),
        ({"front": []}, True),
        ({}, False),
        (["front"], False),
        (None, False),
        ({"front": {"x": 1}}, True),
    ):
        web.gateway("bad-1").rights = {**OPENS, "doors": doors}
        html = anna.get("/sites/bad-1").text
        assert ("/doors/front/open" in html) == opens, doors


def test_a_centre_that_does_not_see_everything_says_so(web: CentreWeb, anna: Client) -> None:
    """It is no reason for calm that nothing is shown."""
    assert anna.get("/health/ready").json() == {"status": "ok", "broker": "ok", "keys": "ok"}
    web.centre.enrolments_unreadable = "damaged"
    assert "Schlüssel der Zentrale sind nicht lesbar" in (text := text_of(anna.get("/").text))
    assert "Zentrale gestört" in text
    ready = anna.get("/health/ready")
    assert (ready.status_code, ready.json()["keys"]) == (503, "failed")
    web.centre.enrolments_unreadable = ""
    web.centre.refused = {"portier/+/state/#": "not authorized"}
    assert "portier/+/state/#" in (text := text_of(anna.get("/").text))
    assert "Zentrale gestört" in text
    ready = anna.get("/health/ready")
    assert (ready.status_code, ready.json()["broker"]) == (503, "failed")


def test_sites_of_the_same_name_are_told_apart(web: CentreWeb, anna: Client) -> None:
    """A configuration that was copied still has the name of the other place."""
    web.gateway("bad-2").name = "Bad 1"
    web.gateway("bad-1").call()
    text = text_of(anna.get("/").text)
    assert "Bad 1 (bad-1)" in text
    assert "Bad 1 (bad-2)" in text
    assert "<h1>Bad 1 (bad-1)</h1>" in anna.get("/sites/bad-1").text
    (call,) = anna.get("/api/v1/calls").json()
    assert call["place"] == "Bad 1 (bad-1)"
    only = web.user("berta", Grant("site", "bad-1", "staff"))
    assert "(bad-1)" not in text_of(only.get("/").text)  # sees one of the name


def test_a_site_whose_name_is_blank_is_called_by_its_id(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-2").name = "  "
    assert "<h1>bad-2</h1>" in anna.get("/sites/bad-2").text


@pytest.mark.parametrize("reason", ["from_future", "too_old"])
def test_clocks_that_differ_are_named(web: CentreWeb, anna: Client, reason: str) -> None:
    web.centre.commands.answer = Answer("c1", "refused", reason)
    refused = anna.post("/api/v1/sites/bad-1/doors/front/open", headers={"Accept-Language": "de"})
    assert refused.status_code == 409
    assert "Uhren von Zentrale und Standort" in refused.json()["detail"]


@pytest.mark.parametrize(
    "actor",
    [
        "mqtt:homeassistant (says: user:{id})",
        "mqtt:sites (says: x (says: user:{id}))",
        "mqtt:homeassistant (says: mqtt:sites (says: user:{id}))",
        "web:9 (says: user:{id})",
    ],
)
def test_what_another_issuer_claims_is_no_user_of_the_centre(
    web: CentreWeb, anna: Client, actor: str
) -> None:
    by = actor.format(id=web.users.by_name("anna").id)
    web.gateway("bad-1").call(
        state="acknowledged", acknowledged_by=by, acknowledged_ms=now_ms(), attend_by_ms=None
    )
    calls = text_of(anna.get("/").text)
    assert "unterwegs" in calls
    assert "anna ist seit" not in calls
