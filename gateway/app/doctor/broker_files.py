"""What this version needs of Mosquitto's files, and what a file of its owner lacks.

The files are the owner's. What is missing is named with what it breaks, and offered as a diff.
Only a line that keeps Mosquitto from starting, because Debian's own file says the same, is
commented out (:func:`settle`). ``deploy/install.sh`` runs this file by itself, before anything is
installed, so it uses the standard library alone.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("/etc/mosquitto")
ACL = FOLDER / "portier.acl"
CONFIG = FOLDER / "conf.d/portier.conf"
HOME_ASSISTANT = "homeassistant"
CENTRE = "sites"
"""The user of the centre of many gateways."""
_WIDE = re.compile(
    r"(?P<head>\s*(?:topic|pattern)\s+(?:write\s+|readwrite\s+)?)portier/\+/"
    r"(?P<rest>(?:command|issuer)(?:/.*)?)"
)
"""A line that lets somebody write commands to every gateway at the broker."""
_READ, _WRITE, _BOTH, _DENY = "read", "write", "readwrite", "deny"


@dataclass(frozen=True, slots=True)
class Need:
    """``user`` must be let ``what`` (read or write) ``topic``; without, ``breaks``."""

    user: str
    what: str
    topic: str
    breaks: str
    pattern: str = ""
    """The same for every gateway, where the user is named like the gateway."""
    anybody: bool = False
    """Some other user will do, where there is none of this name."""

    def line(self) -> str:
        """For the access list."""
        if self.pattern:
            return f"pattern {self.what} {self.pattern}"
        return f"topic {self.what} {self.topic}"


def _of_gateway(user: str, gateway: str) -> Iterator[Need]:
    for what, topic, breaks in (
        ("write", "availability", "nobody learns whether the gateway is there"),
        ("write", "info", "nobody learns what the gateway has and how it is commanded"),
        ("write", "health", "recorders do not learn how far it has sent"),
        ("write", "state/#", "doors, rooms and points have no state at the broker"),
        ("write", "event/#", "nothing that happens is recorded"),
        ("write", "absent", "recorders ask for ever for what was thinned or lost"),
        ("write", "response/#", "commands get no answer"),
        ("read", "command/#", "no command over MQTT arrives"),
        (
            "read",
            "issuer/+/command/#",
            "commands of issuers without a key, such as Home Assistant's, do not arrive",
        ),
        ("read", "recorded/#", "the guarantee recording stays red"),
        ("read", "replay/#", "what a recorder misses is not sent again"),
        ("read", "info", "a second gateway with the same id is not noticed"),
        ("read", "availability", "a foreign or late `offline` is not corrected"),
        ("read", "state/#", "states that somebody else wrote are not corrected, old ones stay"),
    ):
        pattern = f"portier/%u/{topic}" if user == gateway else ""
        yield Need(user, what, f"portier/{gateway}/{topic}", breaks, pattern)


def _of_discovery(user: str, gateway: str) -> Iterator[Need]:
    for what, topic, breaks in (
        ("write", "homeassistant/device/{}/config", "Home Assistant does not find the gateway"),
        (
            "write",
            "homeassistant/device/{}/+/config",
            "doors, rooms and meters have no devices of their own at Home Assistant",
        ),
    ):
        pattern = topic.format("%u") if user == gateway else ""
        yield Need(user, what, topic.format(gateway), breaks, pattern)
    breaks = "Home Assistant shows nothing after its restart"
    yield Need(user, "read", "homeassistant/status", breaks, "homeassistant/status")


def _of_recorder(user: str, name: str, gateway: str) -> Iterator[Need]:
    for what, topic, breaks in (
        ("read", "availability", "a gateway that is gone is asked in vain"),
        ("read", "health", "the last facts before a loss are not missed, and forged ones not seen"),
        ("read", "event/#", "nothing is recorded"),
        ("read", "absent", "what will never come is asked for without end"),
        ("write", f"recorded/{name}", "the guarantee recording stays red"),
        ("write", f"replay/{name}", "what is missing is not asked for"),
    ):
        yield Need(user, what, f"portier/{gateway}/{topic}", breaks)


def _of_issuer(user: str, gateway: str) -> Iterator[Need]:
    breaks = f"commands of the issuer {user} are refused or do not arrive"
    topic = f"portier/{gateway}/issuer/{user}/command/#"
    yield Need(user, "write", topic, breaks, anybody=True)


def _of_centre(gateway: str, rights: Iterable[str]) -> Iterator[Need]:
    """Of the centre, which is an issuer with ``rights`` on its gateways."""
    for topic, breaks in (
        ("availability", "does not see whether the gateway is there"),
        ("info", "does not know what there is"),
        ("state/#", "does not see doors, rooms and alarms"),
        ("event/#", "hears of a call only by its state"),
        ("response/#", "gets no answer to its commands"),
    ):
        yield Need(CENTRE, "read", f"portier/{gateway}/{topic}", f"the centre {breaks}")
    for right, topic in (
        ("open", "command/door/+/open"),
        ("acknowledge", "command/call/+/acknowledge"),
        ("acknowledge", "command/alarm/#"),
    ):
        if right in rights:
            breaks = "commands of the centre do not arrive"
            yield Need(CENTRE, "write", f"portier/{gateway}/{topic}", breaks)


def needs(
    gateway: str,
    *,
    user: str | None = None,
    recorder: tuple[str, str] | None = ("recorder", "recorder"),
    recorded: Sequence[str] = ("+",),
    home_assistant: bool = True,
    issuers: Iterable[str] = (HOME_ASSISTANT,),
    topics: Iterable[str] = (),
    centre: Iterable[str] | None = None,
) -> list[Need]:
    """Everything that must be allowed. ``user``: of ``link`` at the broker, the gateway's id if it
    is not said; ``recorder``: user and name; ``recorded``: the gateways that it records;
    ``issuers``: those without a key; ``topics``: of points that come over MQTT; ``centre``: what
    the centre may ask for, ``None``: there is none."""
    own = user or gateway
    found = [*_of_gateway(own, gateway)]
    if home_assistant:
        found += _of_discovery(own, gateway)
    found += [Need(own, "read", one, f"points on {one} are never heard") for one in topics]
    if recorder is not None:
        for one in recorded:
            found += _of_recorder(*recorder, one)
    for issuer in issuers:
        found += _of_issuer(issuer, gateway)
    if centre is not None:
        found += _of_centre(gateway, centre)
    return found


# --- an access list -------------------------------------------------------------------------


@dataclass(slots=True)
class AccessList:
    """Mosquitto's ``acl_file``: what each user may, and what all may by a pattern."""

    users: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    patterns: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> AccessList:
        found, user = cls(), ""
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if word == "user":
                user = rest
                found.users.setdefault(user, [])
            elif word in ("topic", "pattern"):
                access, _, topic = rest.partition(" ")
                if access not in (_READ, _WRITE, _BOTH, _DENY):
                    access, topic = _BOTH, rest
                rules = found.patterns if word == "pattern" else found.users.setdefault(user, [])
                rules.append((access, topic.strip()))
        return found

    def grants(self, need: Need) -> bool:
        """Whether its user is let all of it."""
        if need.anybody and need.user not in self.users:
            return bool(self.allowed(need))
        return self._grants(need.user, need)

    def allowed(self, need: Need) -> list[str]:
        """The users that are let all of it."""
        return [user for user in self.users if user and self._grants(user, need)]

    def _grants(self, user: str, need: Need) -> bool:
        rules = self.users.get(user, []) + [
            (access, topic.replace("%u", user).replace("%c", user))
            for access, topic in self.patterns
        ]
        if any(access == _DENY and covers(topic, need.topic) for access, topic in rules):
            return False
        return any(
            access in (need.what, _BOTH) and covers(topic, need.topic) for access, topic in rules
        )


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic of the filter ``narrow`` is one of ``wide``."""
    levels, others = wide.split("/"), narrow.split("/")
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place >= len(others) or others[place] == "#":
            return False
        if level not in ("+", others[place]):
            return False
    return len(levels) == len(others)


def narrowed(text: str, gateway: str) -> tuple[str, list[tuple[str, str]]]:
    """The access list in which nobody may command all gateways, and what was changed: (user, new
    line). Each such line is for this gateway alone then."""
    lines, changed, user = [], [], ""
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        user = rest.strip() if word == "user" else user
        found = _WIDE.fullmatch(line.rstrip())
        if found is None:
            lines.append(line)
            continue
        lines.append(f"{found['head']}portier/{gateway}/{found['rest']}")
        changed.append((user, lines[-1].strip()))
    return "\n".join(lines) + "\n" if changed else text, changed


def with_needs(text: str, missing: Sequence[Need]) -> str:
    """The access list with what is missing: patterns after the last one, the rest at the end of
    each user's part."""
    lines = text.splitlines()
    for one in {(one.pattern or one.user, one.line()): one for one in missing}.values():
        new, user, at = one.line(), "", 0
        for place, line in enumerate(lines, start=1):
            word, _, rest = line.strip().partition(" ")
            user = rest.strip() if word == "user" else user
            if (word == "pattern") if one.pattern else (word and user == one.user):
                at = place
        if not at:
            lines += ["", *([] if one.pattern else [f"user {one.user}"])]
            at = len(lines)
        lines.insert(at, new)
    return "\n".join(lines) + "\n"


