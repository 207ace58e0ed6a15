"""What the tests of a real system are made of says nothing about the machine that has made it,
and that they did not run does not go unnoticed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system import root
from tests.system.conftest import Image


@pytest.mark.system
def test_a_root_has_nothing_of_this_machine(image: Image) -> None:
    base = image.layers[-1]
    etc = base / "etc"
    assert (etc / "hostname").read_text(encoding="utf-8") == "gateway\n"
    assert (etc / "resolv.conf").read_text(encoding="utf-8") == ""
    assert (etc / "apt/sources.list").read_text(encoding="utf-8").count("\n") == 1
    assert list((etc / "apt/sources.list.d").iterdir()) == []
    assert list((etc / "apt/auth.conf.d").iterdir()) == []
    assert not (etc / "pip.conf").exists()
    assert not (base / "root/.config").exists()
    hosts = {
        found
        for name, value in os.environ.items()
        if re.search("proxy|pip_.*(url|host)", name, re.I)
        for found in re.findall(r"[A-Za-z0-9.-]{4,}", value)
    }
    hosts |= set(re.findall(r"//([^/\s]+)/", " ".join(root.mirror()))) - {"deb.debian.org"}
    hosts.add(str(root.CHECKOUT))
    texts = [*etc.rglob("*"), *(base / "var/log").rglob("*"), *(base / "var/lib/apt").rglob("*")]
    for file in texts:
        if file.is_file() and not file.is_symlink() and file.suffix not in (".pem", ".crt"):
            text = file.read_text(encoding="utf-8", errors="replace")
            assert [host for host in hosts if host in text] == [], file


def skipped(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """These tests on a machine without systemd-nspawn."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "system"),
            *("-k", "fresh_installation and bookworm", str(Path(__file__).parent)),
        ],
        env={"HOME": str(tmp_path), "PATH": str(tmp_path), **environment},
        cwd=root.CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.thorough
def test_without_containers_it_is_skipped_and_in_ci_a_failure(tmp_path: Path) -> None:
    assert skipped(tmp_path).returncode == 0
    failed = skipped(tmp_path, CI="true")
    assert failed.returncode == 1
    assert "skipped although CI=true" in failed.stdout
    wanted = skipped(tmp_path, CI="true", PORTIER_NO_SYSTEM="1")
    assert wanted.returncode == 0
    assert "PORTIER_NO_SYSTEM=1: 1 tests on a real Debian did not run" in wanted.stdout
