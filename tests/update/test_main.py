"""The steps of an update, with units and environments that are only pretended: what runs after
each of them, also where it ends there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from gateway.update import archive, environment, main, services
from gateway.update.errors import UpdateError
from gateway.update.layout import Layout, Release, version_of

SYSUSERS = Path(__file__).parents[2] / "deploy" / "system" / "sysusers.conf"


class Killed(BaseException):
    """The process ended here."""


class Machine:
    """Writes down each step, and can end at one of them, refuse it, or not serve after it."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(home)
        self.layout.releases.mkdir(parents=True)
        self.steps: list[str] = []
        self.killed_at = ""
        self.refused_at = ""
        self.broken: set[str] = set()
        """Versions that do not serve."""
        self.runs = ""
        """The version whose processes run."""

        def pretended(name: str) -> Any:
            return lambda *arguments, **_: self.step(name, *arguments)

        for module, names in (
            (environment, ("check", "make_plan", "build")),
            (services, ("lay_system_files", "lay_units", "enable", "start")),
        ):
            for name in names:
                monkeypatch.setattr(module, name, pretended(name))
        monkeypatch.setattr(services, "wait_until_served", self.wait)
        monkeypatch.setattr(services, "serves", lambda one: self.serves(one.version))
        monkeypatch.setattr(services, "active", lambda: ("portier-web.service",))
        monkeypatch.setattr(services, "sound", lambda: ("call",))
        monkeypatch.setattr(main, "_not_interrupted", lambda: None)
        monkeypatch.setattr(archive, "digest", lambda source: source.name)

    def step(self, name: str, *arguments: Any) -> Any:
        self.steps.append(name)
        if f"{name} {self.steps.count(name)}" == self.killed_at:
            raise Killed
        if name == self.refused_at:
            raise UpdateError("no", "do this")
        if name == "build":
            _, source, digest, _ = arguments
            folder = self.layout.folder_for(version_of(source), digest)
            folder.mkdir()
            return self.layout.complete(folder, version_of(source), digest)
        if name == "start":
            self.runs = arguments[0].version
        return []

    def wait(self, release: Release, *_: Any) -> list[str]:
        self.step("wait")
        assert self.runs == release.version
        return [] if self.serves(release.version) else ["it is broken"]

    def serves(self, version: str) -> bool:
        return self.runs == version and version not in self.broken

    def source(self, version: str) -> Path:
        folder = self.layout.home.parent / f"source-{version}"
        (folder / "gateway").mkdir(parents=True, exist_ok=True)
        (folder / "gateway/__init__.py").write_text(f'__version__ = "{version}"\n')
        return folder

    def update(self, version: str = "0.2.0", **more: Any) -> int:
        names = ("older", "dry_run", "restart", "rollback", "finish", "uninstall", "unsigned")
        asked: dict[str, Any] = {**dict.fromkeys(names, False), "wheelhouse": None, **more}
        asked.setdefault("source", str(self.source(version)))
        self.steps.clear()
        return main._do(self.layout, argparse.Namespace(**asked))

    @property
    def current(self) -> str:
        found = self.layout.current()
        return found.version if found else ""

    def versions(self) -> list[str]:
        return sorted(one.version for one in self.layout.all())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """0.1.0 runs."""
    made = Machine(tmp_path / "home", monkeypatch)
    assert made.update("0.1.0") == 0
    assert (made.current, made.runs) == ("0.1.0", "0.1.0")
    return made


def test_an_update_checks_first_and_then_starts_and_keeps_the_last_two(machine: Machine) -> None:
    assert machine.update("0.2.0") == 0
    order = ["build", "check", "lay_system_files", "make_plan", "lay_units", "enable", "start"]
    assert machine.steps == [*order, "wait"]
    assert (machine.current, machine.runs) == ("0.2.0", "0.2.0")
    assert machine.versions() == ["0.1.0", "0.2.0"]
    assert machine.update("0.3.0") == 0
    assert machine.versions() == ["0.2.0", "0.3.0"]
    assert machine.update("0.3.0") == 0
    assert machine.steps == [], "it runs already"
    assert machine.update("0.3.0", restart=True) == 0
    assert machine.steps == ["check", "lay_units", "enable", "start", "wait"]