# --- the configuration ------------------------------------------------------------------------

SETTINGS: Mapping[str, tuple[str, str]] = {
    "allow_anonymous": ("false", "whoever reaches the broker gets in without a name"),
    "acl_file": (str(ACL), "everybody who gets in may write everything, commands too"),
    "use_username_as_clientid": (
        "true",
        "any other user of the broker can take the client id of the gateway and throw it out",
    ),
    "crlfile": ("/etc/portier/tls/revoked.pem", "a certificate that was revoked still gets in"),
    "set_tcp_nodelay": ("true", "each message waits up to 40 ms for the one before"),
    "max_queued_messages": ("200000", "a recorder that is away loses all but 1,000 messages"),
    "persistence": ("true", "the broker forgets its queues and states when it is restarted"),
    "autosave_interval": ("60", "the broker loses up to 30 minutes when it is killed"),
}
"""Key → what it should be, and what breaks where it is not there."""
_STRICT = frozenset({"allow_anonymous", "use_username_as_clientid"})
"""Another value is as wrong as none."""
_OF_LISTENER = ("use_username_as_clientid", "crlfile")
"""These belong below a ``listener``."""


def settings_of(text: str) -> dict[str, str]:
    """Key → value; of several the last."""
    pairs = (line.strip().partition(" ") for line in text.splitlines())
    return {key: value.strip() for key, _, value in pairs if key and not key.startswith("#")}


