"""Which commands are heard, and which are refused and why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reasons import REASONS
from gateway.link.commands import (
    BURST,
    IDS_KEPT_MS,
    IDS_MOST,
    PAYLOAD_MOST,
    Accepted,
    Desk,
    DoorHours,
    Issuer,
    Now,
    Refused,
)
from gateway.mqtt.signature import sign
from gateway.settings.values.calendar import Days
from gateway.settings.values.weekly import Rules, parse_rule

NOW = Now(
    mono_ms=1_000_000, utc_ms=1_700_000_000_000, trusted=True, started_utc_ms=1_699_999_000_000
)
OPEN = ("door", "front", "open")
TOPIC = "portier/csg/command/door/front/open"
KEY = b"a key"


def at(seconds_ago: float) -> str:
    moment = datetime.fromtimestamp(NOW.utc_ms / 1000, UTC) - timedelta(seconds=seconds_ago)
    return moment.isoformat()


def envelope(**fields: Any) -> dict[str, Any]:
    return {"id": "c1", "issued_at": at(1), "ttl": 5, "by": "tablet"} | fields


def judge(
    raw: Any, *, desk: Desk | None = None, now: Now = NOW, retained: bool = False,
    parts: tuple[str, ...] = OPEN, own: str = "",
) -> Accepted | Refused:  # fmt: skip
    payload = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    topic = TOPIC.replace("/command/", f"/issuer/{own}/command/") if own else TOPIC
    return (desk or Desk()).judge(topic, parts, payload, retained, now, own)


def reason(verdict: Accepted | Refused) -> str:
    return verdict.reason if isinstance(verdict, Refused) else "accepted"


def test_a_fresh_command_is_passed_on_and_lives_as_long_as_it_says() -> None:
    verdict = judge(envelope(reason="parcel"))
    assert verdict == Accepted(
        "c1", "open_door", "mqtt:broker", {"door": "front", "reason": "parcel"}, 4_000, "tablet"
    )


@pytest.mark.parametrize(
    ("raw", "now", "expected"),
    [
        (envelope(issued_at=at(6)), NOW, "too_old"),
        (envelope(issued_at=at(5)), NOW, "too_old"),
        (envelope(issued_at=at(-3)), NOW, "from_future"),
        (envelope(issued_at=at(-1)), NOW, "accepted"),
        (envelope(issued_at=at(1)), replace(NOW, trusted=False), "clock_untrusted"),
        (envelope(), replace(NOW, started_utc_ms=NOW.utc_ms + 1_500), "before_start"),
        (envelope(), replace(NOW, started_utc_ms=NOW.utc_ms + 500), "accepted"),
        (envelope(), replace(NOW, started_utc_ms=None), "before_start"),
        (envelope(ttl=31), NOW, "malformed"),
        (envelope(ttl=0), NOW, "malformed"),
        (envelope(ttl=True), NOW, "malformed"),
        (envelope(ttl="5"), NOW, "malformed"),
        (envelope(id=""), NOW, "malformed"),
        (envelope(id="a/b"), NOW, "malformed"),
        (envelope(id="x" * 65), NOW, "malformed"),
        (envelope(by=7), NOW, "malformed"),
        (envelope(issued_at="yesterday"), NOW, "malformed"),
        (envelope(issued_at="2023-11-14T22:13:19"), NOW, "malformed"),
        (envelope(reason=["x"]), NOW, "malformed"),
        (b"", NOW, "malformed"),
        (b"[]", NOW, "malformed"),
        (envelope(reason="\ud800"), NOW, "malformed"),
        (envelope(more=1e999), NOW, "malformed"),
        (b"\xff", NOW, "malformed"),
        (b'{"id": NaN}', NOW, "malformed"),
        (b"[" * PAYLOAD_MOST, NOW, "malformed"),
        (envelope(reason="x" * PAYLOAD_MOST), NOW, "malformed"),
    ],
)
def test_refusals(raw: Any, now: Now, expected: str) -> None:
    assert reason(judge(raw, now=now)) == expected


def signed(issued_at: str, key: bytes = KEY) -> dict[str, Any]:
    raw = envelope(issuer="tablet", issued_at=issued_at)
    return {**raw, "sig": sign(key, TOPIC, raw)}


@pytest.mark.parametrize("back_s", [3_600, 86_400, 10 * 365 * 86_400])
def test_a_signed_command_cannot_be_replayed_after_the_clock_went_back(back_s: int) -> None:
    """It is recorded, the clock is set back to when it was issued, and it is sent again. Neither
    its id nor the start of anything is remembered for so long."""
    desk = Desk({"tablet": Issuer(KEY), "home": Issuer()})
    recorded = signed(at(1))
    mark = NOW.utc_ms + back_s * 1_000
    later = NOW.mono_ms + back_s * 1_000
    now = replace(NOW, mono_ms=later, mark_utc_ms=mark)
    assert reason(judge(recorded, desk=desk, now=now)) == "too_old"
    assert reason(judge(recorded, desk=desk, now=replace(now, mark_utc_ms=None))) == "accepted"
    home = envelope(issuer="home", id="c2")
    assert reason(judge(home, desk=desk, now=now, own="home")) == "accepted", "it can say that anew"


def test_a_clock_that_is_corrected_by_minutes_neither_refuses_nor_repeats() -> None:
    desk = Desk({"tablet": Issuer(KEY)})
    back_ms = 299_000
    assert reason(judge(signed(at(1)), desk=desk)) == "accepted"
    now = replace(NOW, mono_ms=NOW.mono_ms + back_ms, mark_utc_ms=NOW.utc_ms + back_ms)
    assert reason(judge(signed(at(1)), desk=desk, now=now)) == "duplicate"
    fresh = signed(at(0)) | {"id": "c9"}
    fresh["sig"] = sign(KEY, TOPIC, {k: v for k, v in fresh.items() if k != "sig"})
    assert reason(judge(fresh, desk=desk, now=now)) == "accepted"


def test_a_door_whose_name_no_message_to_control_can_hold_is_refused() -> None:
    """``control`` closed the link's connection, as it does with whoever speaks no language."""
    assert reason(judge(envelope(), parts=("door", "x" * 200, "open"))) == "accepted"
    assert reason(judge(envelope(), parts=("door", "x" * 201, "open"))) == "malformed"


