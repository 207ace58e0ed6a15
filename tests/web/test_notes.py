"""Notes that travel through the browser: an armed button must not stay armed."""

from __future__ import annotations

import base64
import json
import time

import pytest

from gateway.web.shared.limits import Signer
from tests.web.conftest import Clock, Web


@pytest.mark.parametrize(("passed_s", "good"), [(0.0, True), (15.0, True), (15.1, False)])
def test_a_note_lives_as_long_as_it_says(passed_s: float, good: bool) -> None:
    clock = Clock(500.0)
    signer = Signer(b"secret", clock)
    text = signer.sign(15, door="front")
    clock.now += passed_s
    assert (signer.read(text).get("door") == "front") is good


def test_nor_longer_after_the_machine_has_started_again() -> None:
    clock = Clock(500.0)
    signer = Signer(b"secret", clock)
    text = signer.sign(15, door="front")
    clock.now = 20.0
    assert signer.read(text) == {}


@pytest.mark.parametrize("set_by_s", [-86_400 * 365, 86_400 * 365])
def test_a_clock_that_is_set_neither_disarms_a_button_nor_leaves_it_armed(
    web: Web, monkeypatch: pytest.MonkeyPatch, set_by_s: float
) -> None:
    uptime, real = Clock(500.0), time.time
    web.site.signer = Signer(b"secret", uptime)
    text = web.site.signer.sign(15, door="front")
    monkeypatch.setattr(time, "time", lambda: real() + set_by_s)
    assert web.site.signer.read(text)["door"] == "front"
    uptime.now += 16
    assert web.site.signer.read(text) == {}


def test_a_note_of_an_earlier_version_is_none() -> None:
    signer = Signer(b"secret")
    note = json.dumps({"door": "front", "until": "99999999999"})
    body = base64.urlsafe_b64encode(note.encode()).decode().rstrip("=")
    assert signer.read(f"{body}.{signer._mark(body)}") == {}
