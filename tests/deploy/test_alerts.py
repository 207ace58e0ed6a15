"""The alert rules: each fires for what it is about, and for nothing less."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES: Final = FOLDER / "portier.rules.yml"
DAY_S: Final = 86_400


class Case(NamedTuple):
    """Series at one sample a minute, in promtool's notation: one that fires ``after``, and one that
    does not. ``labels``: those of the alert that fires, beside its severity."""

    fires: dict[str, str]
    quiet: dict[str, str]
    after: str
    labels: dict[str, str]


def guarantee(state: str) -> str:
    return f'portier_guarantee_state{{name="call",state="{state}"}}'


FREE: Final = "portier_state_filesystem_free_bytes"
SIZE: Final = "portier_state_filesystem_size_bytes"
ENDS: Final = 'portier_certificate_not_after_timestamp_seconds{certificate="page"}'
ALARM: Final = 'portier_alarm{subject="fire",kind="fire",severity="urgent",state="active"}'
SEEN: Final = 'portier_alarm{subject="fire",kind="fire",severity="urgent",state="acknowledged"}'
BATTERY: Final = 'portier_reading{point="hall.window",quantity="battery_percent"}'
COLD: Final = 'portier_reading{point="hall.window",quantity="temperature_c"}'
WRITTEN: Final = 'portier_state_device_written_bytes_total{instance="a"}'


def call(state: str) -> str:
    return f'portier_call_active{{room="wc",state="{state}"}}'


CASES: Final[dict[str, Case]] = {
    "PortierCallUnattended": Case(
        {call("raised"): "1x10"},
        {call("test"): "1x10", call("acknowledged"): "1x10", call("raised"): "1 0 1 0 1 0 1 0x5"},
        "5m", {"room": "wc", "state": "raised"},
    ),
    "PortierCallNobodyCame": Case(
        {call("acknowledged"): "1x30"}, {call("attended"): "1x30", call("acknowledged"): "0x30"},
        "20m", {"room": "wc", "state": "acknowledged"},
    ),
    "PortierAlarmUnseen": Case(
        {ALARM: "1x30"}, {SEEN: "1x30", ALARM: "1x4 stale"}, "20m",
        {"subject": "fire", "kind": "fire", "severity": "critical", "state": "active"},
    ),
    "PortierGatewayGone": Case(
        {'up{job="portier",instance="a"}': "0x10"}, {'up{job="portier",instance="a"}': "1x10"},
        "5m", {"job": "portier", "instance": "a"},
    ),
    "PortierControlGone": Case({"portier_connected": "0x10"}, {"portier_connected": "1x10"},
                               "5m", {}),
    "PortierGuaranteeBroken": Case(
        {guarantee("no"): "1x20"}, {guarantee("no"): "0x20", guarantee("unknown"): "1x20"}, "10m",
        {"name": "call", "state": "no"},
    ),
    "PortierGuaranteeUnknown": Case(
        {guarantee("unknown"): "1x60"},
        {guarantee("unknown"): "0x60", guarantee("not_configured"): "1x60"}, "40m",
        {"name": "call", "state": "unknown"},
    ),
    "PortierClockUntrusted": Case({"portier_clock_trusted": "0x30"},
                                  {"portier_clock_trusted": "1x30"}, "20m", {}),
    "PortierBacklog": Case({"portier_unsent_oldest_seconds": "601x30"},
                           {"portier_unsent_oldest_seconds": "600x30"}, "10m", {}),
    "PortierRecordingBehind": Case({"portier_unrecorded_facts": "1001x30"},
                                   {"portier_unrecorded_facts": "1000x30"}, "20m", {}),
    "PortierPointsSetAside": Case({"portier_set_aside_points": "1x30"},
                                  {"portier_set_aside_points": "0x30"}, "20m", {}),
    "PortierMessagesRefused": Case({"portier_refused_messages": "1x30"},
                                   {"portier_refused_messages": "0x30"}, "20m", {}),
    "PortierDiskFull": Case({FREE: "9x30", SIZE: "100x30"}, {FREE: "10x30", SIZE: "100x30"},
                            "20m", {}),
    "PortierDiskFillsUp": Case(
        {FREE: "400000-40x3000", SIZE: "1000000x3000"},
        {FREE: "400000-20x3000", SIZE: "1000000x3000"}, "40h", {},
    ),
    "PortierWear": Case({WRITTEN: "0+8000000x4000"}, {WRITTEN: "0+6000000x4000"}, "60h",
                        {"instance": "a"}),
    "PortierBoardHot": Case(
        {'portier_board_temperature_celsius{sensor="cpu"}': "81x30"},
        {'portier_board_temperature_celsius{sensor="cpu"}': "80x30"}, "20m", {"sensor": "cpu"},
    ),
    "PortierCertificateEnds": Case(
        {ENDS: f"{29 * DAY_S}x120"}, {ENDS: f"{31 * DAY_S}x120"}, "90m", {"certificate": "page"}
    ),
    "PortierCertificateEnded": Case(
        {ENDS: f"{DAY_S}x120"}, {ENDS: f"{3 * DAY_S}x120"}, "20m", {"certificate": "page"}
    ),
    "PortierBatteryLow": Case(
        {BATTERY: "19x120"}, {BATTERY: "20x120", COLD: "5x120"}, "90m",
        {"point": "hall.window", "quantity": "battery_percent"},
    ),
}  # fmt: skip
ABSENT: Final = Case({}, {'up{job="portier"}': "1x10"}, "5m", {"job": "portier"})
"""A gateway that Prometheus was never told of, too."""


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def promtool(*words: str, cwd: Path = FOLDER) -> str:
    """What it says; a test fails where it finds something."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([found, *words], capture_output=True, text=True, cwd=cwd, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_every_rule_has_a_case() -> None:
    assert CASES.keys() == rules().keys()


