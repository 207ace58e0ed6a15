"""Keeps the process of one delivery from calling this machine or a service of its network.

For addresses that somebody entered on the page. A name is looked up only when it is called, and may
lead anywhere; so each connection is judged by the number that it goes to.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from typing import Any

from gateway.settings.values.recipients import is_forbidden


class Guard:
    """``hosts``: names and numbers that may be called all the same."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.allowed = {number for host in hosts for number in _numbers(host)}
        self.refused = False
        """Whether a connection was."""

    def install(self) -> None:
        """From now on, in this process; it cannot be taken back."""
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"  # a proxy looks names up by itself
        guard = self

        def guarded(name: str) -> Any:
            plain = getattr(socket.socket, name)

            def connect(sock: socket.socket, address: Any) -> Any:
                guard.check(sock.family, address)
                return plain(sock, address)

            return connect

        for name in ("connect", "connect_ex"):
            setattr(socket.socket, name, guarded(name))

    def check(self, family: int, address: Any) -> None:
        """Raises :class:`PermissionError` where nothing of the page may go."""
        number = str(address[0]) if isinstance(address, tuple) and address else ""
        inet = family in (socket.AF_INET, socket.AF_INET6)
        if inet and number in self.allowed:
            return
        if not inet or not _is_number(number) or is_forbidden(number) or _is_own(family, number):
            self.refused = True
            raise PermissionError("this machine or a service of its network")


def _numbers(host: str) -> set[str]:
    with contextlib.suppress(OSError, UnicodeError):
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    return set()


def _is_number(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, text.partition("%")[0])
            return True
    return False


def _is_own(family: int, number: str) -> bool:
    """Whether this machine has the number itself: only then it can be bound."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((number, 0))
        return True
    return False
