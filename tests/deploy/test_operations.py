"""What the operations guide ships and shows can be used as it is written."""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from gateway.settings import load_sites
from tests.settings.house import SMALL, loaded, write

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/operations"
SERVER = ROOT / "deploy/server"
RULES = ROOT / "deploy/network/portier.nft"
NFT = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin")
OWN = {"tls/broker", "tls/store", "tls/grafana", "server.env"}
"""What the guide lets somebody make before the first start."""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((SERVER / "compose.yaml").read_text(encoding="utf-8"))


def example() -> set[str]:
    """The names of the passwords."""
    text = (SERVER / "server.env.example").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^(\w+)=$", text))


def test_the_compose_file_fits_its_specification(compose: Any) -> None:
    with lzma.open(ROOT / "tests/fixtures/compose-spec.json.xz") as file:
        validator = jsonschema_rs.validator_for(json.load(file))
    assert [error.message for error in validator.iter_errors(compose)] == []
    compose["services"]["broker"]["imag"] = "x"
    assert not validator.is_valid(compose)
    del compose["services"]["broker"]["imag"]


def test_every_file_that_a_container_sees_is_there(compose: Any) -> None:
    asked = set()
    for name, service in compose["services"].items():
        for volume in service["volumes"]:
            source, _, rest = volume.partition(":")
            if not source.startswith("."):
                assert source in compose["volumes"], (name, volume)
                continue
            assert rest.endswith(":ro"), (name, volume)
            path = Path(os.path.normpath(source))
            if str(path) in OWN:
                asked.add(str(path))
            else:
                assert (SERVER / path).exists(), (name, volume)
        asked |= set(service.get("env_file", ()))
    text = (GUIDE / "server.md").read_text(encoding="utf-8")
    assert asked == OWN
    assert all(f"deploy/server/{one}" in text for one in OWN)


def test_each_image_has_a_version_and_each_port_stands_in_the_guide(compose: Any) -> None:
    text = (GUIDE / "server.md").read_text(encoding="utf-8")
    for service in compose["services"].values():
        assert re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+", service["image"])
        for port in service["ports"]:
            assert port.partition(":")[0] in text


def test_grafana_knows_the_store_by_the_name_that_the_dashboards_use(compose: Any) -> None:
    text = (SERVER / "grafana-datasource.yaml").read_text(encoding="utf-8")
    (source,) = yaml.safe_load(text)["datasources"]
    shipped = ROOT / "deploy/grafana/provisioning/datasources/portier-influxdb.yaml"
    (elsewhere,) = yaml.safe_load(shipped.read_text(encoding="utf-8"))["datasources"]
    assert source["uid"] == elsewhere["uid"]
    store = compose["services"]["store"]["environment"]
    assert source["jsonData"]["dbName"] == store["INFLUXDB_DB"]
    assert source["user"] == store["INFLUXDB_READ_USER"]
    assert set(re.findall(r"\$(\w+_\w+)\b(?!{)", text)) <= example()
    assert example() == {
        "INFLUXDB_ADMIN_PASSWORD", "INFLUXDB_USER_PASSWORD", "INFLUXDB_READ_USER_PASSWORD",
        "GF_SECURITY_ADMIN_PASSWORD",
    }  # fmt: skip


def blocks() -> list[tuple[str, str]]:
    """The pieces of configuration that the guide shows."""
    found = [
        (file.name, text)
        for file in sorted(GUIDE.glob("*.md"))
        for text in re.findall(r"(?ms)^```yaml\n(.*?)^```", file.read_text(encoding="utf-8"))
    ]
    assert len(found) == 6
    return found


@pytest.mark.parametrize(("page", "text"), blocks())
def test_a_configuration_of_the_guide_is_accepted(tmp_path: Path, page: str, text: str) -> None:
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"!secret (\w+)", text):
        (tmp_path / "secrets" / name).write_text("one of its own", encoding="utf-8")
    if text.startswith("sites:"):
        assert load_sites.load(write(tmp_path, text)).web
        return
    if text.startswith("points:\n"):
        text = (
            SMALL.replace("points:\n", text.partition("watch:")[0]) + text[text.index("watch:") :]
        )
    else:
        mqtt = "" if "mqtt:" in text else "mqtt: {host: 127.0.0.1}\n"  # as the guide has it above
        text = SMALL + mqtt + text
    settings = loaded(tmp_path, text)
    assert settings.watch if page == "machine.md" else settings.mqtt


def test_both_languages_have_the_same_commands_in_the_same_steps() -> None:
    """Whoever replaces a gateway reads one of them, with a screwdriver in the other hand."""
    pages = [(GUIDE / name).read_text(encoding="utf-8") for name in ("replace.md", "ersetzen.md")]
    blocks = [re.findall(r"(?m)^ {6,}(sudo [^#\n]*?) *(?:#.*)?$", page) for page in pages]
    steps = [re.findall(r"(?m)^\d\. ", page) for page in pages]
    inline = [set(re.findall(r"`((?:sudo )?portier [^`]+)`", page)) for page in pages]
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 6
    assert steps[0] == steps[1]
    assert inline[0] == inline[1]


def test_the_guide_opens_the_ports_that_its_plan_names() -> None:
    rules = re.sub(r"(?m)#.*", "", RULES.read_text(encoding="utf-8"))
    plan = (
        (GUIDE / "network.md").read_text(encoding="utf-8").partition("## How does the firewall")[0]
    )
    for port in ("22", "8443", "8883"):
        assert f"{port}/tcp" in plan
        assert re.search(rf"tcp dport [^\n]*\b{port}\b[^\n]* accept", rules), port
    for port in ("8080", "8086", "8428"):  # page, stores: on loopback, or the server's
        assert port not in rules


@pytest.mark.process
@pytest.mark.skipif(NFT is None, reason="nftables is not installed")
def test_nftables_accepts_the_rules() -> None:
    """In a network namespace of its own: it would look at this machine's otherwise."""
    for what, status in (("", 0), ("nonsense\n", 1)):
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", str(NFT), "--check", "--file", "/dev/stdin"],
            input=RULES.read_text(encoding="utf-8") + what,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr


def test_the_folders_and_users_of_a_centre_are_those_of_its_units() -> None:
    units = [SERVER / "portier-sites.service", ROOT / "deploy/systemd/portier-record.service"]
    folders = (SERVER / "tmpfiles.conf").read_text(encoding="utf-8")
    users = (SERVER / "sysusers.conf").read_text(encoding="utf-8")
    guide = (GUIDE / "sites.md").read_text(encoding="utf-8")
    for unit in units:
        text = unit.read_text(encoding="utf-8")
        user = re.search(r"(?m)^User=(.+)$", text)
        assert user is not None
        assert f"u {user[1]} " in users
        written = re.search(r"(?m)^ReadWritePaths=(.+)$", text)
        assert written is not None
        for folder in written[1].split():
            assert f"d {folder} 0750 {user[1]} " in folders, folder
        assert str(unit.relative_to(ROOT)) in guide
    assert "deploy/server/sysusers.conf" in guide
    assert "deploy/server/tmpfiles.conf" in guide
