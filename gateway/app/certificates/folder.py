"""The folder of certificates of one installation: list, make, renew and revoke them.

``ca.pem`` is the root of the servers (page, broker); ``clients.pem`` is the authority of those who
log in at the broker. Their keys may be in another folder, such as one on a stick. Where both files
are the same, ``ca.key`` signs for clients, too, as in installations from before there were two
authorities.
A file with two certificates (after a change of the root) has the present one first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.app.certificates import files, names, signing
from gateway.app.certificates.names import CertificateError, Names, Permitted
from gateway.app.certificates.signing import Authority

INSTALLED = Path("/etc/portier/tls")
ROOT, CLIENTS, REVOKED = "ca", "clients", "revoked"
NEXT = "next-"
"""Prefix of authorities that are made and not used yet."""
SERVERS = ("web", "broker")
OWN_CLIENTS = {"gateway": "", "recorder": "recorder", "homeassistant": "homeassistant"}
"""Name of the file -> common name; empty: the gateway's id."""
READERS = {
    "web": "portier-web",
    "gateway": "portier-link",
    "recorder": "portier-record",
    "broker": "mosquitto",
}
"""Name of the file -> the group whose role uses its key."""
RENEW_DAYS = 60
"""A certificate is renewed this long before its end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of the folder. ``until``: its end; ``signed_by``: the file of the authority,
    or nothing where it is somebody else's."""

    name: str
    common_name: str
    names: tuple[str, ...]
    until: datetime
    days: int
    signed_by: str
    is_authority: bool
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Found:
    """One certificate of the folder, as it was read."""

    name: str
    certificate: x509.Certificate
    certificates: tuple[x509.Certificate, ...]

    @property
    def is_client(self) -> bool:
        return signing.is_for(self.certificate, ExtendedKeyUsageOID.CLIENT_AUTH)


