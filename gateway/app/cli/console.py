"""What all commands share: options, output, and how they fail."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from gateway.app import paths
from gateway.app.configuration import plans
from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs
from gateway.core.reasons import REASONS
from gateway.panel import client
from gateway.panel.messages import encode
from gateway.panel.snapshot_types import Snapshot
from gateway.printable import in_a_line, in_a_text, in_json
from gateway.settings.values.problems import suggest
from gateway.settings.values.units import UnitError, duration_ms
from gateway.wire import calendar_time

_zones: list[tzinfo] = []


def _speak_for(state: Path) -> Path:
    """Choose the zone of the building whose state folder this is, for every time that is read or
    printed."""
    _zones[:] = [_zone_of(state)]
    return state


def _zone_of(state: Path) -> tzinfo:
    name = plans.timezone(state)
    if name is None:
        with suppress(client.ControlAway, client.NotTaken, OSError, KeyError):
            name = str(client.snapshot(panel(state))["gateway"]["timezone"])
    try:
        return machine_zone() if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return machine_zone()


def speak_in(name: str) -> None:
    """Read and print every time in this zone: that of a centre, which is no building."""
    with suppress(ZoneInfoNotFoundError, ValueError):
        _zones[:] = [ZoneInfo(name)]


def machine_zone() -> tzinfo:
    """The zone of this machine, where no building is known."""
    return datetime.now(UTC).astimezone().tzinfo or UTC


def zone() -> tzinfo:
    """The building's zone, or this machine's where no building is known."""
    return _zones[0] if _zones else machine_zone()


Config = Annotated[
    Path,
    typer.Option(
        envvar="PORTIER_CONFIG",
        default_factory=paths.default_config,
        readable=False,  # whoever reads it says what is wrong
        help="The configuration.",
        show_default="/etc/portier/portier.yaml, else config/bench.yaml",
    ),
]
State = Annotated[
    Path,
    typer.Option(
        envvar="PORTIER_STATE",
        default_factory=paths.default_state,
        readable=False,  # the socket in it is for people who may not list it
        callback=_speak_for,
        help="The state folder.",
        show_default="/var/lib/portier, else ./state",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="At most this many.")]

EXIT_CONFIGURATION = 78


class Terminal(Console):
    """Where everything is printed. A string is text: it is never read as markup, and its control
    characters are visible. Only a :class:`rich.text.Text` has a style; the command line makes one
    from its own words, and from others by :func:`styled`."""

    def render_str(self, text: str, **how: Any) -> Text:
        how |= {"markup": False, "emoji": False}
        return super().render_str(in_a_text(text), **how)


def styled(text: str, style: str) -> Text:
    """A text in this style, as safe to print as a string."""
    return Text(in_a_line(text), style)


out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)


def line(text: str) -> None:
    """Print one line, whatever is in what it is made of."""
    out.print(in_a_line(text), soft_wrap=True)


def progress() -> Progress:
    """How far something has come, on standard error, until it is done. The name of a task is
    text: see :func:`in_a_line`."""
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)


def fail(text: str, status: int = 1) -> NoReturn:
    """Say why, and end with ``status``."""
    err.print(text, style="red", soft_wrap=True)
    raise typer.Exit(status)


def typed(text: str) -> str:
    """What somebody has typed, where this process has no language that could read it: those
    bytes are UTF-8 then."""
    return os.fsencode(text).decode("utf-8", "replace") if _has_bytes(text) else text


def _has_bytes(text: str) -> bool:
    """Whether Python has passed bytes through that are no text here (PEP 383)."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def print_json(value: object, indent: int | None = None) -> None:
    """One JSON value, on one line as scripts like it where it is not to be indented."""
    ascii_only = not (sys.stdout.encoding or "").casefold().startswith("utf")
    sys.stdout.write(in_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) + "\n")
    sys.stdout.flush()


def panel(state: Path) -> Path:
    return state / "panel.sock"