def test_a_retained_command_moves_nothing() -> None:
    """GarageQTPi#13, mqtt-io#131: a gate that opens at reconnect on a retained message."""
    assert reason(judge(envelope(), retained=True)) == "retained"


def test_a_command_is_heard_once() -> None:
    desk = Desk()
    assert reason(judge(envelope(), desk=desk)) == "accepted"
    assert reason(judge(envelope(), desk=desk)) == "duplicate"
    later = replace(NOW, mono_ms=NOW.mono_ms + IDS_KEPT_MS - 1)
    assert reason(judge(envelope(), desk=desk, now=later)) == "duplicate"
    assert reason(judge(envelope(id="c2"), desk=desk)) == "accepted"


def test_more_ids_than_can_be_remembered_are_refused() -> None:
    desk = Desk(ids={str(n): NOW.mono_ms + 1 for n in range(IDS_MOST)})
    assert reason(judge(envelope(), desk=desk)) == "limit"
    later = replace(NOW, mono_ms=NOW.mono_ms + 2)
    assert reason(judge(envelope(), desk=desk, now=later)) == "accepted"
    assert set(desk.ids) == {"c1"}


def test_who_must_sign_and_does_not_is_refused() -> None:
    desk = Desk(issuers={"tablet": Issuer(KEY), "homeassistant": Issuer(None)})
    assert reason(judge(envelope(), desk=desk)) == "unsigned"
    assert reason(judge(envelope(by="stranger"), desk=desk)) == "unsigned"
    assert reason(judge(envelope(by="x", issuer="stranger"), desk=desk)) == "unsigned"
    assert reason(judge(envelope(by="x", issuer=7), desk=desk)) == "unsigned"
    heard = judge(envelope(by="homeassistant"), desk=desk, own="homeassistant")
    assert isinstance(heard, Accepted)
    assert heard.actor == "mqtt:homeassistant"


