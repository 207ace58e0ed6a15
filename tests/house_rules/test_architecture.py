"""The pictures of the imports show what is imported, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house_rules import architecture
from tests.house_rules.architecture import DRIVERS, ROOT

CONTAINERS = ("gateway", "gateway.core")


def imported(container: str) -> set[tuple[str, str]]:
    """(part, other part) of every import statement, read without the help of any library."""
    folder = ROOT.joinpath(*container.split("."))
    found = set()
    for path in sorted(folder.rglob("*.py")):
        part = path.relative_to(folder).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if container == "gateway" and name.partition(".")[0] == DRIVERS:
                    found.add((part, DRIVERS))
                elif name.startswith(f"{container}."):
                    found.add((part, name.removeprefix(f"{container}.").partition(".")[0]))
    known = {one for row in architecture.layers(container) for one in row} | {DRIVERS}
    return {(a, b) for a, b in found if a != b and a in known and b in known}


@pytest.mark.parametrize("container", CONTAINERS)
def test_imports_are_those_of_the_files(container: str) -> None:
    found = architecture.imports(container)
    assert {(a, b) for a, others in found.items() for b in others} == imported(container)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_part_has_a_layer_and_a_box(container: str) -> None:
    folder = ROOT.joinpath(*container.split("."))
    there = {
        path.name.removesuffix(".py")
        for path in Path(folder).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    rows = architecture.layers(container)
    assert {part for row in rows for part in row} == there - {"__init__"}
    drawn = re.findall(r'\["(\w+)"\]', architecture.mermaid(rows, {}))
    assert sorted(drawn) == sorted(part for row in rows for part in row)


def test_no_arrow_goes_up() -> None:
    for container in CONTAINERS:
        rows = architecture.layers(container)
        height = {part: -number for number, row in enumerate(rows) for part in row}
        height[DRIVERS] = -len(rows)
        found = architecture.imports(container)
        assert [(a, b) for a in found for b in found[a] if height[a] <= height[b]] == []


def test_an_arrow_that_a_longer_way_implies_is_left_out() -> None:
    found = {
        name: frozenset(others) for name, others in {"a": "bcd", "b": "c", "c": "", "d": ""}.items()
    }
    assert architecture.mermaid((("a",), ("b", "d"), ("c",)), found).splitlines()[-4:] == [
        "  part_a --> part_b",
        "  part_a --> part_d",
        "  part_b --> part_c",
        "```",
    ]
