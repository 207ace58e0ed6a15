"""A bound that came later: ``check`` refuses what is beyond it, and a start takes the nearest value
and says so. A gateway that ran before an update must not stay down over a number."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.app import control
from gateway.app.cli.main import cli
from gateway.app.configuration import compile_plan, load, plans
from gateway.app.doctor.examination import examine
from gateway.control.clock import Clock
from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from gateway.settings.model.configuration import Settings
from gateway.settings.plan.building import plan
from gateway.settings.values import store_address
from gateway.settings.values.problems import SettingsError
from tests.settings.house import DRIVERS, NOW, SMALL, loaded, write

DAY = 86_400_000
BROKER = "mqtt: {host: localhost}\n"
RAN_BEFORE: list[tuple[str, str, Callable[[Settings], object], object]] = [
    ("retention: {calls: 1 min}\n", "retention.calls", lambda s: s.retention.calls_ms, 3_600_000),
    ("retention: {doors: 0 s}\n", "retention.doors", lambda s: s.retention.doors_ms, 3_600_000),
    ('retention: {calls: "30\\td"}\n', "retention.calls", lambda s: s.retention.calls_ms, 30 * DAY),
    ('journal: {limit: "1  GB"}\n', "journal.limit", lambda s: s.journal.limit_bytes, 10**9),
    ("journal: {limit: 100 kB}\n", "journal.limit", lambda s: s.journal.limit_bytes, 1_000_000),
    *(
        (
            f'{BROKER}record: {{store: "{before}"}}\n',
            "record.store",
            lambda s: s.record and s.record.address.text,
            now,
        )
        for before, now in [
            ("influx1://h/a/b", "influx1://h:8086/a"),
            ("influx1://me@h:99/a?precision=s", "influx1://me@h:99/a"),
            ("influx://h/proxy/o/b", "influx://h:8086/proxy/b"),
            ("influxs://[::1]/o//b", "influxs://[::1]:8086/o/b"),
            ("influx://h/o/b?x=1", "influx://h:8086/o/b"),
            ("influx://h/o/b?forgets=999999", "influx://h:8086/o/b?forgets=86400"),
            ("influx://h/o/b#c", "influx://h:8086/o/b"),
        ]
    ),
    (f"{BROKER}record: influx1://h/a/b\n", "record", lambda s: s.record and s.record.store,
     "influx1://h:8086/a"),
]  # fmt: skip
"""(what release 0.1 took, its key, how to ask for the value, what applies now)."""


@pytest.mark.parametrize(("more", "key", "value", "applies"), RAN_BEFORE)
def test_what_the_release_before_took_is_taken_at_a_start_and_named(
    tmp_path: Path, more: str, key: str, value: Callable[[Settings], object], applies: object
) -> None:
    """It was refused with exit status 78, and the door stayed shut."""
    config = write(tmp_path, SMALL + more)
    settings = load.settings(config, tmp_path / "state", need=())
    assert value(settings) == applies
    (one,) = settings.adjusted
    assert one.problem.key == key
    assert str(one).endswith(" applies")
    assert f"{config}:{one.problem.line}:" in str(one)
    assert (key, "setting_adjusted") in plan(settings, now_utc_ms=NOW).notices


@pytest.mark.parametrize(("more", "key", "value", "applies"), RAN_BEFORE)
def test_check_refuses_it(
    tmp_path: Path, more: str, key: str, value: Callable[[Settings], object], applies: object
) -> None:
    del value, applies
    config = write(tmp_path, SMALL + more)
    done = CliRunner().invoke(cli, ["check", str(config), "--json"])
    assert done.exit_code == 78
    assert [one["key"] for one in json.loads(done.stdout)] == [key]


@pytest.mark.parametrize(
    "text", ["influx://h/o/b?forgets=soon", "sqlite:recorder-main.sqlite", "influx1://u:p@h/a",
             "influx://h/%00/b", "ftp://h/a"],
)  # fmt: skip
def test_an_address_that_no_release_could_use_stays_refused(tmp_path: Path, text: str) -> None:
    assert store_address.nearest(text) is None
    config = write(tmp_path, f'{SMALL}{BROKER}record: {{store: "{text}"}}\n')
    with pytest.raises(SettingsError):
        load.settings(config, tmp_path / "state", need=())


def test_what_is_allowed_is_left_as_it_is(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALL + "retention: {calls: 2 h}\njournal: {limit: 1 MB}\n")
    assert settings.adjusted == ()
    assert store_address.nearest("influx://h/o/b") == "influx://h:8086/o/b"


def started(tmp_path: Path, text: str) -> tuple[control.Options, plans.Plan]:
    config, state = write(tmp_path, text), tmp_path / "state"
    state.mkdir(exist_ok=True)
    return control.Options(config, state), plans.known(config, state, NOW)


def reloaded(options: control.Options, known: plans.Plan, text: str) -> tuple[str, ...]:
    """The problems of a reload with another text."""
    options.config.write_text(text, encoding="utf-8")
    clock = Clock()
    settings = control._settings(known, options.state, clock)
    return control._reload(options, settings, known).problems


def test_a_reload_refuses_a_new_one_and_lets_that_of_the_start_be(tmp_path: Path) -> None:
    """An exception that the page saves is not held up by a number in the file."""
    options, known = started(tmp_path, SMALL + "retention: {calls: 1 min}\n")
    assert known.cached.lives_ms["calls"] == 3_600_000
    other = SMALL.replace("id: small", "id: other")
    assert reloaded(options, known, f"{other}# moved\nretention: {{calls: 1 min}}\n") == ()
    (refused,) = reloaded(options, known, SMALL + "retention: {calls: 2 min}\n")
    assert "2 min keeps nothing; write at least 1 h" in refused
    assert "applies" not in refused


def test_a_save_of_the_page_wants_it_right_and_what_the_file_has_does_not_matter(
    tmp_path: Path,
) -> None:
    config = write(tmp_path, SMALL + "retention: {calls: 1 min}\n")
    people = (
        "contacts: {{desk: {{channels: [!secret desk]}}}}\n"
        "escalations: {{care: [{{after: 0 s, notify: desk}}, {{every: {every}, notify: desk}}]}}\n"
    )
    config.write_text(config.read_text(encoding="utf-8") + people.format(every="5 min") +
                      "alarms: {urgent: care}\n", encoding="utf-8")  # fmt: skip
    store = Store(tmp_path / "overlay.yaml")

    def saved(every: str) -> Mapping[str, Any]:
        steps = [{"after": "0 s", "notify": "desk"}, {"every": every, "notify": "desk"}]
        sections = {"escalations": {"care": steps}}
        asked = {"do": "put", "actor": "web:1", "version": store.version(), "sections": sections}
        return edit(asked, config, store, DRIVERS, NOW, None)

    refused = saved("5  min")
    assert (refused["status"], refused["reason"]) == ("refused", "settings_wrong")
    (error,) = refused["errors"]
    assert "blanks that do not belong there" in error["message"]
    assert saved("5 min")["status"] == "accepted"


def test_every_start_says_it_also_from_the_cached_plan(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options, first = started(tmp_path, SMALL + "retention: {calls: 1 min}\n")
    capfd.readouterr()
    again = plans.known(options.config, options.state, NOW)
    assert again.adjusted == first.adjusted
    ((name, problem, text),) = again.adjusted
    assert name == "retention.calls '1 min'"
    assert text == f"{problem}; until then 1 h applies"
    assert compile_plan.main(options.config, options.state, NOW) == 0


def test_doctor_names_it(tmp_path: Path) -> None:
    config = write(tmp_path, SMALL + "retention: {calls: 1 min}\n")
    found = [one for one in examine(config, tmp_path / "state", 5.0) if "1 min" in one.what]
    assert [one.value for one in found] == ["no"]
    assert found[0].remedy == f"portier check {config}"
