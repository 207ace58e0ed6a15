"""The page over the real picture of what a gateway publishes, and with the real connection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.link import state
from gateway.mqtt.topics import Topics
from gateway.sites import overview
from gateway.sites.broker import Centre
from gateway.sites.interfaces import CentreSeen
from gateway.sites.picture.picture import Picture
from gateway.sites.presenter import SitePresenter
from gateway.web.presenter.rooms import call_view
from tests.page.fake import alarm, called, guarantee, now_ms
from tests.sites.centre_web import OPENS, CentreWeb, utc_ms
from tests.sites.published import health, retained
from tests.web.conftest import Client, snapshot

PATHS = (
    "/", "/sites/test", "/sites/test/parts", "/alarms", "/fleet", "/metrics", "/api/v1/sites",
    "/api/v1/sites/test", "/api/v1/calls", "/api/v1/alarms",
)  # fmt: skip


def fits(centre: Centre) -> CentreSeen:
    """For the type checker: the page is made for this connection."""
    return centre


@pytest.fixture
def web(tmp_path: Path) -> Iterator[CentreWeb]:
    made = CentreWeb(tmp_path, [])
    made.centre.picture = Picture(["test"])  # type: ignore[assignment]  # the real one
    made.centre.picture.connected(mono_ms=now_ms(), utc_ms=utc_ms())  # type: ignore[attr-defined]
    yield made
    made.close()


def take(web: CentreWeb, topic: str, payload: bytes) -> None:
    """A message of the gateway comes to the centre."""
    web.centre.picture.take(  # type: ignore[attr-defined]  # of the real one
        f"portier/test/{topic}", payload, retained=False, mono_ms=now_ms(), utc_ms=utc_ms()
    )


def publish(web: CentreWeb, shown: dict[str, Any], gateway: str = "test", **more: bytes) -> None:
    """What a gateway publishes of this snapshot comes to the centre."""
    topics = Topics(gateway)
    texts = retained(gateway, shown)
    texts[topics.info] = state.info(shown, 8, "s1", issuers={"sites": OPENS})  # type: ignore[arg-type]  # a snapshot
    texts |= {f"{topics.root}/{name}": payload for name, payload in more.items()}
    for topic, payload in texts.items():
        web.centre.picture.take(  # type: ignore[attr-defined]  # of the real one
            topic, payload, retained=topic != topics.health, mono_ms=now_ms(), utc_ms=utc_ms()
        )


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_gateway_is_shown_as_it_publishes_itself(web: CentreWeb, anna: Client) -> None:
    shown = snapshot()
    publish(web, shown, health=health(shown))
    assert "Testhaus" in text_of(anna.get("/").text)
    html = anna.get("/sites/test").text
    assert "Haupteingang" in text_of(html)
    assert "Geschlossen" in text_of(html)
    assert "mon-fri 07:00-18:00" in html
    told = anna.get("/api/v1/sites/test").json()
    assert (told["stale"], [door["id"] for door in told["doors"]]) == (False, ["front"])
    assert anna.get("/fleet").status_code == 200


def test_a_published_call_comes_first_and_can_be_answered(web: CentreWeb, anna: Client) -> None:
    shown = snapshot()
    shown["rooms"]["wc"]["call"] = called("wc-1")
    shown["alarms"] = [alarm("front", "left_open", "urgent")]
    shown["guarantees"]["messages"] = guarantee(now_ms(), "no", "no_contact")
    publish(web, shown, health=health(shown))
    html = anna.get("/").text
    assert "Notruf: WC" in text_of(html)
    assert 'name="attends"' in html
    assert "Nachrichten kommen nicht an" in text_of(html)
    assert 'action="/sites/test/alarms/acknowledge"' in anna.get("/sites/test").text
    (call,) = anna.get("/api/v1/calls").json()
    assert (call["site"], call["room"], call["state"]) == ("test", "wc", "raised")


def test_a_gateway_of_which_nothing_came_is_unknown_and_breaks_nothing(
    web: CentreWeb, anna: Client
) -> None:
    for path in PATHS:
        assert anna.get(path).status_code == 200, path
    assert "Vom Gateway ist nichts bekannt" in text_of(anna.get("/").text)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b"null", b"7", b'"x"', b"{", b'{"call": 7, "name": {}}']
)
def test_whatever_a_gateway_publishes_every_page_is_there(
    web: CentreWeb, anna: Client, payload: bytes
) -> None:
    shown = snapshot()
    publish(web, shown, health=health(shown))
    for topic in ("info", "health", "state/door/front", "state/room/wc", "state/point/front/leaf",
                  "state/alarms", "recorded/main", "availability"):  # fmt: skip
        take(web, topic, payload)
        for path in PATHS[:3]:
            assert anna.get(path).status_code == 200, (topic, path)
    for path in PATHS:
        assert anna.get(path).status_code == 200, path


def test_a_call_of_a_state_that_is_not_known_stands(web: CentreWeb, anna: Client) -> None:
    shown = snapshot()
    shown["rooms"]["wc"]["call"] = called("wc-1") | {"state": "on_its_way"}
    publish(web, shown, health=health(shown))
    for path in PATHS:
        assert anna.get(path).status_code == 200, path
    (call,) = anna.get("/api/v1/calls").json()
    assert call["state"] == "raised"


def test_a_version_that_is_no_number_breaks_no_list(web: CentreWeb, anna: Client) -> None:
    shown = snapshot()
    publish(web, shown, health=health(shown))
    found = json.loads(retained("test", shown)["portier/test/info"]) | {"version": "².٣.x"}
    take(web, "info", json.dumps(found).encode())
    assert "².٣.x" in anna.get("/fleet").text


def test_a_gateway_that_does_not_say_what_the_centre_may_judges_itself(
    web: CentreWeb, anna: Client
) -> None:
    """One of an older version, or one whose broker takes no long messages."""
    shown = snapshot()
    shown["rooms"]["wc"]["call"] = called("wc-1")
    publish(web, shown, health=health(shown))
    found = json.loads(retained("test", shown)["portier/test/info"])
    del found["issuers"]
    take(web, "info", json.dumps(found).encode())
    assert 'name="attends"' in anna.get("/").text


def test_a_gateway_that_cannot_be_shown_hides_no_other(
    web: CentreWeb, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it."""
    picture = web.centre.picture
    picture.enrol("bad-1", mono_ms=now_ms(), utc_ms=utc_ms())  # type: ignore[attr-defined]  # the real one
    shown = snapshot()
    shown["rooms"]["wc"]["call"] = called("wc-1")
    shown["alarms"] = [alarm("front", "left_open", "urgent")]
    for gateway in ("test", "bad-1"):
        publish(web, shown, gateway, health=health(shown))

    def broken(whole: Any, presenter: SitePresenter, *rest: Any) -> Any:
        if presenter.base == "/sites/bad-1":
            raise LookupError
        return whole(presenter, *rest)

    monkeypatch.setattr(overview, "call_view", partial(broken, call_view))
    whole = SitePresenter._alarm
    monkeypatch.setattr(SitePresenter, "_alarm", lambda self, one: broken(whole, self, one))
    assert "Notruf: WC" in text_of(anna.get("/").text)
    assert "/sites/test" in anna.get("/alarms").text
