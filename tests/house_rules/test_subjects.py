"""Facts about the gateway have its id as their subject, wherever they are made."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "gateway"


def test_no_fact_is_about_something_called_gateway() -> None:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Fact"
                and len(node.args) > 1
                and isinstance(node.args[1], ast.Constant)
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.args[1].value!r}")
    assert not found
