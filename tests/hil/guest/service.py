"""A service that is drivers and nothing else, told by one JSON line per point on its command
line: ``{"point": .., "driver": .., "settings": {..}}``. Relays follow the contact that their
point is called after (``a.relay`` follows ``a.contact``). Says ``ready``, then every report.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time

lines: list[tuple[object, ...]] = []
relays = {}
points = [json.loads(argument) for argument in sys.argv[1:]]


def emit_for(point):
    relay = relays.get(point.replace("contact", "relay"))

    def emit(report):
        if relay is not None and report.active is not None:
            relay.drive(report.active)
        seen_ns = time.monotonic_ns()
        lines.append((point, report.active, report.edge_ns, seen_ns, report.reason))

    return emit


def open_point(point):
    driver = importlib.import_module("drivers." + point["driver"])
    settings = driver.Settings(**point.get("settings", {}))
    return driver.open(settings, emit_for(point["point"]), name=point["point"])


stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
devices = []
for wanted in points:  # relays first: a contact that is active at start switches its relay
    if wanted["driver"].endswith("relay"):
        relays[wanted["point"]] = open_point(wanted)
for wanted in points:
    if not wanted["driver"].endswith("relay"):
        devices.append(open_point(wanted))
if os.environ.get("RELAYS_ON"):
    for relay in relays.values():
        relay.drive(True)
print("ready", flush=True)
stop.wait()
for device in devices + list(relays.values()):
    device.close()
print(json.dumps(lines), flush=True)
