"""The tables of the documents are generated from the code, and fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house_rules import tables
from tests.house_rules.tables import GATEWAY, TABLES, Table, written


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_generated_table_is_what_the_code_says(table: Table) -> None:
    assert written(table) == table.make(), "run: python -m tests.house_rules.tables"


def test_every_table_that_is_marked_as_generated_is() -> None:
    found = []
    for file in (
        *GATEWAY.glob("*.md"),
        *GATEWAY.parent.glob("*.md"),
        *GATEWAY.parent.glob("deploy/*.md"),
    ):
        text = file.read_text(encoding="utf-8")
        found += [(name, file) for name in re.findall(r"<!-- (\w+): begin \(generated\) -->", text)]
    assert sorted(found) == sorted((table.name, table.file) for table in TABLES)


def test_only_what_stands_between_the_marks_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, end = tables.marks("limits")
    file = tmp_path / "A.md"
    file.write_text(f"before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(tables, "TABLES", [Table("limits", file, lambda: "| new |")])
    tables.renew()
    assert file.read_text(encoding="utf-8") == f"before\n{begin}\n| new |\n{end}\nafter\n"
