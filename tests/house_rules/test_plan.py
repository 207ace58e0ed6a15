"""What ``make check`` finds in test files beyond lint and types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]


def planned(folder: Path, source: str) -> str:
    """What is found in a test file of this text, in a process of its own."""
    (folder / "test_one.py").write_text(source, encoding="utf-8")
    code = f"from tests.house_rules.plan import faults; print(*faults({str(folder)!r}), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("from tests.house_rules.plan import gone\n", "cannot import name 'gone'"),
        ("def test_it(nobody_makes_this):\n    pass\n", "fixture 'nobody_makes_this' not found"),
        (
            "import pytest\n@pytest.mark.parametrize('b', [1])\ndef test_it(a):\n    pass\n",
            "function uses no argument 'b'",
        ),
        ("import pytest\n@pytest.mark.unheard_of\ndef test_it():\n    pass\n", "unheard_of"),
    ],
)
def test_a_broken_test_file_is_named_with_its_fault(
    tmp_path: Path, source: str, fault: str
) -> None:
    found = planned(tmp_path, source)
    assert "test_one.py" in found
    assert fault in found


def test_a_sound_test_is_not_run(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.fixture\ndef a():\n    1 / 0\ndef test_it(a):\n    1 / 0\n"
    assert planned(tmp_path, source) == ""