@pytest.mark.parametrize(
    ("own", "fields", "expected"),
    [
        # whoever may write commands at all could take the name
        ("", {"by": "homeassistant"}, "wrong_topic"),
        ("", {"by": "anna", "issuer": "homeassistant"}, "wrong_topic"),
        ("", {"by": "homeassistant", "sig": "00"}, "wrong_topic"),
        # nor does one issuer without a key speak for another, or for one that signs
        ("nodered", {"issuer": "homeassistant"}, "wrong_topic"),
        ("nodered", {"issuer": "tablet"}, "wrong_topic"),
        ("homeassistant", {"issuer": "nodered"}, "wrong_topic"),
        # what it says of itself beside its topic is a claim and no name
        ("nodered", {"by": "homeassistant"}, "accepted"),
        ("nodered", {"by": ""}, "accepted"),
        ("nodered", {"issuer": "nodered"}, "accepted"),
        ("nodered", {"issuer": 7}, "unsigned"),
        ("nodered", {"issuer": ["nodered"]}, "unsigned"),
        ("nodered", {"issuer": ""}, "unsigned"),
        # a topic of a name that nobody has configured, or of one that must sign, is no way around
        ("stranger", {}, "unsigned"),
        ("broker", {"by": "broker"}, "unsigned"),
        ("tablet", {}, "unsigned"),
        ("tablet", {"sig": "00"}, "bad_signature"),
    ],
)
def test_the_name_of_an_issuer_without_a_key_cannot_be_borrowed(
    own: str, fields: dict[str, Any], expected: str
) -> None:
    issuers = {"tablet": Issuer(KEY), "homeassistant": Issuer(), "nodered": Issuer()}
    verdict = judge(envelope(**({"by": "x"} | fields)), desk=Desk(issuers=issuers), own=own)
    assert reason(verdict) == expected
    assert verdict.actor == (f"mqtt:{own}" if expected == "accepted" else "mqtt:")


def test_an_issuer_that_signs_may_do_so_on_its_own_topic_too() -> None:
    raw = envelope(by="tablet")
    desk = Desk(issuers={"tablet": Issuer(KEY)})
    topic = TOPIC.replace("/command/", "/issuer/tablet/command/")
    assert reason(judge(raw | {"sig": sign(KEY, TOPIC, raw)}, desk=desk, own="tablet")) == (
        "bad_signature"
    ), "the signature binds the topic"
    verdict = judge(raw | {"sig": sign(KEY, topic, raw)}, desk=desk, own="tablet")
    assert verdict.actor == "mqtt:tablet"
    assert isinstance(verdict, Accepted)


def test_a_refused_command_is_in_nobodys_name() -> None:
    """Whoever may write commands could fill the audit with another's refusals."""
    desk = Desk(issuers={"tablet": Issuer(KEY)})
    assert judge(envelope(), desk=desk).actor == "mqtt:"
    assert judge(envelope(sig="00"), desk=desk).actor == "mqtt:"
    raw = envelope(issued_at=at(6))
    late = judge(raw | {"sig": sign(KEY, TOPIC, raw)}, desk=desk)
    assert (reason(late), late.actor) == ("too_old", "mqtt:tablet"), "that was the tablet"


def test_a_signature_binds_every_part_of_the_command() -> None:
    raw = envelope(reason="parcel", issuer="tablet", by="anna")
    raw["sig"] = sign(KEY, TOPIC, raw)

    def verdict(**changed: Any) -> str:
        return reason(judge(raw | changed, desk=Desk(issuers={"tablet": Issuer(KEY)})))

    assert verdict() == "accepted"
    assert verdict(id="c9") == "bad_signature"
    assert verdict(issued_at=at(0.5)) == "bad_signature"
    assert verdict(ttl=6) == "bad_signature"
    assert verdict(by="otto") == "bad_signature"
    assert verdict(reason="theft") == "bad_signature"
    assert verdict(more=1) == "bad_signature"
    assert verdict(sig="é") == "bad_signature"
    assert verdict(sig=5) == "bad_signature"
    other_door = Desk(issuers={"tablet": Issuer(KEY)}).judge(
        TOPIC.replace("front", "back"),
        ("door", "back", "open"),
        json.dumps(raw).encode(),
        False,
        NOW,
    )
    assert reason(other_door) == "bad_signature"


def test_the_exact_string_that_is_signed() -> None:
    import hashlib
    import hmac

    raw = {"id": "7", "issued_at": "2024-05-01T08:00:00Z", "ttl": 5, "by": "anna", "z": 1, "a": "ü"}
    text = 'portier/csg/command/door/front/open\n7\n2024-05-01T08:00:00Z\n5\nanna\n{"a":"ü","z":1}'
    assert sign(KEY, TOPIC, raw) == hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def test_an_unbelieved_command_does_not_use_up_an_id() -> None:
    desk = Desk(issuers={"tablet": Issuer(KEY)})
    raw = envelope(issuer="tablet")
    assert reason(judge(raw | {"sig": "00"}, desk=desk)) == "bad_signature"
    assert reason(judge(raw | {"sig": sign(KEY, TOPIC, raw)}, desk=desk)) == "accepted"


