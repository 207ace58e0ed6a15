"""Commands for the certificates of the page, the broker and its clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, Config
from gateway.app.cli.listing import Listing
from gateway.systemd import systemctl

if TYPE_CHECKING:
    from gateway.app.certificates.folder import Folder

certificate = typer.Typer(
    no_args_is_help=True, help="Make, renew, show or revoke certificates of page and broker."
)

Where = Annotated[
    Path | None,
    typer.Option("--folder", help="The certificates.", show_default="tls beside the configuration"),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        envvar="PORTIER_CA_KEYS",
        help="Where ca.key and clients.key are, such as on a stick.",
        show_default="with the certificates",
    ),
]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="One more name of the page.")]
Addresses = Annotated[list[str] | None, typer.Option("--ip", help="An address of the page.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--lan", help="A network in which it may get another address one day."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the file, without .pem.")]
BROKER = Path("/etc/mosquitto/conf.d/portier.conf")
SERVICES = {
    "broker": ("reload", "mosquitto"),
    "gateway": ("try-restart", "portier-link"),
    "recorder": ("try-restart", "portier-record"),
}
"""Certificate -> how systemd makes its program read a new one. The page does so by itself."""


def add(cli: typer.Typer) -> None:
    cli.add_typer(certificate, name="certificate")


@certificate.callback()
def _group() -> None:
    """Certificates of page and broker, signed by an authority of this building.

    For the page on phones two steps are needed: `portier certificate new`, and trusting the root on
    each phone, as the page /help/certificate shows.
    """


@contextmanager
def _folder(where: Path | None, keys: Path | None, config: Path) -> Iterator[Folder]:
    """The folder. Ends the command with the reason where something cannot be done there."""
    from gateway.app.certificates.folder import Folder
    from gateway.app.certificates.names import CertificateError

    folder = Folder(where or config.absolute().parent / "tls", keys)
    try:
        yield folder
    except CertificateError as error:
        c.fail(str(error))
    except PermissionError as error:
        c.fail(f"{error.filename}: this user may not use it. Run this as root: sudo portier …")
    except OSError as error:
        c.fail(f"{error.filename}: {error.strerror}")


def _gateway(given: str, config: Path) -> str:
    if given:
        return given
    from gateway.app.configuration import load

    return load.settings(config, need=()).gateway.id


Gateway = Annotated[
    str, typer.Option("--gateway", help="Its id.", show_default="that of the configuration")
]


@certificate.command()
def new(
    host: Hosts = None,
    ip: Addresses = None,
    lan: Networks = None,
    folder: Where = None,
    keys: Keys = None,
    gateway: Gateway = "",
    *,
    config: Config,
) -> None:
    """Make the root and every certificate that is missing.

    This machine's name, NAME.local and its address are in them; --host and --ip add more, later
    within the limits of the root. Example:
    `sudo portier certificate new --host door.example --ip 192.168.178.20`
    """
    with _folder(folder, keys, config) as found:
        made = found.make(_gateway(gateway, config), "", host or (), ip or (), lan or ())
        for name in made:
            c.line(f"made {found.file(name)}")
        if not made:
            c.line(f"nothing was missing in {found.path}")
        _say_root(found)


def _say_root(folder: Folder) -> None:
    for root in folder.entries():
        if root.name in ("ca", "next-ca"):
            c.line(f"The root, to be trusted on each phone: {folder.file(root.name)}")
            c.line(f"  SHA-256 {root.fingerprint}")


@certificate.command()
def renew(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="These, whenever they end."),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Let broker and roles take the new ones.")
    ] = False,
    folder: Where = None,
    keys: Keys = None,
    *,
    config: Config,
) -> None:
    """Sign again what ends within 60 days, or lasts longer than phones accept.

    Keys stay, and so does the root: nothing is done on any phone. A timer runs this each day.
    """
    with _folder(folder, keys, config) as found:
        done = []
        try:
            for name in found.renew(names or ()):
                done.append(name)
                c.line(f"renewed {found.file(name)}")
            if not done:
                c.line("nothing ends soon")
        finally:  # what is done is due no more: nobody would hand it over later
            handed_over = _hand_over(done, reload=reload)
    if not handed_over:
        raise typer.Exit(1)


def _hand_over(done: Sequence[str], *, reload: bool) -> bool:
    """Make programs read their new certificates, or say how. Whether none has failed to."""
    all_well = True
    for name in done:
        verb, unit = SERVICES.get(name, ("", ""))
        if not unit:
            if name != "web":
                c.line(f"{name}.pem is for another machine: copy it there")
        elif reload:
            asked = systemctl(verb, unit)
            if asked.returncode:
                c.err.print(
                    f"systemctl {verb} {unit} failed ({asked.stderr.strip()}): see systemctl "
                    f"status {unit}",
                    soft_wrap=True,
                )
                all_well = False
        else:
            c.line(f"then: sudo systemctl {verb} {unit}")
    return all_well


@certificate.command()
def client(
    name: Name,
    folder: Where = None,
    keys: Keys = None,
    *,
    config: Config,
) -> None:
    """Make a certificate for one more client of the broker; NAME is its user there.

    What it may do is in the broker's access list.
    """
    with _folder(folder, keys, config) as found:
        found.make_client(name)
        c.line(f"made {found.file(name)} and {name}.key; the client needs both, and ca.pem")


@certificate.command()
def revoke(
    name: Name,
    folder: Where = None,
    keys: Keys = None,
    *,
    config: Config,
) -> None:
    """Revoke the certificate of a client of the broker, such as one that was stolen."""
    with _folder(folder, keys, config) as found:
        found.revoke(found.file(name))
        found.set_aside(name)
        c.line(f"revoked {name}; then: sudo systemctl restart mosquitto")
        c.line(
            f"a new one: portier certificate client {name}; for gateway, recorder or "
            "homeassistant: portier certificate new"
        )


@certificate.command("replace-root")
def replace_root(
    host: Hosts = None,
    ip: Addresses = None,
    lan: Networks = None,
    switch: Annotated[
        bool, typer.Option("--switch", help="Sign with the next root from now on.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="Let broker and roles take the new certificates.")
    ] = False,
    folder: Where = None,
    keys: Keys = None,
    gateway: Gateway = "",
    *,
    config: Config,
) -> None:
    """Change to another root in two steps: make it, and once it is trusted on the phones, use it.

    Needed for names or networks beyond the limits of the root, and to replace a root that has no
    limits. Clients of the broker get in with their old certificates until these end or are revoked.
    """
    with _folder(folder, keys, config) as found:
        if switch:
            _check_broker(found)
            done = found.switch_root()
            for name in done:
                c.line(f"renewed {found.file(name)}")
            c.line("keep ca.key.before off this machine; clients elsewhere need the new ca.pem")
            if not _hand_over(done, reload=reload):
                raise typer.Exit(1)
            return
        gateway_id = _gateway(gateway, config)
        root = found.prepare_root(gateway_id, "", host or (), ip or (), lan or ())
        c.line(f"made {root}; the page /help/certificate offers it beside the present one")
        c.line("once all phones trust it: portier certificate replace-root --switch")


def _check_broker(folder: Folder) -> None:
    """A broker that still trusts the root for clients would refuse new clients."""
    try:
        text = BROKER.read_text(encoding="utf-8")
    except OSError:
        return  # the broker is on another machine
    old, new = f"cafile {folder.file('ca')}", f"cafile {folder.file('clients')}"
    if old in text.splitlines():
        c.fail(
            f"{BROKER} trusts clients by the root itself, and would refuse new ones. First write "
            f"{new} there instead of {old}, and then: sudo systemctl restart mosquitto"
        )


@certificate.command()
def show(
    folder: Where = None,
    as_json: AsJson = False,
    *,
    config: Config,
) -> None:
    """Show each certificate: what it is for, until when, and who has signed it."""
    with _folder(folder, None, config) as found:
        entries = found.entries()
        if not entries:
            c.fail(f"{found.path} has no certificates: portier certificate new")
        if as_json:
            c.print_json(
                [
                    {
                        "name": one.name,
                        "common_name": one.common_name,
                        "for": list(one.names),
                        "until": one.until.isoformat(),
                        "days": one.days,
                        "signed_by": one.signed_by,
                        "authority": one.is_authority,
                        "sha256": one.fingerprint,
                    }
                    for one in entries
                ]
            )
            return
        table = Listing("file", "who", "for", "days", "signed by")
        for one in entries:
            what = ", ".join(one.names) or ("clients" if one.is_authority else "the broker")
            table.add_row(
                f"{one.name}.pem", one.common_name, what, str(one.days), one.signed_by or "others"
            )
        c.out.print(table)
        _say_root(found)
