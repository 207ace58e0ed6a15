"""What the owner's files of the broker lack is named with what it breaks, and never written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.app.doctor import broker_files
from gateway.app.doctor.broker_files import AccessList, Need, covers
from gateway.link import discovery
from gateway.link.link import subscriptions
from gateway.mqtt.topics import Topics
from gateway.recorder.recorder import filters
from gateway.sites import handover
from tests.deploy.test_install import CHECKOUT, install

LAID_DOWN = (CHECKOUT / "deploy/mosquitto/portier.acl").read_text(encoding="utf-8")
SHIPPED_ACL = LAID_DOWN.replace("\ntopic write portier/GATEWAY/", "\ntopic write portier/csg/")
"""As the installer writes it."""
SHIPPED_CONFIG = (CHECKOUT / "deploy/mosquitto/portier.conf").read_text(encoding="utf-8")
OLD_ACL = "".join(
    line
    for line in SHIPPED_ACL.splitlines(keepends=True)
    if "/issuer/" not in line and not line.startswith(("pattern read portier/%u/info", "# "))
)
"""An owner's list from before."""


def test_what_is_shipped_lacks_nothing() -> None:
    assert (
        broker_files.lacks_of_acl(Path("a"), SHIPPED_ACL, broker_files.needs("csg"), "csg") is None
    )
    assert broker_files.lacks_of_config(Path("c"), SHIPPED_CONFIG) is None


def test_every_line_that_is_shipped_is_needed() -> None:
    """But for what Home Assistant reads and writes of its own, and what silence is told on."""
    wanted = broker_files.needs("csg")
    for line in SHIPPED_ACL.splitlines():
        if not line.startswith("pattern "):
            continue
        without = SHIPPED_ACL.replace(line + "\n", "", 1)
        lack = broker_files.lacks_of_acl(Path("a"), without, wanted, "csg")
        assert lack is not None, line
        assert [shown for shown, _ in lack.lines] == [line]
        assert f"+{line}\n" in lack.diff


def test_everything_that_link_and_recorder_listen_to_is_needed() -> None:
    topics = Topics("csg")
    wanted = broker_files.needs("csg")
    may = {(one.user, one.topic) for one in wanted if one.what == "read"}
    listened = {one.filter for one in subscriptions(topics, home_assistant=True)}
    for one in listened | {discovery.BORN}:
        assert any(covers(topic, one) for user, topic in may if user == "csg"), one
    for topic, _ in filters(["csg"]):
        assert any(covers(one, topic) for user, one in may if user == "recorder"), topic


