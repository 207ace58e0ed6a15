"""What ``portier doctor`` says of the broker.

Where ``link`` runs, it is asked over the panel how its own connection is: a second one would
say nothing about the first. Where it does not answer, a connection is made as ``link`` makes
it, with the same address, user and certificates, but with a client id of its own: the broker
would end the session of a ``link`` that runs all the same.

What is published for the trial reaches nobody: a response to a command that nobody gave, and an
empty retained message on a state that does not exist.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import broker, connections
from gateway.app.configuration import mqtt_points
from gateway.app.doctor import certificates, remedies
from gateway.app.doctor.remedies import Remedies
from gateway.app.findings import Finding, no, not_configured, unknown, yes
from gateway.link import discovery
from gateway.mqtt.reasons import refusal, words_of
from gateway.mqtt.session import DisconnectedError, NotMqttError, Session
from gateway.mqtt.settings import BrokerSettings, TlsFiles
from gateway.mqtt.topics import Topics
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import BrokerConnection, Mqtt, Tls
from gateway.settings.values.secrets import Secret, SecretError

WITHIN_S = 6.0
"""For everything that the broker is asked."""
KEEPALIVE_S = 10
PACKET_LEAST_BYTES = 16_384
"""What the broker must take at least: the introduction to Home Assistant, a state with all of
its alarms."""
_NOT_YET_VALID, _EXPIRED = 9, 10
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
    if mqtt.tls is None or not mqtt.encrypted:
        return
    session = Session(mqtt.host, mqtt.port_number, WITHIN_S)
    try:
        session.open(_context(mqtt.tls, config, remedies.GATEWAY))
        yield from _certificate(session)
    except (_Trouble, OSError) as error:
        what = error.what if isinstance(error, _Trouble) else _why(error, session, mqtt).what
        yield unknown(f"broker: its certificate was not seen ({what})", "sudo portier doctor")
    finally:
        session.close()


# --- a connection of our own --------------------------------------------------------------


@dataclass(slots=True)
class _Trouble(Exception):
    """Why the connection cannot be made, or has ended."""

    what: str
    remedy: str
    evidence: str = ""
    unknown: bool = False


Looks = Callable[[Session, Any], Iterator[Finding]]
"""What is found over a connection: the session, and the broker's answer to CONNECT."""


def _tried(settings: Settings, mqtt: Mqtt, config: Path, state: Path) -> Iterator[Finding]:
    def looks(session: Session, answer: Any) -> Iterator[Finding]:
        yield from _subscribed(session, settings)
        yield from _published(session, settings, answer)

    client = mqtt.client or f"portier-{settings.gateway.id}"
    yield from connected(mqtt, config, state, client, looks)


def connected(
    mqtt: BrokerConnection,
    config: Path,
    state: Path,
    client: str,
    looks: Looks,
    advice: Remedies = remedies.GATEWAY,
) -> Iterator[Finding]:
    """Findings about a connection of our own, whose client id begins with ``client``, and what
    ``looks`` finds over it."""
    host, port = mqtt.host, mqtt.port_number
    if mqtt.embedded:
        if not (state / broker.FILE).exists():
            yield no("broker: the embedded one has never run on this folder", "portier run")
            return
        host, port = broker.HOST, broker.last(state).v5
    session = Session(host, port, WITHIN_S)
    try:
        answer = yield from _session(session, mqtt, config, client, advice)
        yield from looks(session, answer)
    except _Trouble as trouble:
        make = unknown if trouble.unknown else no
        yield make(f"broker: {trouble.what}", trouble.remedy, trouble.evidence)
    except (OSError, NotMqttError, DisconnectedError) as error:
        why = _why(error, session, mqtt)
        yield no(f"broker: {why.what}", why.remedy, why.evidence)
    finally:
        session.close()


def settings_of(mqtt: BrokerConnection, config: Path, state: Path, client: str) -> BrokerSettings:
    """How a role reaches the broker; of the embedded one where it ran last. Raises
    :class:`gateway.settings.values.secrets.SecretError`."""
    if mqtt.embedded:
        return BrokerSettings(client, broker.HOST, broker.last(state).v5)
    return connections.broker_settings(client, mqtt, config)


