"""What the roles are given of the configuration beside their settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.app import connections, places
from gateway.app.certificates.reading import ends
from gateway.app.configuration import load

ROOT = Path(__file__).parents[2]


def test_each_point_is_where_its_door_or_room_is_and_people_are_nowhere() -> None:
    """Motion and the door of the bathroom tell about a person."""
    found = places.of(load.settings(ROOT / "config" / "bench.yaml"))
    assert found["front.leaf"] == {"door": "front"}
    assert found["front.remote"] == {"door": "front"}
    assert found["wc.climate"] == {"room": "wc"}
    assert found["wc.cord"] == {"room": "wc"}
    assert not {"wc.pir", "wc.door"} & found.keys()


def test_a_point_that_is_only_watched_is_nowhere_in_particular(tmp_path: Path) -> None:
    text = (ROOT / "config" / "bench.yaml").read_text(encoding="utf-8")
    file = tmp_path / "portier.yaml"
    watch = "watch: {warm: {point: wc.climate, quantity: temperature_c, above: 40}}\n"
    text = text.replace("    climate: wc.climate\n", "") + watch
    file.write_text(text, encoding="utf-8")
    assert places.of(load.settings(file))["wc.climate"] == {}


def test_the_metrics_name_the_certificates_of_the_configuration(tmp_path: Path) -> None:
    text = (ROOT / "config" / "bench.yaml").read_text(encoding="utf-8")
    text = text.replace("mqtt: embedded", "mqtt: {host: broker, tls: {cert: link.crt, key: k}}")
    text = text.replace("127.0.0.1:8080}", "127.0.0.1:8080, tls: {cert: page.crt, key: k}}")
    file = tmp_path / "portier.yaml"
    file.write_text(text, encoding="utf-8")
    assert connections.certificates(load.settings(file), file) == {
        "page": tmp_path / "page.crt",
        "broker_client": tmp_path / "link.crt",
    }


def test_a_certificate_that_cannot_be_read_has_no_end(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    good, bad = tmp_path / "good.crt", tmp_path / "bad.crt"
    words = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days", "30"]
    words += ["-keyout", "key", "-out"]
    subprocess.run([openssl, *words, good], check=True, capture_output=True, cwd=tmp_path)
    bad.write_text("nothing", encoding="utf-8")
    found = ends({"page": good, "bad": bad, "gone": tmp_path / "gone.crt"})
    assert list(found) == ["page"]
    assert found["page"] - good.stat().st_mtime == pytest.approx(30 * 86_400, abs=120)


def test_home_assistant_is_told_what_points_are_and_what_people_call_them(tmp_path: Path) -> None:
    text = (ROOT / "config" / "bench.yaml").read_text(encoding="utf-8")
    labelled = "front.leaf:           {driver: simulated_contact, label: Reed, "
    text = text.replace("front.leaf:           {driver: simulated_contact, ", labelled)
    file = tmp_path / "portier.yaml"
    file.write_text(text + "watch: {wet: {point: wc.leak, delay: 1 h}}\n", encoding="utf-8")
    found = places.described(load.settings(file))
    assert found["front.leaf"] == {"door": "front", "role": "leaf", "label": "Reed"}
    assert found["front.remote"] == {"door": "front", "role": "activator"}
    assert found["wc.pir"] == {"role": "motion"}
    assert found["wc.leak"] == {"room": "wc", "role": "leak"}
