"""What every target draws from: how many examples, odd values, and trees that were tampered with.

Without the environment variable ``PORTIER_FUZZ_EXAMPLES`` every run draws the same, few examples.
With it every property draws that many, new ones in each run; Hypothesis prints what it finds.
"""

from __future__ import annotations

import atexit
import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONG = int(os.environ.get("PORTIER_FUZZ_EXAMPLES", "0"))


def fuzz(examples: int) -> settings:
    """The settings of a property that draws so many examples in everyday runs."""
    return settings(
        max_examples=LONG or examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def folder() -> Path:
    """An empty folder that is gone when the tests have ended."""
    made = Path(tempfile.mkdtemp(prefix="portier-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


HALF = "\ud800"
"""Half a character: JSON can spell it, UTF-8 cannot."""
ODD_TEXTS = (
    "", " ", "\0", "\n", "/", "+", "#", "..", HALF, "\U0001f6aa", "\u202e", "ß" * 40, "x" * 300,
    "x" * 600, "NaN", "1e999", "-1", "true", "null", "2024-05-01T08:00:00.000Z",
)  # fmt: skip
ODD_NUMBERS = (
    0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0,
    1e-320, 1e300, 1.7e308, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=20)
LEAVES = st.one_of(
    st.none(), st.booleans(), TEXTS, st.sampled_from(ODD_NUMBERS), st.integers(), st.floats()
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can say, and the numbers that Python's reader takes beside it."""


def deep(levels: int) -> str:
    """JSON that is nested so deep."""
    return "[" * levels + "]" * levels


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a tree."""
    found: list[tuple[Any, Any]] = []
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            found += [(tree, key), *_places(value)]
    return found


@st.composite
def tampered(
    draw: Callable[..., Any], whole: Mapping[str, Any], most: int = 3, values: Any = TREES
) -> Any:
    """``whole`` with one to ``most`` of its values replaced, removed, renamed or exchanged."""
    tree: Any = copy.deepcopy(dict(whole))
    for _ in range(draw(st.integers(1, most))):
        places = _places(tree)
        if not places:
            return tree
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("put", "put", "drop", "name", "swap"))):
            case "put":
                holder[key] = draw(values)
            case "drop":
                del holder[key]
            case "name" if isinstance(holder, dict):
                holder[draw(TEXTS)] = holder.pop(key)
            case _:
                other, at = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(other[at])
    return tree
