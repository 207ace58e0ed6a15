"""What the documents name is there: files, tests and links."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = (ROOT, ROOT / "gateway", ROOT / "tests", ROOT / "deploy")
"""Where a path in a document may begin, beside the folder of the document itself."""
HISTORY = {"CHANGELOG.md"}
"""These say what was; they may name what is no more."""
ELSEWHERE = {
    "drivers/gas_meter.py",  # an example of what one writes
    "link/link.json",  # of a state folder
    "state/soak.md",
    ".cache/bench.json",
    "dist/uPlot.iife.min.js",  # of a package
    "dist/uPlot.min.css",
}
NAMED = re.compile(r"`([\w./*-]+\.(?:py|md|yaml|toml|sh|json|css|js))(?:::([\w\[\]., =/-]+))?`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#|/)([^)#\s]+)")
TO_A_HEADING = re.compile(r"\]\((?!https?:|mailto:|/)([^)#\s]*)#([^)\s]+)\)")


def documents() -> list[Path]:
    """All of the repository that are kept in it."""
    found = subprocess.run(
        ["git", "ls-files", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in found.stdout.split() if name not in HISTORY]


def file_of(document: Path, name: str) -> Path | None:
    """The file that a document means by a name, as far as it says the folder at all. A name with
    ``*`` means at least one file."""
    found = (file for place in (document.parent, *ROOTS) for file in place.glob(name))
    return next(found, None)


def anchors(document: Path) -> set[str]:
    """Where links to headings lead: small letters, no punctuation, hyphens for spaces."""
    text = re.sub(r"(?ms)^```.*?^```", "", document.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_to_a_heading_leads_to_one(document: Path) -> None:
    missing = []
    for name, anchor in TO_A_HEADING.findall(document.read_text(encoding="utf-8")):
        target = file_of(document, name) if name else document
        if target is None or anchor not in anchors(target):
            missing.append(f"{name}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [f"link {name}" for name in LINK.findall(text) if file_of(document, name) is None]
    for name, test in NAMED.findall(text):
        if "/" not in name or name.startswith("/") or "NAME" in name or name in ELSEWHERE:
            continue
        file = file_of(document, name)
        if file is None:
            missing.append(name)
        elif test and f"def {test.partition('[')[0]}(" not in file.read_text(encoding="utf-8"):
            missing.append(f"{name}::{test}")
    assert missing == []
