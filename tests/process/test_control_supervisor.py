"""``portier run``: all roles together, up again when one falls, and down in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.app.running import supervisor
from tests.process.parts import BUILDING, House, Process, alive, roles_of, until
from tests.process.parts_mqtt import free_port

pytestmark = pytest.mark.process


@pytest.fixture
def all_roles(place: House) -> Process:
    port = free_port()
    place.config.write_text(BUILDING + f"mqtt: embedded\nweb: {{listen: 127.0.0.1:{port}}}\n")
    process = place.run()
    try:
        until(lambda: process.said("Ready after") or process.popen.poll() is not None)
    except AssertionError:
        raise AssertionError(process.lines) from None
    assert process.popen.poll() is None, process.lines
    return process


ROLES = ("control", "broker", "link", "record", "web")


def roles(supervisor: Process) -> dict[str, int]:
    return roles_of(supervisor, ROLES)


def test_it_starts_everything_and_says_where(all_roles: Process, place: House) -> None:
    assert set(roles(all_roles)) == set(ROLES)
    assert all_roles.said("MQTT 5")
    assert all_roles.said("MQTT 3.1.1")
    assert all_roles.said("http://127.0.0.1:")
    assert all_roles.said("First log-in")
    until(lambda: place.snapshot()["guarantees"]["forwarding"]["ok"])
    # What was published before the recorder had subscribed is asked for.
    until(lambda: place.snapshot()["guarantees"]["recording"]["recorded_until_utc_ms"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_everything_and_says_so_by_its_status(all_roles: Process, number: int) -> None:
    pids = list(roles(all_roles).values())
    all_roles.popen.send_signal(number)
    assert all_roles.wait() == 0
    assert not [pid for pid in pids if alive(pid)]


def test_with_a_log_the_terminal_shows_how_to_begin(place: House) -> None:
    port = free_port()
    place.config.write_text(BUILDING + f"mqtt: embedded\nweb: {{listen: 127.0.0.1:{port}}}\n")
    log = place.state / "portier.log"
    process = place.run("--log", str(log))
    until(lambda: process.said("Ready after"))
    assert process.said(f"http://127.0.0.1:{port}/")
    assert process.said("admin, password ")
    assert not process.said("control is ready")
    reported = log.read_text(encoding="utf-8")
    assert "control is ready" in reported
    assert "password" not in reported  # it is shown on the terminal, and nowhere else
    second = place.run("--log", str(log))
    assert second.wait() == 1
    assert second.said("control already runs on")
    assert log.read_text(encoding="utf-8").startswith(reported)
    assert process.stop() == 0
    assert process.said("Stopped: every process has ended.")


def test_it_leaves_no_orphans_when_it_is_killed(all_roles: Process) -> None:
    pids = list(roles(all_roles).values())
    os.kill(all_roles.pid, signal.SIGKILL)
    until(lambda: not [pid for pid in pids if alive(pid)])


def test_a_role_that_falls_is_started_again(all_roles: Process, place: House) -> None:
    before = roles(all_roles)
    os.kill(before["control"], signal.SIGKILL)
    os.kill(before["link"], signal.SIGKILL)

    def again() -> bool:
        now = roles(all_roles)
        return all(now.get(name, before[name]) != before[name] for name in ("control", "link"))

    until(again)
    # A request whose answer was lost may have opened it: those after it are merged.
    until(lambda: place.command("open_door", door="front")["status"] != "refused")
    assert roles(all_roles)["web"] == before["web"]
    until(lambda: all_roles.said("control has ended (SIGKILL)"))


def test_a_control_that_hangs_is_killed_and_its_relay_is_off(
    all_roles: Process, place: House
) -> None:
    """Stopped with the relay on; ``portier run`` has no service manager that would notice."""
    place.config.write_text(place.config.read_text().replace("pulse: 500 ms", "pulse: 5 s"))
    old = roles(all_roles)["web"]
    all_roles.popen.send_signal(signal.SIGHUP)
    until(lambda: roles(all_roles).get("web", old) != old)
    until(lambda: len(place.rows("gateway_started")) == 2)  # the new one has the journal …
    until(lambda: place.snapshot()["points"]["front.button"]["active"] is False)  # … and points
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["points"]["front.activation"]["active"])
    before = roles(all_roles)
    os.kill(before["control"], signal.SIGSTOP)
    until(lambda: all_roles.said("control hangs; it is killed"))
    until(lambda: all_roles.said("control has ended (SIGKILL)"))
    until(lambda: roles(all_roles).get("control", before["control"]) != before["control"])
    until(lambda: place.snapshot()["points"]["front.activation"]["active"] is False)
    assert roles(all_roles)["web"] == before["web"]
    until(lambda: place.command("open_door", door="front")["status"] == "accepted")


def test_a_door_that_falls_again_and_again_is_not_kept_waiting() -> None:
    """The pauses of the other roles grow to ten seconds; a door would be dead for so long."""
    one = supervisor.Supervisor(
        ("control", "web"), lambda _: ["false"], {}, lambda _: None, lambda: None, lambda: True
    )
    one._roles = [supervisor._Role("control"), supervisor._Role("web")]
    for _ in range(10):
        for role in one._roles:
            role.since = time.monotonic()
            role.process = subprocess.Popen(["false"])
            role.process.wait()
        assert one._reap() is None
    one._heard.close()
    assert [role.back_off.pause for role in one._roles] == [1.0, 10.0]


def watched(
    tmp_path: Path, commands: dict[str, str], until: Callable[[supervisor.Supervisor], bool]
) -> tuple[int, list[str]]:
    """The status and the words of a supervisor whose roles are shell scripts, which is stopped
    when ``until`` says so. The scripts write their starts to ``starts``."""
    starts = tmp_path / "starts"
    starts.touch()

    def supervise() -> tuple[int, list[str]]:
        said: list[str] = []

        def look() -> bool:
            if until(one):
                signal.raise_signal(signal.SIGTERM)
            return False

        one = supervisor.Supervisor(
            tuple(commands),
            lambda role: ["sh", "-c", f"echo {role} >> {starts}; {commands[role]}"],
            {}, said.append, lambda: None, lambda: True, look,
        )  # fmt: skip
        return one.run(), said

    return in_a_process(supervise)


def in_a_process(supervise: Callable[[], tuple[int, list[str]]]) -> tuple[int, list[str]]:
    """The status and the words of a supervisor in a process of one thread: the other thread that a
    parallel test worker has would take the signals that the supervisor waits for."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(supervise()))
    with warnings.catch_warnings():  # from 3.12 on: whoever forks may lack the other threads
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    try:
        answer: tuple[int, list[str]] = ours.recv()
    finally:
        process.join()
    return answer