def test_the_way_back_and_forth(machine: Machine) -> None:
    with pytest.raises(UpdateError, match="no version to go back to"):
        machine.update(rollback=True)
    machine.update("0.2.0")
    assert machine.update(rollback=True) == 0
    assert (machine.current, machine.runs) == ("0.1.0", "0.1.0")
    assert machine.update(rollback=True) == 0
    assert (machine.current, machine.runs) == ("0.2.0", "0.2.0")


@pytest.mark.parametrize("refused", ["build", "check"])
def test_what_is_refused_changes_nothing(machine: Machine, refused: str) -> None:
    machine.refused_at = refused
    with pytest.raises(UpdateError):
        machine.update("0.2.0")
    assert (machine.current, machine.runs, machine.versions()) == ("0.1.0", "0.1.0", ["0.1.0"])
    assert "start" not in machine.steps


def test_a_version_that_does_not_serve_is_taken_back_and_removed(machine: Machine) -> None:
    machine.broken = {"0.2.0"}
    with pytest.raises(UpdateError, match=r"0\.1\.0 runs again\.\nWhy: it is broken"):
        machine.update("0.2.0")
    assert (machine.current, machine.runs, machine.versions()) == ("0.1.0", "0.1.0", ["0.1.0"])
    assert machine.layout.pending() is None


def test_a_way_back_that_does_not_serve_is_taken_back_and_stays(machine: Machine) -> None:
    machine.update("0.2.0")
    machine.broken = {"0.1.0"}
    with pytest.raises(UpdateError, match=r"0\.1\.0 does not serve; 0\.2\.0 runs again"):
        machine.update(rollback=True)
    assert (machine.current, machine.runs) == ("0.2.0", "0.2.0")
    assert machine.versions() == ["0.1.0", "0.2.0"], "the only way back is not thrown away"


@pytest.mark.parametrize(
    "step",
    ["build", "check", "lay_system_files", "make_plan", "lay_units", "enable", "start", "wait"],
)
@pytest.mark.parametrize("broken", [False, True])
def test_a_kill_at_any_step_leaves_one_that_runs(machine: Machine, step: str, broken: bool) -> None:
    machine.broken = {"0.2.0"} if broken else set()
    machine.killed_at = f"{step} 1"
    with pytest.raises(Killed):
        machine.update("0.2.0")
    assert machine.layout.current() is not None, "a whole one"
    machine.killed_at = ""
    switched = machine.layout.pending() is not None
    assert machine.update(finish=True) == int(switched and broken)
    assert machine.runs == machine.current == ("0.2.0" if switched and not broken else "0.1.0")
    machine.broken.clear()
    assert machine.update("0.2.0") == 0
    assert machine.runs == machine.current == "0.2.0"
    assert machine.layout.half_built() == []


@pytest.mark.parametrize("step", ["lay_units 2", "enable 2", "start 2", "wait 2"])
def test_so_does_a_kill_while_it_goes_back(machine: Machine, step: str) -> None:
    machine.broken = {"0.2.0"}
    machine.killed_at = step
    with pytest.raises(Killed):
        machine.update("0.2.0")
    assert machine.update(finish=True) == 0
    assert machine.runs == machine.current == "0.1.0"
    assert machine.layout.pending() is None


@pytest.mark.parametrize("moment", ["begin", "make_current", "end"])
def test_so_does_a_kill_around_the_rename(
    machine: Machine, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Layout, moment, killed)
        with pytest.raises(Killed):
            machine.update("0.2.0")
    assert machine.current == ("0.2.0" if moment == "end" else "0.1.0")
    assert machine.update(finish=True) == 0
    assert machine.runs == machine.current
    assert machine.layout.pending() is None
    assert machine.update("0.2.0") == 0
    assert machine.runs == machine.current == "0.2.0"


