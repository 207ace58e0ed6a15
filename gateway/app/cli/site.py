"""Commands of a centre: which gateways it has keys for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import durable
from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, Config, State
from gateway.app.cli.listing import Listing
from gateway.app.cli.people import keeping, users_of

if TYPE_CHECKING:
    from gateway.settings.values.secrets import Secret
    from gateway.sites.keys import Keys

site = typer.Typer(
    no_args_is_help=True, help="Give a centre of many gateways the key of each, or take it away."
)


def add(cli: typer.Typer) -> None:
    cli.add_typer(site, name="site")


@site.callback()
def _group() -> None:
    """Gateways that a centre looks at; run these on the machine of the centre.

    A key lets the centre send commands to one gateway, which decides about each of them. Events and
    states come without a key.
    """


def _enrolled(incomplete: str) -> list[str]:
    """For the completion of the shell: the gateways that are enrolled, where they may be read."""
    from gateway.app import paths
    from gateway.sites.keys import Keys, KeysError

    try:
        keys = Keys(paths.state(None), _secret(paths.config(None)))
        return [name for name in keys.enrolled() if name.startswith(incomplete)]
    except KeysError:
        return []


Gateway = Annotated[
    str,
    typer.Argument(metavar="GATEWAY", help="Its id, as in its configuration (gateway: {id: …})."),
]
Enrolled = Annotated[
    str, typer.Argument(metavar="GATEWAY", help="Its id.", autocompletion=_enrolled)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def _secret(config: Path) -> Secret:
    from gateway.settings.values.secrets import Secret, places
    from gateway.sites.keys import SECRET

    return Secret(SECRET, places(config))


@contextmanager
def _keys(state: Path, config: Path) -> Iterator[Keys]:
    """The keys; what is wrong with them ends the command with its reason."""
    from gateway.app.configuration import load
    from gateway.settings.values.problems import SettingsError
    from gateway.sites.keys import Keys, KeysError

    with contextlib.suppress(SettingsError):  # then this machine's zone has to do
        c.speak_in(load.sites(config, need=()).sites.timezone)
    try:
        yield Keys(state, _secret(config))
    except KeysError as error:
        c.fail(str(error))


@site.command()
def enrol(
    gateway: Gateway,
    state: State,
    config: Config,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file for the key, to be brought to the gateway.",
            show_default="GATEWAY.sites-key here",
        ),
    ] = None,
    show_key: Annotated[
        bool,
        typer.Option(
            "--show-key", help="Print the key, alone, on standard output, and write no file."
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make a key for a gateway, and say what to put where on the gateway and at the broker.

    The key is written into a file that only you can read, once: bring it to the gateway, then
    remove it. Enrolling again makes a new key; the one before is void here at once.

    Example: `sudo portier site enrol bad-1`
    """
    from gateway.sites.keys import check_name

    if out is not None and show_key:
        raise typer.BadParameter("either --out or --show-key")
    file = None if show_key else c.target(out or Path(f"{gateway}.sites-key"), state)
    with _keys(state, config) as keys:
        before = keys.enrolments().get(gateway)
        if file is not None and file.exists():
            c.fail(f"{file} is there already: hand it over or remove it, then ask again")
        if before is not None and not yes:
            _ask(
                f"{gateway} has had its key since {_minute(before.key_utc_ms)}. With a new one no "
                "command from here works there until it has been brought to the gateway. Make a "
                "new key?"
            )
        check_name(gateway)
        _note(state, "site_enrol", gateway)
        key = keys.enrol(gateway)
        if file is not None:
            _write(file, key, gateway)
    if as_json:
        c.print_json(_as_json(gateway, file, key if show_key else None, before is not None))
        return
    if show_key:
        sys.stdout.write(f"{key.decode('ascii')}\n")
        sys.stdout.flush()
    for text in _instructions(gateway, file, before is not None):
        # whoever takes the key from standard output has it there alone
        (c.err if show_key else c.out).print(text, soft_wrap=True)


def _note(state: Path, action: str, gateway: str) -> None:
    """Put an entry into the audit of the centre, before what it is about is done."""
    from gateway.web.identity.users import users_file

    if users_file(state).exists():
        with users_of(state) as users:
            keeping(users)(action, {"gateway": gateway})
    else:
        c.err.print("The centre was never started here: this is in no audit.", style="yellow")


def _ask(question: str) -> None:
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _write(file: Path, key: bytes, gateway: str) -> None:
    """Write the key for who hands it over: readable by that user alone."""
    owner = None
    with contextlib.suppress(KeyError, ValueError):
        if os.geteuid() == 0:  # with sudo, it is for whoever has typed that
            owner = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    try:
        durable.write(file, key + b"\n", 0o600, owner)
    except OSError as error:
        c.fail(
            f"{file} cannot be written ({error.strerror}), and the key is nowhere else. Name "
            f"another place: portier site enrol {gateway} --yes --out FILE"
        )


