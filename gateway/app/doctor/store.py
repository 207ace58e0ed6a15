"""What ``portier doctor`` says of the time-series store.

An empty body is written: every store checks the path, the database and the password before it
sees that there is nothing in it. Then its retention is compared with the configuration's: a
store with a shorter one acknowledges facts and drops them.
"""

from __future__ import annotations

import http.client
import json
import re
import sqlite3
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlencode, urlsplit

from gateway import set_aside
from gateway.app.connections import Configuration
from gateway.app.doctor import remedies
from gateway.app.findings import Finding, no, not_configured, unknown, yes
from gateway.core.facts import KINDS
from gateway.formats import uri
from gateway.journal.schema import DAMAGED
from gateway.settings.model.link import Recording
from gateway.settings.values.secrets import Secret, SecretError
from gateway.settings.values.store_address import PORT
from gateway.wire import PUBLISHED

WITHIN_S = 3.0
"""For each answer of the store."""
BODY_MOST = 4_000_000
DAY_MS = 86_400_000
_VM_UNITS_MS = {
    "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS, "y": 365 * DAY_MS,
    "": 31 * DAY_MS,
}  # fmt: skip
"""Of VictoriaMetrics' durations; without a unit they are months of 31 days."""
_VM_FLAG = re.compile(r'^flag\{name="([^"]+)", value="([^"]*)"', re.MULTILINE)
_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_GO_UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


class _Away(Exception):
    """The store does not answer; the text says why."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def brief(self) -> str:
        words = " ".join(self.text[:120].split())
        return f"HTTP {self.status}" + (f" {words}" if words else "")

    def json(self) -> Any:
        """Its content; ``None`` where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_page(self) -> bool:
        """A page for people, or a redirect to one: a proxy or a log-in, and not a store."""
        return 300 <= self.status < 400 or "html" in self.headers.get("content-type", "")