@pytest.mark.parametrize("name", rules())
def test_every_rule_says_what_it_is_and_what_to_do(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["for"]
    assert rule["annotations"].keys() == {"summary", "description", "runbook_de"}
    assert all(len(text) > 20 for text in rule["annotations"].values())


@pytest.mark.process
def test_promtool_finds_nothing_in_rules_and_configuration(tmp_path: Path) -> None:
    for name in ("portier.rules.yml", "prometheus.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    for name in ("portier.token", "portier-ca.crt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", "portier.rules.yml")
    assert f"{len(CASES)} rules found" in said
    promtool("check", "config", "prometheus.yml", cwd=tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("name", [*CASES, "absent"])
def test_a_rule_fires_for_what_it_is_about_and_for_nothing_less(name: str, tmp_path: Path) -> None:
    case = ABSENT if name == "absent" else CASES[name]
    alert = "PortierGatewayGone" if name == "absent" else name
    labels = {"severity": rules()[alert]["labels"]["severity"], **case.labels}
    fired: list[dict[str, Any]] = [{"exp_labels": labels}]
    tests = [_test(alert, case.fires, case.after, fired), _test(alert, case.quiet, case.after, [])]
    early = _test(alert, case.fires, "0m", [])  # not before it has lasted
    file = tmp_path / "test.yml"
    _write_bare_rules(tmp_path / "rules.yml")
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [*tests, early]}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", str(file))


def _write_bare_rules(file: Path) -> None:
    """The rules without their texts, which promtool would compare with what is expected, too."""
    bare = [{**rule, "annotations": {}} for rule in rules().values()]
    text = yaml.safe_dump({"groups": [{"name": "portier", "rules": bare}]})
    file.write_text(text, encoding="utf-8")


def _test(
    alert: str, series: dict[str, str], at: str, expected: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": at,
                "alertname": alert,
                "exp_alerts": expected,
            }
        ],
    }
