"""Lighthouse before the bench building: ``python -m tests.page.lighthouse [FOLDER [PAGE ...]]``.

Needs node; npx fetches Lighthouse itself. Its pages are looked at as somebody sees
them who is logged in, on a throttled phone and on a desktop. Prints the marks and what is not
perfect; exit status 1 where one is below its goal. The whole reports are kept in FOLDER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gateway.web.identity.users import Users, users_file
from tests.identity import start_session
from tests.page.conftest import PASSWORD
from tests.page.shots import started, travel

VERSION = "12.8.2"
GOALS = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
PAGES = {
    "status": "/",
    "history": "/history?points=wc.climate,front.leaf",
    "logbook": "/events",
    "settings": "/settings",
}
FORMS = {"phone": (), "desktop": ("--preset=desktop",)}
TRIES = 3
"""The browser now and then loses the beginning of what it records (``NO_NAVSTART``)."""


def program() -> list[str]:
    """``LIGHTHOUSE`` names one that is there already."""
    if given := os.environ.get("LIGHTHOUSE"):
        return [given]
    if shutil.which("npx") is None:
        sys.exit("Lighthouse needs node: apt-get install nodejs npm")
    return ["npx", "--yes", f"lighthouse@{VERSION}"]


def report(url: str, cookie: str, form: tuple[str, ...], out: Path) -> dict[str, Any]:
    """What Lighthouse says of ``url``, also kept as ``out``."""
    asked = [
        *program(), url, "--quiet", "--output=json", f"--output-path={out}", *form,
        f"--only-categories={','.join(GOALS)}",
        f"--extra-headers={json.dumps({'Cookie': f'portier-session={cookie}'})}",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ]  # fmt: skip
    environment = {**os.environ, "CHROME_PATH": "/usr/bin/chromium"}
    for left in reversed(range(TRIES)):
        if subprocess.run(asked, check=not left, env=environment).returncode == 0:
            break
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def imperfect(told: dict[str, Any], category: str) -> list[str]:
    """The audits that cost marks."""
    weights = {a["id"]: a["weight"] for a in told["categories"][category]["auditRefs"]}
    return [
        f"{audit['title']} ({audit.get('displayValue', '') or audit['score']})"
        for id, audit in told["audits"].items()
        if weights.get(id) and audit["score"] is not None and audit["score"] < 0.9
    ]


def main(folder: Path, pages: tuple[str, ...]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    missed = False
    with tempfile.TemporaryDirectory() as state, started(Path(state)) as (house, url):
        travel(house)
        users = Users(users_file(house.state))
        users.set_password("admin", PASSWORD)  # as everybody has to after the first log-in
        cookie = start_session(users, users.by_name("admin").id)
        for page, path in ((name, PAGES[name]) for name in pages):
            for form, options in FORMS.items():
                told = report(url + path, cookie, options, folder / f"{page}-{form}.json")
                if told["finalDisplayedUrl"] != url + path:
                    sys.exit(f"looked at {told['finalDisplayedUrl']}")
                marks = {c: round(100 * told["categories"][c]["score"]) for c in GOALS}
                audits = told["audits"]
                shown = ", ".join(
                    f"{key} {audits[id]['displayValue']}"
                    for key, id in (
                        ("LCP", "largest-contentful-paint"),
                        ("CLS", "cumulative-layout-shift"),
                        ("TBT", "total-blocking-time"),
                    )
                )
                print(f"{page:8} {form:8} {marks} {shown}")
                for category, goal in GOALS.items():
                    for line in imperfect(told, category):
                        print(f"    {category}: {line}")
                    missed |= marks[category] < goal
        users.close()
    return 1 if missed else 0


if __name__ == "__main__":
    folder, *pages = sys.argv[1:] or ["state/lighthouse"]
    sys.exit(main(Path(folder), tuple(pages) or tuple(PAGES)))
