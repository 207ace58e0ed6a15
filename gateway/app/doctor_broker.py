"""What ``portier doctor`` says of the broker.

Where ``link`` runs, it is asked over the panel how its own connection is: a second one would
say nothing about the first. Where it does not answer, a connection is made as ``link`` makes
it, with the same address, user and certificates, but with a client id of its own: the broker
would end the session of a ``link`` that runs all the same.

What is published for the trial reaches nobody: a response to a command that nobody gave, and an
empty retained message on a state that does not exist.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mqtt5

from gateway.app import broker, certificates, listening
from gateway.app.findings import Finding, no, not_configured, unknown, yes
from gateway.link import discovery
from gateway.link.topics import Topics
from gateway.settings.model import Settings
from gateway.settings.model_link import Mqtt, Tls
from gateway.settings.secrets import Secret, SecretError

WITHIN_S = 6.0
"""For everything that the broker is asked."""
KEEPALIVE_S = 10
PACKET_LEAST_BYTES = 16_384
"""What the broker must take at least: the introduction to Home Assistant, a state with all of
its alarms."""
REFUSED_FROM = 0x80
_MQTT_3_CONNACK = b"\x20\x02"
"""In MQTT 5 the answer is longer."""
_FIRST_ANSWERS = frozenset({0x20, 0xE0, 0xF0})
"""CONNACK, DISCONNECT, AUTH: how an answer to CONNECT begins."""
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_WRONG_NAME = frozenset({62, 64})


def examine(
    settings: Settings, config: Path, state: Path, shown: Mapping[str, Any] | None
) -> Iterator[Finding]:
    """Findings about the broker; ``shown`` is the snapshot of ``control``, if it answers."""
    mqtt = settings.mqtt
    if mqtt is None:
        yield not_configured("broker: none is configured, nothing is forwarded")
        return
    link = (shown or {}).get("link")
    if isinstance(link, Mapping):
        now_ms = (shown or {}).get("now_ms")
        if not isinstance(now_ms, int):
            now_ms = time.monotonic_ns() // 1_000_000
        found = _of_link(link, settings, now_ms)
        yield from found
        if found[0].value == "yes":
            yield from _presented(mqtt, config)
            return
    else:
        yield unknown(
            "link: says nothing about its connection",
            "systemctl status portier-link portier-control",
            "control answers, but has heard nothing from link"
            if shown is not None
            else "control does not answer, and link reports to it",
        )
    yield from _tried(settings, mqtt, config, state)


# --- what link says -----------------------------------------------------------------------


def _of_link(link: Mapping[str, Any], settings: Settings, now_ms: int) -> list[Finding]:
    """From link's own report; the first finding is about the connection itself. ``now_ms``: by
    the clock of ``control``, which a bench may move."""
    status = "systemctl status portier-link"
    heard, keepalive = link.get("heard_ms"), link.get("keepalive_ms")
    if link.get("connected") is not True:
        reason = str(link.get("reason") or "not connected")
        return [no(f"broker: link is not connected ({reason})", status, "link's own report")]
    if not isinstance(heard, int):
        return [unknown("broker: link has not heard from it yet", status, "link's own report")]
    age_ms = max(0, now_ms - heard)
    void_ms = 2 * (keepalive if isinstance(keepalive, int) and keepalive > 0 else 10_000)
    evidence = f"the broker answered link {age_ms / 1000:.0f} s ago"
    if age_ms > void_ms:
        return [unknown("broker: link has heard nothing from it lately", status, evidence)]
    found = [yes("broker: link is connected", evidence)]
    broker_can = link.get("broker")
    if isinstance(broker_can, Mapping):
        most = broker_can.get("maximum_packet_size")
        found += _limits(
            bool(broker_can.get("retain_available", True)),
            broker_can.get("maximum_qos", 2),
            most if isinstance(most, int) else None,
        )
    else:
        found.append(unknown("broker: link has not reported its limits", status))
    aside = [one for one in link.get("aside") or () if isinstance(one, Sequence) and one]
    count = link.get("aside_count", len(aside))
    if aside or count:
        for one in aside or (["messages", ""],):
            reason = str(one[1]) if len(one) > 1 and one[1] else "refused"
            found.append(_refused_topic(str(one[0]), reason, settings))
    else:
        found.append(yes("broker: takes every message", f"link has set nothing aside; {evidence}"))
    return found


def _presented(mqtt: Mqtt, config: Path) -> Iterator[Finding]:
    """The broker's certificate, which it presents before any client is named: no session of
    ``link`` is touched."""
    if not mqtt.encrypted or not isinstance(mqtt.tls, Tls):
        return
    trial = _Trial(mqtt.host, mqtt.port_number)
    try:
        trial.open(_context(mqtt.tls, config))
        yield from _certificate(trial)
    except (_Trouble, OSError) as error:
        what = error.what if isinstance(error, _Trouble) else _network(error, trial, mqtt).what
        yield unknown(f"broker: its certificate was not seen ({what})", "sudo portier doctor")
    finally:
        if trial.sock is not None:
            trial.sock.close()


# --- a connection of our own --------------------------------------------------------------


@dataclass(slots=True)
class _Trouble(Exception):
    """Why the connection cannot be made, or has ended."""

    what: str
    remedy: str
    evidence: str = ""
    unknown: bool = False


@dataclass(slots=True)
class _Trial:
    """One connection in MQTT 5 that ends at ``deadline`` (monotonic seconds)."""

    host: str
    port: int
    deadline: float = field(default_factory=lambda: time.monotonic() + WITHIN_S)
    sock: socket.socket | None = None
    came: bytearray = field(default_factory=bytearray)
    understood: bool = False
    """It has sent a packet of MQTT 5."""

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    def left_s(self) -> float:
        """Raises :class:`TimeoutError` when nothing is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def open(self, context: ssl.SSLContext | None) -> None:
        """Connect. Raises :class:`OSError`, of which :class:`ssl.SSLError` is one."""
        self.sock = socket.create_connection((self.host, self.port), min(3.0, self.left_s()))
        if context is not None:
            self.sock.settimeout(self.left_s())
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def close(self) -> None:
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.settimeout(0.5)
                self.sock.sendall(mqtt5.DisconnectPacket().write())
            self.sock.close()

    def ask(self, packet: Any, answer: type[Any], number: int = 0) -> Any:
        """Send a packet and wait for the answer to it. Raises :class:`OSError`,
        :class:`_Trouble`."""
        if self.sock is None:
            raise ConnectionResetError("not connected")
        self.sock.settimeout(self.left_s())
        self.sock.sendall(packet.write())
        while True:
            for got in self._packets():
                if isinstance(got, answer) and getattr(got, "packet_id", 0) == number:
                    return got
                if isinstance(got, mqtt5.DisconnectPacket):
                    raise _Trouble(
                        f"{self.where} ends the connection ({_words(got.reason_code)})",
                        "look into the broker's log",
                    )
            self.sock.settimeout(self.left_s())
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionResetError("it closes the connection without an answer")
            self.came += more

    def _packets(self) -> list[Any]:
        if self.came[:2] == _MQTT_3_CONNACK:
            raise _Trouble(
                f"{self.where} does not speak MQTT 5",
                "choose a listener for MQTT 5; Mosquitto speaks it from 1.6 on",
                "it answers in MQTT 3.1.1",
            )
        packets = []
        while self.came:
            if not self.understood and self.came[0] not in _FIRST_ANSWERS:
                raise self._stranger()
            try:
                packet, size = mqtt5.read(memoryview(self.came))
            except IndexError:
                break
            except BaseException as error:
                # Rust's panic is no Exception
                if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                    raise
                raise self._stranger() from None
            self.understood = True
            packets.append(packet)
            self.came = self.came[size:]
        return packets

    def _stranger(self) -> _Trouble:
        return _Trouble(
            f"{self.where} does not speak MQTT",
            "is it the right port? see mqtt: {host: …, port: …}",
            f"it answers {bytes(self.came[:20])!r}",
        )


