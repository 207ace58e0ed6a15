"""The address of the time-series store, read once: what ``check`` accepts, the recorder uses.

``sqlite``, ``sqlite:FILE``, ``influx://HOST:PORT/ORG/BUCKET`` (the v2 API),
``influx1://[USER@]HOST:PORT/DATABASE``; with ``influxs`` and ``influx1s`` under TLS;
``postgresql://USER@HOST:PORT/DATABASE``, under TLS unless the host is this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from gateway.settings.values.units import UnitError, duration_ms

_INFLUX_SCHEMES = ("influx", "influxs", "influx1", "influx1s")
SCHEMES = (*_INFLUX_SCHEMES, "postgresql")
PORT = 8086
POSTGRESQL_PORT = 5432
SOCKETS = "/run/postgresql"
"""Where PostgreSQL of Debian has its Unix socket."""
TLS_MODES = ("disable", "require", "verify-ca", "verify-full")
LIMIT_BYTES = 4_000_000_000
"""How large the file of ``sqlite`` may become, unless the configuration says."""
FORGETS_MS = 300_000
"""How far back a killed store of the v2 API may have forgotten what it had acknowledged."""
FORGETS_MOST_MS = 86_400_000
HINT = (
    'write sqlite, "influx://HOST:PORT/ORG/BUCKET", "influx1://HOST:PORT/DATABASE" or '
    '"postgresql://USER@HOST:PORT/DATABASE"'
)
_FILE = re.compile(r"sqlite:([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})\Z")
_OURS = re.compile(r"recorder-|.*(-wal|-shm|-journal|-recent|\.lock)\Z")
"""Files of the recorder itself, in the same folder."""
_SECRET = re.compile(r"(token|password)=")


class AddressError(ValueError):
    """The text is no address of a store. ``remedy``: what to write instead."""

    def __init__(self, problem: str, remedy: str = HINT) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where points go. ``text``: as written."""

    text: str
    kind: Literal["sqlite", "influx", "influx1", "postgresql", "none"]
    file: str = ""
    """Of ``sqlite``: its name in the recorder's folder."""
    url: str = ""
    """Of ``influx`` and ``influx1``: ``http(s)://HOST:PORT``."""
    where: str = ""
    """``HOST:PORT``, or the folder of a Unix socket."""
    host: str = ""
    """Of ``postgresql``: a name, an address, or the folder of a Unix socket."""
    port: int = 0
    tls: str = ""
    """Of ``postgresql``: its ``sslmode``."""
    authorities: str = ""
    """The file of authorities that may sign the server's certificate; empty: the system's."""
    org: str = ""
    bucket: str = ""
    database: str = ""
    user: str | None = None
    forgets_ms: int = 0
    """How far back a killed store may have forgotten what it had acknowledged."""


def parse(text: str) -> StoreAddress:
    """Raises :class:`AddressError` for everything that is not wholly understood."""
    if text == "none":
        return StoreAddress(text, "none")
    if text == "sqlite":
        return StoreAddress(text, "sqlite", file="record.sqlite")
    if text.startswith("sqlite:") and "://" not in text:
        return _sqlite(text)
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise AddressError(f"{text[:60]!r} is no store", "write sqlite (or …://)")
    if scheme not in SCHEMES:
        raise AddressError(f"the store {scheme[:20]!r} is not known")
    return _postgresql(text) if scheme == "postgresql" else _influx(text, scheme)


def _influx(text: str, scheme: str) -> StoreAddress:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressError(f"{text[:60]!r} is no address") from None
    if not host or port == 0 or not text.isprintable() or " " in text or "\\" in text:
        raise AddressError(f"{text[:60]!r} is no address")
    is_v2 = scheme in ("influx", "influxs")
    user = _user(parts, is_v2=is_v2)
    if parts.fragment or "#" in text:
        raise AddressError("an address of a store has no part after #")
    tls = "https" if scheme.endswith("s") else "http"
    where = f"[{host}]:{port or PORT}" if ":" in host else f"{host}:{port or PORT}"
    url = f"{tls}://{where}"
    path = _path(parts)
    if is_v2:
        if len(path) > 2:
            raise AddressError(
                "more than organisation and bucket", "write influx://HOST:PORT/ORG/BUCKET"
            )
        org, bucket = (path[0], path[-1]) if path else ("portier", "portier")
        return StoreAddress(
            text, "influx", url=url, where=where, org=org, bucket=bucket, forgets_ms=_forgets(parts)
        )
    if len(path) > 1:
        raise AddressError(
            f"more than a database: InfluxDB 1.x is asked at its root, not below /{path[0][:30]}",
            "write influx1://HOST:PORT/DATABASE",
        )
    if parts.query or "?" in text:
        raise AddressError("influx1 takes nothing after ?", "leave it out")
    database = path[0] if path else "portier"
    return StoreAddress(text, "influx1", url=url, where=where, database=database, user=user)


def problem(text: str) -> AddressError | None:
    """Why this is no address; ``None``: it is one."""
    try:
        parse(text)
    except AddressError as error:
        return error
    return None


