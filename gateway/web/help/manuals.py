"""The manuals: Markdown files in two languages, shown as pages without a network."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
TEXTS = HERE / "texts"
PICTURES = HERE / "pictures"
NAMES = ("caretaker", "maintenance", "certificate", "stored")
"""In the order of the list; each is a file of every language."""
ICONS = {"caretaker": "house", "maintenance": "wrench", "certificate": "phone", "stored": "lock"}


class Manual(NamedTuple):
    """``summary``: its first paragraph; ``html``: the whole, with a table of its sections."""

    name: str
    title: str
    summary: str
    html: str


@cache
def manual(name: str, language: str) -> Manual:
    """One manual. Raises :class:`KeyError` where there is none of this name."""
    if name not in NAMES:
        raise KeyError(name)
    from markdown_it import MarkdownIt  # late: only whoever reads a manual needs it

    text = (TEXTS / language / f"{name}.md").read_text(encoding="utf-8")
    title, _, rest = text.removeprefix("# ").partition("\n")
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(rest)
    sections: list[tuple[str, str]] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            heading = tokens[at + 1].content
            token.attrSet("id", anchor(heading))
            sections.append((anchor(heading), heading))
        for child in token.children or ():
            if child.type == "image":
                file = str(child.attrs["src"]).rpartition("/")[2]
                child.attrSet("src", f"/help/pictures/{language}/{file}")
                child.attrSet("loading", "lazy")
    html: str = parser.renderer.render(tokens, parser.options, {})
    summary = next(part for part in rest.split("\n\n") if part.strip()).replace("\n", " ").strip()
    return Manual(name, title.strip(), summary, _contents(sections) + html)


def _contents(sections: list[tuple[str, str]]) -> str:
    from html import escape

    rows = (f'<li><a href="#{one}">{escape(text)}</a></li>' for one, text in sections)
    return f'<ul class="contents">{"".join(rows)}</ul>'


def anchor(heading: str) -> str:
    """The name of a section in an address."""
    return re.sub(r"[^a-zäöüß0-9]+", "-", heading.lower()).strip("-")