def _session(
    session: Session, mqtt: BrokerConnection, config: Path, client: str, advice: Remedies
) -> Generator[Finding, None, Any]:
    """Connect; the broker's answer. Raises :class:`_Trouble`, and as :class:`Session` does."""
    tls = mqtt.tls if mqtt.encrypted else None
    password = _password(mqtt)
    session.open(None if tls is None else _context(tls, config, advice))
    yield from _certificate(session)
    began = time.monotonic()
    client_id = f"{client}-doctor-{os.urandom(3).hex()}"
    answer = session.connect(client_id, mqtt.user, password, KEEPALIVE_S)
    if refusal(answer.reason_code):
        raise _refused(session, answer, mqtt)
    took_ms = (time.monotonic() - began) * 1000
    who = f" as {mqtt.user}" if mqtt.user else ""
    yield yes(
        f"broker: {session.where}", f"it accepted a connection{who} just now, in {took_ms:.0f} ms"
    )
    yield from _limits(bool(answer.retain_available), int(answer.max_qos), answer.max_packet_size)
    return answer


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


def _subscribed(session: Session, settings: Settings) -> Iterator[Finding]:
    topics = Topics(settings.gateway.id)
    filters = [
        topics.commands, topics.issuer_commands, topics.replay("+"), topics.recorded("+"),
        topics.info, topics.availability, topics.states,
    ]  # fmt: skip
    if settings.mqtt is not None and settings.mqtt.home_assistant:
        filters.append(discovery.BORN)
    filters += sorted({point.topic for point in mqtt_points.of(settings.points.values())})
    answers = zip(filters, session.subscribe(filters), strict=False)
    refused = [(name, reason) for name, reason in answers if reason]
    for name, reason in refused:
        yield no(
            f"broker: refuses the subscription of {name} ({reason})",
            f"allow it in the broker's access list: {_may(settings, 'read', name)}",
            "in its answer to SUBSCRIBE",
        )
    if not refused:
        # Mosquitto's access list does not refuse subscriptions; it leaves messages out.
        yield yes(
            f"broker: grants {len(filters)} subscriptions",
            "in its answer to SUBSCRIBE; whether it then delivers was not tried",
        )


def _published(session: Session, settings: Settings, limits: Any) -> Iterator[Finding]:
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
    for topic, retain in trials:
        if retain and not limits.retain_available:
            continue
        if reason := session.publish(topic, b"", retain=retain):
            yield _refused_topic(topic, reason, settings)
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


def _password(mqtt: BrokerConnection) -> str | None:
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


def _secret_place(mqtt: BrokerConnection) -> str:
    secret: Any = mqtt.password
    if not isinstance(secret, Secret):
        return "password: !secret NAME below mqtt:"
    place = next((p for p in secret.places if (p / secret.name).exists()), None)
    return str((place or secret.places[-1]) / secret.name) if secret.places else secret.name


def _context(tls: Tls, config: Path, advice: Remedies) -> ssl.SSLContext:
    """As ``link`` has it. Raises :class:`_Trouble`."""
    files = TlsFiles.of(tls, config)
    for name, path in files.named():
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _Trouble(
                f"{path} cannot be read ({error.strerror})",
                "sudo portier doctor"
                if isinstance(error, PermissionError)
                else f"see mqtt: {{tls: {{{name}: …}}}}; {advice.missing}",
                unknown=isinstance(error, PermissionError),
            ) from None
    try:
        return files.context()
    except (OSError, ValueError) as error:
        raise _Trouble(
            f"the certificates below mqtt: {{tls: …}} cannot be used ({words_of(error)})",
            "sudo portier certificate renew makes new ones; cert and key must belong together",
            ", ".join(path for _, path in files.named()),
        ) from None


def _certificate(session: Session) -> Iterator[Finding]:
    """How long the broker's certificate is still valid."""
    until = session.certificate_until()
    if until is None:
        return
    yield certificates.lasts(
        "broker: its certificate",
        ssl.cert_time_to_seconds(until),
        "sudo portier certificate renew broker",
        "presented just now",
    )