class Folder:
    """``keys``: where ``ca.key`` and ``clients.key`` are, if not with the certificates."""

    def __init__(self, path: Path, keys: Path | None = None) -> None:
        self.path = path
        self.keys = keys or path

    # --- what there is

    def file(self, name: str) -> Path:
        return self.path / f"{name}.pem"

    def read(self, name: str) -> Found | None:
        """``None``: there is no such file, or no certificate in it."""
        try:
            found = signing.from_pem(self.file(name).read_bytes())
        except (FileNotFoundError, IsADirectoryError):
            return None
        except ValueError as error:
            raise CertificateError(
                f"{self.file(name)} is damaged ({error}): move it away and make a new one"
            ) from error
        return Found(name, found[0], tuple(found)) if found else None

    def all(self) -> Iterator[Found]:
        """Every certificate that can be read, in the order of names."""
        for file in sorted(self.path.glob("*.pem")):
            with contextlib.suppress(CertificateError):
                found = self.read(file.stem)
                if found is not None:
                    yield found

    def entries(self) -> list[Entry]:
        """Every certificate, as it is shown to people."""
        found = list(self.all())
        authorities = [one for one in found if signing.is_authority(one.certificate)]
        return [self._entry(one, authorities) for one in found]

    def _entry(self, found: Found, authorities: Sequence[Found]) -> Entry:
        one = found.certificate
        signers = [
            f"{authority.name}.pem"
            for authority in authorities
            if any(signing.has_signed(each, one) for each in authority.certificates)
        ]
        may = signing.permitted(one)
        until = end_of(one)
        return Entry(
            found.name,
            signing.common_name(one),
            tuple(signing.names(one).texts() if may is None else may.texts()),
            until,
            (until - signing.now()).days,
            signers[0] if signers else "",
            signing.is_authority(one),
            signing.fingerprint(one),
        )

    # --- what is made

    def make(
        self,
        gateway: str,
        host: str = "",
        hosts: Sequence[str] = (),
        addresses: Sequence[str] = (),
        networks: Sequence[str] = (),
    ) -> list[str]:
        """Make what is missing, and make a server's certificate anew where it lacks a name that is
        asked for. ``host``: the name of this machine. Returns the names of the files made."""
        wanted = names.of_machine(host, hosts, addresses)
        lan = [names.network(text) for text in networks]
        self.path.mkdir(parents=True, exist_ok=True)
        made = self._make_authorities(gateway, Permitted.around(wanted, lan))
        asked = Names(
            tuple(names.host_name(one) for one in hosts),
            tuple(names.address(one) for one in addresses),
        )
        for name in SERVERS:
            found = self.read(name)
            if found is None:
                self._make_leaf(name, "", wanted)
                made.append(name)
            elif self._is_ours(found):
                has = signing.names(found.certificate)
                if (both := has.and_also(asked)) != has:
                    self._renew(found, both)
                    made.append(name)
        for name, common_name in OWN_CLIENTS.items():
            if not self.file(name).exists():
                self._make_leaf(name, common_name or gateway, None)
                made.append(name)
        if not self.file(REVOKED).exists() and self._key_file(self._client_signer()).exists():
            self._list_revoked([])
            made.append(REVOKED)
        return made

    def _make_authorities(self, gateway: str, permitted: Permitted, prefix: str = "") -> list[str]:
        """Both, where there is no root; where there is one, its clients' authority is itself. The
        root is written last: while it is missing, both are made anew."""
        if self.file(prefix + ROOT).exists():
            if not self.file(prefix + CLIENTS).exists():
                self._write(prefix + CLIENTS, self.file(prefix + ROOT).read_bytes())
                return [prefix + CLIENTS]
            return []
        now = signing.now()
        title = f"Portier {gateway} {now:%Y-%m-%d}"  # a phone that has two shows which is which
        root = signing.make_root(title, permitted, now)
        clients = signing.make_client_authority(f"{title} clients", now)
        self.keys.mkdir(parents=True, exist_ok=True)
        for name, authority in ((prefix + CLIENTS, clients), (prefix + ROOT, root)):
            files.put(self.keys / f"{name}.key", signing.key_to_pem(authority.key), 0o600)
            self._write(name, signing.to_pem(authority.certificate))
        return [prefix + ROOT, prefix + CLIENTS]

    def make_client(self, name: str) -> None:
        """A certificate for one more client of the broker; ``name`` is its user."""
        if name.startswith(NEXT) or name in (ROOT, CLIENTS, REVOKED, *SERVERS):
            raise CertificateError(
                f"{name}.pem is a name of this folder's own, for an authority, a server or what is "
                "revoked: choose another name"
            )
        if self.file(name).exists():
            raise CertificateError(
                f"{self.file(name)} exists: portier certificate renew {name} makes it last longer; "
                f"for a new key, revoke it first: portier certificate revoke {name}"
            )
        self._make_leaf(name, name, None)

    def renew(self, only: Iterable[str] = ()) -> Iterator[str]:
        """Sign again what ends soon, or what lasts longer than phones take; ``only``: these,
        whenever they end. Keys stay as they are, so that one file alone changes. The names, each
        once it is done. What cannot be renewed keeps no other one from it, and is raised last."""
        asked = set(only)
        if missing := sorted(asked - {one.name for one in self.all()}):
            raise CertificateError(
                f"{self.path} has no {', '.join(f'{one}.pem' for one in missing)}: "
                "portier certificate show lists what it has"
            )
        refused: list[str] = []
        for found in list(self.all()):
            if found.name not in asked and (asked or not self._is_due(found)):
                continue
            try:
                self._renew_own(found)
            except CertificateError as error:
                refused += [str(error)] if str(error) not in refused else []
            else:
                yield found.name
        if refused:
            raise CertificateError("; ".join(refused))

    def _is_due(self, found: Found) -> bool:
        return (
            not signing.is_authority(found.certificate) and self._is_ours(found) and _is_due(found)
        )

    def _renew_own(self, found: Found) -> None:
        if signing.is_authority(found.certificate) or not self._is_ours(found):
            raise CertificateError(
                f"{found.name}.pem was not made by ca.pem or clients.pem in {self.path}: "
                "whoever made it renews it"
            )
        self._renew(found, signing.names(found.certificate))

    def revoke(self, file: Path) -> None:
        """Revoke the certificate of a client, so that the broker no longer accepts it."""
        try:
            certificate = signing.from_pem(file.read_bytes())[0]
        except (OSError, ValueError, IndexError) as error:
            raise CertificateError(
                f"{file} is no certificate that can be read: portier certificate show"
            ) from error
        authority = self._authority(self._client_signer())
        if not signing.has_signed(authority.certificate, certificate):
            raise CertificateError(
                f"{file} is not revoked: {self._client_signer()}.key in {self.keys} has not "
                "signed it"
            )
        revoked = self._revoked()
        if any(certificate.serial_number == one for one, _ in revoked):
            raise CertificateError(f"{file} is already revoked")
        self._list_revoked([*revoked, (certificate.serial_number, signing.now())])

    def set_aside(self, name: str) -> None:
        """Rename a certificate and its key, so that new ones can take their names."""
        for file in (self.file(name), self._key_file(name)):
            if file.exists():
                os.replace(file, file.with_suffix(f"{file.suffix}.revoked"))

    # --- another root

    def prepare_root(
        self,
        gateway: str,
        host: str = "",
        hosts: Sequence[str] = (),
        addresses: Sequence[str] = (),
        networks: Sequence[str] = (),
    ) -> Path:
        """Make the next authorities beside the present ones, which stay in use. Returns the file of
        the next root."""
        if self.read(ROOT) is None:
            raise CertificateError(
                f"{self.path} has no ca.pem to replace: portier certificate new makes one"
            )
        if self.file(NEXT + ROOT).exists():
            raise CertificateError(
                f"{self.file(NEXT + ROOT)} is there already: trust it on the phones, then "
                "portier certificate replace-root --switch; or remove next-* to begin anew"
            )
        lan = [names.network(text) for text in networks]
        wanted = names.of_machine(host, hosts, addresses)
        for name in SERVERS:
            found = self.read(name)
            if found is not None and self._is_ours(found):
                wanted = signing.names(found.certificate).and_also(wanted)
        self._make_authorities(gateway, Permitted.around(wanted, lan), NEXT)
        return self.file(NEXT + ROOT)

    def switch_root(self) -> list[str]:
        """Sign with the next authorities from now on. Programs here still trust the earlier ones,
        so that clients with old certificates get in until these end or are revoked. Returns the
        names of the certificates made anew."""
        if not self.file(NEXT + ROOT).exists():
            raise CertificateError(
                f"{self.path} has no next-ca.pem: portier certificate replace-root makes it"
            )
        leaves = [one for one in self.all() if self._is_used_here(one) and self._is_ours(one)]
        which = [name for name in (CLIENTS, ROOT) if self.file(NEXT + name).exists()]
        for name in which:  # all keys first: nothing is half done where one is away
            if not self._has_key_of_next(name):
                self._authority(NEXT + name)
        for name in which:
            pair = [one for file in (NEXT + name, name) if (one := self.read(file)) is not None]
            both = dict.fromkeys(each for one in pair for each in one.certificates)
            self._write(name, signing.to_pem(*both))
            if not self._has_key_of_next(name):
                with contextlib.suppress(FileNotFoundError):
                    before = self._key_file(name).with_suffix(".key.before")
                    os.replace(self._key_file(name), before)
                os.replace(self._key_file(NEXT + name), self._key_file(name))
        self._revoke_by_next()
        for found in leaves:
            self._renew(found, signing.names(found.certificate))
        for name in which:  # the root last: while it is there, a switch that was cut short goes on
            self.file(NEXT + name).unlink()
        return [one.name for one in leaves]

    def _has_key_of_next(self, name: str) -> bool:
        """Whether a switch that was cut short has put the key of the next authority in place."""
        found = self.read(NEXT + name)
        if found is None or self._key_file(NEXT + name).exists():
            return False
        return _public(self._key(name)) == _public_of(found.certificate)

    def _revoke_by_next(self) -> None:
        """The list of what is revoked begins with one of the present authority, which has revoked
        nothing yet; those of earlier ones stay behind it."""
        authority = self._authority(self._client_signer())
        before = self.file(REVOKED).read_bytes() if self.file(REVOKED).exists() else b""
        if not before or not signing.has_listed(authority.certificate, before):
            mine = signing.sign_revocations(authority, [], signing.now())
            self._write(REVOKED, mine + before)

    # --- inside

    def _key_file(self, name: str) -> Path:
        is_authority = name.removeprefix(NEXT) in (ROOT, CLIENTS)
        return (self.keys if is_authority else self.path) / f"{name}.key"

    def _key(self, name: str) -> signing.Key:
        file = self._key_file(name)
        try:
            return signing.key_from_pem(file.read_bytes())
        except FileNotFoundError:
            hint = (
                "name its folder, such as one on a stick, with portier certificate … --keys FOLDER"
                if name.removeprefix(NEXT) in (ROOT, CLIENTS)
                else f"move {name}.pem away, and portier certificate new makes both"
            )
            raise CertificateError(
                f"{file} is missing, and nothing can be signed without it: {hint}"
            ) from None
        except ValueError as error:
            raise CertificateError(f"{file} cannot be used: {error}") from error

    def _client_signer(self) -> str:
        """The name of the authority that signs for clients: the root, where ``clients.pem`` is the
        root itself."""
        root, clients = self.read(ROOT), self.read(CLIENTS)
        if clients is None or (root is not None and root.certificate == clients.certificate):
            return ROOT
        return CLIENTS

    def _authority(self, name: str) -> Authority:
        found = self.read(name)
        if found is None:
            raise CertificateError(f"{self.file(name)} is missing: portier certificate new")
        key = self._key(name)
        if _public(key) != _public_of(found.certificate):
            raise CertificateError(
                f"{self._key_file(name)} is not the key of {self.file(name)}: use the files of one"
                " authority"
            )
        return Authority(found.certificate, key)

    def _signer(self, found: Found) -> str:
        return self._client_signer() if found.is_client else ROOT

    def _is_ours(self, found: Found) -> bool:
        """Whether an authority of this folder has made it."""
        return any(
            signing.has_signed(one, found.certificate)
            for name in (ROOT, CLIENTS)
            if (authority := self.read(name)) is not None
            for one in authority.certificates
        )

    def _is_used_here(self, found: Found) -> bool:
        """Whether a program of this machine uses it; other machines have their own copies."""
        return found.name in READERS and self._key_file(found.name).exists()

    def _make_leaf(self, name: str, common_name: str, called: Names | None) -> None:
        key = signing.make_key()
        authority = self._authority(ROOT if called is not None else self._client_signer())
        if called is not None:
            made = signing.sign_server(authority, key, called, signing.now())
        else:
            made = signing.sign_client(authority, key, common_name, signing.now())
        files.put(self._key_file(name), signing.key_to_pem(key), 0o600)
        if self.path == INSTALLED:
            files.share(self._key_file(name), READERS.get(name, ""))
        self._write(name, signing.to_pem(made))  # last: while it is missing, both are made anew

    def _renew(self, found: Found, called: Names) -> None:
        authority, key = self._authority(self._signer(found)), self._key(found.name)
        now = signing.now()
        if found.is_client:
            made = signing.sign_client(authority, key, signing.common_name(found.certificate), now)
        else:
            made = signing.sign_server(authority, key, called, now)
        self._write(found.name, signing.to_pem(made))

    def _revoked(self) -> list[tuple[int, datetime]]:
        """What the present authority has revoked."""
        if not self.file(REVOKED).exists():
            return []
        found = x509.load_pem_x509_crl(self.file(REVOKED).read_bytes())
        return [(one.serial_number, signing.utc(one, "revocation_date")) for one in found]

    def _list_revoked(self, revoked: Sequence[tuple[int, datetime]]) -> None:
        """Write the list of the present authority; those of earlier ones stay behind it."""
        made = signing.sign_revocations(
            self._authority(self._client_signer()), revoked, signing.now()
        )
        end = b"-----END X509 CRL-----\n"
        file = self.file(REVOKED)
        before = file.read_bytes().partition(end)[2] if file.exists() else b""
        self._write(REVOKED, made + before)

    def _write(self, name: str, data: bytes) -> None:
        files.put(self.file(name), data, 0o644)


def end_of(certificate: x509.Certificate) -> datetime:
    """Until when it is valid."""
    return signing.utc(certificate, "not_valid_after")


def _is_due(found: Found) -> bool:
    """Also one that nobody takes yet: the clock was ahead when it was made."""
    now, until = signing.now(), end_of(found.certificate)
    begin = signing.utc(found.certificate, "not_valid_before")
    too_long = until - begin > timedelta(days=signing.LEAF_DAYS_MOST)
    ends_soon = until - now < timedelta(days=RENEW_DAYS)
    return ends_soon or begin > now or (too_long and not found.is_client)


def _public(key: signing.Key) -> object:
    return key.public_key().public_numbers()


def _public_of(certificate: x509.Certificate) -> object:
    numbers = getattr(certificate.public_key(), "public_numbers", None)
    return numbers() if numbers is not None else None
