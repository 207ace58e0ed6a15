"""``portier doctor``: what keeps the gateway from working, each with its remedy."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.app import broker, load, people
from gateway.panel import client
from gateway.settings.model import Settings
from gateway.settings.problems import SettingsError

DISK_LEAST_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``remedy`` is empty where nothing is to be done."""

    what: str
    ok: bool
    remedy: str = ""


def examine(config: Path, state: Path) -> list[Finding]:
    """Look at everything; nothing here changes anything."""
    try:
        settings = load.settings(config, judge=people.judge)
    except SettingsError as error:
        remedy = f"portier check {config}"
        wrong = Finding(f"configuration: {len(error.problems)} errors", False, remedy)
        return [wrong, *_disk(state), *_control(state)]
    found = [Finding(f"configuration: {config}", True)]
    looks: tuple[Callable[[Settings, Path], Iterator[Finding]], ...] = (
        _gpio,
        _radio,
        lambda settings, _: _broker(settings, state),
        _store,
        _people,
    )
    for look in looks:
        found += look(settings, config)
    found += [*_clock(settings), *_disk(state), *_control(state)]
    return found


def _gpio(settings: Settings, _config: Path) -> Iterator[Finding]:
    if not any(point.driver.startswith("gpio") for point in settings.points.values()):
        return
    chips = sorted(Path("/dev").glob("gpiochip*"))
    if not chips:
        yield Finding(
            "GPIO: there is no /dev/gpiochip*",
            False,
            "run this on the machine with the terminals; load the chip's kernel module",
        )
    for chip in chips:
        ok = os.access(chip, os.R_OK | os.W_OK)
        yield Finding(
            f"GPIO: {chip}", ok, "" if ok else "sudo usermod -aG gpio $USER, then log in again"
        )


def _radio(settings: Settings, _config: Path) -> Iterator[Finding]:
    """The serial ports of radio sticks. A running gateway has them, so they are not opened."""
    points = settings.points.values()
    ports = {p.settings.port for p in points if p.driver.startswith("enocean")}
    for port in sorted(ports):
        if not Path(port).exists():
            remedy = "plug the stick in; `ls /dev/serial/by-id` lists those that are there"
            yield Finding(f"radio: there is no {port}", False, remedy)
            continue
        ok = os.access(port, os.R_OK | os.W_OK)
        remedy = "" if ok else "sudo usermod -aG dialout $USER, then log in again"
        yield Finding(f"radio: {port}", ok, remedy)


def _reachable(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), timeout=3):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _broker(settings: Settings, state: Path) -> Iterator[Finding]:
    mqtt = settings.mqtt
    if mqtt is None:
        yield Finding("broker: none is configured, nothing is forwarded", True)
        return
    host, port = mqtt.host, mqtt.port_number
    if mqtt.embedded:
        host, port = broker.HOST, broker.last(state).v5
    reason = _reachable(host, port)
    remedy = "portier run starts it" if mqtt.embedded else "is the broker running? see mqtt:"
    what = f"broker: {host}:{port}"
    yield Finding(f"{what}: {reason}" if reason else what, not reason, remedy if reason else "")


def _store(settings: Settings, _config: Path) -> Iterator[Finding]:
    record = settings.record
    if record is None:
        yield Finding("store: none is configured", True)
        return
    url = urlsplit(record.store)
    if not url.scheme:
        yield Finding("store: SQLite in the state folder", True)
        return
    host, port = url.hostname or "localhost", url.port or 8086
    reason = _reachable(host, port)
    what = f"store: {host}:{port}"
    yield Finding(
        f"{what}: {reason}" if reason else what,
        not reason,
        "is the store running? see record:" if reason else "",
    )
    if not reason and _doubles(host, port):
        yield Finding(
            "store: VictoriaMetrics counts a point twice when it is written twice",
            False,
            "start it with -dedup.minScrapeInterval=1ms",
        )


def _people(settings: Settings, _config: Path) -> Iterator[Finding]:
    """Their addresses are in order, else the configuration had been refused."""
    if not settings.contacts:
        yield Finding("messages: nobody is named under contacts:, nobody is told of a call", True)
        return
    count = sum(len(contact.channels) for contact in settings.contacts.values())
    yield Finding(f"messages: {len(settings.contacts)} contacts, {count} addresses", True)
    if settings.web is None or not settings.web.public_url:
        yield Finding(
            "messages: carry no link to acknowledge",
            False,
            "write web: {public_url: https://…}, the address of the page for phones",
        )


def _doubles(host: str, port: int) -> bool:
    """Whether it is a VictoriaMetrics that lacks the flag that makes writing twice harmless."""
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/flags")
        answer = connection.getresponse()
        text = answer.read(200_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    if answer.status != 200 or "dedup.minScrapeInterval" not in text:
        return False
    return "dedup.minScrapeInterval=1ms" not in text.replace('"', "")


def _clock(settings: Settings) -> Iterator[Finding]:
    if settings.gateway.bench:
        yield Finding("clock: a bench trusts its own", True)
        return
    synchronised = ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        synchronised = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    ok = synchronised == "yes"
    yield Finding(
        "clock: synchronised" if ok else "clock: not synchronised",
        ok,
        "" if ok else "sudo timedatectl set-ntp true; is UDP port 123 open to a time server?",
    )


def _disk(state: Path) -> Iterator[Finding]:
    there = state if state.exists() else state.absolute().parent
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        yield Finding(
            f"disk: {there} is read-only: the door works, nothing is recorded",
            False,
            "look for disk errors (dmesg), then: "
            f"sudo mount -o remount,rw $(findmnt -no TARGET -T {there})",
        )
        return
    if not os.access(there, os.W_OK):
        yield Finding(
            f"disk: {there} cannot be written",
            False,
            "run this as the gateway's user: sudo -u portier-control portier doctor",
        )
        return
    free = shutil.disk_usage(there).free
    ok = free >= DISK_LEAST_BYTES
    yield Finding(
        f"disk: {free // 1_000_000} MB free at {there}",
        ok,
        "" if ok else "make room, or lower journal: {limit: …} and retention:",
    )


def _control(state: Path) -> Iterator[Finding]:
    try:
        shown = client.snapshot(state / "panel.sock", timeout_s=3)
    except client.ControlAway as error:
        yield Finding(
            f"control: does not answer ({error})",
            False,
            "systemctl status portier-control; on the bench: make run; other folder: --state",
        )
        return
    yield Finding("control: answers", True)
    for name, it in shown["guarantees"].items():
        what = f"{name}: {'holds' if it['ok'] else it['reason']}"
        yield Finding(what, it["ok"], "" if it["ok"] else "portier status; portier alarm list")
    for alarm in shown["alarms"]:
        if alarm["state"] == "active":
            yield Finding(f"alarm: {alarm['id']}", False, "portier alarm list")
