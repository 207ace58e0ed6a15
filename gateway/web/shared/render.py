"""Templates, and the files that pages are made of."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from gateway.web.shared.words import Words

HERE = Path(__file__).parent.parent
"""The folder of the web room: each feature has its own ``templates``."""
STATIC = HERE / "static"


@cache
def static_files() -> dict[str, bytes]:
    """By their names in the address. Read once: an update that replaces them under a running page
    must not mix with what the page has in memory."""
    return {
        file.relative_to(STATIC).as_posix(): file.read_bytes()
        for file in sorted(STATIC.rglob("*"))
        if file.is_file()
    }


@cache
def digest(name: str) -> str:
    """Of a static file."""
    return hashlib.sha256(static_files()[name]).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a static file; it changes with the file, so it may be cached for ever."""
    return f"/static/{name}?v={digest(name)}"


def script_words(words: Words) -> str:
    """The few texts that the page's script says itself, as JSON."""
    keys = [key for key in words.keys if key.startswith("door.")]
    keys += ["status.lost", "result.pending", "outcome.extended", "call.heading", "call.over"]
    keys += ["guarantee.unknown", "pill.lost", "status.lost_advice"]
    keys += ["call.lasts", "call.again_in", "call.now", "sound.on", "sound.off"]
    return json.dumps({key: words.raw(key) for key in keys}, ensure_ascii=False)


def device_words(words: Words) -> str:
    """Those of the script that registers a device."""
    keys = [key for key in words.keys if key.startswith("device_script.")]
    found = {key.removeprefix("device_script."): words.raw(key) for key in keys}
    return json.dumps(found, ensure_ascii=False)


_FOLDERS: list[Path] = []


def add_templates(folder: Path) -> None:
    """Read the templates of this folder, too: those of another program that serves pages. To be
    called before the first page is made."""
    if folder not in _FOLDERS:
        _FOLDERS.append(folder)
        environment.cache_clear()


@cache
def environment() -> Environment:
    made = Environment(
        loader=DictLoader(
            {
                file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
                for folder in (*HERE.glob("*/templates"), *_FOLDERS)
                for file in folder.rglob("*.html")
            }
        ),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "asset": asset,
        "script_words": script_words,
        "device_words": device_words,
    }
    return made


def fragment(template: str, values: dict[str, Any]) -> str:
    """A part of a page, as it also goes over the live stream."""
    return environment().get_template(template).render(values)