def test_a_dry_run_builds_and_checks_and_leaves_nothing(machine: Machine) -> None:
    assert machine.update("0.2.0", dry_run=True) == 0
    assert machine.steps == ["build", "check"]
    assert (machine.current, machine.versions()) == ("0.1.0", ["0.1.0"])


def test_an_older_version_is_taken_on_purpose_only(machine: Machine) -> None:
    with pytest.raises(UpdateError, match=r"0\.0\.9 is older than 0\.1\.0(.|\n)*--rollback"):
        machine.update("0.0.9")
    assert machine.update("0.0.9", older=True) == 0
    assert machine.current == "0.0.9"


def test_on_a_first_installation_a_wrong_configuration_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path / "home", monkeypatch)
    machine.refused_at = "check"
    with pytest.raises(UpdateError, match="Installed, not started"):
        machine.update("0.1.0")
    assert (machine.current, machine.runs) == ("0.1.0", "")
    machine.refused_at = ""
    assert machine.update("0.1.0", restart=True) == 0, "as the installer does it"
    assert machine.runs == "0.1.0"


def test_an_archive_is_not_unpacked_before_its_signature_was_found_right(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "portier-0.2.0-release.tar.gz"
    file.write_bytes(b"x")
    unpacked = []

    def unpack(copy: Path, into: Path) -> Path:
        unpacked.append(copy)
        assert copy != file, "a copy that nobody else can change"
        return machine.source("0.2.0")

    monkeypatch.setattr(archive, "unpack", unpack)
    with pytest.raises(UpdateError, match="is not signed"):
        machine.update(source=str(file))
    assert unpacked == []
    assert machine.update(source=str(file), unsigned=True) == 0
    assert machine.current == "0.2.0"
    assert machine.layout.half_built() == []
    with pytest.raises(UpdateError, match=r"There is no .*missing"):
        machine.update(source=str(tmp_path / "missing"))


def test_only_one_update_runs_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "LOCK", tmp_path / "lock")
    running = r"Another update is running \(process \d+\)"
    with main._alone(), pytest.raises(UpdateError, match=running), main._alone():
        pass
    with main._alone():
        pass


def test_the_data_go_only_after_the_exact_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed, confirmed in (("yes\n", False), ("", False), ("remove everything\n", True)):
        monkeypatch.setattr("sys.stdin.readline", lambda typed=typed: typed)
        assert main._confirmed() is confirmed
    assert "There is no way back. Type: remove everything" in capsys.readouterr().out


def test_a_purge_removes_every_user_and_group_that_was_created() -> None:
    lines = [line.split() for line in SYSUSERS.read_text(encoding="utf-8").splitlines()]
    users = {line[1] for line in lines if line[:1] == ["u"]}
    groups = {line[1] for line in lines if line[:1] == ["g"] and line[1].startswith("portier")}
    assert set(main.USERS) == users
    assert set(main.GROUPS) == groups


def test_what_is_installed_and_does_not_serve_is_never_called_fine(machine: Machine) -> None:
    """A first installation that failed was called done by the second try of apt."""
    assert machine.update("0.1.0") == 0
    assert machine.steps == [], "it runs already"
    machine.broken = {"0.1.0"}
    with pytest.raises(UpdateError, match="was started and does not serve"):
        machine.update("0.1.0")
    assert "start" in machine.steps
    machine.refused_at = "check"
    with pytest.raises(UpdateError, match="no"):
        machine.update("0.1.0")
    machine.broken, machine.refused_at = set(), ""
    machine.runs = ""
    assert machine.update("0.1.0") == 0
    assert machine.runs == "0.1.0"
