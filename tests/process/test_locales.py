"""Names with umlauts, in folders with umlauts, whatever language and encoding the environment
names. What one process writes is read by others that were started elsewhere: by systemd without
any language, by hand in a terminal, by an installer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.panel import client
from tests.process.parts import ROOT, House, Process
from tests.process.parts_mqtt import program

pytestmark = pytest.mark.process

BUILDING = """
gateway: {id: test, name: Geschäftsstelle Łódź, bench: true, languages: [de]}
points:
  front.button: {driver: simulated_contact, label: Öffner außen}
  front.activation: {driver: simulated_relay, label: Relais für Tür}
  wc.cord: {driver: simulated_contact}
  wc.cancel: {driver: simulated_contact}
  wc.lamp: {driver: simulated_relay, max_on: unlimited}
doors:
  front:
    name: Haupteingang Süd
    activation: {point: front.activation, pulse: 500 ms}
    activators: [{point: front.button, kind: button, side: inside}]
    mode: automatic
rooms:
  wc: {name: Barrierefreies WC für Gäste, cord: [wc.cord], cancel: wc.cancel, lamp: wc.lamp}
"""
CHARSETS = {"de_DE": "ISO-8859-1", "tr_TR": "ISO-8859-9", "pl_PL": "ISO-8859-2"}
OFF = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python must not help itself to UTF-8."""


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled locales that this machine need not have."""
    folder = tmp_path_factory.mktemp("locales")
    for language, charset in CHARSETS.items():
        made = folder / f"{language}.{charset}"
        # It returns 1 where it has only warned.
        subprocess.run(
            [program("localedef"), "-f", charset, "-i", language, str(made)],
            check=False,
            capture_output=True,
        )
        if not made.exists():
            pytest.skip("locales is not installed")
    return folder


def environment(locales: Path, name: str) -> dict[str, str]:
    """A whole environment with nothing of ours that names a language."""
    bare = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LC_", "LANG", "PYTHON")) and key != "LOCPATH"
    }
    return (
        bare
        | {
            "UTF-8": {"LC_ALL": "C.UTF-8"},
            "none": {},
            "C": {"LC_ALL": "C", **OFF},
            "ascii output": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", **OFF},
            "unknown": {"LC_ALL": "xx_YY.ISO-8859-1", **OFF},
            **{
                language: {"LC_ALL": f"{language}.{charset}", "LOCPATH": str(locales), **OFF}
                for language, charset in CHARSETS.items()
            },
        }[name]
    )


EVERY = ("UTF-8", "none", "C", "ascii output", "unknown", *CHARSETS)


class Place(House):
    """A building whose processes have nothing but this environment."""

    environment: Mapping[str, str]

    def start(self, *command: str) -> Process:
        return super().start(
            "env", "-i", *(f"{k}={v}" for k, v in self.environment.items()), *command
        )

    def cli(self, *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "gateway", *words],
            check=False,
            cwd=ROOT,
            env=dict(self.environment),
            capture_output=True,
            timeout=120,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
        return done


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: the address of a Unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="portier-") as name:
        yield Path(name)


def place(tmp_path: Path, env: Mapping[str, str]) -> Place:
    folder = tmp_path / "Büro Łódź"
    folder.mkdir(exist_ok=True)
    config = folder / "türen.yaml"
    config.write_text(BUILDING, encoding="utf-8")
    return Place(config, folder / "zustand für später", env)


@pytest.mark.parametrize("name", EVERY)
def test_names_survive_every_language(tmp_path: Path, locales: Path, name: str) -> None:
    one = place(tmp_path, environment(locales, name))
    on = ("--state", str(one.state))
    configured = ("--config", str(one.config), *on)
    try:
        assert one.cli("check", str(one.config)).returncode == 0
        control = one.control()
        shown = one.snapshot()
        assert shown["gateway"]["name"] == "Geschäftsstelle Łódź"
        assert shown["doors"]["front"]["name"] == "Haupteingang Süd"
        assert shown["rooms"]["wc"]["name"] == "Barrierefreies WC für Gäste"
        # as the terminal of this language sends it
        why = "für Müller".encode("iso-8859-1" if name in CHARSETS else "utf-8")
        assert one.cli("door", "open", "front", "--reason", why, *on).returncode == 0
        for words in (
            ("status", *on), ("events", *on), ("points", *on), ("alarm", "list", *on),
            ("schema",), ("asyncapi", "--config", str(one.config)),
        ):  # fmt: skip
            done = one.cli(*words)
            assert done.returncode == 0, done
        assert json.loads(one.cli("status", "--json", *on).stdout)["gateway"]["name"].endswith(
            "ódź"
        )
        done = one.cli("doctor", *configured)  # a call in this building is announced to nobody
        wrong = [line for line in done.stdout.splitlines() if line.startswith(b"no ")]
        assert done.returncode == 1
        assert all(b"messages: " in line for line in wrong), done
        out = tmp_path / "für Excel.csv"
        assert one.cli("export", "--out", str(out), *on).returncode == 0
        assert "für Müller" in out.read_text(encoding="utf-8")
        saved = tmp_path / "für später.zip"
        assert one.cli("backup", str(saved), "--unencrypted", *on).returncode == 0
        assert saved.exists()
        _settings(one)
        assert control.stop() == 0
    finally:
        one.end()
    # Nothing lies beside under a name that somebody has mangled.
    assert sorted(os.listdir(one.config.parent)) == ["secrets", "türen.yaml", "zustand für später"]
    assert {"Büro Łódź", "für Excel.csv", "für später.zip"} == {
        it for it in os.listdir(tmp_path) if it != "locales"
    }
    log = "\n".join(control.lines)
    assert "Traceback" not in log
    assert [json.loads(line) for line in control.lines if line.startswith("{")]


def _settings(one: Place) -> None:
    """The page's question, which another process answers and writes into a file."""
    secrets = one.config.parent / "secrets"
    secrets.mkdir()
    (secrets / "pforte").write_text("json://127.0.0.1:9/\n", encoding="utf-8")
    contact = {"name": "Pförtner", "channels": [{"secret": "pforte"}]}
    ask = {"type": "settings", "actor": "web:1", "do": "preview"}
    args = {"version": "none", "sections": {"contacts": {"desk": contact}}}
    message = {**ask, "id": uuid.uuid4().hex, "args": args}
    answer = client.ask(one.panel, message, role="web", timeout_s=60)
    assert answer["status"] == "accepted", answer


@pytest.mark.parametrize("first", ["C", "de_DE"])
def test_a_plan_that_was_made_in_another_language(
    tmp_path: Path, locales: Path, first: str
) -> None:
    for name in (first, "UTF-8", "pl_PL", first):
        one = place(tmp_path, environment(locales, name))
        try:
            control = one.control()
            assert one.snapshot()["gateway"]["name"] == "Geschäftsstelle Łódź"
            assert control.stop() == 0
        finally:
            one.end()
    assert len(list((one.state / "plan").glob("*.json"))) == 1  # every language had the same