def _refused(session: Session, answer: Any, mqtt: BrokerConnection) -> _Trouble:
    """A refusal of the connection, in plain words."""
    code = answer.reason_code
    evidence = f"its answer to CONNECT: {refusal(code)}"
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
        return _Trouble(f"{session.where} {what} {who}", remedy, evidence)
    remedy = {
        "CLIENT_ID_NOT_VALID": "allow client ids that begin with this: see mqtt: {client: …}",
        "UNSUPPORTED_PROTOCOL_VERSION": "choose a broker with MQTT 5; Mosquitto has it from 1.6",
        "BANNED": "the broker's administrator has banned this client",
        "SERVER_UNAVAILABLE": "the broker is not ready; try again, then look into its log",
        "SERVER_BUSY": "the broker is busy; try again, then look into its log",
        "QUOTA_EXCEEDED": "the broker has too many clients (Mosquitto: max_connections)",
        "CONNECTION_RATE_EXCEEDED": "too many connections in a short time; try again later",
    }.get(name, "look into the broker's log")
    return _Trouble(f"{session.where} refuses the connection ({refusal(code)})", remedy, evidence)


def _why(error: Exception, session: Session, mqtt: BrokerConnection) -> _Trouble:
    """Why there is no connection, or no more, in plain words."""
    if isinstance(error, DisconnectedError):
        return _Trouble(
            f"{session.where} ends the connection ({error})", "look into the broker's log"
        )
    if isinstance(error, NotMqttError) and error.version_3:
        return _Trouble(
            f"{session.where} does not speak MQTT 5",
            "choose a listener for MQTT 5; Mosquitto speaks it from 1.6 on",
            "it answers in MQTT 3.1.1",
        )
    if isinstance(error, NotMqttError):
        return _Trouble(
            f"{session.where} does not speak MQTT",
            "is it the right port? see mqtt: {host: …, port: …}",
            f"it answers {error.answer!r}",
        )
    return _network(error, session, mqtt)


def _network(error: Exception, session: Session, mqtt: BrokerConnection) -> _Trouble:  # noqa: PLR0911 - a table
    where, evidence = session.where, words_of(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, session)
    ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError)
    if isinstance(error, ssl.SSLError) and not ended:
        if "ALERT" in (error.reason or ""):
            return _Trouble(
                f"{where} refuses our certificate ({evidence})",
                "see mqtt: {tls: {cert: …, key: …}}: the broker must know its authority, and it "
                "must not be expired; sudo portier certificate renew makes a new one",
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
            f"the name {session.host} is not known ({evidence})",
            "see mqtt: {host: …}; does this machine reach its name server?",
        )
    if isinstance(error, TimeoutError):
        said = "accepts connections and does not answer" if session.sock else "does not answer"
        remedy = "is it a broker, does it expect TLS, does a firewall drop packets? see mqtt:"
        return _Trouble(f"{where} {said}", remedy, f"nothing within {WITHIN_S:g} s")
    if ended and session.sock is not None:
        tls = isinstance(session.sock, ssl.SSLSocket)
        remedy = (
            "does it want a certificate? see mqtt: {tls: {cert: …, key: …}} and the broker's log"
            if tls
            else "does this port expect TLS? see mqtt: {tls: …} and the broker's log"
        )
        return _Trouble(f"{where} closes the connection without an answer", remedy, evidence)
    remedy = "portier run starts it" if mqtt.embedded else "is the broker running? see mqtt:"
    return _Trouble(f"{where}: {evidence}", remedy)


def _verification(error: ssl.SSLCertVerificationError, session: Session) -> _Trouble:
    where, code, message = session.where, error.verify_code, error.verify_message
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
            "make a new one (sudo portier certificate renew), if this machine's clock is right: "
            f"{now} UTC",
            message,
        )
    remedy = "mqtt: {tls: {ca: FILE}} must be the authority that made the broker's certificate"
    return _Trouble(f"the certificate of {where} is not trusted ({message})", remedy, message)
