"""Portier on a machine of its own, installed by its installer and with its units as shipped."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.panel import client
from tests.system import root
from tests.system.machine import Done, Machine, Page, until

ROLES = ("control", "link", "web", "record", "notify")
RUNNING = tuple(f"portier-{role}.service" for role in ROLES if role != "notify")
"""``notify`` ends by itself where nobody is to be informed."""
SOURCE = "/root/portier"
PARTS = (
    *("gateway", "drivers", "config", "deploy"),
    *("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "CHANGELOG.md"),
)
"""What of the checkout is copied to the machine."""
WHEELS = "/var/local/wheels"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
ADMIN, PASSWORD = "chief", "correct horse battery"


def simulated() -> str:
    """The bench's building, with broker, recorder and page as the office has them."""
    config = root.CHECKOUT / "config"
    building = (config / "bench.yaml").read_text(encoding="utf-8").partition("\nmqtt:")[0]
    office = (config / "office.yaml").read_text(encoding="utf-8")
    sections = re.findall(r"^(?:mqtt|record|web):.*\n(?:[ #].*\n)*", office, re.M)
    assert len(sections) == 3
    return building + "\n" + "\n".join(sections)


@dataclass
class Gateway:
    """An installation on a machine that runs."""

    machine: Machine
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.page = Page(self.machine)

    def install(self, *options: str) -> Done:
        """Run the installer. Its downloads come from what lies on the machine."""
        return self.machine.run(
            f"{SOURCE}/deploy/install.sh", *options, environment=OFFLINE, timeout_s=600
        )

    def update(self, *options: str, text: str = "") -> Done:
        """Run the update that is installed."""
        command = ("portier-update", *options)
        return self.machine.run(*command, environment=OFFLINE, timeout_s=600, text=text)

    def bring_source(self, to: str = SOURCE) -> None:
        """Copy the checkout to the machine, as somebody with a USB stick does."""
        target = self.machine.inside(to)
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in PARTS:
            source = root.CHECKOUT / part
            if source.is_dir():
                shutil.copytree(source, target / part, ignore=ignore)
            else:
                shutil.copy(source, target / part)

    @property
    def panel(self) -> Path:
        return self.machine.inside("/var/lib/portier/panel.sock")

    def snapshot(self) -> Any:
        """The state as ``control`` reports it. Raises :class:`OSError` while it is away."""
        try:
            return client.snapshot(self.panel)
        except client.ControlAway as error:
            raise OSError(str(error)) from error

    def bench(self, do: str, **args: Any) -> dict[str, Any]:
        """Do something to the simulated points."""
        message = {"type": "bench", "id": uuid.uuid4().hex, "do": do, **args}
        try:
            result: dict[str, Any] = client.ask(self.panel, message, timeout_s=60)["result"]
        except client.ControlAway as error:
            raise OSError(str(error)) from error
        return result

    def portier(self, *arguments: str) -> Done:
        return self.machine.run("portier", *arguments)

    def pid(self, role: str) -> int:
        return int(self.machine.show(f"portier-{role}", "MainPID"))

    def restarts(self) -> dict[str, int]:
        """How often systemd has started each unit again by itself."""
        return {
            role: int(self.machine.show(f"portier-{role}", "NRestarts"))
            for role in ROLES
            if role != "notify"
        }

    def ready(self) -> None:
        """Wait until the door works, the page answers, and the broker has what happened."""
        until(self.snapshot, what="control answers")
        until(lambda: self.page.ask("GET", "/health/live")[0] < 500, what="the page answers")
        until(
            lambda: self.snapshot()["guarantees"]["recording"]["ok"],
            what=f"recording: {self.states()}",
        )

    def states(self) -> Mapping[str, str]:
        return {
            role: self.machine.run("systemctl", "is-active", f"portier-{role}").out.strip()
            for role in ROLES
        }

    def opens(self) -> None:
        """A press opens the door, and it closes again."""
        until(lambda: self.leaf() == "closed", what="the leaf is closed before")
        until(lambda: "error" not in self.bench("press", point="front.button_inside"))
        until(lambda: self.leaf() == "open", what="the door opens")

    def leaf(self) -> str:
        return str(self.snapshot()["doors"]["front"]["leaf"])

    def log_in(self) -> dict[str, str]:
        """Log in to the page; what every change needs beside the cookie."""
        status, headers, text = self.page.ask(
            "POST",
            "/api/v1/session",
            {"name": ADMIN, "password": PASSWORD},
            **{"Content-Type": "application/json"},
        )
        assert status == 201, text
        self.page.cookie = headers["set-cookie"]
        found = re.search(r'"csrf":"([0-9a-f]+)"', text)
        assert found is not None, text
        return {"X-CSRF-Token": found[1]}
