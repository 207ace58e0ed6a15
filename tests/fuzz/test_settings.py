"""The settings: whatever somebody does to a good configuration, it is settings or an error.

Bytes, invented structures and slips of the hand are in ``tests/settings/test_fuzz.py``; here the
two shipped configurations have parts replaced, removed, doubled, renamed and moved. What is
accepted must also be lived with: planned, cached, started, pressed, shown, and started again.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, example, given
from hypothesis import strategies as st

from gateway.core import building
from gateway.core.building.snapshot import snapshot
from gateway.core.events import CivilTime, Level, Reading
from gateway.settings.editing.preview import preview
from gateway.settings.load import load
from gateway.settings.plan import cache
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import Problem, SettingsError
from tests.fuzz.draws import ODD_TEXTS, folder, fuzz
from tests.fuzz.houses import BENCH, OFFICE
from tests.settings.house import DRIVERS, NOW
from tests.settings.test_schema import VALIDATOR, edited

pytestmark = pytest.mark.thorough

FOLDER = folder()
SLOWEST_S = 5.0
"""Of the processor, for one load; a good one takes 0.2 s. Others may use the machine, too."""


@dataclass
class Scalar:
    text: str
    style: str = "'"
    """Empty: written without quotes. ``!``: a secret. ``*``: an alias, ``&``: an anchor before."""


@dataclass
class Mapping:
    """Keys may come twice."""

    entries: list[tuple[str, Any]] = field(default_factory=list)


def tree_of(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return Mapping([(key.value, tree_of(value)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        return [tree_of(item) for item in node.value]
    style = "!" if node.tag == "!secret" else "'" if node.style else ""
    return Scalar(str(node.value), style)


def flow(tree: Any) -> str:
    """The tree as YAML in braces."""
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{flow(Scalar(k))}: {flow(v)}" for k, v in tree.entries) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    signs = {"!": f"!secret {tree.text}", "&": f"&{tree.text} 'x'", "*": f"*{tree.text} "}
    if tree.style == "'":
        return _quoted(tree.text)
    return str(signs.get(tree.style, tree.text))


def _quoted(text: str) -> str:
    if not text.isprintable():
        return json.dumps(text)
    return "'" + text.replace("'", "''") + "'"


def places(tree: Any) -> list[tuple[Any, int]]:
    """(list, index) of every entry and item."""
    found: list[tuple[Any, int]] = []
    for at, one in enumerate(tree.entries if isinstance(tree, Mapping) else tree):
        found.append((tree.entries if isinstance(tree, Mapping) else tree, at))
        below = one[1] if isinstance(one, tuple) else one
        if not isinstance(below, Scalar):
            found += places(below)
    return found


@lru_cache(maxsize=4)
def shipped(path: Path) -> Any:
    return tree_of(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))


@lru_cache(maxsize=1)
def kin() -> dict[str, list[Any]]:
    """What stands behind each key, somewhere in both files."""
    found: dict[str, list[Any]] = {}
    for path in (BENCH, OFFICE):
        for holder, at in places(shipped(path)):
            one = holder[at]
            if isinstance(one, tuple):
                found.setdefault(one[0], []).append(one[1])
    return found


@lru_cache(maxsize=1)
def words() -> tuple[str, ...]:
    """Every key and every value of both files."""
    found: set[str] = set()
    for path in (BENCH, OFFICE):
        for holder, at in places(shipped(path)):
            one = holder[at]
            if isinstance(one, tuple):
                found.add(one[0])
                one = one[1]
            if isinstance(one, Scalar):
                found.add(one.text)
    return tuple(sorted(found))


ODD = (
    *ODD_TEXTS, "9" * 400, "0 s", "0 ms", "-5 s", "1 ms", "100 y", "1e9 y", "٣ s", "5ms", "0.5 s",
    "unlimited", "1 B", "999999 TB", "24:00-00:00", "00:00-24:00", "mon-sun", "mon-sun 00:00-24:00",
    "2026-02-29", "2027-01-01..2026-01-01", "2026-12-24", "otherwise", "holiday", "DE-SN", "XX",
    "Pacific/Apia", "Antarctica/Troll", "Asia/Kathmandu", "Europe/Berlin", "../etc/passwd", "/",
    "http://[", "http://a:99999999", "https://h/p", "127.0.0.1:0", "[::1]:80", "1883", "65536",
    "off", "on", "no", "~", "=", "<<", "!!python/none", "?", "@", "simulated_contact", "gpio_relay",
    "enocean_contact", "mqtt_meter", "odd", "x.y", "X", "a.b.c", "a" * 65, "é", "\U0001f6aa",
)  # fmt: skip


def _scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(words()).map(Scalar),
        st.sampled_from(ODD).map(Scalar),
        st.integers().map(str).map(Scalar),
        st.text(max_size=8).map(Scalar),
        st.sampled_from(["", "~", "1", "yes", "0x44"]).map(lambda text: Scalar(text, "")),
        st.builds(Scalar, st.sampled_from(["x", "mqtt_password"]), st.just("!")),
        st.builds(Scalar, st.sampled_from(["a", "b"]), st.sampled_from("*&")),
    )


def _values() -> st.SearchStrategy[Any]:
    return st.one_of(
        _scalars(),
        st.lists(_scalars(), max_size=2),
        st.lists(st.tuples(st.sampled_from(words()), _scalars()), max_size=2).map(Mapping),
    )


WAYS = ("put", "put", "kin", "kin", "time", "drop", "drop", "double", "rename", "move")
TIMES = ("0 s", "1 ms", "10 ms", "999 ms", "1 s", "15 s", "10 min", "1 h", "2 d", "100 y")


@st.composite
def changed(draw: Callable[..., Any], path: Path) -> str:
    """The file with one to three of its parts replaced, removed, doubled, renamed or moved."""
    tree = copy.deepcopy(shipped(path))
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        every = places(tree)
        if not every:
            break
        holder, at = draw(st.sampled_from(every))
        one = holder[at]
        name, value = one if isinstance(one, tuple) else ("", one)
        match draw(st.sampled_from(WAYS)):
            case "put":
                value = draw(_values())
            case "kin":
                value = copy.deepcopy(draw(st.sampled_from(kin().get(name, [value]))))
            case "time" if isinstance(value, Scalar) and value.text.endswith((" ms", " s", "min")):
                value = Scalar(draw(st.sampled_from(TIMES)))
            case "drop":
                del holder[at]
                continue
            case "double":
                holder.insert(at, copy.deepcopy(one))
                continue
            case "rename":
                name = draw(st.sampled_from(words()) | st.sampled_from(ODD))
            case "move":
                there, other = draw(st.sampled_from(every))
                found = there[other] if other < len(there) else one
                value = copy.deepcopy(found[1] if isinstance(found, tuple) else found)
        holder[at] = (name, value) if isinstance(one, tuple) else value
    return flow(tree)


def judge(content: str | bytes) -> bool:
    """Load it, and live with what was loaded; whether it was."""
    file = FOLDER / "portier.yaml"
    file.write_bytes(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )
    begun, problems, settings = time.process_time(), [], None
    try:
        settings = load(file, DRIVERS, need=())
    except SettingsError as error:
        problems = error.problems
    assert time.process_time() - begun < SLOWEST_S
    for problem in problems:
        complete(problem, file)
    if settings is not None:
        lived(settings)
    assert bool(problems) is (settings is None)
    return settings is not None


def complete(problem: Problem, file: Path) -> None:
    """Somebody can do something about it."""
    assert problem.file == str(file)
    assert min(problem.line, problem.column) >= 1
    assert problem.message
    assert problem.hint, problem
    str(problem).encode()


def driver_settings(name: str) -> Any:
    return DRIVERS[name].settings


def lived(settings: Any) -> None:
    """Planned, cached and read again, started, pressed, shown, and started again."""
    made = plan(settings, now_utc_ms=NOW)
    cached = cache.of(settings, made, NOW)
    text = cache.plan_to_json(cached)
    text.encode()
    assert cache.plan_from_json(text, driver_settings) == cached
    json.dumps(preview(settings, made, NOW), allow_nan=False)
    step = building.start(made, {}, 0)
    state = building.step(step.state, CivilTime(NOW, True), 10).state
    for contact in made.contacts:
        state = building.step(state, Level(contact.point, False, 20), 30).state
        state = building.step(state, Level(contact.point, True, 1_000), 1_100).state
    for meter in made.meters:
        for quantity in meter.quantities:
            state = building.step(state, Reading(meter.point, quantity, 20.0), 1_200).state
    for later_ms in (10_000, 600_000):
        state = building.step(state, CivilTime(NOW + later_ms, True), later_ms).state
    kept = building.state_to_save(state)
    json.dumps([snapshot(state, 600_000), kept], allow_nan=False).encode()
    building.start(made, json.loads(json.dumps(kept)), 0)


@pytest.mark.parametrize("path", [BENCH, OFFICE], ids=["bench", "office"])
def test_as_shipped_it_is_lived_with(path: Path) -> None:
    assert judge(flow(shipped(path)))


@fuzz(90)
@given(changed(BENCH))
def test_the_bench_with_parts_of_it_changed(content: str) -> None:
    event(f"accepted: {judge(content)}")


@fuzz(20)
@given(changed(OFFICE))
def test_the_office_with_parts_of_it_changed(content: str) -> None:
    event(f"accepted: {judge(content)}")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@fuzz(20)
@given(
    st.sampled_from("[{&*!|>'\"%@`-?:,# \t\r\n\x85\u2028\ufeff\0"), st.integers(1, 5_000), st.data()
)
@example("[", 100_000, None)
@example("{", 100_000, None)
@example("- ", 30_000, None)
@example("? ", 30_000, None)
@example("&a ", 30_000, None)
def test_a_sign_again_and_again(sign: str, times: int, data: st.DataObject | None) -> None:
    good = BENCH.read_text()
    at = data.draw(st.integers(0, len(good))) if data is not None else 0
    judge(good[:at] + sign * times + good[at:])


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        "points: &a {x: *a}",
        "a: " + "9" * 200_000,
        "? " * 2_000 + "a",
        "'" * 9_999,
        "a: \\ud800",
    ],
)
def test_what_grows_without_end_does_not(content: str) -> None:
    assert not judge(content)


@fuzz(60)
@given(changed(BENCH))
def test_an_editor_complains_of_nothing_that_the_loader_accepts(content: str) -> None:
    file = FOLDER / "edited.yaml"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        load(file, DRIVERS, need=())
    except SettingsError:
        return
    errors = VALIDATOR.iter_errors(edited(content))
    assert [(error.message[:100], list(error.instance_path)) for error in errors] == []
