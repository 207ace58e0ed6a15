"""What ``portier doctor`` says of the broker's files and of certificates, on what was installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gateway.app.certificates import reading
from gateway.app.configuration import load
from gateway.app.doctor import files as doctor_files
from gateway.app.doctor import page as doctor_page
from gateway.app.doctor.broker_files import FOLDER
from gateway.app.findings import Finding
from gateway.sites import handover
from tests.deploy.test_broker_files import DEBIAN
from tests.deploy.test_install import CHECKOUT, install
from tests.process.parts import BUILDING

pytestmark = pytest.mark.process

LINK = "tls: {ca: tls/ca.pem, cert: tls/gateway.pem, key: tls/gateway.key}"
RECORDER = "tls: {ca: tls/ca.pem, cert: tls/recorder.pem, key: tls/recorder.key}"


class Machine:
    """An installation below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "etc/portier").mkdir(parents=True)
        self.config = root / "etc/portier/portier.yaml"
        self.write()
        assert install(root).returncode == 0
        self.acl = root / "etc/mosquitto/portier.acl"
        self.broker = root / "etc/mosquitto/conf.d/portier.conf"
        self.edit(self.broker, "/etc/", f"{root}/etc/")

    def write(self, mqtt: str = "", record: str = RECORDER) -> None:
        self.config.write_text(
            BUILDING
            + f"mqtt: {{host: localhost, {mqtt}{LINK}}}\nrecord: {{store: sqlite, {record}}}\n",
            encoding="utf-8",
        )

    def edit(self, file: Path, before: str, after: str) -> None:
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")

    def files(self, access_list: Path | None = None) -> list[Finding]:
        folder = self.root / FOLDER.relative_to("/")
        settings = load.settings(self.config)
        return list(doctor_files.examine(settings, self.config, access_list, folder))

    def certificates(self) -> dict[str, Finding]:
        found = doctor_page.certificates(load.settings(self.config), self.config)
        return {one.what.rpartition("/")[2].partition(".")[0]: one for one in found}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_was_installed_is_in_order(machine: Machine) -> None:
    machine.write("issuers: {homeassistant: {}}, ")
    assert [one.value for one in machine.files()] == ["yes", "yes"]


def test_files_with_which_mosquitto_does_not_start_are_said(machine: Machine) -> None:
    top = machine.root / "etc/mosquitto/mosquitto.conf"
    top.write_text(DEBIAN, encoding="utf-8")
    assert [one.value for one in machine.files()] == ["yes", "yes"]
    text = machine.broker.read_text(encoding="utf-8")
    machine.broker.write_text(text + "persistence_location /mnt/ssd/\n", encoding="utf-8")
    top.write_text(DEBIAN.replace("include_dir", "#include_dir"), encoding="utf-8")
    unread, twice, *_ = machine.files()
    assert (unread.value, twice.value) == ("no", "no")
    assert f"{top} does not read {machine.broker.parent}" in unread.what
    assert f"{top} (/var/lib/mosquitto/) and in {machine.broker} (/mnt/ssd/)" in twice.what
    assert f"sed -i 's/^persistence_location /# &/' {machine.broker}" in twice.remedy


def test_a_list_of_before_is_offered_as_a_diff_and_not_touched(machine: Machine) -> None:
    machine.edit(machine.acl, "pattern read portier/%u/info\n", "")
    machine.edit(machine.acl, "topic write portier/test/issuer/homeassistant/command/#\n", "")
    machine.edit(machine.acl, "pattern read portier/%u/issuer/+/command/#\n", "")
    machine.edit(machine.broker, "use_username_as_clientid true\n", "")
    machine.write("issuers: {homeassistant: {}}, ")
    before = machine.acl.read_bytes(), machine.broker.read_bytes()
    config, acl = machine.files()
    assert (config.value, acl.value) == ("no", "no")
    assert "take the client id of the gateway" in config.what
    assert "+use_username_as_clientid true" in config.remedy
    assert "a second gateway with the same id is not noticed" in acl.what
    assert "+pattern read portier/%u/info" in acl.remedy
    assert "+topic write portier/test/issuer/homeassistant/command/#" in acl.remedy
    assert "commands of the issuer homeassistant" in acl.what
    assert (machine.acl.read_bytes(), machine.broker.read_bytes()) == before


def test_an_issuer_without_a_key_that_others_can_speak_for_is_named(machine: Machine) -> None:
    machine.write("issuers: {homeassistant: {}}, ")
    with machine.acl.open("a", encoding="utf-8") as file:
        file.write("\nuser dashboard\ntopic readwrite portier/#\n")
    (wrong,) = [one for one in machine.files() if not one.ok]
    assert "dashboard, homeassistant may each write" in wrong.what
    assert "portier/test/issuer/homeassistant/command/#" in wrong.what


def test_a_client_that_may_command_every_gateway_is_named(machine: Machine) -> None:
    machine.edit(machine.acl, "topic write portier/test/", "topic write portier/+/")
    (wrong,) = [one for one in machine.files() if not one.ok]
    assert "homeassistant can command the doors and calls of every gateway" in wrong.what
    assert "-topic write portier/+/command/door/#" in wrong.remedy
    assert "+topic write portier/test/command/door/#" in wrong.remedy