@pytest.mark.parametrize(
    ("parts", "raw", "args"),
    [
        (("door", "front", "mode"), {"mode": "off"}, {"door": "front", "mode": "off"}),
        (
            ("door", "front", "mode"),
            {"mode": "night", "until": "2024-05-01T08:00:00Z"},
            {"door": "front", "mode": "night", "until_utc_ms": 1_714_550_400_000},
        ),
        (
            ("door", "a", "b", "mode"),
            {"mode": "schedule", "for_s": 60},
            {"door": "a.b", "mode": "schedule", "for_ms": 60_000},
        ),
        (
            ("alarm", "front", "leaf", "contact_stuck", "acknowledge"),
            {},
            {"alarm": "front.leaf/contact_stuck"},
        ),
        (("call", "wc", "acknowledge"), {}, {"call": "wc"}),
    ],
)
def test_what_a_command_asks_for(
    parts: tuple[str, ...], raw: dict[str, Any], args: dict[str, Any]
) -> None:
    verdict = judge(envelope(**raw), parts=parts)
    assert isinstance(verdict, Accepted)
    assert verdict.args == args


@pytest.mark.parametrize(
    ("parts", "raw"),
    [
        (("door", "front", "mode"), {"mode": "wide"}),
        (("door", "front", "mode"), {}),
        (("door", "front", "mode"), {"mode": "off", "until": 5}),
        (("door", "front", "mode"), {"mode": "off", "for_s": -1}),
        (("door", "front", "mode"), {"mode": "off", "for_s": True}),
        (("door", "front", "close"), {}),
        (("door", "open"), {}),
        (("door", "", "open"), {}),
        (("call", "wc", "cancel"), {}),
        (("call", "wc", "clear"), {}),
        (("call", "wc", "open"), {}),
        (("call", "acknowledge"), {}),
        (("alarm", "acknowledge"), {}),
        ((), {}),
    ],
)
def test_what_is_not_understood_is_refused(parts: tuple[str, ...], raw: dict[str, Any]) -> None:
    assert reason(judge(envelope(**raw), parts=parts)) == "malformed"


WORK = DoorHours(
    ("mon-fri 07:00-18:00",), Days(Rules((parse_rule("mon-fri 07:00-18:00", "on"),)), ())
)
ALWAYS = DoorHours(("daily",), Days(Rules((parse_rule("daily", "on"),)), ()))
CALL = ("call", "wc", "acknowledge")
ALARM = ("alarm", "front", "leaf", "contact_stuck", "acknowledge")
MODE = ("door", "front", "mode")


def sites(
    *may: str, parts: tuple[str, ...] = OPEN, local: str | None = "2026-12-01T12:00", **fields: Any
) -> Accepted | Refused:
    """What becomes of a signed command of an issuer that has these rights."""
    doors = {"front": WORK, "back": ALWAYS} if "open" in may else {}
    desk = Desk(issuers={"sites": Issuer(KEY, frozenset(may), doors)})
    raw = envelope(by="user:3", issuer="sites", **fields)
    topic = f"portier/csg/command/{'/'.join(parts)}"
    payload = json.dumps(raw | {"sig": sign(KEY, topic, raw)}).encode()
    moment = None if local is None else datetime.fromisoformat(local)
    return desk.judge(topic, parts, payload, False, replace(NOW, local=moment))


@pytest.mark.parametrize(
    ("may", "parts", "local", "expected"),
    [
        (("acknowledge",), CALL, "2026-12-01T12:00", "accepted"),
        (("acknowledge",), ALARM, "2026-12-01T12:00", "accepted"),
        (("acknowledge",), OPEN, "2026-12-01T12:00", "not_allowed"),
        (("open",), CALL, "2026-12-01T12:00", "not_allowed"),
        (("open",), ALARM, "2026-12-01T12:00", "not_allowed"),
        ((), CALL, "2026-12-01T12:00", "not_allowed"),
        (("acknowledge", "open"), OPEN, "2026-12-01T06:59", "not_allowed"),
        (("acknowledge", "open"), OPEN, "2026-12-01T07:00", "accepted"),
        (("acknowledge", "open"), OPEN, "2026-12-01T17:59", "accepted"),
        (("acknowledge", "open"), OPEN, "2026-12-01T18:00", "not_allowed"),
        (("acknowledge", "open"), OPEN, "2026-12-05T12:00", "not_allowed"),
        (("acknowledge", "open"), OPEN, None, "not_allowed"),
        (("acknowledge", "open"), ("door", "back", "open"), "2026-12-05T03:00", "accepted"),
        (("acknowledge", "open"), ("door", "side", "open"), "2026-12-01T12:00", "not_allowed"),
        (("acknowledge", "open"), MODE, "2026-12-01T12:00", "not_allowed"),
    ],
)  # fmt: skip
def test_an_issuer_with_limited_rights_may_that_and_nothing_else(
    may: tuple[str, ...], parts: tuple[str, ...], local: str | None, expected: str
) -> None:
    verdict = sites(*may, parts=parts, local=local, mode="off", attends="Anna")
    assert reason(verdict) == expected
    assert verdict.actor == "mqtt:sites", "it was the issuer that asked"


