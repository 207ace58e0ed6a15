"""Where messages go: each address is read from its secret when it is used, so that one that is
written or mended while the role runs is used without a restart."""

from __future__ import annotations

from collections.abc import Callable

from gateway.settings.values.secrets import Secret, SecretError, address

Address = Callable[[], str]
"""Reads an address. Raises :class:`AddressError`."""


class AddressError(Exception):
    """An address cannot be read; the text names its file, never its content."""


def reader(secret: Secret | str) -> Address:
    """The address that a secret holds; a text is the address itself."""

    def read() -> str:
        try:
            return address(secret) if isinstance(secret, Secret) else secret
        except SecretError as error:
            raise AddressError(str(error)) from None

    return read