def nearest(text: str) -> str | None:
    """What version 0.1 made of an address that it took and that is refused now, as an address
    that is understood; ``None`` where there is no such."""
    scheme = text.partition("://")[0]
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in _INFLUX_SCHEMES or not host or not text.isprintable() or " " in text:
        return None
    path = [quote(unquote(part), safe="") for part in parts.path.split("/") if part]
    is_v2 = scheme in ("influx", "influxs")
    user, at = ("", "") if parts.username is None else (parts.username, "@")
    where = f"[{host}]:{port or PORT}" if ":" in host else f"{host}:{port or PORT}"
    names = [path[0], path[-1]] if is_v2 and path else path[:1]
    made = "/".join([f"{scheme}://{user}{at}{where}", *names])
    forgets_s = next((value for name, value in parse_qsl(parts.query) if name == "forgets"), "")
    if is_v2 and forgets_s:
        if not (forgets_s.isascii() and forgets_s.isdecimal() and len(forgets_s) < 10):
            return None
        made += f"?forgets={min(int(forgets_s), FORGETS_MOST_MS // 1_000)}"
    secret = parts.password is not None or _SECRET.search(text) is not None
    return None if secret or problem(made) is not None else made


def _sqlite(text: str) -> StoreAddress:
    found = _FILE.match(text)
    if found is None:
        raise AddressError(
            f"{text[:60]!r} is no file of the recorder's folder",
            "write sqlite:NAME with letters, digits, . _ and -",
        )
    if _OURS.match(found[1].casefold()):
        raise AddressError(
            f"{found[1]} may be a file of the recorder itself", "write sqlite, or another name"
        )
    return StoreAddress(text, "sqlite", file=found[1])


def _postgresql(text: str) -> StoreAddress:
    remedy = "write postgresql://USER@HOST:PORT/DATABASE"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError(f"{text[:60]!r} is no address", remedy) from None
    user = _user(parts, is_v2=False, name="password")
    if port == 0 or not text.isprintable() or " " in text or "\\" in text or "," in parts.netloc:
        raise AddressError(f"{text[:60]!r} is no address", remedy)
    if parts.fragment or "#" in text:
        raise AddressError("an address of a store has no part after #")
    path = _path(parts)
    if len(path) > 1:
        raise AddressError("more than a database", remedy)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = asked.keys() - {"sslmode", "sslrootcert", "host"}
    if unknown or len(asked) != len(parts.query.split("&")) * bool(parts.query):
        raise AddressError(
            f"after ? only sslmode=, sslrootcert= and host= are possible, each once, not "
            f"{parts.query[:40]}",
            "write ?sslmode=verify-full&sslrootcert=/etc/portier/tls/ca.pem",
        )
    folder = asked.get("host", SOCKETS if not host else "")
    if (host and "host" in asked) or (folder and not folder.startswith("/")):
        raise AddressError(
            "host= is the folder of a Unix socket, and leaves no host before it",
            f"write postgresql://USER@/DATABASE?host={SOCKETS}",
        )
    return StoreAddress(
        text,
        "postgresql",
        where=folder or (f"[{host}]" if ":" in host else host) + f":{port or POSTGRESQL_PORT}",
        host=folder or host,
        port=port or POSTGRESQL_PORT,
        database=path[0] if path else "portier",
        user=user,
        tls=_tls(asked, is_here=bool(folder) or _is_loopback(host)),
        authorities=asked.get("sslrootcert", ""),
    )


def _tls(asked: Mapping[str, str], *, is_here: bool) -> str:
    """The ``sslmode``: on the way to another machine the server must prove its name."""
    mode = asked.get("sslmode")
    if mode is None:
        return "prefer" if is_here else "verify-full"
    if mode not in TLS_MODES:
        raise AddressError(
            f"sslmode={mode[:20]} is not known or proves nothing",
            f"write one of {', '.join(TLS_MODES)}",
        )
    return mode


def _is_loopback(host: str) -> bool:
    if host.casefold().rstrip(".") in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _user(parts: SplitResult, *, is_v2: bool, name: str = "token") -> str | None:
    refused = (is_v2 and parts.username is not None) or parts.password is not None
    if refused or _SECRET.search(parts.geturl()):
        raise AddressError(
            "the address holds a password or token",
            f"leave it out here and write {name}: !secret NAME beside store:",
        )
    return _text(parts.username) if parts.username else None


def _path(parts: SplitResult) -> list[str]:
    path = parts.path.strip("/")
    found = [_text(part) for part in path.split("/")] if path else []
    if not all(found):
        raise AddressError("an empty name between two slashes")
    return found


def _text(part: str) -> str:
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise AddressError(f"{part[:30]!r} is not UTF-8") from None
    if not text.isprintable():
        raise AddressError(f"{part[:30]!r} holds a control character")
    return text


def _forgets(parts: SplitResult) -> int:
    asked = parse_qsl(parts.query, keep_blank_values=True)
    if not parts.query:
        return FORGETS_MS
    if len(asked) != 1 or asked[0][0] != "forgets":
        names = ", ".join(dict.fromkeys(name[:20] for name, _ in asked)) or parts.query[:20]
        raise AddressError(f"after ? only forgets= is possible, not {names}", "write ?forgets=300")
    value = asked[0][1]
    remedy = "write seconds, or a duration: ?forgets=5min"
    if value.isascii() and value.isdecimal() and len(value) < 10:
        forgets_ms = int(value) * 1_000
    else:
        try:
            forgets_ms = duration_ms(value)
        except UnitError:
            raise AddressError(f"forgets={value[:30]} is no duration", remedy) from None
    if forgets_ms > FORGETS_MOST_MS:
        raise AddressError(f"forgets={value[:30]} is more than a day", remedy)
    return forgets_ms
