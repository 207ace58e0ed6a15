"""What messages say: complete in every language, and silent about who is in a room."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.core.notification.alarms import ALARM_KINDS
from gateway.notify.texts import CALLS, DISCREET, Sender, build, locale

SENDER = Sender(
    "Geschäftsstelle",
    ("de", "en"),
    "Europe/Berlin",
    "https://door.example",
    {"mains": {"de": "Netz fehlt"}},
)
NOON = 1_773_313_200_000
"""2026-03-12T11:00:00Z: noon in Berlin."""
LANGUAGES = ("de", "en")


def alarm(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "subject": "wc",
        "name": "WC",
        "severity": "fault",
        "detail": "seit 47 min",
        "raised_utc_ms": NOON,
        **more,
    }


def text_of(kind: str, data: Mapping[str, Any], **more: Any) -> tuple[str, str]:
    built = build(SENDER, kind, data, **more)
    return built.title, built.body


def leaves(words: Mapping[str, Any], way: str = "") -> Iterator[tuple[str, str]]:
    for key, value in words.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{way}{key}.")
        else:
            yield f"{way}{key}", value


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_alarm_kind_has_its_words(language: str) -> None:
    words = locale(language)["alarm"]
    assert set(words) == set(ALARM_KINDS)
    for kind, said in words.items():
        assert set(said) == {"what", "todo"}, kind
        assert all(said.values()), kind


def test_the_languages_say_the_same() -> None:
    german, english = (dict(leaves(locale(name))) for name in LANGUAGES)
    assert set(german) == set(english)
    for key, words in german.items():
        assert fields(words) == fields(english[key]), key


@pytest.mark.parametrize("kind", sorted({*ALARM_KINDS, *CALLS, "test", "summary", "watch:x"}))
def test_every_kind_of_message_can_be_said(kind: str) -> None:
    title, body = text_of(kind, {**alarm(kind), "room": "WC"})
    assert title.endswith("– Geschäftsstelle")
    first, second = body.split("\n\n---\n\n")
    assert first
    assert second
    assert "{" not in title + body


def test_a_call_says_where_when_what_to_do_and_how_to_acknowledge() -> None:
    data = {"room": "Barrierefreies WC", "raised_utc_ms": NOON, "pulls": 1, "cause": "cord"}
    title, body = text_of("call", data, link="https://door.example/m/abc")
    assert title == "NOTRUF: Barrierefreies WC – Geschäftsstelle"
    assert body.split("\n\n---\n\n")[0].splitlines() == [
        "In „Barrierefreies WC“ ruft jemand um Hilfe.",
        "Zeit: 12.03.2026, 12:00 Uhr",
        "Bitte sofort hingehen. Abgestellt wird der Notruf nur im Raum.",
        "Gesehen? Hier quittieren: https://door.example/m/abc",
    ]
    assert "Acknowledge here: https://door.example/m/abc" in body


def test_without_a_link_the_page_is_named_and_without_a_clock_no_time() -> None:
    _, body = text_of("call", {"room": "WC", "raised_utc_ms": None})
    assert "Bitte auf der Statusseite quittieren." in body
    assert "Zeit:" not in body


@pytest.mark.parametrize("kind", sorted(DISCREET))
def test_of_a_person_no_more_is_said_than_to_look(kind: str) -> None:
    _, body = text_of(kind, alarm(kind))
    assert "Es wurde kein Notruf ausgelöst." in body
    assert "No call was made." in body
    assert "47" not in body
    assert "12:00" not in body
    entry = {"kind": kind, "name": "WC", "severity": "urgent", "raised_utc_ms": NOON}
    assert "12:00" not in text_of("summary", {"alarms": [entry]})[1]


def test_an_alarm_says_its_detail_and_where_there_is_more() -> None:
    title, body = text_of("leak", alarm("leak", severity="urgent"))
    assert title == "Dringend: Wasser am Boden: WC – Geschäftsstelle"
    assert "Einzelheit: seit 47 min" in body
    assert "12.03.2026, 12:00 Uhr" in body  # when it was raised, however late the message is
    unknown = alarm("leak", severity="urgent", raised_utc_ms=None)
    assert "Uhr" not in text_of("leak", unknown)[1]
    assert "https://door.example/alarms" in body


def test_a_watched_point_says_what_its_configuration_says() -> None:
    title, body = text_of("watch:mains", alarm("watch:mains", name="sender.mains"))
    assert title == "Störung: Netz fehlt – Geschäftsstelle"
    assert "sender.mains has spoken" in body  # nobody has written it in English


def test_the_summary_lists_what_is_on_the_alarm_list() -> None:
    alarms = [
        {"kind": "left_open", "name": "Eingang", "severity": "fault", "raised_utc_ms": NOON},
        {"kind": "frost", "name": "WC", "severity": "notice", "raised_utc_ms": None},
    ]
    _, body = text_of("summary", {"alarms": alarms})
    assert "- Störung: Eingang steht offen (seit 12.03.2026, 12:00 Uhr)" in body
    assert "- Notice: Danger of frost: WC" in body
    assert "Die Alarmliste ist leer" in text_of("summary", {"alarms": []})[1]


def test_a_test_asks_for_its_receipt_one_by_hand_does_not() -> None:
    assert "Hier bestätigen: https://x/m/1" in text_of("test", {}, link="https://x/m/1")[1]
    assert "auf der Statusseite bestätigen" in text_of("test", {})[1]
    assert "von Hand" in text_of("test", {}, by_hand=True)[1]


def test_one_language_alone() -> None:
    english = Sender("Office", ("en",), "Europe/Berlin")
    built = build(english, "frost", alarm("frost"))
    assert "---" not in built.body
    assert built.title == "Fault: Danger of frost: WC – Office"