def _tried(settings: Settings, mqtt: Mqtt, config: Path, state: Path) -> Iterator[Finding]:
    host, port = mqtt.host, mqtt.port_number
    if mqtt.embedded:
        if not (state / broker.FILE).exists():
            yield no("broker: the embedded one has never run on this folder", "portier run")
            return
        host, port = broker.HOST, broker.last(state).v5
    trial = _Trial(host, port)
    try:
        yield from _session(trial, settings, mqtt, config)
    except _Trouble as trouble:
        make = unknown if trouble.unknown else no
        yield make(f"broker: {trouble.what}", trouble.remedy, trouble.evidence)
    except OSError as error:
        why = _network(error, trial, mqtt)
        yield no(f"broker: {why.what}", why.remedy, why.evidence)
    finally:
        trial.close()


def _session(trial: _Trial, settings: Settings, mqtt: Mqtt, config: Path) -> Iterator[Finding]:
    """Raises :class:`_Trouble`, :class:`OSError`."""
    tls = mqtt.tls if mqtt.encrypted and isinstance(mqtt.tls, Tls) else None
    password = _password(mqtt)
    trial.open(None if tls is None else _context(tls, config))
    yield from _certificate(trial)
    link_id = mqtt.client or f"portier-{settings.gateway.id}"
    began = time.monotonic()
    answer = trial.ask(
        mqtt5.ConnectPacket(
            f"{link_id}-doctor-{os.urandom(3).hex()}",
            username=mqtt.user,
            password=None if password is None else password.encode(),
            clean_start=True,
            keep_alive=KEEPALIVE_S,
        ),
        mqtt5.ConnAckPacket,
    )
    if int(answer.reason_code) >= REFUSED_FROM:
        raise _refused(trial, answer, mqtt)
    took_ms = (time.monotonic() - began) * 1000
    who = f" as {mqtt.user}" if mqtt.user else ""
    yield yes(
        f"broker: {trial.where}", f"it accepted a connection{who} just now, in {took_ms:.0f} ms"
    )
    most = answer.max_packet_size
    yield from _limits(bool(answer.retain_available), int(answer.max_qos), most)
    yield from _subscribed(trial, settings)
    yield from _published(trial, settings, answer)


