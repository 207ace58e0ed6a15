"""Text is read and written in UTF-8 by name: what the environment's language says would differ
between systemd, a terminal and an installer. The linter sees only what it knows to be a path."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.control.log import Log
from gateway.formats import uri

ROOT = Path(__file__).resolve().parents[2]
TEXT = {"read_text": 0, "write_text": 1}
"""Methods of paths, and which argument may name the encoding."""
PROCESSES = {"run", "Popen", "check_output", "check_call", "call"}
OPENERS = {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "TextIOWrapper"}
MODE = re.compile("[rwax][+t]*")
"""A mode of text; one of bytes has a b."""


def unnamed(tree: ast.AST) -> list[int]:
    """The lines where text is read or written in whatever the environment names."""
    return [one.lineno for one in ast.walk(tree) if isinstance(one, ast.Call) and _is_bad(one)]


def _is_bad(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = {word.arg: word.value for word in call.keywords}
    if "encoding" in words or None in words:
        return False
    if name in TEXT:
        return len(call.args) <= TEXT[name]
    if name in PROCESSES:
        return "text" in words or "universal_newlines" in words
    if name in OPENERS:
        modes = [words["mode"]] if "mode" in words else call.args[:2]
        texts = [getattr(mode, "value", None) for mode in modes]
        return any(isinstance(text, str) and MODE.fullmatch(text) for text in texts)
    return name in {"getoutput", "getstatusoutput", "popen"}


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ("p.read_text()", True),
        ("p.read_text('utf-8')", False),
        ("p.read_text(encoding='utf-8')", False),
        ("p.write_text(t)", True),
        ("p.write_text(t, 'utf-8')", False),
        ("p.open('w')", True),
        ("p.open('rb')", False),
        ("open(p, 'r')", True),
        ("os.fdopen(fd, 'w')", True),
        ("os.open(p, os.O_RDONLY)", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, encoding='utf-8')", False),
        ("NamedTemporaryFile('w')", True),
        ("TemporaryFile(dir=d)", False),
        ("subprocess.getoutput(c)", True),
    ],
)
def test_the_rule_itself(code: str, bad: bool) -> None:
    assert bool(unnamed(ast.parse(code))) == bad


def test_every_text_file_names_its_encoding() -> None:
    found = {}
    for folder in ("gateway", "drivers", "deploy"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if lines := unnamed(ast.parse(file.read_text(encoding="utf-8"))):
                found[str(file.relative_to(ROOT))] = lines
    assert found == {}


def test_the_log_is_json_in_a_language_without_umlauts(tmp_path: Path) -> None:
    import json

    for encoding, raw in (("iso-8859-1", b"T\\u00fcr"), ("utf-8", "Tür".encode())):
        file = tmp_path / encoding
        with file.open("w", encoding=encoding, errors="backslashreplace") as out:
            log = Log("control", out)
            log.say("info", "opened", name="Tür Łódź")
            log.close(timeout_s=60)
        assert raw in file.read_bytes()
        assert json.loads(file.read_bytes())["name"] == "Tür Łódź"


def test_the_journal_of_a_folder_is_found_by_its_bytes() -> None:
    """Under another file system encoding the text of the name is another one."""
    name = "Büro".encode()
    code = (
        "import os, sys; from pathlib import Path; from gateway.formats import uri; "
        "sys.stdout.write(uri(Path('/' + os.fsdecode(b'B\\xc3\\xbcro')), 'ro'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        check=True,
        capture_output=True,
    )
    assert done.stdout == b"file:/B%C3%BCro?mode=ro"
    assert uri(Path("/" + os.fsdecode(name)), "ro").encode() == done.stdout