class _Http:
    """Requests to one store, each within a few seconds."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.where = f"{parts.hostname}:{parts.port}"
        self._host, self._port = parts.hostname or "", parts.port or PORT
        self._tls = parts.scheme == "https"
        self._headers = dict(headers)

    def ask(self, method: str, path: str, body: bytes | None = None) -> _Answer:
        """Raises :class:`_Away`."""
        connection: http.client.HTTPConnection
        if self._tls:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=WITHIN_S, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=WITHIN_S)
        try:
            connection.request(method, path, body=body, headers=self._headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return _Answer(answer.status, headers, answer.read(BODY_MOST))
        except TimeoutError:
            raise _Away(f"accepts no request, or does not answer within {WITHIN_S:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise _Away(text) from None
        finally:
            connection.close()


def examine(settings: Configuration, state: Path) -> Iterator[Finding]:
    """Findings about the store."""
    record = settings.record
    address = None if record is None else record.address
    if record is None or address is None or address.kind == "none":
        yield not_configured("store: none is configured")
        return
    yield from _broken(state)
    if address.kind == "sqlite":
        yield from _sqlite(record, state, remedies.of(settings).bench)
        return
    try:
        secret = _secret(record)
    except SecretError as error:
        unread = "cannot be read" in str(error)
        make = unknown if unread else no
        yield make(f"store: its password or token: {error}", "sudo portier doctor")
        return
    if address.kind == "postgresql":
        from gateway.app.doctor import postgresql  # its library is loaded for it alone

        yield from postgresql.examine(address, secret, _place(record), timeout_s=WITHIN_S)
        return
    if address.kind == "influx1":
        look = _influx1
    elif address.kind == "influx":
        look = _influx2
    else:
        assert_never(address.kind)
    try:
        yield from look(settings, record, secret)
    except _Away as error:
        yield no(f"store: {address.where}: {error}", "is the store running? see record:")


def wanted_ms(settings: Configuration) -> int:
    """How long the longest of the facts that reach a store are to be saved, ms."""
    classes = {kind.life for kind in KINDS.values() if kind.lane in PUBLISHED}
    return max(int(getattr(settings.retention, f"{name}_ms")) for name in classes)


def _secret(record: Recording) -> str:
    """Raises :class:`SecretError`."""
    secret: Any = record.token or record.password
    return secret.read() if isinstance(secret, Secret) else str(secret or "")


def _place(record: Recording) -> str:
    """Where the password or the token is."""
    secret: Any = record.token or record.password
    if not isinstance(secret, Secret) or not secret.places:
        return "record: {token: !secret NAME}"
    found = next((p for p in secret.places if (p / secret.name).exists()), secret.places[-1])
    return str(found / secret.name)


# --- SQLite -------------------------------------------------------------------------------


def _broken(state: Path) -> Iterator[Finding]:
    """Files of the recorder that were damaged, until somebody removes them."""
    folder = state / "record"
    names = {set_aside.original(one) for one in folder.glob("*")} - {""}
    for path in (one for name in sorted(names) for one in set_aside.found(folder / name)):
        name = set_aside.original(path)
        yield no(
            f"store: {name} was damaged and is set aside",
            f"look for disk errors (dmesg), and replace the card; what the gateways still have was"
            f" asked for again, older facts are in it: sqlite3 {path} .recover; then remove it",
            f"{path} is there",
        )


def _sqlite(record: Recording, state: Path, bench: str) -> Iterator[Finding]:
    path = state / "record" / record.address.file
    run = f"systemctl status portier-record; on the bench: {bench}"
    try:
        if not path.exists():
            yield unknown(
                "store: SQLite, not made yet", run, f"there is no {path}: nothing was recorded yet"
            )
            return
        with closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
            db.execute("PRAGMA busy_timeout = 1000")
            db.execute("SELECT 1 FROM points LIMIT 1").fetchone()
        files = (path, Path(f"{path}-recent"))  # readings come there first
        logs = (Path(f"{file}-wal") for file in files)
        newest = max(one.stat().st_mtime for one in (*files, *logs) if one.exists())
    except PermissionError as error:
        yield unknown(
            "store: SQLite cannot be read by this user", "sudo portier doctor", str(error)
        )
        return
    except (*DAMAGED, OSError) as error:
        denied = "unable to open" in str(error)
        make = unknown if denied else no
        yield make(
            f"store: SQLite cannot be read ({error})",
            "sudo portier doctor"
            if denied
            else "look for disk errors (dmesg); the recorder sets a damaged file aside by itself",
            str(path),
        )
        return
    age_s = max(0.0, time.time() - newest)
    yield yes("store: SQLite in the state folder", f"read just now, written {age_s:.0f} s ago")


# --- InfluxDB 1.x -------------------------------------------------------------------------


def _influx1(settings: Configuration, record: Recording, secret: str) -> Iterator[Finding]:
    """Raises :class:`_Away`."""
    address = record.address
    database = address.database
    headers = {}
    if address.user:
        word = b64encode(f"{address.user}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {word}"
    store = _Http(address.url, headers)
    what = f"store: InfluxDB at {store.where}"
    answer = store.ask("POST", f"/write?{urlencode({'db': database, 'precision': 'ms'})}", b"")
    known = "x-influxdb-version" in answer.headers
    if answer.is_page or not known:
        yield _stranger(store.where, "InfluxDB", answer)
        return
    if answer.status in (401, 403):
        yield _denied(what, record, answer)
        return
    if answer.status == 404:
        yield unknown(
            f"{what}: has no database {database} yet",
            "the recorder makes it with the first fact, if it may; "
            f"else: influx -execute 'CREATE DATABASE \"{database}\"'",
            answer.brief,
        )
        return
    if answer.status not in (200, 204):
        yield no(f"{what}: takes nothing ({answer.brief})", "look into its log", answer.brief)
        return
    yield yes(what, f"it took an empty write to {database} just now ({answer.status})")
    query = urlencode({"q": f'SHOW RETENTION POLICIES ON "{database}"'})
    yield from _policies(settings, database, store.ask("GET", f"/query?{query}"))


def _policies(settings: Configuration, database: str, answer: _Answer) -> Iterator[Finding]:
    """The retention policy that takes what names no policy: the default one."""
    try:
        one = answer.json()["results"][0]["series"][0]
        rows = [dict(zip(one["columns"], values, strict=True)) for values in one["values"]]
        policy = next(row for row in rows if row["default"])
        name, text = str(policy["name"]), str(policy["duration"])
        has_ms = _go_ms(text)
    except (KeyError, IndexError, TypeError, ValueError, StopIteration):
        yield unknown(
            "store: its retention is not known",
            f"influx -execute 'SHOW RETENTION POLICIES ON \"{database}\"'",
            answer.brief,
        )
        return
    yield _compared(
        settings,
        has_ms,
        f"retention policy {name}: {text}",
        f'influx -execute \'ALTER RETENTION POLICY "{name}" ON "{database}" DURATION '
        f"{_days(wanted_ms(settings))}d'",
    )


# --- the v2 API: InfluxDB 2, VictoriaMetrics ----------------------------------------------


def _influx2(settings: Configuration, record: Recording, secret: str) -> Iterator[Finding]:
    """Raises :class:`_Away`."""
    org, bucket = record.address.org, record.address.bucket
    store = _Http(record.address.url, {"Authorization": f"Token {secret}"} if secret else {})
    query = urlencode({"org": org, "bucket": bucket, "precision": "ms"})
    answer = store.ask("POST", f"/api/v2/write?{query}", b"")
    what = f"store: {store.where}"
    if answer.is_page:
        yield _stranger(store.where, "a store", answer)
        return
    if answer.status in (401, 403):
        yield _denied(what, record, answer)
        return
    said = answer.json()
    influx2 = isinstance(said, dict) and "code" in said
    if influx2 and said["code"] == "not found":
        remedy = "make the bucket, or correct record: {store: influx://HOST:PORT/ORG/BUCKET}"
        yield no(f"{what}: has no bucket {bucket} of {org}", remedy, answer.brief)
        return
    empty = influx2 and said["code"] == "invalid"  # "writing requires points"
    if not empty and answer.status != 204:
        wrong = (
            "write store: influx1://… for InfluxDB 1.x"
            if "x-influxdb-version" in answer.headers and answer.status == 404
            else "is it InfluxDB 2 or VictoriaMetrics? see record:"
        )
        yield no(f"{what}: takes nothing ({answer.brief})", wrong, answer.brief)
        return
    metrics = store.ask("GET", "/metrics")
    flags = dict(_VM_FLAG.findall(metrics.text)) if metrics.status == 200 else {}
    victoria = "retentionPeriod" in flags
    kind = "VictoriaMetrics" if victoria else "InfluxDB 2" if influx2 else "the store"
    if not victoria and not influx2:
        yield unknown(
            f"{what}: it is not known which store it is",
            "is it InfluxDB 2 or VictoriaMetrics? Let this machine read its /metrics",
            f"it took an empty write ({answer.status}); /metrics: {metrics.brief}",
        )
        return
    yield yes(f"{what}: {kind}", f"it answered an empty write just now ({answer.status})")
    if victoria:
        yield from _victoria(settings, flags)
    else:
        query = urlencode({"name": bucket, "org": org})
        yield from _bucket(settings, bucket, store.ask("GET", f"/api/v2/buckets?{query}"))


def _victoria(settings: Configuration, flags: Mapping[str, str]) -> Iterator[Finding]:
    said = "in its own /metrics just now"
    dedup = flags.get("dedup.minScrapeInterval", "")
    if dedup == "1ms":
        yield yes("store: counts a point once that is written twice", f"dedup 1ms, {said}")
    elif dedup in ("", "0s", "0"):
        yield no(
            "store: VictoriaMetrics counts a point twice when it is written twice",
            "start it with -dedup.minScrapeInterval=1ms",
            f"-dedup.minScrapeInterval={dedup or 'is not known'} {said}",
        )
    else:
        yield no(
            f"store: VictoriaMetrics drops points that lie closer together than {dedup}",
            "start it with -dedup.minScrapeInterval=1ms",
            said,
        )
    text = flags["retentionPeriod"]
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdwy]?)", text)
    if match is None:
        yield unknown(
            f"store: its retention {text} is not understood", "see -retentionPeriod", said
        )
        return
    has_ms = int(float(match[1]) * _VM_UNITS_MS[match[2]])
    remedy = f"start it with -retentionPeriod={_days(wanted_ms(settings))}d"
    yield _compared(settings, has_ms, f"-retentionPeriod={text} {said}", remedy)


def _bucket(settings: Configuration, bucket: str, answer: _Answer) -> Iterator[Finding]:
    try:
        rules = answer.json()["buckets"][0]["retentionRules"]
        seconds = min((int(rule["everySeconds"]) for rule in rules), default=0)
    except (KeyError, IndexError, TypeError, ValueError):
        yield unknown(
            "store: its retention is not known",
            f"let the token read the bucket {bucket}, or look there yourself",
            answer.brief,
        )
        return
    days = _days(wanted_ms(settings))
    remedy = f"influx bucket update --name {bucket} --retention {days}d (needs --id of the bucket)"
    yield _compared(settings, seconds * 1000, f"bucket {bucket}: {seconds} s", remedy)


# --- both ---------------------------------------------------------------------------------


def _compared(settings: Configuration, has_ms: int, evidence: str, remedy: str) -> Finding:
    """The store's retention beside ours; 0: it saves facts for ever."""
    ours = wanted_ms(settings)
    if has_ms <= 0 or has_ms >= ours:
        return yes("store: saves facts as long as the configuration asks for", evidence)
    return no(
        f"store: saves facts for {_days(has_ms)} days and drops older ones without a word; "
        f"retention: asks for {_days(ours)} days",
        f"{remedy}; or lower retention:",
        evidence,
    )


def _stranger(where: str, what: str, answer: _Answer) -> Finding:
    return no(
        f"store: what answers at {where} is not {what}",
        "a proxy, a log-in page, another program? see record:",
        answer.brief,
    )


def _denied(what: str, record: Recording, answer: _Answer) -> Finding:
    user = record.address.user
    who = f"the password of {user}" if user else "our token or password"
    return no(f"{what}: refuses {who}", f"is {_place(record)} the store's?", answer.brief)


def _days(ms: int) -> int:
    return -(-ms // DAY_MS)


def _go_ms(text: str) -> int:
    """A duration as Go writes it (``8760h0m0s``), ms; 0: for ever. Raises ValueError."""
    parts = _GO_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return int(sum(float(number) * _GO_UNITS_MS[unit] for number, unit in parts))