def _limits(retain: bool, qos: Any, most_bytes: int | None) -> Iterator[Finding]:
    """What the broker says that it can do."""
    said = "in the broker's answer to CONNECT"
    if retain:
        yield yes("broker: has retained messages", said)
    else:
        yield no(
            "broker: has no retained messages, so whoever connects later learns no state",
            "switch them on (Mosquitto: retain_available true), or choose another broker",
            said,
        )
    if isinstance(qos, int) and qos >= 1:
        yield yes("broker: acknowledges messages (QoS 1)", said)
    else:
        yield no(
            "broker: acknowledges no messages (QoS 0 only), so what it loses is not sent again",
            "allow QoS 1 (Mosquitto: max_qos 2), or choose another broker",
            said,
        )
    if most_bytes is None:
        yield yes("broker: takes messages of any size", f"no limit {said}")
    elif most_bytes >= PACKET_LEAST_BYTES:
        yield yes(f"broker: takes messages of {most_bytes} bytes", said)
    else:
        yield no(
            f"broker: takes messages of {most_bytes} bytes at most, some of ours are larger",
            f"allow {PACKET_LEAST_BYTES} bytes or more (Mosquitto: max_packet_size)",
            said,
        )


def _subscribed(trial: _Trial, settings: Settings) -> Iterator[Finding]:
    topics = Topics(settings.gateway.id)
    filters = [
        topics.commands, topics.issuer_commands, topics.replays, topics.recorded, topics.info,
        topics.availability, topics.states,
    ]  # fmt: skip
    if settings.mqtt is not None and settings.mqtt.home_assistant:
        filters.append(discovery.BORN)
    filters += sorted({point.topic for point in listening.of(settings.points.values())})
    wanted = [
        mqtt5.TopicFilter(
            one, max_qos=mqtt5.QoS.AT_LEAST_ONCE, retain_handling=mqtt5.RetainHandling.SEND_NEVER
        )
        for one in filters
    ]
    answer = trial.ask(mqtt5.SubscribePacket(1, wanted), mqtt5.SubAckPacket, 1)
    refused = [
        (name, code)
        for name, code in zip(filters, answer.reason_codes, strict=False)
        if int(code) >= REFUSED_FROM
    ]
    for name, code in refused:
        yield no(
            f"broker: refuses the subscription of {name} ({_words(code)})",
            f"allow it in the broker's access list: {_may(settings, 'read', name)}",
            "in its answer to SUBSCRIBE",
        )
    if not refused:
        # Mosquitto's access list does not refuse subscriptions; it leaves messages out.
        yield yes(
            f"broker: grants {len(filters)} subscriptions",
            "in its answer to SUBSCRIBE; whether it then delivers was not tried",
        )