def test_a_command_outside_of_its_hours_is_not_taken_when_they_have_begun() -> None:
    """It was answered with a refusal; nobody expects the door to open after that."""
    desk = Desk(issuers={"sites": Issuer(KEY, frozenset({"open"}), {"front": WORK})})
    raw = envelope(by="user:3", issuer="sites")
    payload = json.dumps(raw | {"sig": sign(KEY, TOPIC, raw)}).encode()
    for minute, expected in ((59, "not_allowed"), (60, "duplicate")):
        local = datetime(2026, 12, 1, 6 + minute // 60, minute % 60)  # noqa: DTZ001 - a wall clock
        verdict = desk.judge(TOPIC, OPEN, payload, False, replace(NOW, local=local))
        assert reason(verdict) == expected


@pytest.mark.parametrize(
    ("attends", "args"),
    [
        ({}, {"call": "wc", "seen_only": True}),
        ({"attends": ""}, {"call": "wc", "seen_only": True}),
        ({"attends": "  "}, {"call": "wc", "seen_only": True}),
        ({"attends": " Anna Weber "}, {"call": "wc", "attends": "Anna Weber"}),
        ({"attends": "x" * 40}, {"call": "wc", "attends": "x" * 40}),
        ({"attends": "x" * 41}, None),
        ({"attends": "Anna\n"}, None),
        ({"attends": "Anna\u202e"}, None),
        ({"attends": None}, None),
        ({"attends": ["Anna"]}, None),
    ],
)
def test_whoever_is_far_away_acknowledges_a_call_with_the_name_of_who_goes(
    attends: dict[str, Any], args: dict[str, Any] | None
) -> None:
    verdict = sites("acknowledge", parts=CALL, **attends)
    if args is None:
        assert reason(verdict) == "malformed"
    else:
        assert isinstance(verdict, Accepted)
        assert (verdict.name, verdict.args) == ("acknowledge_call", args)


def test_an_issuer_without_limits_acknowledges_without_a_name_as_before() -> None:
    for more in ({}, {"attends": "Anna"}):
        verdict = judge(envelope(**more), parts=CALL)
        assert isinstance(verdict, Accepted)
        assert verdict.args == {"call": "wc", **more}


def test_an_issuer_without_limits_may_what_it_could_before() -> None:
    desk = Desk(issuers={"tablet": Issuer(KEY)})
    for parts, more in ((OPEN, {}), (MODE, {"mode": "off"}), (CALL, {}), (ALARM, {})):
        raw = envelope(id="/".join(parts).replace("/", "-"), issuer="tablet", **more)
        topic = f"portier/csg/command/{'/'.join(parts)}"
        payload = json.dumps(raw | {"sig": sign(KEY, topic, raw)}).encode()
        assert reason(desk.judge(topic, parts, payload, False, NOW)) == "accepted", parts


NEW = b"a new key"


def by_key(key: bytes, desk: Desk, **fields: Any) -> str:
    """What becomes of a command that this key has signed."""
    raw = envelope(issuer="tablet", **fields)
    return reason(judge(raw | {"sig": sign(key, TOPIC, raw)}, desk=desk))


def changing() -> Desk:
    return Desk(issuers={"tablet": Issuer(KEY, next_key=NEW), "home": Issuer(b"another")})


def test_the_old_key_is_refused_once_the_new_one_has_signed() -> None:
    desk = changing()
    dirty = []
    for number, key in enumerate((KEY, NEW)):
        assert by_key(key, desk, id=f"old-and-new-{number}") == "accepted"
        dirty.append(desk.dirty)
    assert dirty == [False, True], "the change is to be saved"
    assert by_key(KEY, desk, id="c3") == "bad_signature"
    assert by_key(NEW, desk, id="c4") == "accepted"
    raw = envelope(issuer="home", id="c5")
    assert reason(judge(raw | {"sig": sign(b"another", TOPIC, raw)}, desk=desk)) == "accepted"


@pytest.mark.parametrize("fields", [{"issued_at": at(6)}, {"issued_at": at(-5)}])
def test_a_command_that_is_not_fresh_replaces_no_key(fields: dict[str, Any]) -> None:
    desk = changing()
    assert by_key(NEW, desk, **fields) in ("too_old", "from_future")
    assert by_key(KEY, desk) == "accepted"


def test_a_command_that_is_not_allowed_shows_the_new_key_too() -> None:
    desk = Desk(issuers={"tablet": Issuer(KEY, frozenset({"acknowledge"}), next_key=NEW)})
    assert by_key(NEW, desk, id="c1") == "not_allowed"
    assert by_key(KEY, desk, id="c2") == "bad_signature"


def test_a_replaced_key_stays_refused_after_a_restart() -> None:
    before = changing()
    by_key(NEW, before)
    desk = changing()
    desk.restore(json.loads(json.dumps(before.replaced)))
    assert by_key(KEY, desk) == "bad_signature"
    assert by_key(NEW, desk) == "accepted"
    assert not desk.dirty
    moved = Desk(issuers={"tablet": Issuer(NEW)})
    moved.restore(before.replaced)
    assert by_key(NEW, moved) == "accepted", "the new key is the key now"
    undone = Desk(issuers={"tablet": Issuer(KEY)})
    undone.restore(before.replaced)
    assert by_key(KEY, undone) == "bad_signature", "it may have been stolen"


def test_the_saved_keys_tell_no_key() -> None:
    desk = changing()
    by_key(NEW, desk)
    assert KEY.decode() not in json.dumps(desk.replaced)
    assert KEY.hex() not in json.dumps(desk.replaced)


@pytest.mark.parametrize("saved", [None, 7, [], {"tablet": 7}, {"stranger": "00"}])
def test_what_is_saved_of_keys_and_not_understood_is_nothing(saved: Any) -> None:
    desk = changing()
    desk.restore(saved)
    assert desk.replaced == {}
    assert by_key(KEY, desk) == "accepted"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_fields = st.dictionaries(
    st.sampled_from(["id", "issued_at", "ttl", "by", "sig", "issuer", "mode", "until", "for_s"])
    | st.text(max_size=5),
    _json | st.sampled_from(["c1", at(1), "tablet", "off", 5]),
)
_parts = st.lists(
    st.sampled_from(["door", "alarm", "call", "front", "open", "mode", "acknowledge", "cancel", ""])
)


@given(
    st.binary() | _fields.map(lambda raw: json.dumps(raw).encode()),
    _parts,
    st.booleans(),
    st.sampled_from(["", "open", "tablet", "stranger"]),
)
def test_nothing_that_comes_in_raises(
    payload: bytes, parts: list[str], retained: bool, own: str
) -> None:
    desk = Desk(issuers={"tablet": Issuer(KEY), "open": Issuer(None)})
    verdict = desk.judge(TOPIC, tuple(parts), payload, retained, NOW, own)
    if isinstance(verdict, Refused):
        assert verdict.reason in REASONS
    else:
        assert not retained


@given(_parts)
def test_no_topic_ends_a_call(parts: list[str]) -> None:
    """Whatever is asked for below ``call``, all that can come of it is that somebody saw it."""
    verdict = Desk().judge(TOPIC, ("call", *parts), json.dumps(envelope()).encode(), False, NOW)
    assert isinstance(verdict, Refused) or verdict.name == "acknowledge_call"


def test_a_flood_is_limited() -> None:
    desk = Desk()
    assert sum(desk.allows(5_000) for _ in range(1_000)) == BURST
    assert not desk.allows(5_100)
    assert desk.allows(5_201)
    assert sum(desk.allows(1_000_000) for _ in range(1_000)) == BURST


def test_a_flood_on_one_topic_hinders_no_other_issuer() -> None:
    desk = Desk(issuers={"homeassistant": Issuer(), "tablet": Issuer(KEY)})
    assert sum(desk.allows(5_000) for _ in range(1_000)) == BURST
    assert desk.allows(5_000, "homeassistant")
    assert sum(desk.allows(5_000, f"nobody-{n}") for n in range(1_000)) == 0, "they are not known"
    assert set(desk.tokens) == {"", "homeassistant"}
