"""Make the PNG icons from ``icon.svg``: ``python -m tests.page.icons``.

Browsers want PNG where they install a page; the drawing stays the one of ``icon.svg``."""

from __future__ import annotations

import re
import sys

from playwright.sync_api import sync_playwright

from gateway.web.shared.render import STATIC
from tests.page.conftest import ARGS

PLAIN, FULL, BADGE = "plain", "full", "badge"
FILES = {
    "icon-192": (192, PLAIN),
    "icon-512": (512, PLAIN),
    "maskable-192": (192, FULL),
    "maskable-512": (512, FULL),
    "apple-180": (180, FULL),
    "badge-96": (96, BADGE),
}
"""File -> (pixels, form). ``full``: without corners, for systems that cut a form of their own out
of it; ``badge``: white on nothing, for the status bar of Android."""


def drawing(form: str) -> str:
    """``icon.svg`` in this form."""
    svg = (STATIC / "icon.svg").read_text(encoding="utf-8")
    if form == FULL:
        # what is cut off lies outside of a circle of 80 %: the drawing becomes smaller
        inner = re.sub(r"<rect[^>]*/>", "", svg.partition(">")[2].rpartition("</svg>")[0])
        colour = re.search(r'<rect[^>]*fill="(#\w+)"', svg)
        assert colour is not None
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
            f'<rect width="32" height="32" fill="{colour[1]}"/>'
            f'<g transform="translate(3.200 3.200) scale(.8)">{inner}</g></svg>'
        )
    return re.sub(r"<rect[^>]*/>", "", svg) if form == BADGE else svg


def main() -> int:
    folder = STATIC / "icons"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        for name, (size, form) in FILES.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            sized = drawing(form).replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
            page.set_content(f'<body style="margin:0;overflow:hidden">{sized}</body>')
            path = folder / f"{name}.png"
            page.screenshot(path=path, omit_background=True)
            page.close()
            sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