def missing_settings(text: str, others: str = "") -> dict[str, tuple[str, str]]:
    """Settings of :data:`SETTINGS` that are not there. ``others``: further files that Mosquitto
    reads. Where users give passwords, no certificate can be revoked."""
    found = settings_of(others) | settings_of(text)
    return {
        key: wanted
        for key, wanted in SETTINGS.items()
        if (key not in found or (key in _STRICT and found[key] != wanted[0]))
        and (key != "crlfile" or found.get("require_certificate") == "true")
    }


def with_settings(text: str, missing: Mapping[str, tuple[str, str]]) -> str:
    """The configuration with what is missing, where it belongs."""
    lines = [line for line in text.splitlines() if line.strip().partition(" ")[0] not in missing]
    below = next(
        (n for n, line in enumerate(lines, start=1) if line.strip().startswith("listener ")), 0
    )
    for key, (value, _) in missing.items():
        if key in _OF_LISTENER and below:
            lines.insert(below, f"{key} {value}")
        else:
            lines.append(f"{key} {value}")
    return "\n".join(lines) + "\n"


# --- what Debian's own file says, too -----------------------------------------------------------

ONCE = ("persistence_location", "persistence_file", "pid_file")
"""Mosquitto does not start where one of these is said twice, even with the same value."""
_TAKEN = "# Portier sets this in conf.d: "
"""Earlier versions have written this before lines of Debian's file. dpkg then asks, at an upgrade
of Debian, which file it shall take; with Debian's own the lines were there twice."""
_SAID_THERE = "# mosquitto.conf says this: "


def said_twice(text: str, others: str) -> dict[str, tuple[str, str]]:
    """Key → its value in this file and in the others, of what Mosquitto takes once only."""
    here, there = settings_of(text), settings_of(others)
    return {key: (here[key], there[key]) for key in ONCE if key in here and key in there}


def settled(text: str, top: str) -> tuple[str, str]:
    """Our file and ``mosquitto.conf`` such that the second is as Debian has it. A line of ours that
    it says, too, is commented out; where the values differ, both stay."""
    debian = top.replace(_TAKEN, "")
    twice = said_twice(text, debian)
    if any(here != there for here, there in twice.values()):
        debian = top
        twice = said_twice(text, top)
    same = {key for key, (here, there) in twice.items() if here == there}
    lines = [
        f"{_SAID_THERE}{line}" if line.strip().partition(" ")[0] in same else line
        for line in text.splitlines(keepends=True)
    ]
    return "".join(lines), debian