@contextmanager
def needs_control(state: Path) -> Iterator[None]:
    """Say how to start it when ``control`` does not answer, and what it did not take."""
    try:
        yield
    except client.NotTaken as error:
        fail(refusal(str(error)))
    except client.ControlAway as error:
        if isinstance(error.__cause__, PermissionError):
            fail(
                f"you may not talk to control at {panel(state)}: "
                "sudo adduser $USER portier, then log in again"
            )
        if (page := _page_of_centre(state)) is not None:
            fail(
                f"{state} is the state folder of a centre of many gateways, which has no control. "
                f"Its page shows all sites{page and f': {page} (as configured)'}; whether the "
                "centre works: portier doctor"
            )
        fail(
            f"control does not answer at {panel(state)} ({error}). "
            "Is it running? `systemctl status portier-control`, on the bench `make run`; "
            "another folder is chosen with --state."
        )


def _page_of_centre(state: Path) -> str | None:
    """Where the page of a centre is whose state folder this is, empty where that is not known;
    ``None`` where it is not the folder of a centre."""
    from gateway.app import connections
    from gateway.app.configuration import load
    from gateway.settings.values.problems import SettingsError
    from gateway.sites.keys import FILE, FOLDER

    files = (paths.config(None), state.absolute().parent / "portier.yaml")
    config = next((file for file in files if load.of_centre(file)), None)
    keys, journal = state / FOLDER / FILE, state / "journal.sqlite"
    # os.path: whoever may not look into the folder is told as if nothing were there
    if not os.path.exists(keys) and (config is None or os.path.exists(journal)):
        return None
    with suppress(SettingsError, connections.RoleError):
        web = None if config is None else load.sites(config, need=()).web
        if web is not None:
            where = f"{web.host}:{connections.web_port() or web.port}"
            return str(web.public_url or f"http{'s' if web.tls else ''}://{where}/")
    return ""


def snapshot(state: Path) -> Snapshot:
    """The present snapshot of ``control``, or the end."""
    with needs_control(state):
        return client.snapshot(panel(state))


Done = str | Callable[[Snapshot], str]
"""What an accepted command has done, or how to say it from the snapshot that shows it."""


def ask(state: Path, name: str, args: Mapping[str, Json], as_json: bool, done: Done) -> None:
    """Give one command and say what came of it; refused is the end with status 1."""
    args = {key: typed(text) if isinstance(text, str) else text for key, text in args.items()}
    message = client.command(name, args, id=f"cli-{uuid.uuid4()}", actor="cli", via="cli")
    with needs_control(state):
        reply = client.ask(panel(state), message)
    if as_json:
        print_json({key: reply.get(key) for key in ("status", "reason", "fact")})
    elif reply["status"] != "refused":
        but = REASONS.get(str(reply["reason"]), "")
        text = done if isinstance(done, str) else done(snapshot(state))
        out.print(f"{reply['status']}: {text}{f' ({but})' if but else ''}", soft_wrap=True)
    if reply["status"] == "refused":
        reason = str(reply["reason"])
        if as_json:
            raise typer.Exit(1)
        hint = names_hint(snapshot(state), reason, args) if reason in NAMED else ""
        fail(" ".join(part for part in (refusal(reason), hint) if part))


def refusal(reason: str) -> str:
    """A sentence, and the key by which scripts and documents know it."""
    if reason not in REASONS:
        return f"refused: {reason}."
    return " ".join(filter(None, [f"refused: {REASONS[reason]} ({reason})", REMEDIES.get(reason)]))


REMEDIES = {"reason_needed": "Give one with --reason TEXT."}
"""Reason -> the option that it takes."""


NAMED = {
    "unknown_door": "door",
    "unknown_room": "room",
    "unknown_alarm": "alarm",
    "unknown_call": "call",
    "unknown_point": "point",
}
"""Reason -> the argument whose name is unknown."""


