"""What ``portier doctor`` says of the page, and of the files of certificates."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.app import connections
from gateway.app.certificates import reading
from gateway.app.connections import Configuration
from gateway.app.doctor import certificates as certificates_
from gateway.app.doctor import remedies
from gateway.app.doctor.remedies import Remedies
from gateway.app.findings import Finding, no, not_configured, unknown, yes
from gateway.app.running import readiness
from gateway.formats import UnknownFormat
from gateway.settings.model.link import Tls
from gateway.web.identity import repair
from gateway.web.identity.users import users_file

WITHIN_S = 3.0
_AUTHORITIES = ("ca", "clients", "next-ca", "next-clients")


def page(settings: Configuration, config: Path) -> Iterator[Finding]:
    """Whether the page answers where the configuration has it."""
    web = settings.web
    if web is None:
        yield not_configured("page: none is configured")
        return
    try:
        port = connections.web_port() or web.port
    except connections.RoleError as error:
        yield no(f"page: {error}", "correct PORT= in the environment")
        return
    host = readiness.here(web.host)
    where = f"{web.host}:{port}"
    context = None
    if web.tls is not None:
        beside = config.absolute().parent
        cert, key = beside / web.tls.cert, beside / web.tls.key
        yield certificate("page", cert, key, remedies.of(settings), of_server=True)
        # The page is whoever answers here: that it presents our certificate is judged apart.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    yield _asked(host, port, where, context, remedies.of(settings).bench)


def _asked(host: str, port: int, where: str, context: ssl.SSLContext | None, bench: str) -> Finding:
    taken = (
        f"`sudo ss -ltnp 'sport = {port}'` shows who listens; stop it, or see web: {{listen: …}}"
    )
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(host, port, timeout=WITHIN_S)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=WITHIN_S, context=context)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(10_000)
    except ConnectionRefusedError:
        return no(
            f"page: nothing listens at {where}",
            f"systemctl status portier-web portier-sites; on the bench: {bench}",
            "the connection was refused just now",
        )
    except TimeoutError:
        return no(f"page: {where} does not answer", taken, f"nothing within {WITHIN_S:g} s")
    except (OSError, http.client.HTTPException) as error:
        return no(f"page: what listens at {where} is not the page", taken, str(error))
    finally:
        connection.close()
    try:
        parts = json.loads(body)
        status = str(parts.pop("status"))
        behind = ", ".join(f"{name} {state}" for name, state in sorted(parts.items()))
    except (ValueError, KeyError, TypeError, AttributeError):
        brief = f"it answers HTTP {answer.status} to /health/ready"
        return no(f"page: what listens at {where} is not the page", taken, brief)
    said = f"/health/ready just now: {behind}"
    if status == "ok":
        return yes(f"page: answers at {where}", said)
    return no(
        f"page: answers at {where}, but not everything works behind it",
        "systemctl status 'portier-*'; may the page's user read what is named here?",
        said,
    )


def users(state: Path) -> Iterator[Finding]:
    """Whether the file of the users is whole."""
    file = users_file(state)
    try:
        if not file.exists():
            return
        reason = repair.damage_of(file)
    except UnknownFormat:
        return  # a finding of its own
    except (OSError, sqlite3.Error) as error:
        yield unknown("users: their file cannot be read", "sudo portier doctor", str(error))
        return
    away = repair.unseen(file)
    if reason:
        remedy = "sudo systemctl restart portier-web makes it anew from what can be read"
        yield no(f"users: {file} is damaged", remedy, reason)
    elif away is not None:
        remedy = (
            "portier user list shows who is there, portier user add NAME --role ROLE adds one; then"
            " mark it as checked on the page, under Users"
        )
        text = "users: their file was damaged and is made anew from what could be read"
        yield no(text, remedy, f"{away} is there")
    else:
        yield yes(f"users: {file} is whole", "it was read just now")


def certificates(settings: Configuration, config: Path) -> Iterator[Finding]:
    """Our own certificates at the broker, their authority, and what else lies beside it: the
    broker's own and those of other clients, where they were made here."""
    beside, advice = config.absolute().parent, remedies.of(settings)
    mqtt = settings.mqtt
    own: list[tuple[str, Tls | None]] = [("mqtt", mqtt.tls if mqtt is not None else None)]
    if settings.record is not None:
        own.append(("record", settings.record.tls))
    for name, tls in own:
        if isinstance(tls, Tls) and tls.cert is not None and tls.key is not None:
            cert, key = beside / tls.cert, beside / tls.key
            yield certificate(name, cert, key, advice, of_server=False)
    authority = mqtt.tls.ca if mqtt is not None and isinstance(mqtt.tls, Tls) else None
    if authority is None:
        return
    named = {beside / tls.cert for _, tls in own if isinstance(tls, Tls) and tls.cert is not None}
    if settings.web is not None and settings.web.tls is not None:
        named.add(beside / settings.web.tls.cert)
    files = {beside / authority}
    if (beside / authority).is_relative_to(beside):  # and not the system's hundreds
        files |= set((beside / authority).parent.glob("*.pem"))
    for file in sorted(files - named):
        is_authority = file == beside / authority or file.stem in _AUTHORITIES
        found = _beside(file, advice, is_authority=is_authority)
        if found is not None:
            yield found


