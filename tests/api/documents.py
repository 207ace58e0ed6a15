"""Write what programs read of Portier into a folder: ``python -m tests.api.documents FOLDER``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from gateway.app.configuration import load
from gateway.web.app import create_app, make_site
from gateway.web.options import Options
from gateway.web.programs.openapi import describe

CONFIG = Path(__file__).parents[2] / "config"


def write(folder: Path) -> None:
    """``openapi.json``, and ``asyncapi-NAME.json`` for a building with and without a broker of its
    own."""
    with tempfile.TemporaryDirectory() as state:
        told = {"openapi": describe(create_app(make_site(Options(state=Path(state)))))}
    for name in ("office", "bench"):
        told[f"asyncapi-{name}"] = dict(load.asyncapi(CONFIG / f"{name}.yaml"))
    for name, document in told.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
