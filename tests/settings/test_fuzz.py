"""Whatever the file holds: settings, or an error with its place, in bounded time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.settings.load import load
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import Problem, SettingsError
from tests.settings.house import DRIVERS, NOW, ROOT, SMALL, write
from tests.settings.test_doors import FULL
from tests.settings.test_load import CONTRACT

QUICK = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BENCH = (ROOT / "config" / "bench.yaml").read_text()


def judge(folder: Path, content: bytes | str) -> None:
    """Load, and plan what was loaded. Anything but a :class:`SettingsError` is a failure."""
    problems: list[Problem] = []
    try:
        found = load(write(folder, content), DRIVERS, need=())
    except SettingsError as error:
        problems = error.problems
    else:
        plan(found, now_utc_ms=NOW)
        return
    assert problems
    for problem in problems:
        assert min(problem.line, problem.column) >= 1
        assert problem.message
        assert problem.hint, problem
        str(problem).encode()


@QUICK
@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b"%YAML 9.9\n---\na: 1\n")
@example(b"%TAG ! tag:x,2000:\n--- !y\na: 1\n")
@example(b"? ? ? a\n")
@example(b"a: &a {b: *a}\n")
@example(b"gateway: *x\npoints: &x\n")
@example(b"points: {a: {driver: {}}}\ngateway: []\n")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    judge(tmp_path, content)


WORDS = """
07:00-18:00 2026-12-24 5 5ms << DE-SN Europe/Berlin activation activators alarms automatic
button contacts deadband doors driver egress embedded escalations export fire front front.leaf
gateway gpio_contact gpio_relay heartbeat hold_open holiday holidays id interlocks journal
kind leaf maintained max_on mode_switch mon-fri mqtt never night none on_fire open otherwise
outside pin point points pulse record retention rooms schedule sht4x side sqlite strike texts
timezone unlimited watch wc web yes ~
"""
PIECES = st.sampled_from(WORDS.split()) | st.text(max_size=12)
LEAVES = st.one_of(PIECES, st.integers().map(str), st.just("500 ms"), st.just("!secret x"))
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(PIECES, below, max_size=5),
    max_leaves=25,
)


def flow(tree: object) -> str:
    """The tree as YAML in braces, every text quoted unless it is a secret."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{flow(k)}: {flow(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(flow(item) for item in tree) + "]"
    if tree == "!secret x":
        return str(tree)
    return "'" + str(tree).replace("'", "''").replace("\n", " ") + "'"


@QUICK
@given(st.dictionaries(PIECES, TREES, max_size=6))
def test_any_structure_of_known_words(tmp_path: Path, tree: dict[str, object]) -> None:
    judge(tmp_path, flow(tree).encode("utf-8", "surrogatepass"))


SECTIONS = {
    "doors.front": "doors: {front: %s}\n",
    "a point": "points: {x.y: %s}\n",
    "rooms.wc": "rooms: {wc: %s}\n",
    "mqtt": "mqtt: %s\n",
    "record": "record: %s\n",
    "web": "web: %s\n",
    "watch": "watch: {a: %s}\n",
    "contacts": "contacts: {a: %s}\n",
    "escalations": "escalations: {a: %s}\n",
}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=list(SECTIONS))
@settings(QUICK, max_examples=30)
@given(tree=TREES)
def test_any_structure_in_a_section(tmp_path: Path, section: str, tree: object) -> None:
    content = "gateway: {id: small}\n" + section % flow(tree)
    judge(tmp_path, content.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "whole", [SMALL, FULL, CONTRACT, BENCH], ids=["s", "full", "contract", "bench"]
)
def test_a_good_file_with_a_slip_of_the_hand(tmp_path: Path, whole: str) -> None:
    """Lines and words dropped, doubled, swapped and misspelt; the seed draws its own slips."""
    draw = random.Random(17)
    for _ in range(25):
        words = whole.split(" ")
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(words))
            match draw.randrange(5):
                case 0:
                    del words[at]
                case 1:
                    words.insert(at, words[draw.randrange(len(words))])
                case 2:
                    words[at] = words[draw.randrange(len(words))]
                case 3:
                    words[at] = words[at][: len(words[at]) // 2]
                case _:
                    words[at] += draw.choice("{}[],:#&*!|>'\"%@`-?~\n\t")
        judge(tmp_path, " ".join(words))


def test_a_file_cut_off_anywhere(tmp_path: Path) -> None:
    content = SMALL.encode()
    for end in range(0, len(content), 7):
        judge(tmp_path, content[:end])
