"""House rules of the words: both languages have every word, for everything there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from gateway.control import guarantees
from gateway.core.building import commands
from gateway.core.events import MODES
from gateway.core.facts import KINDS
from gateway.core.notification.alarms import ALARM_KINDS
from gateway.core.reasons import REASONS
from gateway.core.signals.contact import NO_LEVEL_YET
from gateway.journal import writer
from gateway.link import link, mqtt
from gateway.panel.snapshot_types import GuaranteeValue
from gateway.settings.values.recipients import KINDS as ADDRESS_KINDS
from gateway.settings.values.recipients import MEDIA
from gateway.web.building.guarantees import GUARANTEES, VALUES
from gateway.web.building.snapshot_reader import NO_PANEL
from gateway.web.identity.users import ROLES
from gateway.web.presenter.presenter import SEVERITIES
from gateway.web.shared.words import LANGUAGES, Words, best_language, catalogue

USED = re.compile(r"""\b(?:w|words|say|raw)\(\s*["']([a-z_]+\.[a-z0-9_]*[a-z0-9])["']""")
WEB = Path(__file__).parents[2] / "gateway" / "web"


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    german, english = catalogue("de"), catalogue("en")
    assert german.keys() == english.keys()
    assert [k for k in german if placeholders(german[k]) != placeholders(english[k])] == []
    assert [k for k in german if not german[k] or not english[k]] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_the_core_can_say_has_words(language: str) -> None:
    wanted = [f"fact.{kind}" for kind in KINDS]
    wanted += [f"kind.{k}.{t}" for k in (*ALARM_KINDS, "watch") for t in ("what", "means", "todo")]
    wanted += [f"reason.{reason}" for reason in REASONS]
    wanted += [f"mode.{mode}" for mode in (*MODES, "schedule")]
    wanted += [f"mode_help.{mode}" for mode in MODES]
    wanted += [f"guarantee.{name}" for name in (*GUARANTEES, *VALUES[:3])]
    wanted += [f"severity.{name}" for name in SEVERITIES]
    wanted += [f"message_by.{one}_{end}" for one in MEDIA for end in ("delivered", "failed")]
    wanted += [f"{part}.{kind}" for part in ("way", "way_help") for kind in ADDRESS_KINDS]
    wanted += [f"life.{kind.life}" for kind in KINDS.values()]
    wanted += [f"role.{role}" for role in ROLES]
    wanted += [f"command.{name}" for name in commands._NAMES.values()]
    assert [key for key in wanted if key not in catalogue(language)] == []


SAID = re.compile(
    r"""(?:_end|drop|_tell)\("(\w+)"|reason(?:: [\w, \[\]|]+)? = \(?"(\w+)"|return "(\w+)"|"""
    r"""link[^"\n]*"(\w+)\""""
)


def said_by(module: ModuleType) -> set[str]:
    """The reasons that stand in a module's source."""
    return {next(filter(None, found)) for found in SAID.findall(inspect.getsource(module))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_why_a_guarantee_is_not_yes_has_words(language: str) -> None:
    named = {
        reason for one in guarantees.GUARANTEES for reason in (*one.breaks, *one.doubts, one.void)
    }
    reasons = named | said_by(link) | said_by(mqtt) | said_by(writer)
    assert reasons >= {
        "connecting", "unreachable", "refused", "lost", "frozen", "taken_over", "journal",
        "link_away", "journal_full", "journal_read_only", "journal_unavailable", "relay_fault",
        "operator_fault", "recorder_missing", "recorder_behind",
    }  # fmt: skip
    words = Words(language, ZoneInfo("Europe/Berlin"))
    unsaid = [
        reason
        for reason in sorted(reasons | {NO_LEVEL_YET, NO_PANEL, "not_configured"})
        if not words.get(f"why.{reason}") and not words.get(f"reason.{reason}")
    ]
    assert unsaid == []


def test_the_page_knows_every_guarantee_and_value() -> None:
    assert set(GUARANTEES) == {one.name for one in guarantees.GUARANTEES}
    assert set(VALUES) == set(get_args(GuaranteeValue))


def test_every_key_that_is_used_exists() -> None:
    used: set[str] = set()
    for file in [*WEB.rglob("*.py"), *WEB.rglob("*.html"), *WEB.glob("static/*.js")]:
        used |= set(USED.findall(file.read_text()))
    assert len(used) > 100
    assert sorted(used - catalogue("de").keys()) == []


def test_a_key_made_of_somebody_elses_data_raises_nothing() -> None:
    """It may be that of a text that needs other values."""
    words = Words("de", ZoneInfo("Europe/Berlin"))
    assert words.get("result.was_open", "was_open") == "was_open"
    assert words.get("result.nothing_like_it", "as it is") == "as it is"
    assert words.ago(10**400)


def test_times_are_said_as_people_say_them() -> None:
    german = Words("de", ZoneInfo("Europe/Berlin"))
    english = Words("en", ZoneInfo("Europe/Berlin"))
    noon = 1_714_557_600_000  # 2024-05-01T10:00:00Z
    assert german.clock(noon, noon + 3_600_000) == "12:00"
    assert german.clock(noon, noon + 86_400_000) == "Mi. 1.5., 12:00"
    assert english.clock(noon, noon + 86_400_000) == "Wed 1 May, 12:00"
    assert german.moment(noon + 7) == "01.05.24 12:00:00,007"
    assert german.number(1234.567) == "1.234,57"


def test_the_browsers_language_is_chosen() -> None:
    assert best_language("en-GB,en;q=0.9,de;q=0.8") == "en"
    assert best_language("fr,de;q=0.3,en;q=0.2") == "de"
    assert best_language("") == "de"
    assert best_language("*;q=x") == "de"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("utc_ms", [-(10**20), 253_402_300_799_999, 10**20])
def test_no_instant_is_too_far_away_to_be_shown(language: str, utc_ms: int) -> None:
    words = Words(language, ZoneInfo("Pacific/Kiritimati"))
    assert words.clock(utc_ms, 1_700_000_000_000)
    assert words.clock(1_700_000_000_000, utc_ms)
    assert words.moment(utc_ms)
    assert words.day(utc_ms / 1000)


@pytest.mark.parametrize("value", [-0.0, -0.001, -0.004])
def test_there_is_no_minus_zero(value: float) -> None:
    """frontend#15240."""
    assert Words("de", ZoneInfo("Europe/Berlin")).number(value) == "0"
    assert Words("en", ZoneInfo("Europe/Berlin")).number(-1.5) == "-1.5"


@pytest.mark.parametrize(
    ("ms", "said"),
    [(600_000, "10 Minuten"), (86_400_000, "24 Stunden"), (31_536_000_000, "1 Jahr")],
)
def test_how_long_something_is_kept_is_said_in_a_unit_that_fits(ms: int, said: str) -> None:
    assert Words("de", ZoneInfo("Europe/Berlin")).lasting(ms) == said


def test_german_has_one_word_for_the_password() -> None:
    assert [key for key, text in catalogue("de").items() if "Passwort" in str(text)] == []
