"""What makes the page an app: manifest, icons, service worker and its notice."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from gateway.web.install.pages import DARK, LIGHT
from gateway.web.shared.render import STATIC
from tests.web.conftest import Web


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in its first chunk."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def test_the_manifest_names_the_building_and_icons_that_are_there(tmp_path: Path) -> None:
    web = Web(tmp_path, name="Rathaus Süd")
    answer = web.call("GET", "/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    told = answer.json()
    assert told["name"] == told["short_name"] == "Rathaus Süd"
    assert (told["start_url"], told["scope"], told["display"]) == ("/", "/", "standalone")
    pngs = [icon for icon in told["icons"] if icon["type"] == "image/png"]
    for icon in pngs:
        png = web.call("GET", icon["src"])
        assert png.headers["content-type"] == "image/png"
        assert "x".join(map(str, size_of(png.content))) == icon["sizes"]
    purposes = {(icon["purpose"], icon["sizes"]) for icon in pngs}
    assert {("any", "192x192"), ("any", "512x512"), ("maskable", "512x512")} <= purposes
    web.close()


def test_a_long_name_is_not_cut_below_the_icon(tmp_path: Path) -> None:
    web = Web(tmp_path, name="Wohnungsgenossenschaft am Südpark")
    told = web.call("GET", "/manifest.webmanifest").json()
    assert told["short_name"] == "Portier"
    web.close()


def test_every_page_leads_to_the_manifest(shared: Web) -> None:
    for html in (shared.call("GET", "/login").text, shared.as_("view").get("/").text):
        assert '<link rel="manifest" href="/manifest.webmanifest"' in html
        assert "apple-touch-icon" in html


def settings_of(script: str) -> dict[str, object]:
    found = re.match(r"const SETTINGS = (\{.*\});\n", script)
    assert found is not None
    settings: dict[str, object] = json.loads(found[1])
    return settings


def test_the_service_worker_stores_the_notice_and_nothing_else(shared: Web) -> None:
    answer = shared.call("GET", "/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    stored = settings_of(answer.text)["stored"]
    assert isinstance(stored, list)
    for path in stored:
        assert path == "/offline" or path.startswith("/static/offline.")
        assert shared.call("GET", path).status_code == 200
    assert answer.text.count("caches.open") == 2  # at its installation, and to read
    assert not re.search(r"\.put\(|\.add\(", answer.text)


def test_a_new_notice_is_a_new_service_worker(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = Web(tmp_path / "one", name="Rathaus")
    two = Web(tmp_path / "two", name="Bürgerhaus")
    scripts = [web.call("GET", "/sw.js").text for web in (one, two)]
    assert settings_of(scripts[0])["cache"] != settings_of(scripts[1])["cache"]
    one.close()
    two.close()


def test_the_notice_says_nothing_of_the_building_but_its_name(tmp_path: Path) -> None:
    web = Web(tmp_path, name="Rathaus", languages=("de", "en"))
    html = web.call("GET", "/offline").text
    assert "Rathaus" in html
    assert "Keine Verbindung" in html
    assert "No connection" in html
    assert "Haupteingang" not in html
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|onclick", html)
    web.close()


@pytest.mark.parametrize("alone", ["offline.css", "display.css"])
def test_what_stands_alone_has_the_colours_of_the_page(alone: str) -> None:
    """They are written twice."""
    page = (STATIC / "portier.css").read_text(encoding="utf-8")
    for name, value in re.findall(
        r"(--\w[\w-]*): (#\w+)", (STATIC / alone).read_text(encoding="utf-8")
    ):
        assert f"{name}: {value}" in page, name


def test_the_bar_of_the_phone_has_the_colour_of_the_page(shared: Web) -> None:
    page = (STATIC / "portier.css").read_text(encoding="utf-8")
    html = shared.call("GET", "/login").text
    for colour in (LIGHT, DARK):
        assert f"--page: {colour}" in page
        assert f'content="{colour}"' in html