def _published(trial: _Trial, settings: Settings, limits: Any) -> Iterator[Finding]:
    topics = Topics(settings.gateway.id)
    mark = f"doctor-{os.urandom(3).hex()}"
    trials = [(topics.response(mark), False), (f"{topics.root}/state/{mark}", True)]
    if int(limits.max_qos) < 1:
        yield unknown(
            "broker: publishing was not tried",
            "without QoS 1 the broker gives no answer; allow QoS 1 first",
        )
        return
    taken = []
    for number, (topic, retain) in enumerate(trials, start=2):
        if retain and not limits.retain_available:
            continue
        packet = mqtt5.PublishPacket(
            topic, b"", qos=mqtt5.QoS.AT_LEAST_ONCE, retain=retain, packet_id=number
        )
        code = trial.ask(packet, mqtt5.PubAckPacket, number).reason_code
        if int(code) >= REFUSED_FROM:
            yield _refused_topic(topic, _words(code), settings)
        else:
            taken.append(topic.removesuffix(mark) + "…")
    if taken:
        yield yes(
            f"broker: takes messages on {' and '.join(taken)}",
            "acknowledged just now; other topics were not tried, because somebody reads them",
        )


def _refused_topic(topic: str, reason: str, settings: Settings) -> Finding:
    topic = topic.rsplit("/doctor-", 1)[0] + "/#" if "/doctor-" in topic else topic
    return no(
        f"broker: refuses messages on {topic} ({reason})",
        f"allow it in the broker's access list: {_may(settings, 'write', topic)}",
        "in its answer to PUBLISH",
    )


def _may(settings: Settings, what: str, topic: str) -> str:
    """The line for Mosquitto's access list."""
    user = settings.mqtt.user if settings.mqtt is not None else None
    return f"`topic {what} {topic}`" + (f" below `user {user}`" if user else "")


# --- why not ------------------------------------------------------------------------------


def _password(mqtt: Mqtt) -> str | None:
    """Raises :class:`_Trouble` where it cannot be read."""
    secret: Any = mqtt.password
    if not isinstance(secret, Secret):
        return None if secret is None else str(secret)
    try:
        return secret.read()
    except SecretError as error:
        raise _Trouble(
            f"its password: {error}", "sudo portier doctor", unknown="cannot be read" in str(error)
        ) from None


def _secret_place(mqtt: Mqtt) -> str:
    secret: Any = mqtt.password
    if not isinstance(secret, Secret):
        return "password: !secret NAME below mqtt:"
    place = next((p for p in secret.places if (p / secret.name).exists()), None)
    return str((place or secret.places[-1]) / secret.name) if secret.places else secret.name


def _context(tls: Tls, config: Path) -> ssl.SSLContext:
    """As ``link`` has it. Raises :class:`_Trouble`."""
    beside = config.absolute().parent
    files = {name: getattr(tls, name) for name in ("ca", "cert", "key")}
    at = {name: str(beside / file) for name, file in files.items() if file is not None}
    for name, path in at.items():
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _Trouble(
                f"{path} cannot be read ({error.strerror})",
                "sudo portier doctor"
                if isinstance(error, PermissionError)
                else f"see mqtt: {{tls: {{{name}: …}}}}; deploy/tls.sh makes certificates",
                unknown=isinstance(error, PermissionError),
            ) from None
    try:
        context = ssl.create_default_context(cafile=at.get("ca"))
        if "cert" in at:
            context.load_cert_chain(at["cert"], at.get("key"))
    except (OSError, ValueError) as error:
        raise _Trouble(
            f"the certificates below mqtt: {{tls: …}} cannot be used ({_ssl_words(error)})",
            "deploy/tls.sh makes new ones; cert and key must belong together",
            ", ".join(at.values()),
        ) from None
    return context


