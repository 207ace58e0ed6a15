"""The lists of CONTRIBUTING.md: a step that nothing else would miss is missed here."""

from __future__ import annotations

import ast
import dataclasses
import re
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest

import drivers
from gateway.app.configuration import plans
from gateway.control import service
from gateway.core.building.wiring_messages import OF_CORD, OF_ROOM
from gateway.core.facts import KINDS, Json
from gateway.core.notification.alarms import ALARM_KINDS, UNTIL_SEEN
from gateway.settings.plan import cache
from gateway.web.places import MENU
from gateway.web.presenter.facts import _detail
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import LANGUAGES, Words
from tests.page.test_states import PAGES
from tests.web.test_surface import table

ROOT: Final = Path(__file__).parents[2]
CORE: Final = ROOT / "gateway" / "core"


def named_in(*files: Path) -> set[str]:
    """Every text that stands in these files, but for docstrings."""
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


# --- a driver -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", drivers.names())
def test_every_driver_has_a_row_in_the_table_and_tests_of_its_own(name: str) -> None:
    rows = (ROOT / "drivers" / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(row.startswith("| `") and f"`{name}`" in row.split("|")[1] for row in rows)
    tests = ROOT / "tests" / "drivers"
    own = [file for file in tests.glob("test_*.py") if file.name != "test_contract.py"]
    assert any(re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")) for file in own)


# --- a fact -------------------------------------------------------------------------------

SAMPLES: Final[dict[str, Json]] = {"int": 7, "float": 1.5, "bool": True, "str": "x"}
WITHOUT_WORDS: Final = frozenset({"was"})
"""Details that the page shows under their raw names; none should be added."""


class _Asked(Words):
    """Notes the names of details for which there are no words."""

    def __init__(self, language: str) -> None:
        super().__init__(language, UTC)
        self.missing: set[str] = set()

    def get(self, key: str, default: str = "", **values: object) -> str:
        found = super().get(key, "", **values)
        if not found and key.startswith("field."):
            self.missing.add(key.removeprefix("field."))
        return found or default


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_detail_of_a_fact_has_words(language: str) -> None:
    words = _Asked(language)
    named = SimpleNamespace(name=lambda _, point: point)
    presenter = cast(
        Presenter,
        SimpleNamespace(
            w=words, who=str, reason=str, receiver=str, utc=str, terminals=named,
            alarm_text=lambda kind, *_: kind, private=True,
        ),
    )  # fmt: skip
    for kind in KINDS.values():
        if kind.name != "reading":  # which is told as one value
            for name, sort in kind.fields.items():
                _detail(name, SAMPLES[sort.rstrip("?")], presenter)
    assert words.missing == WITHOUT_WORDS


def test_every_kind_of_fact_is_made_somewhere() -> None:
    catalogue = CORE / "facts.py"
    files = [file for file in (ROOT / "gateway").rglob("*.py") if file != catalogue]
    assert KINDS.keys() - named_in(*files) == set()


# --- an alarm -----------------------------------------------------------------------------

ROOM: Final = CORE / "room"
SIGNALS: Final = CORE / "signals"
BY_SEVERITY: Final = frozenset({"leak", "frost", "mould"})
"""Alarms of a room that go by their severity, as those of a door do."""
CORD_BY_SEVERITY: Final = frozenset({"contact_stuck", "contact_chattering"})
"""Faults of a contact or meter that do so at a cord, too: it is still heard."""


def test_every_alarm_of_a_room_goes_the_way_of_its_calls_or_says_that_it_does_not() -> None:
    """A new kind would go by its severity without anybody having decided that."""
    about_rooms = ALARM_KINDS.keys() & named_in(*ROOM.glob("*.py"))
    assert about_rooms == {*BY_SEVERITY, *OF_ROOM} - {"call_unread"}


def test_every_fault_of_a_contact_or_meter_says_where_it_goes_at_a_cord() -> None:
    faults = ALARM_KINDS.keys() & named_in(SIGNALS / "contact.py", SIGNALS / "meter.py")
    assert faults == {*CORD_BY_SEVERITY, *OF_CORD}


RESTORED_BY_RULE: Final = frozenset(
    {
        # a contact, a meter or a relay that has been heard of again
        "contact_stuck", "contact_chattering", "contact_unknown", "fire_contact_unknown",
        "meter_silent", "implausible", "meter_frozen", "relay_fault",
        # over with the first look, because what raises them again has been restored or is told
        # at the start
        "fire", "cord_stuck", "line_cut", "line_short", "nobody_told", "test_unconfirmed",
        "egress_never", "egress_untrusted", "wiring_untrusted", "overlay_broken",
        "setting_adjusted",
    }
)  # fmt: skip


def test_every_alarm_says_what_proves_after_a_restart_that_it_is_over() -> None:
    """A new kind would be cleared at the start, whether or not it stands."""
    proved = named_in(CORE / "building" / "after_restart.py") | UNTIL_SEEN
    assert ALARM_KINDS.keys() - proved - RESTORED_BY_RULE == set()
    assert ALARM_KINDS.keys() >= RESTORED_BY_RULE


# --- a setting ----------------------------------------------------------------------------


def test_all_that_control_can_be_told_it_is_told_and_all_that_is_cached_is_used() -> None:
    """A default in ``Settings`` would hide that ``app/control.py`` hands a setting on to nobody."""
    tree = ast.parse((ROOT / "gateway" / "app" / "control.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    handed = [node for node in calls if getattr(node.func, "id", "") == "Settings"]
    assert len(handed) == 1
    fields = {field.name for field in dataclasses.fields(service.Settings)}
    assert fields - {one.arg for one in handed[0].keywords} == set()
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    kept = {field.name for kind in (plans.Plan, cache.Cached) for field in dataclasses.fields(kind)}
    assert kept - read == set()


# --- a page -------------------------------------------------------------------------------

LED_TO: Final = frozenset({"/login", "/second-factor", "/m/{token}", "/offline", "/display"})
"""Addresses to which a redirect, the link in a message the service worker or an administrator
leads; they need no entry anywhere."""
NO_PAGES: Final = (
    "/api/",
    "/health/",
    "/metrics",
    "/help/pictures/",
    "/help/root.crt",
    "/help/next-root.crt",
    "/static/",
    "/manifest.webmanifest",
    "/sw.js",
)


def pages() -> list[str]:
    """The addresses of all pages."""
    found = {path for method, path in table() if method == "GET"}
    return sorted(path for path in found if not path.startswith(NO_PAGES))


OF_THEIR_OWN: Final = {
    "/login": "test_states.py",
    "/second-factor": "test_second.py",
    "/settings": "test_settings.py",
    "/settings/doors/{door}": "test_settings.py",
    "/settings/days": "test_settings.py",
    "/settings/contacts": "test_settings.py",
    "/settings/contacts/{contact}": "test_settings.py",
    "/settings/chains": "test_settings.py",
    "/settings/chains/{chain}": "test_settings.py",
    "/settings/changes": "test_settings.py",
    "/maintenance/testbook/{number}": "test_testbook_whole.py",
    "/timeline/{call}": "test_frame.py",
    "/offline": "test_install.py",
    "/help/{name}": "test_help.py",
    "/help/certificate": "test_help.py",
    "/display": "test_display.py",
}
"""Pages that are no row of ``PAGES``, and the file in ``tests/page`` that opens them."""
NEVER: Final = frozenset({"/m/{token}"})
"""Pages that no test opens in a browser; none should be added."""


@pytest.mark.parametrize("page", pages())
def test_every_page_can_be_found(page: str) -> None:
    """In the menu, or behind a link of another page."""
    start = page.partition("{")[0]
    templates = (ROOT / "gateway" / "web").rglob("*.html")
    linked = any(f'href="{start}' in file.read_text(encoding="utf-8") for file in templates)
    assert linked or page in LED_TO or page in {place.address for place in MENU}


def test_every_page_is_looked_at_in_a_browser() -> None:
    listed = {address.partition("?")[0] for address in PAGES}
    assert set(pages()) - listed - OF_THEIR_OWN.keys() == NEVER
    assert not listed & OF_THEIR_OWN.keys()
    for page, file in OF_THEIR_OWN.items():
        text = (ROOT / "tests" / "page" / file).read_text(encoding="utf-8")
        assert page.partition("/{")[0].rpartition("/")[2] in text, page
