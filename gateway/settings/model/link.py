"""Broker, store, page and heartbeat: everything that speaks over a network."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from gateway.settings.values import share, store_address
from gateway.settings.values.problems import suggest
from gateway.settings.values.types import (
    Bool,
    Duration,
    Id,
    Label,
    Model,
    SecretUrl,
    SecretValue,
    Short,
    Size,
    WebUrl,
    wrong,
)
from gateway.settings.values.weekly import HoursField


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    if host.casefold() in {"localhost", "localhost.", "ip6-localhost"}:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Tls(Model):
    """Certificates for a connection; the files are looked for beside the configuration."""

    off: Bool = False
    """No TLS at all; no unit, written as tls: none."""
    ca: Label | None = None
    """Who is trusted; no unit, a file. The system's authorities if it is not written."""
    cert: Label | None = None
    """Our certificate; no unit, a file."""
    key: Label | None = None
    """Its key; no unit, a file."""


Right = Literal["acknowledge", "open"]
SITES = "sites"
"""The name of the issuer that is the centre of many sites: it has limited rights even where none
are written."""


def _always(value: object) -> object:
    """A list of doors: each of them at all times."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, "daily")
    return value


class Issuer(Model):
    """Somebody who may send commands over the broker."""

    key: SecretValue | None = None
    """The key that its commands are signed with; no unit, !secret NAME. Without one the broker's
    access list alone admits it, on portier/GATEWAY/issuer/NAME/command/# and nowhere else: for
    Home Assistant, which cannot sign."""
    next_key: SecretValue | None = None
    """The key that replaces it; no unit, !secret NAME. Both are accepted until a command signed
    with this one has come, from then on this one alone. Then write it as key."""
    may: tuple[Right, ...] | None = None
    """What it may ask for and nothing else; no unit, acknowledge and open. Every command if it is
    not written; the issuer sites then may acknowledge."""
    doors: Annotated[
        dict[Id, HoursField],
        BeforeValidator(_always),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "array", "items": {"type": "string"}},
                    {
                        "type": "object",
                        "additionalProperties": {
                            "anyOf": [
                                {"type": "string"},
                                {"type": "array", "items": {"type": "string"}},
                            ]
                        },
                    },
                ]
            }
        ),
    ] = Field(default_factory=dict)
    """The doors that it may open, with their hours; no unit, names with lines such as
    mon-fri 07:00-18:00, in the gateway's time zone, or a list of names for all hours. Hours that
    name some days of the week do not count on public holidays."""

    def rights(self, name: str) -> tuple[Right, ...] | None:
        """What the issuer of this name may ask for; ``None``: every command."""
        return ("acknowledge",) if self.may is None and name == SITES else self.may


def _port(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        port = int(value)
        if 1 <= port <= 65_535:
            return port
    raise wrong(f"{value!r} is not a port", "ports go from 1 to 65535, for example 8883")


Port = Annotated[int, BeforeValidator(_port), WithJsonSchema({"type": "integer"})]


class BrokerConnection(Model):
    """How to reach the MQTT broker."""

    embedded: Bool = False
    """The broker inside this process, for the bench; no unit, written as mqtt: embedded."""
    host: Label = "localhost"
    """The broker; no unit, a name or address."""
    port: Port | None = None
    """Its port; no unit, 8883 with TLS and 1883 without if it is not written."""
    tls: Annotated[Tls, Short("off", (("none", "yes"), ("system", "no")))] | None = None
    """Its certificates; no unit, files, system for the system's authorities, or none."""
    user: Label | None = None
    """The user at the broker; no unit, a text."""
    password: SecretValue | None = None
    """The user's password; no unit, !secret NAME."""
    client: Label | None = None
    """The client id; no unit, portier-ID if it is not written."""

    @property
    def encrypted(self) -> bool:
        """Whether the connection is under TLS."""
        return self.tls is not None and not self.tls.off

    @property
    def port_number(self) -> int:
        """The port, written or not."""
        return self.port or (8883 if self.encrypted else 1883)


class Mqtt(BrokerConnection):
    """The MQTT broker of a gateway, and who may ask it for something there."""

    issuers: dict[Id, Issuer] = Field(default_factory=dict)
    """Who may send commands; no unit, names with their keys and what they may ask for."""
    home_assistant: Bool = True
    """Whether Home Assistant is told what there is; no unit, yes or no."""


