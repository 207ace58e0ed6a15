"""A cable between two network namespaces whose faults are ours: packets late, lost, or all gone.

The kernel's own tool (``tc netem``) is a module that many kernels do not have. A cable is less:
each namespace has a TUN device whose other end is here, and what one sends is handed to the
other, or not. Both ends have real TCP, with its real retransmissions and time-outs.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field

import pytest

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x0001 | 0x1000
_PACKET_MOST = 65_536


@dataclass
class Cable:
    """``delay_s`` and ``loss`` (0 to 1) hold for either direction. ``cut``: nothing passes, and
    neither end is told, as when a switch loses its power."""

    seed: int = 1
    delay_s: float = 0.0
    loss: float = 0.0
    cut: bool = False
    passed: int = 0
    lost: int = 0
    names: tuple[str, str] = ("", "")
    hosts: tuple[str, str] = ("192.0.2.1", "192.0.2.2")
    _fds: list[int] = field(default_factory=list)
    _thread: threading.Thread | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Cable:
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            pytest.skip("network namespaces and TUN devices need root and /dev/net/tun")
        mark = uuid.uuid4().hex[:8]
        self.names = (f"portier-{mark}-a", f"portier-{mark}-b")
        try:
            for number, (name, host) in enumerate(zip(self.names, self.hosts, strict=True)):
                self._plug(name, host, f"pt{mark}{number}")
        except (OSError, subprocess.CalledProcessError) as error:
            self._unplug()
            pytest.skip(f"this machine gives us no network of our own: {error}")
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._unplug()

    def inside(self, end: int) -> list[str]:
        """What to put before a command so that it runs at this end: 0 or 1."""
        return ["ip", "netns", "exec", self.names[end]]

    def _plug(self, name: str, host: str, device: str) -> None:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._fds.append(fd)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _IFF_TUN_NO_PI))
        for words in (
            ["netns", "add", name],
            ["link", "set", device, "netns", name],  # our end stays where it is
            ["-n", name, "address", "add", f"{host}/24", "dev", device],
            ["-n", name, "link", "set", device, "up"],
            ["-n", name, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)

    def _unplug(self) -> None:
        for fd in self._fds:
            os.close(fd)
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def _carry(self) -> None:
        dice = random.Random(self.seed)
        under_way: list[tuple[float, int, int, bytes]] = []
        number = 0
        while not self._over.is_set():
            wait_s = 0.1
            if under_way:
                wait_s = min(wait_s, max(0.0, under_way[0][0] - time.monotonic()))
            readable, _, _ = select.select(self._fds, [], [], wait_s)
            for fd in readable:
                packet = os.read(fd, _PACKET_MOST)
                if self.cut or dice.random() < self.loss:
                    self.lost += 1
                    continue
                number += 1
                other = self._fds[1 - self._fds.index(fd)]
                heapq.heappush(under_way, (time.monotonic() + self.delay_s, number, other, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, other, packet = heapq.heappop(under_way)
                self.passed += 1
                try:
                    os.write(other, packet)
                except OSError:
                    self.lost += 1  # its queue is full, as a switch's may be
