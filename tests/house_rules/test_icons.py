"""The page's icons: each that is named exists, and the file is what its maker makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from gateway.web.places import MENU
from gateway.web.presenter.view_models import Icon
from tests.house_rules.icons import ICONS, SPRITE, symbol

WEB = Path(__file__).parents[2] / "gateway" / "web"
NAMED = re.compile(r'icon\("([\w-]+)"\)')
DRAWN = '<!-- a\nlicence -->\n<svg\n  class="lucide"\n>\n  <path d="M1 2" />\n</svg>\n'


def symbols() -> list[str]:
    return re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text("utf-8"))


def test_the_file_holds_each_icon_of_the_list_once() -> None:
    assert symbols() == sorted(ICONS)


def test_every_icon_that_a_page_names_is_there() -> None:
    used = {name for file in WEB.rglob("*.html") for name in NAMED.findall(file.read_text("utf-8"))}
    assert used
    chosen = {*get_args(Icon), *(place.icon for place in MENU)}
    assert (used | chosen) - set(symbols()) == set()


def test_an_icon_is_its_lines_and_nothing_else() -> None:
    drawn = '<symbol id="a" viewBox="0 0 24 24"><path d="M1 2"/></symbol>'
    assert symbol("a", DRAWN) == drawn
