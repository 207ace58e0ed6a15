"""The names of a server, and the names for which a root may sign."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


class CertificateError(Exception):
    """A certificate cannot be made, read or revoked. The text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a server: host names in lower case, and addresses."""

    hosts: tuple[str, ...]
    addresses: tuple[Address, ...]

    def texts(self) -> list[str]:
        return [*self.hosts, *map(str, self.addresses)]

    def and_also(self, others: Names) -> Names:
        """These names, and the others that are not among them."""
        return Names(
            tuple(dict.fromkeys([*self.hosts, *others.hosts])),
            tuple(dict.fromkeys([*self.addresses, *others.addresses])),
        )


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a root may sign for: host names with all names below them, and networks."""

    hosts: tuple[str, ...]
    networks: tuple[Network, ...]

    @classmethod
    def around(cls, names: Names, networks: Iterable[Network] = ()) -> Permitted:
        """These names, and the networks that their addresses are probably in: another address from
        the router then needs no new root."""
        found = [_network_of(address) for address in names.addresses]
        return cls(names.hosts, tuple(dict.fromkeys([*found, *networks])))

    def lacks(self, names: Names) -> list[str]:
        """The names that are not permitted."""
        hosts = [
            host
            for host in names.hosts
            if not any(host == one or host.endswith(f".{one}") for one in self.hosts)
        ]
        addresses = [
            str(address)
            for address in names.addresses
            if not any(address in network for network in self.networks)
        ]
        return hosts + addresses

    def texts(self) -> list[str]:
        return [*self.hosts, *map(str, self.networks)]


def of_machine(host: str, hosts: Sequence[str], addresses: Sequence[str]) -> Names:
    """The names of this machine, and those that are asked for. Where no address is asked for: the
    one that this machine has in its network."""
    own = host_name(host or socket.gethostname())
    local = f"{own.partition('.')[0]}.local"
    asked = [host_name(one) for one in hosts]
    where = [address(one) for one in addresses] or own_addresses()
    loopback = address("127.0.0.1")
    return Names(
        tuple(dict.fromkeys([*asked, own, local, "localhost"])),
        tuple(dict.fromkeys([*where, loopback])),
    )


def own_addresses() -> list[Address]:
    """The address with which this machine would answer its network; none where it has none."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked,
    ):
        asked.connect(("192.0.2.1", 9))  # sends nothing: the kernel chooses the address
        return [address(asked.getsockname()[0])]
    return []


def host_name(text: str) -> str:
    """Raises :class:`CertificateError`."""
    name = text.strip().rstrip(".").lower()
    if len(name) > 253 or not _HOST.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise CertificateError(
            f"{text[:60]!r} is no host name: write it as in the address of the page, such as "
            "door.example (an address goes with --ip, letters such as ü as xn--…)"
        )
    return name


def address(text: str) -> Address:
    """Raises :class:`CertificateError`."""
    try:
        return ip_address(text.strip())
    except ValueError:
        raise CertificateError(
            f"{text[:60]!r} is no address: write for example 192.168.178.20 (a name goes "
            "with --host)"
        ) from None


def network(text: str) -> Network:
    """Raises :class:`CertificateError`."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise CertificateError(
            f"{text[:60]!r} is no network: write for example 192.168.178.0/24"
        ) from None


def _network_of(one: Address) -> Network:
    """The network around an address, in the size usual in a building; a loopback address alone."""
    if one.is_loopback:
        return ip_network(str(one))
    return ip_network(f"{one}/{24 if one.version == 4 else 64}", strict=False)
