"""The installation lays the same files down however often it runs, and keeps what is yours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.app.certificates.folder import Folder
from gateway.app.configuration import load

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


def install(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CHECKOUT / "deploy/install.sh"), "--root", str(root), "--no-program", *options],
        capture_output=True,
        text=True,
        check=False,
    )


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_second_run_changes_nothing(tmp_path: Path) -> None:
    boot = tmp_path / "boot/firmware/config.txt"
    boot.parent.mkdir(parents=True)
    boot.write_text("arm_64bit=1\n")
    first = install(tmp_path)
    assert first.returncode == 0, first.stderr
    before = tree(tmp_path)
    second = install(tmp_path)
    assert second.returncode == 0, second.stderr
    assert tree(tmp_path) == before
    assert boot.read_text().count("dtparam=strict_gpiod") == 1


def test_your_configuration_and_certificates_are_kept(tmp_path: Path) -> None:
    install(tmp_path)
    mine = tmp_path / "etc/portier/portier.yaml"
    mine.write_text("gateway: {id: town-hall, name: Rathaus}\n")
    authority = (tmp_path / "etc/portier/tls/ca.pem").read_bytes()
    assert install(tmp_path).returncode == 0
    assert mine.read_text() == "gateway: {id: town-hall, name: Rathaus}\n"
    assert (tmp_path / "etc/portier/tls/ca.pem").read_bytes() == authority


def test_an_editor_finds_the_schema_of_the_running_version(tmp_path: Path) -> None:
    """Also after an update or a way back: the link leads through the version that runs."""
    assert install(tmp_path).returncode == 0
    folder = tmp_path / "etc/portier"
    first, _, _ = (folder / "portier.yaml").read_text(encoding="utf-8").partition("\n")
    name = first.removeprefix("# yaml-language-server: $schema=")
    schema = (folder / name).readlink()
    lines = (CHECKOUT / "deploy/system/tmpfiles.conf").read_text(encoding="utf-8").splitlines()
    assert f"L+ /etc/portier/{name} - - - - {schema}" in lines
    assert schema == Path("/opt/portier/current/config/schema.json")


def test_private_keys_are_private(tmp_path: Path) -> None:
    install(tmp_path)
    keys = list((tmp_path / "etc/portier/tls").glob("*.key"))
    assert {key.name for key in keys} >= {"ca.key", "gateway.key", "recorder.key", "web.key"}
    assert [oct(key.stat().st_mode & 0o777) for key in keys] == ["0o600"] * len(keys)


def test_certificates_are_signed_by_the_own_authority(tmp_path: Path) -> None:
    install(tmp_path)
    tls = tmp_path / "etc/portier/tls"
    for authority, name in (("ca", "web"), ("ca", "broker"), ("clients", "gateway")):
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", str(tls / f"{authority}.pem"), tls / f"{name}.pem"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.endswith(": OK\n"), done.stderr


def test_the_page_for_phones_is_one_option(tmp_path: Path) -> None:
    """With it, the page over TLS takes no line that somebody writes."""
    done = install(tmp_path, "--page", "lan", "--host", "door.example", "--ip", "192.168.178.20")
    assert done.returncode == 0, done.stderr
    config = tmp_path / "etc/portier/portier.yaml"
    web = load.settings(config, need=()).web
    assert web is not None
    assert web.listen == "0.0.0.0:8443"
    assert web.tls is not None
    shown = {one.name: one for one in Folder(config.parent / "tls").entries()}
    assert {"door.example", "192.168.178.20"} < set(shown["web"].names)
    assert shown["web"].days < 825


def test_the_page_of_an_older_configuration_is_yours(tmp_path: Path) -> None:
    install(tmp_path)
    config = tmp_path / "etc/portier/portier.yaml"
    before = config.read_text()
    done = install(tmp_path, "--page", "lan")
    assert config.read_text() == before
    assert "listen: 0.0.0.0:8443" in done.stdout


def test_an_unknown_option_is_refused_with_the_remedy(tmp_path: Path) -> None:
    done = install(tmp_path, "--stoer", "influx1")
    assert (done.returncode, done.stderr) == (
        2,
        "install.sh: --stoer is not known; see --help\n",
    )
