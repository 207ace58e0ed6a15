"""Where messages go: each address is read from its file when it is used, so that one that is
written or mended while the role runs is used without a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.settings.values.recipients import (
    MEDIUM_OF_SCHEME,
    OTHER,
    OVER_ACCOUNT,
    Kind,
    RecipientError,
    read,
)
from gateway.settings.values.secrets import Secret, SecretError, address

if TYPE_CHECKING:
    from gateway.settings.model.messages import Messages

Address = Callable[[], str]
"""Reads an address. Raises :class:`AddressError`."""


class AddressError(Exception):
    """An address cannot be read or used; the text names its file, never its content. ``reason``:
    what is said of a message to it."""

    def __init__(self, text: str, reason: str = "address") -> None:
        super().__init__(text)
        self.reason = reason


class PageAddress(str):
    """An address that somebody entered on the page. ``guarded``: it says itself which machine is
    called: never this one or a service of its network, but for ``hosts``."""

    __slots__ = ("guarded", "hosts", "kind")
    kind: Kind
    guarded: bool
    hosts: tuple[str, ...]


def medium(address: str) -> str:
    """What a message to this address goes by: one of :data:`gateway.settings.values.recipients
    .MEDIA`, never a part of the address."""
    if isinstance(address, PageAddress) and address.kind != "own":
        return address.kind
    return MEDIUM_OF_SCHEME.get(address.partition("://")[0].casefold(), OTHER)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Over what addresses from the page are reached: secrets of the configuration, by kind."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, messages: Messages) -> Accounts:
        named = {kind: getattr(messages, kind) for kind in OVER_ACCOUNT}
        return cls({k: one for k, one in named.items() if one is not None}, messages.page_hosts)


def reader(secret: Secret | str, accounts: Accounts | None = None) -> Address:
    """The address that a secret holds; a text is the address itself."""

    def read_now() -> str:
        if not isinstance(secret, Secret):
            return secret
        try:
            found = address(secret)
            return _of_page(found, accounts or Accounts()) if secret.of_page else found
        except SecretError as error:
            raise AddressError(str(error)) from None
        except RecipientError as error:
            where = secret.places[0] / secret.name if secret.places else secret.name
            raise AddressError(f"{where}: {error}", "forbidden") from None

    return read_now


def _of_page(written: str, accounts: Accounts) -> str:
    """Judged each time, whoever wrote the file. Raises :class:`RecipientError`."""
    one = read(written, accounts.hosts)
    account = accounts.secrets.get(one.kind)
    made = PageAddress(one.address("" if account is None else address(account)))
    made.kind, made.guarded, made.hosts = one.kind, one.guarded, accounts.hosts
    return made
