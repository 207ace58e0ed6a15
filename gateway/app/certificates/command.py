"""The program behind ``deploy/tls.sh``: make what is missing, or revoke a client. Everything else
is done by ``portier certificate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.app.certificates.folder import Folder
from gateway.app.certificates.names import CertificateError


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="tls.sh", description="Make what is missing, or revoke.")
    parser.add_argument("--revoke", nargs=2, metavar=("FOLDER", "CERTIFICATE"), type=Path)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("gateway", nargs="?", help="the gateway's id")
    parser.add_argument("machine", nargs="?", default="", help="its host name, if not this one's")
    parser.add_argument("--host", action="append", default=[], help="one more name of the page")
    parser.add_argument("--ip", action="append", default=[], help="an address of the page")
    parser.add_argument(
        "--lan", action="append", default=[], help="a network in which it may get another address"
    )
    parser.add_argument("--keys", type=Path, help="where ca.key and clients.key are")
    given = parser.parse_args(arguments)
    try:
        if given.revoke:
            Folder(given.revoke[0], given.keys).revoke(given.revoke[1])
        elif given.folder is None or given.gateway is None:
            parser.error("FOLDER and GATEWAY are missing")
        else:
            folder = Folder(given.folder, given.keys)
            folder.make(given.gateway, given.machine, given.host, given.ip, given.lan)
    except CertificateError as error:
        sys.stderr.write(f"tls.sh: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"tls.sh: {error.filename}: {error.strerror}\n")
        return 1
    return 0
