"""An update replaces the files under a page that runs: it goes on with what it has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASK = """
import sys
from pathlib import Path
from gateway.web import app
from gateway.web.identity import easy_passwords
from gateway.web.settings import refusals
from gateway.web.shared import render, words
app.preload()
app.preload_links()
web = Path(app.__file__).parent
for file in [*web.rglob("*.html"), *web.rglob("*.toml"), *web.rglob("*.txt")]:
    file.write_text("{{ of_a_newer_version }}")
for file in (web / "static").rglob("*.*"):
    file.unlink()
names = render.environment().list_templates()
assert len(names) > 30
for name in names:
    assert "of_a_newer_version" not in render.environment().loader.get_source(None, name)[0]
    render.environment().get_template(name)
assert len(words.catalogue("de")) == len(words.catalogue("en")) > 500
assert refusals.text("de", "round it") == "bitte runden"
assert easy_passwords.is_easy("password17x", ()) or easy_passwords.is_easy("iloveyou143", ())
assert render.asset("portier.css").startswith("/static/portier.css?v=")
assert render.static_files()["portier.css"]
assert "itsdangerous" in sys.modules
print("went on")
"""


def test_a_page_goes_on_with_the_files_that_it_began_with(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__")
    )
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.stdout, re.sub(r"\s+", " ", done.stderr)) == ("went on\n", "")