def settle(config: Path) -> list[Path]:
    """Write what :func:`settled` says. The files that were changed. Raises :class:`OSError`,
    :class:`ValueError`."""
    top = top_of(config)
    if not (config.is_file() and top.is_file()):
        return []
    before = [file.read_text(encoding="utf-8") for file in (config, top)]
    changed = []
    # Ours first: cut short between the two, Mosquitto starts, and the next run goes on.
    for file, old, new in zip((config, top), before, settled(*before), strict=True):
        if new != old:
            _replace(file, new)
            changed.append(file)
    return changed


def _replace(file: Path, text: str) -> None:
    """By one rename; owner and rights stay."""
    found, new = file.stat(), file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(found.st_mode & 0o777)
    if os.geteuid() == 0:
        os.chown(new, found.st_uid, found.st_gid)
    new.replace(file)


# --- what is said -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lack:
    """What one file of the owner lacks: each line with what it breaks, and all as a diff."""

    file: Path
    lines: tuple[tuple[str, str], ...]
    diff: str


def diff(file: Path, before: str, after: str) -> str:
    """As ``patch`` takes it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(file), str(file)
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def lacks_of_acl(file: Path, text: str, wanted: Iterable[Need], gateway: str) -> Lack | None:
    """What an access list of this gateway's broker lacks, and who may command every gateway
    there."""
    narrow, changed = narrowed(text, gateway)
    known = AccessList.read(narrow)
    missing = [one for one in wanted if not known.grants(one)]
    if not missing and not changed:
        return None
    lines = [
        (
            f"user {user}: {line} instead of the same with `+`, once for each of its gateways",
            f"{user} can command the doors and calls of every gateway at this broker",
        )
        for user, line in changed
    ]
    lines += [
        (one.line() if one.pattern else f"user {one.user}: {one.line()}", one.breaks)
        for one in missing
    ]
    return Lack(file, tuple(lines), diff(file, text, with_needs(narrow, missing)))


def lacks_of_config(file: Path, text: str, others: str = "") -> Lack | None:
    """What the configuration lacks."""
    missing = missing_settings(text, others)
    if not missing:
        return None
    lines = tuple((f"{key} {value}", breaks) for key, (value, breaks) in missing.items())
    return Lack(file, lines, diff(file, text, with_settings(text, missing)))


def listens(text: str, port: int) -> bool:
    """Whether this configuration has a listener on a port."""
    return any(line.split()[:2] == ["listener", str(port)] for line in text.splitlines())


def top_of(config: Path) -> Path:
    """Debian's own file, which Mosquitto reads first, and which includes the folder of ours."""
    return config.parent.parent / "mosquitto.conf"


def others(config: Path) -> str:
    """Whatever else Mosquitto reads beside this file: ``…/mosquitto.conf`` and its folder."""
    files = [
        one for one in (top_of(config), *sorted(config.parent.glob("*.conf"))) if one != config
    ]
    return "\n".join(one.read_text(encoding="utf-8") for one in files if one.is_file())


def examine(acl: Path, config: Path, wanted: Iterable[Need], gateway: str) -> Iterator[Lack]:
    """What the files lack that are there. Raises :class:`OSError`, :class:`ValueError`."""
    if acl.exists():
        found = lacks_of_acl(acl, acl.read_text(encoding="utf-8"), wanted, gateway)
        if found:
            yield found
    if config.exists():
        found = lacks_of_config(config, config.read_text(encoding="utf-8"), others(config))
        if found:
            yield found


def say(text: str) -> None:
    """One line of output."""
    sys.stdout.write(text + "\n")


def main() -> None:
    """Print what the files of an installation lack, and let nothing be said twice."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--gateway", required=True)
    given = parser.parse_args()
    acl, config = (given.root / file.relative_to("/") for file in (ACL, CONFIG))
    try:
        for file in settle(config):
            say(f"- {file}: what it and the other file of the broker set is set once now")
        for lack in examine(acl, config, needs(given.gateway), given.gateway):
            say(f"- {lack.file} is yours and is left as it is; this version needs more of it:")
            for line, breaks in lack.lines:
                say(f"    {line}\n        without it: {breaks}")
            say(f"  As a diff, for `sudo patch {lack.file}`; then restart Mosquitto:")
            say(lack.diff)
    except (OSError, ValueError) as error:
        say(f"- the broker's files cannot be compared with what this version needs: {error}")


if __name__ == "__main__":
    main()
