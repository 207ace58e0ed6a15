"""The page's icons: one file of symbols, made from Lucide's own drawings.

``python -m tests.house_rules.icons FOLDER`` writes it anew from an unpacked ``lucide-static``
and prints the line for ``vendor/README.md``. To add an icon: name it in :data:`ICONS`.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).parents[2] / "gateway" / "web" / "static" / "vendor"
SPRITE: Final = VENDOR / "icons.svg"
ICONS: Final = {
    "activity": "activity",
    "arrow-left": "arrow-left",
    "arrow-right": "arrow-right",
    "bath": "bath",
    "bell": "bell",
    "book-check": "book-check",
    "calendar": "calendar",
    "check": "check",
    "chevron-down": "chevron-down",
    "chevron-right": "chevron-right",
    "circle-alert": "circle-alert",
    "clock": "clock",
    "door-closed": "door-closed",
    "door-open": "door-open",
    "download": "download",
    "droplet": "droplet",
    "filter": "funnel",
    "flask": "flask-conical",
    "hand": "hand",
    "help": "circle-question-mark",
    "history": "chart-line",
    "house": "house",
    "info": "info",
    "list": "list",
    "lock": "lock",
    "lock-open": "lock-open",
    "log-out": "log-out",
    "mail": "mail",
    "message": "message-square",
    "monitor": "monitor",
    "moon": "moon",
    "more": "menu",
    "pencil": "pencil",
    "phone": "phone",
    "plug": "plug",
    "plus": "plus",
    "printer": "printer",
    "search": "search",
    "send": "send",
    "settings": "settings",
    "siren": "siren",
    "sun": "sun",
    "sunrise": "sunrise",
    "sunset": "sunset",
    "thermometer": "thermometer",
    "trash": "trash-2",
    "triangle-alert": "triangle-alert",
    "undo": "undo-2",
    "user": "user",
    "users": "users",
    "volume": "volume-2",
    "volume-off": "volume-x",
    "wifi-off": "wifi-off",
    "wrench": "wrench",
    "x": "x",
    "zap": "zap",
}
"""Our name of an icon, and Lucide's."""


def symbol(name: str, drawing: str) -> str:
    """An icon's lines as a symbol; how they are drawn says the page's stylesheet."""
    lines = re.search(r"<svg[^>]*>(.*)</svg>", drawing, re.DOTALL)
    if lines is None:
        raise ValueError(name)
    inner = re.sub(r"\s*\n\s*", "", lines[1]).replace(" />", "/>")
    return f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>'


def sprite(drawings: Path) -> str:
    """The whole file."""
    symbols = [
        symbol(name, (drawings / f"{theirs}.svg").read_text("utf-8"))
        for name, theirs in sorted(ICONS.items())
    ]
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>", ""])


def main(folder: Path) -> None:
    SPRITE.write_text(sprite(folder / "icons"), "utf-8")
    (VENDOR / "lucide-LICENSE").write_bytes((folder / "LICENSE").read_bytes())
    print(hashlib.sha256(SPRITE.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
