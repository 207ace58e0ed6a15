"""From when and until when a certificate is valid, and whose it is: read from its file, without its
key.

The standard library reads a certificate only when it is presented, or is an authority's. So the
fields are read from its DER: RFC 5280, section 4.1.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SEQUENCE, _SET, _VERSION, _UTC_TIME = 0x30, 0x31, 0xA0, 0x17
_COMMON_NAME = bytes.fromhex("0603550403")


@dataclass(frozen=True, slots=True)
class Certificate:
    """``since`` and ``until``: POSIX seconds; ``name``: the common name of its subject, or nothing;
    ``der``: the whole of it; ``subject`` and ``issuer``: whose it is and who has signed it, in
    DER."""

    since: float
    until: float
    name: str
    der: bytes
    subject: bytes
    issuer: bytes


def read(path: Path) -> Certificate:
    """Of the first certificate of a file. Raises :class:`OSError`, :class:`ValueError`."""
    return read_all(path)[0]


def read_all(path: Path) -> list[Certificate]:
    """All certificates of a file, at least one. Raises :class:`OSError`, :class:`ValueError`."""
    text = path.read_text(encoding="ascii", errors="replace")
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = [part.partition(end) for part in text.split(begin)[1:]]
    if not parts or not all(found for _, found, _ in parts):
        raise ValueError("it is no certificate")
    return [_of(begin + inside + end) for inside, _, _ in parts]


def _of(pem: str) -> Certificate:
    try:
        der = ssl.PEM_cert_to_DER_cert(pem)
        (_, whole), *_ = _parts(der)
        (_, signed), *_ = _parts(whole)
        fields = [part for part in _parts(signed) if part[0] != _VERSION]
        _serial, _algorithm, (_, issuer), (_, validity), (_, subject), *_ = fields
        since, until = (_seconds(kind, text.decode("ascii")) for kind, text in _parts(validity))
        return Certificate(since, until, _common_name(subject), der, subject, issuer)
    except (ValueError, IndexError) as error:
        raise ValueError("it is no certificate") from error


def roots(page: Path) -> dict[str, bytes]:
    """What is to be trusted so that a phone trusts the page, as DER: the authority beside the
    page's certificate that has signed it (``root``), and the one that will (``next-root``). Nothing
    where somebody else has signed it, such as a public authority."""
    found = {}
    with contextlib.suppress(OSError, ValueError):
        issuer = read(page).issuer
        signers = [one for one in read_all(page.with_name("ca.pem")) if one.subject == issuer]
        if signers:
            found["root"] = signers[0].der
            found["next-root"] = read(page.with_name("next-ca.pem")).der
    return found


def ends(files: Mapping[str, Path]) -> dict[str, float]:
    """Name -> until when its certificate is valid, POSIX seconds; of those that can be read."""
    return {name: one.until for name, one in _readable(files)}


def begins(files: Mapping[str, Path]) -> dict[str, float]:
    """Name -> from when on its certificate is valid, as :func:`ends`."""
    return {name: one.since for name, one in _readable(files)}


def _readable(files: Mapping[str, Path]) -> Iterator[tuple[str, Certificate]]:
    for name, path in files.items():
        with contextlib.suppress(OSError, ValueError):
            yield name, read(path)


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in a row."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size]), at + size
        yield tag, der[at : at + length]
        at += length


def _seconds(kind: int, text: str) -> float:
    if kind == _UTC_TIME:  # two digits of the year, from 1950 on
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _common_name(subject: bytes) -> str:
    for _, names in _parts(subject):
        for _, pair in _parts(names):
            if pair.startswith(_COMMON_NAME):
                (_, _), (_, name) = _parts(pair)
                return name.decode("utf-8", "replace")
    return ""