def test_a_list_from_before_is_shown_what_this_version_needs() -> None:
    lack = broker_files.lacks_of_acl(Path("acl"), OLD_ACL, broker_files.needs("csg"), "csg")
    assert lack is not None
    shown = dict(lack.lines)
    assert shown["pattern read portier/%u/info"] == (
        "a second gateway with the same id is not noticed"
    )
    assert "do not arrive" in shown["pattern read portier/%u/issuer/+/command/#"]
    assert len(shown) == 3
    user = [line for line in lack.diff.splitlines() if "issuer/homeassistant" in line]
    assert user == ["+topic write portier/csg/issuer/homeassistant/command/#"]


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
def test_the_diff_can_be_applied_and_then_nothing_is_missing(tmp_path: Path) -> None:
    wanted = broker_files.needs("csg", recorder=("recorder", "main"), topics=("z/#",))

    def lacks(name: str, text: str) -> broker_files.Lack | None:
        if name == "config":
            return broker_files.lacks_of_config(Path("x"), text)
        return broker_files.lacks_of_acl(Path("x"), text, wanted, "csg")

    for name, before in (
        ("acl", OLD_ACL),
        ("acl", "user csg\ntopic portier/csg/state/#\n\nuser other\ntopic read #"),
        ("acl", ""),
        ("config", "listener 8883\nrequire_certificate true\nallow_anonymous true\n"),
    ):
        file = tmp_path / name
        file.write_text(before, encoding="utf-8")
        lack = lacks(name, before)
        assert lack is not None
        done = subprocess.run(
            ["patch", str(file)], input=lack.diff, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
        after = file.read_text(encoding="utf-8")
        assert lacks(name, after) is None
        assert "allow_anonymous true" not in after


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("#", "a/b", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/+/c", True),
        ("a/b/c", "a/+/c", False),
        ("a/+", "a/#", False),
        ("a/+/#", "a/b/#", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("b/#", "a/b", False),
    ],
)
def test_which_filter_holds_another(wide: str, narrow: str, covered: bool) -> None:
    assert covers(wide, narrow) is covered


def test_other_ways_to_write_the_same_are_understood() -> None:
    text = """
# a list of somebody else
topic read $SYS/#
user csg
topic portier/csg/#
user main
topic readwrite portier/+/#
topic deny portier/+/command/#
user guest
topic read #
pattern write portier/%c/event/#
"""
    known = AccessList.read(text)

    def may(user: str, what: str, topic: str) -> bool:
        return known.grants(Need(user, what, topic, ""))

    assert may("csg", "write", "portier/csg/state/#")
    assert may("csg", "read", "portier/csg/issuer/+/command/#")
    assert may("main", "write", "portier/+/recorded/main")
    assert not may("main", "write", "portier/+/command/#")
    assert may("guest", "read", "portier/csg/info")
    assert not may("guest", "write", "portier/csg/info")
    assert not may("stranger", "read", "portier/csg/info")
    assert may("stranger", "write", "portier/stranger/event/#")
    speaks = Need("assistant", "write", "portier/csg/issuer/assistant/command/#", "", anybody=True)
    assert known.grants(speaks), "whoever is let it may have another name"
    assert known.allowed(speaks) == ["csg", "main"]


WIDE_ACL = """# a list of before
user homeassistant
topic read portier/#
topic write portier/+/command/door/#
topic write portier/+/command/call/#
topic write portier/+/issuer/homeassistant/command/#
user recorder
topic read portier/+/event/#
topic write portier/+/recorded/recorder
user old
topic portier/+/command/#
topic deny portier/+/command/door/#
"""


def test_who_may_command_every_gateway_is_narrowed_to_this_one() -> None:
    """Whoever has one client's certificate would open the doors of all buildings."""
    lack = broker_files.lacks_of_acl(Path("acl"), WIDE_ACL, [], "csg")
    assert lack is not None
    assert [line.split(" instead")[0] for line, _ in lack.lines] == [
        "user homeassistant: topic write portier/csg/command/door/#",
        "user homeassistant: topic write portier/csg/command/call/#",
        "user homeassistant: topic write portier/csg/issuer/homeassistant/command/#",
        "user old: topic portier/csg/command/#",
    ]
    assert "every gateway at this broker" in lack.lines[0][1]
    removed = [line for line in lack.diff.splitlines() if line.startswith("-topic")]
    assert len(removed) == 4
    narrow, changed = broker_files.narrowed(WIDE_ACL, "csg")
    assert broker_files.narrowed(narrow, "csg") == (narrow, [])
    assert "topic deny portier/+/command/door/#" in narrow
    assert "topic write portier/+/recorded/recorder" in narrow
    assert len(changed) == 4
    both = WIDE_ACL.replace(
        "user recorder", "topic write portier/csg/command/door/#\nuser recorder"
    )
    kept = broker_files.narrowed(both, "csg")[0].splitlines()
    assert kept.count("topic write portier/csg/command/door/#") == 2


def test_what_is_shipped_lets_nobody_command_every_gateway() -> None:
    assert broker_files.narrowed(LAID_DOWN, "csg") == (LAID_DOWN, [])
    known = AccessList.read(LAID_DOWN)
    for topic in ("command/door/front/open", "issuer/homeassistant/command/door/front/open"):
        for gateway in ("csg", "bad-1"):
            assert known.allowed(Need("", "write", f"portier/{gateway}/{topic}", "")) == []


def test_the_centre_reads_what_it_shows_and_commands_where_it_is_enrolled() -> None:
    for rights, missing in ((("acknowledge",), 2), (("acknowledge", "open"), 3), ((), 0)):
        wanted = broker_files.needs("csg", centre=rights)
        lack = broker_files.lacks_of_acl(Path("a"), SHIPPED_ACL, wanted, "csg")
        assert len(() if lack is None else lack.lines) == missing, "reading is shipped"
    enrolled = "\n".join((SHIPPED_ACL, *handover.centre_access("csg"), ""))
    assert broker_files.lacks_of_acl(Path("a"), enrolled, wanted, "csg") is None
    wanted = broker_files.needs("csg", centre=("acknowledge", "open"))
    assert broker_files.lacks_of_acl(Path("a"), enrolled, wanted, "csg") is None


def test_the_installer_prints_what_yours_lacks_and_leaves_it_alone(tmp_path: Path) -> None:
    install(tmp_path)
    acl, config = (
        tmp_path / "etc/mosquitto/portier.acl",
        tmp_path / ("etc/mosquitto/conf.d/portier.conf"),
    )
    acl.write_text(OLD_ACL, encoding="utf-8")
    mine = SHIPPED_CONFIG.replace("use_username_as_clientid true\n", "").replace(
        "max_connections 200", "max_connections 20"
    )
    config.write_text(mine, encoding="utf-8")
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    assert acl.read_text(encoding="utf-8") == OLD_ACL
    assert config.read_text(encoding="utf-8") == mine
    assert "+pattern read portier/%u/info\n" in done.stdout
    assert "a second gateway with the same id is not noticed" in done.stdout
    assert "+use_username_as_clientid true\n" in done.stdout
    assert "take the client id of the gateway and throw it out" in done.stdout
    assert "max_connections" not in done.stdout
    assert f"--- {config}\n" in done.stdout


DEBIAN = """# Place your local configuration in /etc/mosquitto/conf.d/
persistence true
persistence_location /var/lib/mosquitto/

log_dest file /var/log/mosquitto/mosquitto.log

include_dir /etc/mosquitto/conf.d
"""
OURS_BEFORE = SHIPPED_CONFIG + "persistence_location /var/lib/mosquitto/\n"
DEBIAN_BEFORE = "".join(
    f"# Portier sets this in conf.d: {line}"
    if line.startswith(("persistence", "log_dest"))
    else line
    for line in DEBIAN.splitlines(keepends=True)
)
"""What earlier versions have made of both."""


def test_what_is_shipped_says_nothing_that_mosquitto_takes_once_and_debian_says() -> None:
    assert broker_files.said_twice(SHIPPED_CONFIG, DEBIAN) == {}
    assert broker_files.settled(SHIPPED_CONFIG, DEBIAN) == (SHIPPED_CONFIG, DEBIAN)


@pytest.mark.parametrize("top", [DEBIAN, DEBIAN_BEFORE], ids=["after an upgrade", "as it was"])
def test_files_of_before_are_made_such_that_debian_may_bring_its_own_back(top: str) -> None:
    ours, debian = broker_files.settled(OURS_BEFORE, top)
    assert debian == DEBIAN
    assert broker_files.said_twice(ours, debian) == {}
    assert "# mosquitto.conf says this: persistence_location /var/lib/mosquitto/\n" in ours
    assert broker_files.settled(ours, debian) == (ours, debian)


def test_another_place_for_the_queues_is_left_to_its_owner() -> None:
    elsewhere = OURS_BEFORE.replace("/var/lib/mosquitto/", "/mnt/ssd/")
    assert broker_files.settled(elsewhere, DEBIAN_BEFORE) == (elsewhere, DEBIAN_BEFORE)
    assert broker_files.settled(elsewhere, DEBIAN) == (elsewhere, DEBIAN)
    assert broker_files.said_twice(elsewhere, DEBIAN) == {
        "persistence_location": ("/mnt/ssd/", "/var/lib/mosquitto/")
    }


def test_the_installer_lets_nothing_be_said_twice(tmp_path: Path) -> None:
    install(tmp_path)
    ours, top = (
        tmp_path / "etc/mosquitto/conf.d/portier.conf",
        tmp_path / "etc/mosquitto/mosquitto.conf",
    )
    ours.write_text(OURS_BEFORE, encoding="utf-8")
    ours.chmod(0o640)
    top.write_text(DEBIAN_BEFORE, encoding="utf-8")
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    assert top.read_text(encoding="utf-8") == DEBIAN
    assert ours.stat().st_mode & 0o777 == 0o640
    assert broker_files.said_twice(ours.read_text(encoding="utf-8"), DEBIAN) == {}
    assert f"- {top}: " in done.stdout