def names_hint(shown: Snapshot, reason: str, args: Mapping[str, Json]) -> str:
    """What was meant by a name that is not there, or which names there are."""
    calling = {
        name: call
        for name, one in (shown.get("rooms") or {}).items()
        if (call := one.get("call")) and call["state"] != "quiet"
    }
    known: dict[str, list[str]] = {
        "door": [*shown["doors"]],
        "room": [*(shown.get("rooms") or {})],
        "alarm": [one["id"] for one in shown["alarms"]],
        "call": [*calling, *(str(call["id"]) for call in calling.values() if call["id"])],
        "point": [name for name, one in shown["points"].items() if one["kind"] == "relay"],
    }
    what = NAMED[reason]
    if not known[what]:
        return f"There is no {what} at all now."
    text = suggest(str(args.get(what, "")), known[what], "there are")
    return text[:1].upper() + text[1:] + ("" if text.endswith("?") else ".")


def bench(state: Path, do: str, **args: Json) -> dict[str, Any]:
    """Do something on the bench and return its result, or the end."""
    message = {"type": "bench", "id": f"cli-{uuid.uuid4()}", "do": do, **args}
    with needs_control(state):
        answer = client.ask(panel(state), message, timeout_s=3600)
    result: dict[str, Any] = answer["result"]
    if result.get("error") == "not_a_bench":
        fail("refused: this gateway is no bench (its configuration does not say `bench: true`).")
    if "error" in result:
        fail(f"refused: {result['error']}{_point_hint(state, do, args)}")
    return result


def _point_hint(state: Path, do: str, args: Mapping[str, Json]) -> str:
    """Which simulated point was meant, where there is none of this name."""
    name = args.get("point")
    if do == "show" or not isinstance(name, str):
        return ""
    known = bench(state, "show")["points"]
    return "" if name in known else f"; {suggest(name, known, 'there are')}"


def audit(
    state: Path,
    action: str,
    detail: Mapping[str, Json],
    keep: Callable[[str, Mapping[str, Json]], object] | None = None,
) -> None:
    """Put an entry into the audit chain, where ``control`` runs to take it. ``keep`` takes it
    otherwise: it is handed over later."""
    message = {"type": "audit", "actor": "cli", "action": action, "detail": dict(detail)}
    if keep is None:
        tell(state, message)
    elif not _told(state, message):
        keep(action, detail)
        if (state / "sites").is_dir():
            err.print("portier-sites enters this into the audit of the centre within the hour.")
            return
        err.print(
            "control is not running: portier-web enters this into the audit chain when it is back.",
            style="yellow",
        )


def target(file: Path, state: Path) -> Path:
    """Where to write what somebody wants in ``file``: through links, and not among the files of
    the gateway. What is there and is no file of the disk (a terminal, a pipe) is returned as it
    is: it is written to, and not replaced."""
    try:
        if os.geteuid() == 0:
            _refuse_links_of_others(file)
        if file.exists() and not file.is_file():
            return file
        file = file.resolve()
        inside = state.resolve() in file.parents
    except (OSError, RuntimeError) as error:  # of links in a circle
        fail(f"{file}: {getattr(error, 'strerror', None) or error}")
    if inside:
        fail(f"{file} lies in the state folder, which is the gateway's own; choose another place")
    return file


def _refuse_links_of_others(file: Path) -> None:
    """Root follows no link that another user has made: it may lead to any file."""
    file = file.absolute()
    for one in (file, *file.parents):
        if one.is_symlink() and one.lstat().st_uid != 0:
            fail(f"{one} is a link that another user has made; name the file that it leads to")


def tell(state: Path, message: Mapping[str, object]) -> None:
    """Say something to ``control`` that needs no answer; a warning if it is not there."""
    if not _told(state, message):
        err.print("control is not running: this change is not in the audit chain.", style="yellow")


def _told(state: Path, message: Mapping[str, object]) -> bool:
    try:
        with client.connect(panel(state), "cli", 2.0) as sock:
            sock.sendall(encode(message))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass  # until control has read it all, and closes
    except (client.ControlAway, OSError):
        return False
    return True


def a_duration(text: str) -> Ms:
    """``2h``, ``30 min`` in milliseconds; wrong usage otherwise."""
    try:
        return duration_ms(text)
    except UnitError as error:
        raise typer.BadParameter(f"{error}; {error.hint}") from error