def _beside(file: Path, advice: Remedies, *, is_authority: bool) -> Finding | None:
    """A certificate whose key is somebody else's; ``None`` where it is none."""
    try:
        found = reading.read(file)
    except PermissionError as error:
        return unknown(f"certificate {file}: cannot be read", "sudo portier doctor", str(error))
    except OSError as error:
        return no(f"certificate {file}: {error.strerror}", advice.missing)
    except ValueError as error:
        if is_authority:
            return no(f"certificate {file}: {error}", advice.missing)
        return None  # a list of revocations, a chain's text
    what = f"certificate of the authority: {file}" if is_authority else f"certificate {file}"
    remedy = (
        "sudo portier certificate replace-root makes another one, and says what comes then"
        if is_authority
        else f"{advice.renew(file.stem)}, and give it to {found.name}"
        if advice.made_here
        else advice.renew(file.stem)
    )
    return certificates_.lasts(what, found.until, remedy, "the file was read just now", found.since)


def certificate(name: str, cert: Path, key: Path, advice: Remedies, *, of_server: bool) -> Finding:
    """Whether a certificate and its key can be used, belong together and are still valid."""
    what = f"certificate of {name}: {cert}"
    for file, named in ((cert, what), (key, f"{what}: its key {key}")):
        try:
            with file.open("rb"):
                pass
        except PermissionError as error:
            return unknown(
                f"{named}: cannot be read by this user", "sudo portier doctor", str(error)
            )
        except OSError as error:
            return no(f"{named}: {error.strerror}", advice.missing)
    try:
        until = _valid_until(cert, key, of_server=of_server)
    except ssl.SSLCertVerificationError as error:
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return no(
            f"{what}: {error.verify_message}",
            f"{advice.renew(cert.stem)}, if this machine's clock is right: {now} UTC",
            "the file was read just now",
        )
    except (OSError, ValueError) as error:
        text = getattr(error, "reason", None) or str(error)
        return no(f"{what}: cannot be used ({text})", "cert and key must belong together")
    seconds = ssl.cert_time_to_seconds(until)
    remedy = advice.renew(cert.stem)
    return certificates_.lasts(f"{what}:", seconds, remedy, "the file was read just now")


def _valid_until(cert: Path, key: Path, *, of_server: bool) -> str:
    """Agree on TLS with ourselves, in memory: so the standard library reads the certificate,
    and checks what the other side will check. Raises :class:`ssl.SSLError`, :class:`OSError`,
    :class:`ValueError`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (server, client):  # a password would be asked for on the terminal
        context.load_cert_chain(cert, key, password=lambda: "")
    judge = client if of_server else server
    judge.load_verify_locations(cert)
    judge.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    judge.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = {
        server: server.wrap_bio(to_server, to_client, server_side=True),
        client: client.wrap_bio(to_client, to_server),
    }
    for _ in range(4):
        for one in (sides[client], sides[server]):
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
    until = (sides[judge].getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        raise ValueError("it says no date")  # noqa: TRY004 - of a file
    return until
