"""A new configuration under the units as shipped: by hand, and saved through API and page."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.system.installed import Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system
CONFIG = "/etc/portier/portier.yaml"
NIGHT = {"doors": {"front": {"schedule": {"otherwise": "night"}}}}
SLOW = "/var/local/slow"


def digest(gateway: Gateway) -> str:
    return str(gateway.snapshot()["gateway"]["configuration"])


def change(gateway: Gateway, name: str) -> None:
    config = gateway.machine.read(CONFIG)
    changed = re.sub(r"^  name: .*", f"  name: {name}", config, count=1, flags=re.M)
    assert changed != config
    gateway.machine.write(CONFIG, changed)


def taken_over(gateway: Gateway, pid: int) -> None:
    """The same process goes on, and systemd has nothing against it."""
    show = gateway.machine.show
    state = show("portier-control", "ActiveState"), show("portier-control", "SubState")
    assert state in (("reloading", "reload"), ("active", "running"))
    until(lambda: show("portier-control", "SubState") == "running", what="it says that it is ready")
    until(lambda: show("portier-control", "WatchdogUSec") == "1s", what="the watchdog of before")
    assert gateway.pid("control") == pid
    assert gateway.restarts()["control"] == 0
    assert show("portier-control", "Result") == "success"


def test_a_reload_takes_over_and_the_same_process_goes_on(gateway: Gateway) -> None:
    pid, before = gateway.pid("control"), digest(gateway)
    for name in ("Zweite", "Dritte"):
        change(gateway, name)
        gateway.machine.ok("systemctl", "reload", "portier-control")
        until(lambda: digest(gateway) != before, what="the new configuration")  # noqa: B023
        taken_over(gateway, pid)
        gateway.opens()
        before = digest(gateway)


def test_the_watchdog_is_armed_after_a_reload(gateway: Gateway) -> None:
    pid, before = gateway.pid("control"), digest(gateway)
    change(gateway, "Zweite")
    gateway.machine.ok("systemctl", "reload", "portier-control")
    until(lambda: digest(gateway) != before, what="the new configuration")
    taken_over(gateway, pid)
    gateway.machine.ok("kill", "-STOP", str(pid))
    until(lambda: gateway.restarts()["control"] == 1, what="the watchdog ends what hangs")
    until(lambda: gateway.pid("control") not in (0, pid))
    gateway.opens()


def test_a_slow_takeover_is_no_hang(gateway: Gateway) -> None:
    """Longer than the watchdog's second: a busy or small machine."""
    machine = gateway.machine
    machine.write(f"{SLOW}/sitecustomize.py", "import time\ntime.sleep(2.5)\n")
    machine.ok("chmod", "-R", "go+rX", SLOW)
    machine.write(
        "/etc/systemd/system/portier-control.service.d/slow.conf",
        f"[Service]\nEnvironment=PYTHONPATH={SLOW}\n",
    )
    machine.ok("systemctl", "daemon-reload")
    machine.ok("systemctl", "restart", "portier-control")
    before = until(lambda: digest(gateway), what="control answers")
    pid = gateway.pid("control")
    change(gateway, "Zweite")
    machine.ok("systemctl", "reload", "portier-control")
    until(lambda: digest(gateway) != before, what="the new configuration")
    taken_over(gateway, pid)
    gateway.opens()


def test_a_refused_configuration_changes_nothing(gateway: Gateway) -> None:
    pid, before = gateway.pid("control"), digest(gateway)
    machine = gateway.machine
    machine.write(CONFIG, machine.read(CONFIG).replace("pulse: 500 ms", "pulse: soon"))
    machine.ok("systemctl", "reload", "portier-control")
    refused = "the new configuration is refused, the old one stays"
    until(
        lambda: any(e["said"].get("event") == refused for e in machine.log("portier-control")),
        what="it is refused",
    )
    assert digest(gateway) == before
    taken_over(gateway, pid)
    gateway.opens()


def test_settings_are_saved_through_the_api(gateway: Gateway) -> None:
    pid, token = gateway.pid("control"), gateway.log_in()
    status, shown = gateway.page.json("GET", "/api/v1/settings")
    assert (status, shown["version"]) == (200, "none"), shown
    headers = {**token, "If-Match": '"none"'}
    status, tried = gateway.page.json("POST", "/api/v1/settings/preview", NIGHT, **token)
    assert status == 200, tried
    status, saved = gateway.page.json("PUT", "/api/v1/settings", NIGHT, **headers)
    assert status == 200, saved
    until(lambda: mode(gateway) == "night", what="the new schedule")
    taken_over(gateway, pid)
    status, undone = gateway.page.json(
        "POST", "/api/v1/settings/undo", {}, **token, **{"If-Match": f'"{saved["version"]}"'}
    )
    assert status == 200, undone
    until(lambda: mode(gateway) == "automatic", what="the schedule of before")
    taken_over(gateway, pid)


def test_settings_are_saved_on_the_page(gateway: Gateway) -> None:
    pid = gateway.pid("control")
    gateway.log_in()
    path = "/settings/doors/front"
    status, _, text = gateway.page.ask("GET", path)
    assert status == 200, text
    form: dict[str, Any] = dict.fromkeys(("csrf", "version"), "")
    for name in form:
        found = re.search(rf'name="{name}" value="([^"]*)"', text)
        assert found is not None, name
        form[name] = html.unescape(found[1])
    form.update({"do": "save", "otherwise": "exit_only"})
    status, headers, text = gateway.page.ask("POST", path, form)
    assert (status, headers["location"].partition("?")[0]) == (303, path), text
    until(lambda: mode(gateway) == "exit_only", what="the new schedule")
    taken_over(gateway, pid)
    assert gateway.page.ask("GET", path)[0] == 200


def mode(gateway: Gateway) -> str:
    return str(gateway.snapshot()["doors"]["front"]["mode"])