def _certificate(trial: _Trial) -> Iterator[Finding]:
    """How long the broker's certificate is still valid."""
    if not isinstance(trial.sock, ssl.SSLSocket):
        return
    until = (trial.sock.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return
    yield certificates.lasts(
        "broker: its certificate",
        ssl.cert_time_to_seconds(until),
        "move broker.pem away and make a new one: deploy/tls.sh",
        "presented just now",
    )


def _refused(trial: _Trial, answer: Any, mqtt: Mqtt) -> _Trouble:
    """A refusal of the connection, in plain words."""
    code = answer.reason_code
    evidence = f"its answer to CONNECT: {_words(code)}"
    if answer.reason_str:
        evidence += f" ({str(answer.reason_str)[:100]})"
    who = f"user {mqtt.user}" if mqtt.user else "a connection without a user"
    name = code.name
    if name in {"BAD_USER_NAME_OR_PASSWORD", "NOT_AUTHORIZED", "BAD_AUTHENTICATION_METHOD"}:
        if mqtt.user is None:
            remedy = "write mqtt: {user: NAME, password: !secret NAME}, or a certificate below tls:"
        else:
            remedy = (
                f"is the password in {_secret_place(mqtt)} the broker's? "
                f"On the broker: mosquitto_passwd FILE {mqtt.user}"
            )
        what = "refuses" if name == "NOT_AUTHORIZED" else "refuses the password of"
        return _Trouble(f"{trial.where} {what} {who}", remedy, evidence)
    remedy = {
        "CLIENT_ID_NOT_VALID": "allow client ids that begin with this: see mqtt: {client: …}",
        "UNSUPPORTED_PROTOCOL_VERSION": "choose a broker with MQTT 5; Mosquitto has it from 1.6",
        "BANNED": "the broker's administrator has banned this client",
        "SERVER_UNAVAILABLE": "the broker is not ready; try again, then look into its log",
        "SERVER_BUSY": "the broker is busy; try again, then look into its log",
        "QUOTA_EXCEEDED": "the broker has too many clients (Mosquitto: max_connections)",
        "CONNECTION_RATE_EXCEEDED": "too many connections in a short time; try again later",
    }.get(name, "look into the broker's log")
    return _Trouble(f"{trial.where} refuses the connection ({_words(code)})", remedy, evidence)


def _network(error: OSError, trial: _Trial, mqtt: Mqtt) -> _Trouble:  # noqa: PLR0911 - a table
    """Why there is no connection, in plain words."""
    where, evidence = trial.where, _ssl_words(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, trial)
    ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError)
    if isinstance(error, ssl.SSLError) and not ended:
        if "ALERT" in (error.reason or ""):
            return _Trouble(
                f"{where} refuses our certificate ({evidence})",
                "see mqtt: {tls: {cert: …, key: …}}: the broker must know its authority, and it "
                "must not be expired; deploy/tls.sh makes a new one",
                evidence,
            )
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return _Trouble(
                f"{where} does not speak TLS", "choose its port with TLS, or mqtt: {tls: none}",
                evidence,
            )  # fmt: skip
        return _Trouble(f"{where}: no agreement on TLS ({evidence})", "see mqtt: {tls: …}", "")
    if isinstance(error, socket.gaierror):
        return _Trouble(
            f"the name {trial.host} is not known ({evidence})",
            "see mqtt: {host: …}; does this machine reach its name server?",
        )
    if isinstance(error, TimeoutError):
        said = "accepts connections and does not answer" if trial.sock else "does not answer"
        remedy = "is it a broker, does it expect TLS, does a firewall drop packets? see mqtt:"
        return _Trouble(f"{where} {said}", remedy, f"nothing within {WITHIN_S:g} s")
    if ended and trial.sock is not None:
        tls = isinstance(trial.sock, ssl.SSLSocket)
        remedy = (
            "does it want a certificate? see mqtt: {tls: {cert: …, key: …}} and the broker's log"
            if tls
            else "does this port expect TLS? see mqtt: {tls: …} and the broker's log"
        )
        return _Trouble(f"{where} closes the connection without an answer", remedy, evidence)
    remedy = "portier run starts it" if mqtt.embedded else "is the broker running? see mqtt:"
    return _Trouble(f"{where}: {evidence}", remedy)


def _verification(error: ssl.SSLCertVerificationError, trial: _Trial) -> _Trouble:
    where, code, message = trial.where, error.verify_code, error.verify_message
    now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    if code in _WRONG_NAME:
        return _Trouble(
            f"the certificate of {where} is for another name",
            "write the name that it carries below mqtt: {host: …}, or make one for this name",
            message,
        )
    if code == _NOT_YET_VALID:
        return _Trouble(
            f"the certificate of {where} is not valid yet",
            f"is this machine's clock right? It says {now} UTC; see `timedatectl`",
            message,
        )
    if code == _EXPIRED:
        return _Trouble(
            f"the certificate of {where} has expired",
            f"make a new one (deploy/tls.sh), if this machine's clock is right: {now} UTC",
            message,
        )
    remedy = "mqtt: {tls: {ca: FILE}} must be the authority that made the broker's certificate"
    return _Trouble(f"the certificate of {where} is not trusted ({message})", remedy, message)


def _words(code: Any) -> str:
    """A reason code as words: ``not authorized``."""
    return str(code.name).lower().replace("_", " ")


def _ssl_words(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLError) and isinstance(reason, str):
        return reason.lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
