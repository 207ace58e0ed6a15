"""The roles of a centre: which there are, and what each is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import locks
from gateway.app import centre, roles
from gateway.app.announcement import LogIn
from gateway.app.configuration import load
from gateway.app.running import start
from gateway.app.running.readiness import Parts
from gateway.app.running.welcome import Welcome
from gateway.recorder import main as recorder
from gateway.settings.values.share import Share
from tests.cli.test_cli_offline import portier

CENTRE = """
sites: {name: Wohnungsgenossenschaft, timezone: Europe/London, languages: [en, de], bench: true}
groups: {North: [bad-1, bad-2]}
mqtt: {host: broker.example, tls: {ca: ca.pem, cert: sites.pem, key: sites.key}}
record: {store: sqlite, share: 2/4}
web: {listen: 127.0.0.1:18081, tls: {cert: page.pem, key: page.key}}
retention: {calls: 2 y}
"""
GATEWAY = "gateway: {id: bench, bench: true}\npoints: {}\nmqtt: embedded\nweb: {}\n"


def write(folder: Path, text: str = CENTRE) -> Path:
    file = folder / "sites.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("mqtt: {host: localhost}", ("record",)),
        ("mqtt: {host: localhost}\nweb: {}", ("record", "sites")),
        ("mqtt: embedded\nweb: {}", ("broker", "record", "sites")),
        ("mqtt: {host: localhost}\nrecord: none\nweb: {}", ("sites",)),
    ],
)
def test_a_centre_has_the_roles_that_its_configuration_names(
    tmp_path: Path, more: str, wanted: tuple[str, ...]
) -> None:
    file = write(tmp_path, f"sites: {{bench: true}}\n{more}\n")
    assert roles.wanted(load.sites(file)) == wanted


@pytest.mark.parametrize(
    ("role", "text", "said"),
    [
        ("web", CENTRE, "web is a role of a gateway, and this is the configuration of a centre"),
        ("control", CENTRE, "this is the configuration of a centre, and that of a gateway is"),
        ("sites", GATEWAY, "sites is the role of a centre, and this is the configuration of a"),
        ("sites", "sites: {}\nmqtt: {host: localhost}\n", "web: is not configured; add it"),
    ],
)
def test_a_role_that_is_of_another_configuration_says_so(
    tmp_path: Path, role: str, text: str, said: str
) -> None:
    command = [sys.executable, "-m", "gateway", "run", role, "--config", str(write(tmp_path, text))]
    done = subprocess.run(
        [*command, "--state", str(tmp_path / "state")],
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in {1, 78}
    assert said in done.stderr


def test_several_roles_of_which_one_is_of_another_configuration_do_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.run(["record", "notify"], write(tmp_path), tmp_path / "state", None) == 1
    assert "notify is a role of a gateway" in capsys.readouterr().err
    settings = load.settings(write(tmp_path, GATEWAY))
    for role in ("control", "link", "record", "web"):
        roles.check(role, settings)


@pytest.mark.parametrize(
    ("share", "client"), [("1/4", "portier-sites-centre"), ("2/4", "portier-sites-centre-2")]
)
def test_the_recorder_of_a_centre_takes_its_share_of_all_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, client: str
) -> None:
    told: list[recorder.RecorderSettings] = []
    monkeypatch.setattr(recorder, "run", lambda settings, _stop: told.append(settings))
    file = write(tmp_path, CENTRE.replace("2/4", share))
    assert roles._record(load.sites(file), file, tmp_path / "state") == 0
    (found,) = told
    assert (found.gateways, found.name, found.broker.client_id) == ((), "centre", client)
    assert found.share == Share(int(share[0]), 4)
    assert found.lives_ms["calls"] == 2 * 365 * 86_400_000
    assert found.state == tmp_path / "state" / "record"


def test_a_gateway_whose_recorder_takes_a_share_hands_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[recorder.RecorderSettings] = []
    monkeypatch.setattr(recorder, "run", lambda settings, _stop: told.append(settings))
    for record, gateways, share in (
        ("sqlite", ("bench",), Share()),
        ("{gateways: all, share: 1/2}", (), Share(1, 2)),
    ):
        file = write(tmp_path, f"{GATEWAY}record: {record}\n")
        roles._record(load.settings(file), file, tmp_path / "state")
        assert (told[-1].gateways, told[-1].share) == (gateways, share)
        assert told[-1].broker.client_id == "portier-bench-recorder"


def test_the_page_of_a_centre_is_told_what_the_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    file = write(tmp_path)
    options = centre.options_of(load.sites(file), file, tmp_path / "state")
    assert (options.name, options.languages) == ("Wohnungsgenossenschaft", ("en", "de"))
    assert str(options.zone) == "Europe/London"
    assert (options.host, options.port) == ("127.0.0.1", 18081)
    assert (options.tls_cert, options.tls_key) == (tmp_path / "page.pem", tmp_path / "page.key")
    assert options.groups == {"North": ("bad-1", "bad-2")}
    assert (options.store, options.broker, options.bench) == ("sqlite", "broker.example", True)
    assert options.retention["calls"] == 2 * 365 * 86_400_000
    monkeypatch.setenv("PORT", "18090")
    assert centre.options_of(load.sites(file), file, tmp_path / "state").port == 18090


def test_the_box_of_a_centre_has_its_name_and_no_points_to_try(tmp_path: Path) -> None:
    shown = Welcome(load.sites(write(tmp_path)), tmp_path, tmp_path / "portier.log")
    text = "\n".join(line for _, line in shown.rows(LogIn("https://127.0.0.1:18081/", "", False)))
    assert shown._name() == "Wohnungsgenossenschaft"
    assert "bench press" not in text
    assert "https://127.0.0.1:18081/" in text


def test_the_page_of_a_centre_is_asked_whether_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(host: str, port: int, *, tls: bool) -> str:
        return f"no answer on {host}:{port} {tls}"

    monkeypatch.setattr("gateway.app.running.readiness.page_check", away)
    found = Parts(("record", "sites"), tmp_path, lambda _: True, ("::1", 8080), tls=True).check()
    assert found == {"record": "", "page": "no answer on ::1:8080 True"}


def test_a_second_centre_on_the_same_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "sites: {bench: true}\nmqtt: embedded\n")
    with locks.held(tmp_path / start.LOCK, 0):
        assert start.run([], file, tmp_path, None) == 1
    assert f"this centre runs already on {tmp_path}" in capsys.readouterr().err


def test_a_new_configuration_that_is_wrong_leaves_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    assert start._valid_centre(file)
    file.write_text(CENTRE.replace("share: 2/4", "share: 5/4"), encoding="utf-8")
    assert not start._valid_centre(file)
    said = capsys.readouterr().err
    assert "the new configuration is refused, the old one stays" in said
    assert "there is no share 5 of 4" in said


def test_the_ports_of_a_broker_that_somebody_else_has_chosen_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = {}

    class Supervisor:
        def __init__(self, names: Any, command: Any, environment: Any, *_: Any, **__: Any) -> None:
            found.update(names=names, environment=environment)
            self.runs = lambda _: True

        def run(self) -> int:
            return 0

    monkeypatch.setattr("gateway.app.running.supervisor.Supervisor", Supervisor)
    monkeypatch.setattr(
        os, "environ", {**os.environ, "PORTIER_BROKER_V5": "4711", "PORTIER_BROKER_V3": "4712"}
    )
    file = write(tmp_path, "sites: {bench: true}\nmqtt: embedded\n")
    assert start.run([], file, tmp_path / "state", None) == 0
    assert found["names"] == ("broker", "record")
    assert found["environment"] == {"PORTIER_BROKER_V5": "4711", "PORTIER_BROKER_V3": "4712"}


def test_a_change_of_users_says_who_enters_it_into_the_audit(tmp_path: Path) -> None:
    for folder, said in ((None, "portier-web enters"), ("sites", "portier-sites enters")):
        if folder is not None:
            (tmp_path / folder).mkdir()
        made = portier("token", "add", said[8:13], "--role", "view", "--state", tmp_path)
        assert made.exit_code == 0
        assert said in " ".join(made.output.split())