MqttField = Annotated[Mqtt, Short("embedded", (("embedded", "yes"),))]
"""``mqtt: embedded`` beside the mapping."""


def _store(value: object) -> str:
    if not isinstance(value, str):
        raise wrong("a store is a text", store_address.HINT)
    try:
        return store_address.parse(value).text
    except store_address.AddressError as error:
        if store_address.nearest(value) is not None:
            return value  # a bound that came later: see check_links
        scheme, separator, _ = value.partition("://")
        known = [*store_address.SCHEMES] if separator else ["sqlite"]
        if error.problem.startswith(("the store ", f"{value[:60]!r} is no store")):
            more = "" if separator else " (or …://)"
            raise wrong(
                error.problem, suggest(scheme, [*known, "sqlite"], "write") + more
            ) from None
        raise wrong(error.problem, error.remedy) from None


class _OrAll:
    """A list of gateways, or the word ``all``."""

    @staticmethod
    def _read(value: object, listed: ValidatorFunctionWrapHandler) -> Any:
        if value == "all":
            return "all"
        if isinstance(value, str):
            raise wrong(
                f"{value[:40]!r} is not understood", suggest(value, ["all"]) + ", or a list"
            )
        return listed(value)

    def __get_pydantic_core_schema__(
        self, _source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        listed = handler.generate_schema(tuple[Id, ...])
        return core_schema.no_info_wrap_validator_function(self._read, listed)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        listed = schema.get("schema", schema)
        return {"anyOf": [{"const": "all"}, handler(listed)]}


GatewaysField = Annotated[tuple[Id, ...] | Literal["all"], _OrAll()]


def _share(value: object) -> share.Share:
    try:
        return share.parse(value if isinstance(value, str) else "")
    except share.ShareError as error:
        raise wrong(error.problem, error.remedy) from None


ShareField = Annotated[
    share.Share,
    BeforeValidator(_share),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]{0,2}/[1-9][0-9]{0,2}$"}),
]


class Recording(Model):
    """The time-series store, and how a recorder writes it."""

    store: Annotated[
        str,
        BeforeValidator(_store),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": (
                    rf"^(sqlite(:[\w.-]+)?|none|({'|'.join(store_address.SCHEMES)})://\S+)$"
                ),
            }
        ),
    ] = "sqlite"
    """Where to; no unit, sqlite, none, influx://HOST:PORT/ORG/BUCKET,
    influx1://HOST:PORT/DATABASE or postgresql://USER@HOST:PORT/DATABASE."""
    token: SecretValue | None = None
    """The store's token; no unit, !secret NAME."""
    password: SecretValue | None = None
    """The store's password, where it has no tokens; no unit, !secret NAME."""
    share: ShareField = share.ALL
    """Its part where several recorders divide all gateways among themselves; no unit, 2/4 for the
    second of four. All of them carry the same name."""
    limit_bytes: Size = store_address.LIMIT_BYTES
    """How large the SQLite store may become, then its oldest points go; a size. Other stores have
    limits of their own."""
    silent_after_ms: Duration = 300_000
    """A gateway that says nothing for this long is reported; a duration."""
    tls: Tls | None = None
    """The recorder's own certificate at the broker; no unit, files. That of mqtt if not written."""

    @property
    def address(self) -> store_address.StoreAddress:
        """The store, read."""
        return store_address.parse(self.store)


class Record(Recording):
    """The time-series store of a gateway, and who writes it."""

    name: Id = "recorder"
    """The name of this recorder; no unit, each recorder has its own."""
    gateways: GatewaysField = ()
    """The gateways it records; no unit, a list, or all for every one at the broker. This one if
    none is written."""
    expect: tuple[Id, ...] = ()
    """The recorders that must have everything; no unit, this one if none is written. With
    store: none those of others alone, such as that of a centre."""

    def recorded(self, own: str) -> tuple[str, ...]:
        """The gateways that it records, where ``own`` is the one here; none: all."""
        return () if self.gateways == "all" else self.gateways or (own,)


RecordField = Annotated[Record, Short("store")]
"""``record: sqlite`` beside the mapping."""


