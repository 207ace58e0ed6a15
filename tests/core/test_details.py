"""The text of an alarm's detail: what is written is read back, and each kind has its sentence."""

from __future__ import annotations

from datetime import UTC
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import details
from gateway.web.presenter.details import detail
from gateway.web.shared.words import Words

VALUES = {
    "ms": st.integers(0, 2**53),
    "reason": st.text(min_size=1),
    "quantity": st.sampled_from(["temperature_c", "humidity_percent", "line_ohm", "pm2_5"]),
    "value": st.floats(allow_nan=False) | st.booleans() | st.integers(),
}


@pytest.mark.parametrize("kind", get_args(details.Kind))
@given(data=st.data())
def test_what_is_written_is_read_back(kind: details.Kind, data: st.DataObject) -> None:
    values = tuple(data.draw(VALUES[name]) for name in details.TEXTS[kind][1::2])
    assert details.read(details.write(kind, *values)) == (kind, tuple(map(str, values)))


@given(text=st.text())
@example("no_call")
@example("open for  ms")
@example("open for 12 ms and more")
@example("temperature_c")
@example("two words")
@example("temperature_c nan")
def test_another_text_is_not_taken_for_one(text: str) -> None:
    found = details.read(text)
    assert found is None or details.write(found.kind, *found.values) == text


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("kind", get_args(details.Kind))
def test_each_kind_has_a_sentence_for_people(kind: details.Kind, language: str) -> None:
    given = {"ms": 12_000, "reason": "gone", "quantity": "temperature_c", "value": 21.5}
    text = details.write(kind, *(given[name] for name in details.TEXTS[kind][1::2]))
    said = detail(Words(language, UTC), text)
    assert said != text