def an_instant(text: str, *, ahead: bool = False) -> UtcMs:
    """``2026-11-22T18:00`` or ``18:00`` (today, or with ``ahead`` the next time it is that
    late), or ``2h`` (ago, or with ``ahead`` from now), as UTC milliseconds. Without an offset
    it is a time of the building's zone."""
    try:
        delta_ms = duration_ms(text)
    except UnitError as error:
        wrong = f"{error}; {error.hint}"
    else:
        return now_utc_ms() + (delta_ms if ahead else -delta_ms)
    here = zone()
    now = datetime.now(here)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        try:
            form = "%H:%M:%S" if text.count(":") == 2 else "%H:%M"
            clock = datetime.strptime(text, form).time()  # noqa: DTZ007 - only its time counts
        except ValueError:
            raise typer.BadParameter(
                f"{wrong}; or a time such as 18:00, 18:57:40 or 2026-11-22T18:00"
            ) from None
        when = datetime.combine(now.date(), clock)
        if ahead and when.replace(tzinfo=here) <= now:
            when += timedelta(days=1)
    try:
        when = when if when.tzinfo is not None else when.replace(tzinfo=here)
        return int(when.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text}: no calendar reaches there") from None


def now_utc_ms() -> UtcMs:
    return time.time_ns() // 1_000_000


def clock_text(utc_ms: UtcMs | None) -> str:
    """Date and time of the building with the name of its zone, or that it is not known."""
    if utc_ms is None:
        return "time unknown"
    return calendar_time(utc_ms, zone()).strftime("%Y-%m-%d %H:%M:%S %Z")


UNITS = {
    "_c": "°C",
    "_percent": "%",
    "_hpa": "hPa",
    "_ppm": "ppm",
    "_v": "V",
    "_lx": "lx",
    "_dbm": "dBm",
    "_ohm": "Ω",
}
"""End of a quantity's name -> its unit."""


def value_text(quantity: str, value: float | None) -> str:
    """A measured value for people: ``temperature 21.5 °C``."""
    for ending, unit in UNITS.items():
        if quantity.endswith(ending):
            name = quantity.removesuffix(ending).replace("_", " ")
            return f"{name} unknown" if value is None else f"{name} {value} {unit}"
    return f"{quantity} {'unknown' if value is None else value}"


def zone_name() -> str:
    """As people know the building's zone: Europe/Berlin."""
    return getattr(zone(), "key", "") or str(zone())


def end_text(until_utc_ms: UtcMs, now_utc_ms: UtcMs) -> str:
    """When something ends: ``until 18:00 today (Europe/Berlin)``."""
    here = zone()
    until, now = calendar_time(until_utc_ms, here), calendar_time(now_utc_ms, here)
    days = (until.date() - now.date()).days
    day = {0: "today", 1: "tomorrow"}.get(days, f"on {until:%a} {until:%Y-%m-%d}")
    return f"until {until:%H:%M} {day} ({zone_name()})"


def span_text(shown: Snapshot, for_ms: Ms, typed: str) -> str:
    """The end of a span that begins now: by the building's clock, or as it was typed where that is
    not known."""
    offset_ms = shown.get("utc_offset_ms")
    if offset_ms is None:
        return f"for {typed}"
    now_utc_ms = shown["now_ms"] + offset_ms
    return end_text(now_utc_ms + for_ms, now_utc_ms)


def since_text(shown: Snapshot, since_ms: Ms, first_seen_ms: Ms = 10_000) -> str:
    """For how long something has been so. What ``control`` saw within ``first_seen_ms`` of its
    start may have been so for longer."""
    started_ms = shown.get("gateway", {}).get("started_ms")
    anew = started_ms is not None and 0 <= since_ms - started_ms <= first_seen_ms
    return ("at least " if anew else "") + ago_text(shown["now_ms"] - since_ms)


def ago_text(ms: Ms) -> str:
    """A duration as people say it, in one unit."""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if ms >= length:
            return f"{ms // length} {unit}"
    return "0 s"