@pytest.mark.parametrize(
    ("more", "opens"), [("", False), (", may: [acknowledge, open], doors: [front]", True)]
)
def test_what_the_centre_lacks_is_offered_where_it_is_an_issuer(
    machine: Machine, more: str, opens: bool
) -> None:
    secrets = machine.config.parent / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "sites_key").write_text("a key", encoding="utf-8")
    machine.write(f"issuers: {{sites: {{key: !secret sites_key{more}}}}}, ")
    (wrong,) = [one for one in machine.files() if not one.ok]
    assert "commands of the centre do not arrive" in wrong.what
    assert "+topic write portier/test/command/call/+/acknowledge" in wrong.remedy
    assert ("+topic write portier/test/command/door/+/open" in wrong.remedy) is opens
    machine.acl.write_text(
        "\n".join((machine.acl.read_text(), *handover.centre_access("test"), ""))
    )
    assert [one for one in machine.files() if not one.ok] == []


def test_one_user_for_link_and_recorder_is_named(machine: Machine) -> None:
    machine.write(record=LINK)
    wrong = [one for one in machine.files() if not one.ok]
    assert any("they throw each other out" in one.what for one in wrong)


def test_of_a_broker_elsewhere_a_copy_of_its_list_is_compared(machine: Machine) -> None:
    machine.edit(machine.config, "localhost", "broker.example")
    assert machine.files() == []
    machine.edit(machine.acl, "pattern write portier/%u/event/#\n", "")
    (wrong,) = machine.files(machine.acl)
    assert "nothing that happens is recorded" in wrong.what
    (missing,) = machine.files(machine.root / "nowhere")
    assert missing.value == "no"


def test_every_certificate_says_how_long_it_is_valid(machine: Machine) -> None:
    found = machine.certificates()
    assert set(found) == {
        "ca", "clients", "broker", "gateway", "homeassistant", "recorder", "web",
    }  # fmt: skip
    assert {one.value for one in found.values()} == {"yes"}
    assert "certificate of the authority" in found["ca"].what
    for one in found.values():
        days = 7_300 if one in (found["ca"], found["clients"]) else 800
        assert f"valid for {days} more days" in one.what or f"{days - 1} more" in one.what
        assert not one.remedy


@pytest.mark.parametrize(
    ("days", "value", "words"),
    [
        (-3, "no", "has expired, 3 days ago"),
        (3, "no", "ends in 3 days"),
        (20, "yes", "valid for 20 more days"),
        (40, "yes", "valid for 40 more days"),
    ],
)
@pytest.mark.parametrize(
    "name", ["ca", "clients", "broker", "gateway", "recorder", "homeassistant"]
)
def test_a_certificate_that_ends(
    machine: Machine, name: str, days: int, value: str, words: str
) -> None:
    """Red when it is past, and a hint 30 days before."""
    tls = machine.config.parent / "tls"
    key = tls / f"{name}.key"
    # by hours, so that no test runs over midnight of one of them
    until = subprocess.run(
        ["date", "-u", "-d", f"now {days * 24 + (1 if days > 0 else -1)} hours", "+%y%m%d%H%M%SZ"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (tls / "index").write_text("", encoding="utf-8")
    settings = (
        f"[ca]\ndatabase = {tls}/index\nnew_certs_dir = {tls}\ndefault_md = sha256\n"
        "policy = any\nrand_serial = yes\n[any]\ncommonName = supplied\n"
    )
    (tls / "conf").write_text(settings, encoding="utf-8")
    subprocess.run(
        ["openssl", "req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", tls / "csr"],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "ca", "-batch", "-config", tls / "conf", "-name", "ca", "-keyfile",
         tls / "ca.key", "-selfsign" if name == "ca" else "-notext", "-cert", tls / "ca.pem",
         "-in", tls / "csr", "-startdate", "200101000000Z", "-enddate", until,
         "-out", tls / "made", "-notext"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tls / "made").replace(tls / f"{name}.pem")
    one = machine.certificates()[name]
    assert one.value == value
    if days < 0 and name in ("gateway", "recorder"):
        assert "expired" in one.what  # as the other side says
    else:
        assert words in one.what
    assert bool(one.remedy) == (days < 30)


def test_what_is_no_certificate_says_so(tmp_path: Path) -> None:
    for text in (
        "", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ):  # fmt: skip
        (tmp_path / "a.pem").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="it is no certificate"):
            reading.read(tmp_path / "a.pem")


def test_a_missing_authority_key_makes_no_second_one(tmp_path: Path) -> None:
    """Whoever keeps ca.key elsewhere, as is told, got a new one that fitted no certificate."""
    tls, script = tmp_path / "tls", str(CHECKOUT / "deploy/tls.sh")
    make = ["sh", script, str(tls), "test", "host"]
    subprocess.run(make, check=True, capture_output=True)
    keys = tmp_path / "stick"
    keys.mkdir()
    for name in ("ca.key", "clients.key"):
        (tls / name).rename(keys / name)
    assert subprocess.run(make, check=False, capture_output=True).returncode == 0
    assert not (tls / "ca.key").exists()
    (tls / "recorder.pem").unlink()
    refused = subprocess.run(make, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert (
        "clients.key is missing, and nothing can be signed without it: name its folder"
        in refused.stderr
    )
    assert not (tls / "recorder.pem").exists()
    subprocess.run([*make, "--keys", str(keys)], check=True, capture_output=True)
    assert (tls / "recorder.pem").exists()
    assert not (tls / "ca.key").exists()
