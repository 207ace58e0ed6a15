"""The overlay of the page: whatever is asked of it is answered, and no file keeps a door shut."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.panel import messages as m
from gateway.settings.editing import edit as overlay_edit
from gateway.settings.editing.file import Store
from gateway.settings.editing.with_overlay import load_over
from gateway.settings.load import load
from gateway.settings.plan.building import plan
from tests.fuzz.draws import HALF, TREES, folder, fuzz, tampered
from tests.fuzz.houses import OFFICE
from tests.settings.house import DRIVERS, NOW, SMALL
from tests.settings.test_fuzz import LEAVES, PIECES, flow

pytestmark = pytest.mark.thorough

FOLDER = folder()
CONFIG = FOLDER / "portier.yaml"
CONFIG.write_text(
    SMALL
    + "contacts: {desk: {channels: [!secret desk], hours: mon-fri 08:00-16:00}}\n"
    + "escalations: {care: [{after: 0 s, notify: desk}]}\n"
    + "alarms: {urgent: care}\n"
)
GOOD: dict[str, Any] = {
    "doors": {
        "front": {
            "schedule": {"mon-fri 07:00-18:00": "automatic", "otherwise": "night"},
            "exceptions": {"2026-12-24..2026-12-26": "off"},
        }
    },
    "contacts": {
        "desk": {"hours": ["mon-fri 08:00-16:00"]},
        "night": {"channels": [{"secret": "n"}]},
    },
    "escalations": {
        "care": [{"after": "0 s", "notify": "desk"}, {"every": "5 min", "notify": "night"}]
    },
}
WIRED = {"doors": {"front": {"activation": {"point": "front.activation", "pulse": "5 s"}}}}
"""What the page may not change."""
WORDS = st.sampled_from(
    ["desk", "night", "care", "5 min", "0 s", "sat", "holiday", "2027-01-01", "off", "00:00-24:00"]
)
ASKED = st.fixed_dictionaries(
    {
        "do": st.sampled_from(["put", "put", "preview", "undo", "show"]),
        "version": st.sampled_from(["now", "now", "none", "", HALF]) | st.none(),
        "sections": tampered(GOOD, values=TREES | WORDS) | TREES | st.just(GOOD),
        "to": st.none() | st.sampled_from(["none", "../portier", "", "*", HALF, "0" * 16]),
    }
)


@lru_cache(maxsize=1)
def alone() -> str:
    return load(CONFIG, DRIVERS, need=()).digest


@fuzz(60)
@given(st.lists(ASKED, min_size=1, max_size=4))
@example([{"do": "put", "version": "now", "sections": {"a": HALF}, "to": None}])
@example([{"do": "undo", "version": "now", "sections": {}, "to": "../portier"}])
def test_every_question_is_answered_and_the_overlay_is_always_good(
    asked: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as inner:
        store = Store(Path(inner) / "overlay.yaml")
        for one in asked:
            before = store.data()
            version = store.version() if one["version"] == "now" else one["version"]
            question = {**one, "version": version, "actor": "web:3"}
            answer = overlay_edit.edit(question, CONFIG, store, DRIVERS, NOW)
            assert answer["status"] in ("accepted", "refused")
            m.encode(answer)
            json.dumps(answer, allow_nan=False)
            if answer["status"] == "refused":
                assert answer["reason"]
                assert store.data() == before
            if not answer.get("changed"):
                assert store.data() == before
            assert load_over(CONFIG, DRIVERS, overlay=store.path, need=()).overlay_problems == ()
        assert {file.name for file in Path(inner).iterdir()} <= {"overlay.yaml", "overlay.before"}


TREE = st.recursive(
    LEAVES, lambda b: st.lists(b, max_size=3) | st.dictionaries(PIECES, b, max_size=4), max_leaves=9
)


@fuzz(80)
@given(
    st.binary(max_size=60)
    | (tampered(GOOD, values=TREE) | st.just(WIRED)).map(
        lambda tree: flow(tree).encode("utf-8", "surrogatepass")
    )
    | TREE.map(lambda tree: flow(tree).encode("utf-8", "surrogatepass"))
)
def test_whatever_lies_in_the_overlay_the_configuration_stands(content: bytes) -> None:
    over = FOLDER / "overlay.yaml"
    over.write_bytes(content)
    settings = load_over(CONFIG, DRIVERS, overlay=over, need=())
    made = plan(settings, now_utc_ms=NOW)
    assert {door.id for door in made.doors} == {"front"}
    if settings.overlay_problems:
        assert settings.digest == alone()
        assert all(str(over) in problem for problem in settings.overlay_problems)
    else:
        assert [(door.activation, door.pulse_ms) for door in made.doors] == [
            ("front.activation", 500)
        ]


def test_the_office_can_be_laid_over() -> None:
    over = FOLDER / "office-overlay.yaml"
    over.write_text("doors: {front: {exceptions: {2026-12-24: night}}}\n")
    assert load_over(OFFICE, DRIVERS, overlay=over, need=()).overlay_problems == ()
