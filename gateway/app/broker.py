"""The embedded broker of the bench, as a role of its own. Never in production: it keeps
nothing over a restart and lets everybody in, which is why it listens on 127.0.0.1 only.

MQTT 5 and 3.1.1 each need a listener, because neither answers the other's clients.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
PORTS = (1883, 1884)
"""Of MQTT 5 and of MQTT 3.1.1; where something else has them, every second one above."""
PORTS_END = 32_768
"""From here on the kernel gives ports to outgoing connections."""
FILE = "broker.toml"

_claims: list[socket.socket] = []

_ROUTER = """id = 0
[router]
id = 0
max_connections = 64
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
"""
_LISTENER = """[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


@dataclass(frozen=True, slots=True)
class Ports:
    v5: int
    v3: int

    def __str__(self) -> str:
        return f"{HOST}:{self.v5} (MQTT 5), {HOST}:{self.v3} (MQTT 3.1.1)"


def free(host: str, port: int) -> bool:
    """Whether a server could listen there now; 0 is always free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


def choose() -> Ports:
    """The usual ports where they are free, else the next ones. They are ours until this process
    ends: another gateway that starts before our broker listens chooses others."""
    v5, v3 = (next(port for port in range(first, PORTS_END, 2) if _claim(port)) for first in PORTS)
    return Ports(v5, v3)


def _claim(port: int) -> bool:
    # A name in the abstract namespace of Unix sockets is the lock: it goes with its process.
    lock = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        lock.bind(f"\0portier-broker-{port}")
        if free(HOST, port):
            _claims.append(lock)
            return True
    lock.close()
    return False


def last(state: Path) -> Ports:
    """Those of the broker that ran last on this folder; the usual ones where none has."""
    try:
        said = tomllib.loads((state / FILE).read_text(encoding="utf-8"))
        v5, v3 = (said[way]["1"]["listen"].rpartition(":")[2] for way in ("v5", "v4"))
        return Ports(int(v5), int(v3))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Ports(*PORTS)


def run(ports: Ports, state: Path) -> None:
    """Serve until the process is ended."""
    from iotcore.iotcore import IotCoreBroker

    logging.basicConfig(level="WARNING")
    # The broker's library logs every packet as an error.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    file = state / FILE
    file.write_text(
        _ROUTER
        + _LISTENER.format(version="v5", host=HOST, port=ports.v5)
        + _LISTENER.format(version="v4", host=HOST, port=ports.v3),
        encoding="utf-8",
    )
    IotCoreBroker(config_path=str(file)).run_forever()
