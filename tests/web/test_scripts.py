"""What a page loads by a tag has a checksum in its address; imported without one, it is another
module and runs a second time: two bells, two hands at a door."""

from __future__ import annotations

import re

from gateway.web.shared.render import STATIC

WEB = STATIC.parent
TAG = re.compile(r"""<script[^>]*asset\(['"]([\w./-]+\.js)['"]\)""")
IMPORT = re.compile(r"""(?:from|import)\s*\(?['"]\./([\w./-]+\.js)['"]""")


def test_no_script_of_a_page_is_imported_by_another() -> None:
    templates = [*WEB.rglob("*.html"), *(WEB.parent / "sites").rglob("*.html")]
    loaded = {name for file in templates for name in TAG.findall(file.read_text("utf-8"))}
    imported = {
        (file.name, name)
        for file in STATIC.glob("*.js")
        for name in IMPORT.findall(file.read_text("utf-8"))
    }
    assert {"page.js", "alarms.js", "logbook.js", "system.js"} <= loaded
    assert ("alarms.js", "again.js") in imported
    assert {(by, name) for by, name in imported if name in loaded} == set()
