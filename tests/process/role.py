"""Run ``link`` or ``record`` from a small JSON file: ``python -m tests.process.role ROLE FILE``."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from gateway.link import main as link
from gateway.link.commands import Issuer
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import KEEPALIVE_S
from gateway.recorder import main as recorder
from gateway.settings.model.link import Record
from gateway.settings.values import share
from gateway.settings.values.store_address import parse


def main() -> None:
    role, file = sys.argv[1:]
    raw = json.loads(Path(file).read_text(encoding="utf-8"))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    state = Path(raw["state"])
    if role == "link":
        issuers = {
            name: Issuer(None if key is None else key.encode())
            for name, key in raw.get("issuers", {}).items()
        }
        mark = raw.get("clock_mark")
        link.run(
            link.LinkSettings(
                raw["gateway"],
                BrokerSettings(f"portier-{raw['gateway']}", **raw["broker"]),
                state,
                issuers,
                raw.get("language", ""),
                bench=raw.get("bench", True),
                places=raw.get("places", {}),
            ),
            stop,
            *([lambda: Path(mark).exists()] if mark else []),
        )
    else:
        recorder.run(
            recorder.RecorderSettings(
                BrokerSettings(
                    f"portier-recorder-{raw.get('client', raw['name'])}",
                    **{"keepalive_s": KEEPALIVE_S, **raw["broker"]},
                ),
                parse(raw["store"]),
                state,
                raw["name"],
                raw.get("silent_after_ms", Record().silent_after_ms),
                tuple(raw.get("gateways", ())),
                raw.get("exclusive", True),
                raw.get("secret"),
                raw.get("lives_ms", {}),
                share=share.parse(raw["share"]) if "share" in raw else share.ALL,
            ),
            stop,
        )


if __name__ == "__main__":
    main()