class WebTls(Model):
    """The certificate of the page."""

    cert: Label
    """The certificate with its chain; no unit, a file."""
    key: Label
    """Its key; no unit, a file."""


def _listen(value: object) -> str:
    text = value if isinstance(value, str) else ""
    host, separator, port = text.rpartition(":")
    if not separator or not host:
        raise wrong(f"{text[:60]!r} is not ADDRESS:PORT", "write for example 127.0.0.1:8080")
    try:
        _port(port)
    except PydanticCustomError as error:
        context = error.context or {}
        raise wrong(str(context["message"]), str(context["hint"])) from None
    try:
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if bare != "localhost":
            ip_address(bare)
    except ValueError:
        raise wrong(
            f"{host[:60]!r} is no address of this machine",
            "write 127.0.0.1:8080 for this machine only, or 0.0.0.0:8443 for all networks",
        ) from None
    return text


_PROXY_HINT = "write the proxy's address, such as 127.0.0.1, or its network, such as 10.0.3.0/28"


def _proxy(value: object) -> str:
    """An address or network in its usual form."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        network = ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        try:
            whole = str(ip_network(text, strict=False))
        except ValueError:
            raise wrong(f"{text[:60]!r} is no address or network", _PROXY_HINT) from None
        raise wrong(
            f"{text[:60]!r} is an address within a network", f"write {whole} or the address alone"
        ) from None
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise wrong(f"{text[:60]!r} is too many: each of them could claim any address", _PROXY_HINT)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


Proxy = Annotated[str, BeforeValidator(_proxy), WithJsonSchema({"type": "string"})]


class Web(Model):
    """The page and the API."""

    listen: Annotated[
        str,
        BeforeValidator(_listen),
        WithJsonSchema({"type": "string", "pattern": r"^\S+:\d{1,5}$"}),
    ] = "127.0.0.1:8080"
    """Where it listens; no unit, ADDRESS:PORT."""
    tls: WebTls | None = None
    """Its certificate, a must on any address but loopback; no unit, two files."""
    public_url: WebUrl | None = None
    """The address that people reach it at, for links in messages; no unit, https://…"""
    trusted_proxies: tuple[Proxy, ...] = ()
    """Whose X-Forwarded-For, -Proto and -Host are believed; no unit, the addresses or networks of
    reverse proxies, none if it is not written."""
    second_factor: Literal["off", "doors", "login"] = "off"
    """Where people give a code from an app beside their password; no unit, off, doors (for
    opening, modes, tests of a call, service, shelving, users and tokens, every 8 h) or login
    (that, and at every log-in). API tokens never do."""

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


_PUSH_HOST = re.compile(r"([a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?)(:[0-9]{1,5})?\Z")
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}\Z")


def _push_host(value: object) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    match = _PUSH_HOST.match(text)
    if match is None or ".." in text:
        raise wrong(f"{text[:60]!r} is no host", "write push.example.org, or push.example.org:8443")
    if match[3]:
        _port(match[3][1:])
    return text


def _mail(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _MAIL.match(text):
        raise wrong(f"{text[:60]!r} is no mail address", "write for example it@example.org")
    return text


PushHost = Annotated[str, BeforeValidator(_push_host), WithJsonSchema({"type": "string"})]
MailAddress = Annotated[str, BeforeValidator(_mail), WithJsonSchema({"type": "string"})]


class Push(Model):
    """Messages to browsers and phones (Web Push)."""

    hosts: tuple[PushHost, ...] = ()
    """Push services of your own, beside those of Google, Mozilla, Apple and Microsoft; no unit,
    HOST or HOST:PORT. They may be in the building's network."""
    ca: Label | None = None
    """Who signs the certificates of these hosts; no unit, a file. The system's authorities if it is
    not written."""
    mail: MailAddress | None = None
    """Whom a push service may write to when messages make trouble; no unit, a mail address. Apple
    wants one that exists. portier@ and the host of web.public_url if it is not written."""


class Heartbeat(Model):
    """Somebody outside who notices that the gateway is silent."""

    url: SecretUrl
    """What is called; no unit, an address or !secret NAME."""
    every_ms: Duration = 300_000
    """How often; a duration."""
