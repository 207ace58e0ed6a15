"""The centre: whatever comes on a gateway's topics blinds its own topic, and can be shown."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mqtt.topics import Topics
from gateway.sites.picture import limits
from gateway.sites.picture.gateway_picture import GatewayPicture
from gateway.web.building import view
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.presenter.presenter import Presenter
from gateway.web.presenter.terminals import Terminals
from gateway.web.shared.words import Words
from tests.fuzz.draws import ODD_TEXTS, TREES, deep, fuzz, tampered
from tests.simulation.test_snapshots import moments
from tests.sites.published import Centre, health, retained

pytestmark = pytest.mark.thorough

CSG = Topics("csg")
BYTES = (
    b"", b"\xff\xfe", b"[" * 5_000, b'"', b"NaN", b"1e999", deep(50).encode(),
    deep(5_000).encode(),
)  # fmt: skip
ZONE = ZoneInfo("Europe/Berlin")
WORDS = {language: Words(language, ZONE) for language in ("de", "en")}


@cache
def good() -> dict[str, bytes]:
    """All that a gateway publishes at a moment of a busy day, with what an older or newer one may
    say beside it."""
    whole = next(
        one
        for one in moments("bench")
        if one["utc_offset_ms"] is not None
        and any(room["call"] and room["call"]["state"] != "quiet" for room in one["rooms"].values())
    )
    points = {id: one for id, one in whole["points"].items() if one.get("exported", True)}
    shown = {**whole, "points": points}
    texts = retained("csg", shown) | {CSG.health: health(shown)}
    front = json.loads(texts[CSG.door("front")])
    can_open = {"ok": True, "reason": "", "needs_reason": True}
    at = "2027-01-15T08:00:00.000Z"
    more = {"can_open": can_open, "service_until": at, "last_opened": at}
    front |= more | {"next_mode": {"mode": "night", "at": at}}
    return texts | {
        CSG.door("front"): json.dumps(front).encode(),
        CSG.recorded("main"): b'{"journal":"j","lanes":{"urgent":4,"routine":9},"aside":1}',
    }


@cache
def trees() -> dict[str, Any]:
    return {t: json.loads(text) for t, text in good().items() if t != CSG.availability}


def written(tree: object) -> bytes:
    """As JSON, as badly as Python's own lets it be written."""
    return json.dumps(tree).encode("utf-8", "surrogatepass")


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, bytes]:
    """A topic of ours and something that is not quite its text."""
    topic = draw(st.sampled_from(sorted(good())))
    texts = [
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"",
                b"\xff\xfe",
                b"[" * 5_000,
                b'"',
                b"NaN",
                b"1e999",
                deep(50).encode(),
                deep(5_000).encode(),
            ]
        ),
        TREES.map(written),
    ]
    if topic in trees():
        whole = {"whole": trees()[topic]}
        texts += [tampered(whole).map(lambda one: written(one.get("whole")))] * 3
    return topic, draw(st.one_of(texts))


PARTS = st.sampled_from([*ODD_TEXTS, "a/b", "état", "x" * 1_000])
STRANGE = st.tuples(
    st.lists(PARTS | st.text(max_size=8), min_size=1, max_size=4).map("/".join),
    st.binary(max_size=40),
).map(lambda one: (f"portier/csg/{one[0]}", one[1]))


def seen() -> Centre:
    """A centre with two gateways, both complete."""
    centre = Centre("csg", "bad")
    centre.connect()
    for topic, text in good().items():
        kept = topic != CSG.health
        centre.take(topic, text, kept=kept)
        centre.take(topic.replace("portier/csg", "portier/bad"), text, kept=kept)
    assert centre.picture.gateways["csg"].fresh
    assert centre.picture.gateways["bad"].fresh
    return centre


def parts(gateway: GatewayPicture) -> dict[str, Any]:
    """Each part of the snapshot under its topic."""
    shown = cast("Any", gateway.snapshot)
    found = {CSG.alarms: shown["alarms"]}
    for key, name in (("doors", CSG.door), ("rooms", CSG.room), ("points", CSG.point)):
        found |= {name(id): one for id, one in shown[key].items()}
    return found


def show(centre: Centre, gateway: GatewayPicture) -> None:
    """As its page and the API show it."""
    control = SnapshotReader(wall=lambda: centre.utc_ms / 1000)
    control.snapshot, control.connected = gateway.snapshot, gateway.fresh
    text = json.dumps(view.status_json(control), allow_nan=False, ensure_ascii=False)
    text.encode()
    for connected in (True, False):
        control.connected = connected
        for words in WORDS.values():
            shown = Presenter(control, words, str, Terminals(), names=True)
            for views in (shown.doors, shown.rooms, shown.calls, shown.alarms, shown.points,
                          shown.guarantees, shown.overall, shown.alert):  # fmt: skip
                str(views).encode()


@given(messages(), st.booleans())
@example((CSG.alarms, b'[{"id":"front/leak","detail":"open for %s ms"}]' % (b"9" * 480)), True)
@example((CSG.alarms, b'[{"id":"a/b","state":"acknowledged_"}]'), True)
@example((CSG.door("front"), b'{"state":"open","last_result":{"result":"was_open"}}'), True)
@example((CSG.room("wc"), b'{"call":{"state":["raised"]}}'), False)
@fuzz(120)
def test_a_bad_message_blinds_its_own_topic_only(message: tuple[str, bytes], kept: bool) -> None:
    topic, payload = message
    centre = seen()
    gateway, other = centre.picture.gateways["csg"], centre.picture.gateways["bad"]
    before, others = parts(gateway), parts(other)
    centre.take(topic, payload, kept=kept)
    assert other.fresh
    assert parts(other) == others
    if topic != CSG.info:
        after = parts(gateway)
        assert {key: one for key, one in after.items() if key != topic} == {
            key: one for key, one in before.items() if key != topic
        }
    show(centre, gateway)
    centre.take(topic, good()[topic], kept=topic != CSG.health)
    for missing in gateway.lacks:
        centre.take(f"portier/csg/{missing}", good()[f"portier/csg/{missing}"], kept=True)
    assert parts(gateway) == before
    assert gateway.fresh


@given(st.lists(messages() | STRANGE, max_size=30), st.booleans())
@fuzz(60)
def test_what_was_taken_can_be_shown(sent: list[tuple[str, bytes]], kept: bool) -> None:
    centre = seen()
    gateway = centre.picture.gateways["csg"]
    for topic, payload in sent:
        centre.take(topic, payload, kept=kept)
    if gateway.snapshot is not None:
        show(centre, gateway)
        assert len(parts(gateway)) <= 2 * limits.STATES_MOST + 1
    str((gateway.lacks, gateway.info, gateway.health, gateway.recorded)).encode()
    json.dumps([gateway.info, gateway.health, gateway.recorded], allow_nan=False)
    centre.lose()
    centre.wait(100_000)
    centre.connect()
    for topic, text in good().items():
        centre.take(topic, text, kept=topic != CSG.health)
    centre.wait(5_000)
    for id in centre.picture.missing(centre.mono_ms):
        centre.picture.fetched(id, centre.mono_ms)
    centre.wait(10_000)
    centre.picture.missing(centre.mono_ms)
    assert gateway.fresh