ALIVE = "exec sleep 60"
HAS_RUN = """exec python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
sys.exit(78)'"""


def test_a_role_that_cannot_use_its_configuration_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of ``link`` was missing, and the door ended with it."""
    monkeypatch.setattr(supervisor, "CONFIGURATION_FIRST_S", 0.01)
    starts = tmp_path / "starts"
    status, said = watched(
        tmp_path,
        {"control": ALIVE, "link": "exit 78", "web": ALIVE},
        lambda _: starts.read_text().count("link") >= 3,
    )
    assert status == 0
    assert starts.read_text().count("control") == 1
    assert starts.read_text().count("web") == 1
    assert said[0].startswith("link cannot use its configuration")
    assert "the other roles go on" in said[0]


def test_pauses_of_such_a_role_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    one = supervisor.Supervisor(
        ("control", "link"), lambda _: [], {}, lambda _: None, lambda: None, lambda: True
    )
    role = supervisor._Role("link")
    pauses = []
    for _ in range(8):
        one._ended(role, 78)
        pauses.append(role.back_off.pause)
    one._heard.close()
    assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_control_that_cannot_use_its_first_configuration_ends_everything(tmp_path: Path) -> None:
    status, _ = watched(tmp_path, {"control": "exit 78", "web": ALIVE}, lambda _: False)
    assert status == 78


def test_control_that_has_run_is_started_again_whatever_its_configuration(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    status, said = watched(
        tmp_path,
        {"control": HAS_RUN, "web": ALIVE},
        lambda _: starts.read_text().count("control") >= 2,
    )
    assert status == 0
    assert said[0].startswith("control cannot use its configuration")


def test_a_role_that_cannot_be_started_ends_no_other(tmp_path: Path) -> None:
    """No process to be had, no descriptor, no memory: it is tried again."""

    def command(role: str) -> list[str]:
        return ["sleep", "60"] if role == "control" else [str(tmp_path / "nothing")]

    def supervise() -> tuple[int, list[str]]:
        said: list[str] = []

        def look() -> bool:
            if len(said) >= 2:
                signal.raise_signal(signal.SIGTERM)
            return False

        one = supervisor.Supervisor(
            ("control", "link"), command, {}, said.append, lambda: None, lambda: True, look
        )
        return one.run(), said

    status, said = in_a_process(supervise)
    assert status == 0
    assert said[0].startswith("link cannot be started")


def test_a_role_that_ends_because_it_is_not_wanted_any_more_stays_away(tmp_path: Path) -> None:
    """The last contact is gone: ``notify`` may notice it before the supervisor does."""
    gone = tmp_path / "gone"

    def command(role: str) -> list[str]:
        return ["sleep", "60"] if role == "control" else ["sh", "-c", f"touch {gone}; exit 69"]

    def supervise() -> tuple[int, list[str]]:
        said: list[str] = []

        def look() -> bool:
            if len(one._roles) == 1:
                signal.raise_signal(signal.SIGTERM)
            return False

        one = supervisor.Supervisor(
            ("control", "notify"), command, {}, said.append, lambda: None, lambda: True, look,
            lambda: ("control",) if gone.exists() else None,
        )  # fmt: skip
        return one.run(), said

    assert in_a_process(supervise) == (0, [])


def test_a_port_in_use_is_said_with_the_remedy(place: House) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        place.config.write_text(BUILDING + f"web: {{listen: 127.0.0.1:{port}}}\n")
        process = place.run()
        assert process.wait() == 1
    assert process.said(f"port {port} on 127.0.0.1 is in use")
    assert process.said("PORT=")


def test_gateways_that_start_in_one_moment_have_each_a_broker(place: House, tmp_path: Path) -> None:
    """The second one's broker fell for ever, and its ``link`` talked to the first one's."""
    place.config.write_text(BUILDING + "mqtt: embedded\n")
    other = House(place.config, tmp_path / "other")
    try:
        both = [place.run(), other.run()]
        until(lambda: all(process.said("MQTT 5") for process in both))
        assert both[0].lines[0] != both[1].lines[0]
        until(lambda: all(process.said("Ready after") for process in both))
        assert not any(process.said("broker has ended") for process in both)
    finally:
        other.end()


def test_another_port_by_the_environment(place: House) -> None:
    port = free_port()
    place.config.write_text(BUILDING + "web: {listen: 127.0.0.1:1}\n")
    place.environment = {"PORT": str(port)}
    process = place.run()
    until(lambda: process.said(f":{port}/"))


def test_a_wrong_configuration_ends_with_all_its_errors(place: House) -> None:
    place.config.write_text("gateway: {id: test}\npoints: {}\ndors: {}\nmqtt: embeded\n")
    process = place.run()
    assert process.wait() == 78
    assert process.said("portier.yaml:3:1: dors")
    assert process.said("portier.yaml:4")


def test_ready_is_said_on_evidence_and_what_is_missing_is_named(place: House) -> None:
    """The panel cannot listen; the broker that link shall reach is not there."""
    (place.state / "panel.sock").mkdir(parents=True)
    port = free_port()
    place.config.write_text(
        BUILDING + f"mqtt: {{host: 127.0.0.1, port: {free_port()}}}\n"
        f"web: {{listen: 127.0.0.1:{port}}}\n"
    )
    process = place.run()
    until(lambda: process.said("Not ready after"))
    (line,) = [line for line in process.lines if line.startswith("Not ready")]
    assert "control: no answer" in line
    assert f"page: no answer on 127.0.0.1:{port}" in line or "page: answers 503" in line
    assert "link: " in line
    assert not process.said("Ready after")


def test_a_second_house_on_the_same_folder_is_refused(place: House) -> None:
    place.control()
    process = place.run()
    assert process.wait() == 1
    assert process.said("control already runs on")


def test_a_new_configuration_reaches_every_role(all_roles: Process, place: House) -> None:
    before = roles(all_roles)
    place.config.write_text(place.config.read_text().replace("Test building", "New building"))
    all_roles.popen.send_signal(signal.SIGHUP)
    until(lambda: place.snapshot()["gateway"]["name"] == "New building")
    until(lambda: roles(all_roles).get("web", before["web"]) != before["web"])
    assert roles(all_roles)["control"] == before["control"]
    assert roles(all_roles)["broker"] == before["broker"]