def _instructions(gateway: str, file: Path | None, again: bool) -> Iterator[str]:
    from gateway.sites import handover as to

    yield f"{gateway} has {'a new' if again else 'a'} key" + (f", in {file}" if file else "")
    yield ""
    yield f"1. On {gateway}, put the key where its link alone reads it:"
    name = file.name if file else "/dev/stdin"
    yield f"     {to.install(name)}"
    if file:
        yield f"   and remove the file there and here: shred -u {file.name}"
    yield f"2. In {to.CONFIGURATION} of {gateway}{', where they are missing' if again else ''}:"
    yield from _indented(to.configuration())
    yield "   The gateway decides which doors may be opened from here, and when, such as"
    yield "     may: [acknowledge, open], doors: {front: mon-fri 07:00-18:00}"
    yield "   Where it had no issuers before and Home Assistant commands it, add homeassistant: {}"
    yield "   Then: sudo systemctl restart portier-link"
    if again:
        yield f"3. The access list of the broker ({to.ACCESS_LIST}) stays as it is."
    else:
        yield f"3. At the broker, at the end of {to.ACCESS_LIST}:"
        yield from _indented(to.centre_access(gateway))
        yield "   and, where they are missing, of the gateways:"
        yield from _indented(to.gateway_access())
        yield "   Then: sudo systemctl reload mosquitto"


def _indented(lines: Sequence[str]) -> Iterator[str]:
    for text in lines:
        yield f"     {text}"


def _as_json(gateway: str, file: Path | None, key: bytes | None, again: bool) -> dict[str, object]:
    from gateway.sites import handover as to

    found: dict[str, object] = {
        "gateway": gateway,
        "again": again,
        "file": None if file is None else str(file.absolute()),
        "secret": {"path": to.SECRET_FILE, "mode": to.MODE, "group": to.GROUP},
        "configuration": "\n".join(to.configuration()),
        "access_list": {
            "sites": list(to.centre_access(gateway)), "gateway": list(to.gateway_access())
        },
    }  # fmt: skip
    return found if key is None else found | {"key": key.decode("ascii")}


@site.command("list")
def list_(state: State, config: Config, as_json: AsJson = False) -> None:
    """List the gateways that are enrolled, and whether each has its key."""
    with _keys(state, config) as keys:
        found = sorted(keys.enrolments().items())
    if as_json:
        c.print_json(
            [
                {
                    "gateway": gateway,
                    "since_utc_ms": one.since_utc_ms,
                    "key_utc_ms": one.key_utc_ms,
                    "confirmed_utc_ms": one.confirmed_utc_ms,
                }
                for gateway, one in found
            ]
        )
        return
    if not found:
        c.line(f"No gateway is enrolled in {state}: portier site enrol GATEWAY")
        return
    table = Listing("gateway", "enrolled", "key since", "gateway has it since")
    for gateway, one in found:
        has_it = "not used yet" if one.confirmed_utc_ms is None else _minute(one.confirmed_utc_ms)
        table.add_row(gateway, _minute(one.since_utc_ms), _minute(one.key_utc_ms), has_it)
    c.out.print(table)


def _minute(utc_ms: int) -> str:
    text = c.clock_text(utc_ms)
    return text[:16] + text[19:]  # without the seconds, with the zone


@site.command()
def revoke(gateway: Enrolled, state: State, config: Config, yes: Yes = False) -> None:
    """Forget the key of a gateway: from now on nothing can be asked of it from here.

    A key that was stolen is void only once the gateway has another one: how is printed.

    Example: `sudo portier site revoke bad-1`
    """
    with _keys(state, config) as keys:
        if gateway not in keys.enrolled():
            c.fail(f"{gateway} is not enrolled; `portier site list` shows which are")
        if not yes:
            _ask(f"Forget the key of {gateway}? Nothing can be asked of it from here then.")
        _note(state, "site_revoke", gateway)
        keys.revoke(gateway)
    for text in _after_revoking(gateway):
        c.line(text)


def _after_revoking(gateway: str) -> Iterator[str]:
    from gateway.sites import handover as to

    yield f"the key of {gateway} is forgotten here"
    # not: remove the issuer. Without any, a gateway takes commands that nobody has signed
    yield f"on {gateway}, put one in its place that nobody has:"
    yield f"  head -c 32 /dev/urandom | base64 | {to.install('/dev/stdin')}"
    yield "  sudo systemctl restart portier-link"
    yield f"at the broker, remove from {to.ACCESS_LIST}:"
    for line in to.centre_access(gateway)[1:]:
        yield f"  {line}"
    yield "  sudo systemctl reload mosquitto"
