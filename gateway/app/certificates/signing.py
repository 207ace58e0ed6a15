"""Make certificates with the library ``cryptography``: no file is read or written here.

Phones demand most of a certificate whose root was trusted by hand. The longest list of demands is
Apple's: names in subjectAltName, at most 825 days, serverAuth, SHA-256
(https://support.apple.com/en-us/103769). Name constraints are RFC 5280, section 4.2.1.10.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.app.certificates.names import CertificateError, Names, Permitted

Key = ec.EllipticCurvePrivateKey

LEAF_DAYS = 800
LEAF_DAYS_MOST = 825
"""Phones refuse what lasts longer, whoever has signed it."""
AUTHORITY_DAYS = 7300
BACKDATED = timedelta(days=1)
"""So that a phone whose clock is slow accepts a new certificate at once."""
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this time no authority is made: the clock is wrong."""
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that signs: its certificate and its key."""

    certificate: x509.Certificate
    key: Key


def make_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def make_root(name: str, permitted: Permitted, now: datetime) -> Authority:
    """Make the authority of the servers. Name constraints limit it to ``permitted``, so that a
    stolen key cannot sign for any other name."""
    subtrees: list[x509.GeneralName] = [x509.DNSName(host) for host in permitted.hosts]
    subtrees += [x509.IPAddress(network) for network in permitted.networks]
    constraints = x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None)
    return _make_authority(name, constraints, critical=True, now=now)


def make_client_authority(name: str, now: datetime) -> Authority:
    """Make the authority of clients of the broker. Extended key usage keeps it from signing for a
    server."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _make_authority(name, usage, critical=False, now=now)


def _make_authority(
    name: str, limit: x509.ExtensionType, *, critical: bool, now: datetime
) -> Authority:
    if now < EARLIEST:
        raise CertificateError(
            f"the clock of this machine says {now:%Y-%m-%d}, and what is made by it is no longer "
            "valid once it is right: set the clock (timedatectl)"
        )
    key = make_key()
    subject = _name(name)
    public = key.public_key()
    certificate = (
        _builder(subject, subject, public, AUTHORITY_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(limit, critical=critical)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def sign_server(authority: Authority, key: Key, names: Names, now: datetime) -> x509.Certificate:
    """Sign for a server. Raises :class:`CertificateError` where the authority may not sign for a
    name."""
    may = permitted(authority.certificate)
    if may is not None and (lacks := may.lacks(names)):
        raise CertificateError(
            f"{', '.join(lacks)}: the root may sign for {', '.join(may.texts())} only. A root for "
            "other names is trusted anew on every phone: portier certificate replace-root"
        )
    others: list[x509.GeneralName] = [x509.DNSName(host) for host in names.hosts]
    others += [x509.IPAddress(one) for one in names.addresses]
    return _sign(
        authority,
        key,
        names.texts()[0],
        ExtendedKeyUsageOID.SERVER_AUTH,
        now,
        x509.SubjectAlternativeName(others),
    )


def sign_client(authority: Authority, key: Key, name: str, now: datetime) -> x509.Certificate:
    """Sign for a client. ``name``: its user at the broker."""
    return _sign(authority, key, name, ExtendedKeyUsageOID.CLIENT_AUTH, now)


def _sign(
    authority: Authority,
    key: Key,
    name: str,
    usage: x509.ObjectIdentifier,
    now: datetime,
    *more: x509.ExtensionType,
) -> x509.Certificate:
    public, issuer = key.public_key(), authority.certificate
    _check_clock(issuer, now)
    made = (
        _builder(_name(name), issuer.subject, public, LEAF_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    for extension in more:
        made = made.add_extension(extension, critical=False)
    return made.sign(authority.key, hashes.SHA256())


def _check_clock(authority: x509.Certificate, now: datetime) -> None:
    """By a wrong clock a certificate would replace one that is valid, and be taken by nobody."""
    begin, end = utc(authority, "not_valid_before"), utc(authority, "not_valid_after")
    if now < EARLIEST or not begin <= now <= end:
        raise CertificateError(
            f"the clock of this machine says {now:%Y-%m-%d}, and {common_name(authority)} signs "
            f"from {begin:%Y-%m-%d} until {end:%Y-%m-%d}: set the clock (timedatectl), or where it "
            "is right, make another authority: portier certificate replace-root"
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    days: int,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def sign_revocations(
    authority: Authority, serials: Sequence[tuple[int, datetime]], now: datetime
) -> bytes:
    """A list of what is revoked, as PEM. It lasts as long as an authority: a list that has
    expired would let nobody in."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    for serial, when in serials:
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
        builder = builder.add_revoked_certificate(one)
    made = builder.sign(authority.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def has_listed(authority: x509.Certificate, pem: bytes) -> bool:
    """Whether this authority has made a list of what is revoked. Raises :class:`ValueError`."""
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    return x509.load_pem_x509_crl(pem).is_signature_valid(key)


def has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether this authority's key has signed a certificate."""
    key = authority.public_key()
    algorithm = certificate.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def permitted(certificate: x509.Certificate) -> Permitted | None:
    """The names that an authority may sign for; ``None``: all names."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    trees = found.permitted_subtrees or []
    return Permitted(
        tuple(one.value for one in trees if isinstance(one, x509.DNSName)),
        tuple(
            one.value
            for one in trees
            if isinstance(one, x509.IPAddress) and isinstance(one.value, IPv4Network | IPv6Network)
        ),
    )


def names(certificate: x509.Certificate) -> Names:
    """The names in a server's certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Names((), ())
    return Names(
        tuple(found.get_values_for_type(x509.DNSName)),
        tuple(
            one
            for one in found.get_values_for_type(x509.IPAddress)
            if isinstance(one, IPv4Address | IPv6Address)
        ),
    )


def is_for(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    """Whether its extended usage names this one."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage in found


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, in the form that phones and computers show."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def from_pem(data: bytes) -> list[x509.Certificate]:
    """The certificates of a file. Raises :class:`ValueError` where one is damaged."""
    return [x509.load_pem_x509_certificate(one[0]) for one in _CERTIFICATE.finditer(data)]


def to_pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def key_from_pem(data: bytes) -> Key:
    """Raises :class:`ValueError`."""
    try:
        found = serialization.load_pem_private_key(data, None)
    except TypeError as error:  # it has a password
        raise ValueError(str(error)) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("it is no key of an elliptic curve")  # noqa: TRY004 - of a file
    return found


def key_to_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def utc(one: object, name: str) -> datetime:
    """A time of the library, which gives it a zone since version 42 and under another name."""
    found = getattr(one, f"{name}_utc", None) or getattr(one, name)
    if not isinstance(found, datetime):
        raise TypeError(name)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
