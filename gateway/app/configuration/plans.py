"""Plans in the state folder: what ``control`` starts from, so that it imports neither YAML nor
pydantic nor a calendar. A plan that is missing is made by another process (:mod:`.warm`), whose
memory goes away with it.

The way of a setting into ``control``::

    portier.yaml, overlay.yaml
      | settings/load.py                 judged
    settings.model Settings              all of it, with pydantic; roles but control start from it
      |                |
      | settings/plan/building.py        what the core needs, in numbers
      v                v
    cache.Cached     core.plan.BuildingPlan (a field of Cached: plan)
      |
    Plan             Cached, and what control only shows of the other roles
      |               -- here warm.py ends: the text of Plan is the file in the state folder --
      | app/control.py, _settings
    control.service.Settings             what control is told
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drivers
from gateway import __version__, durable, regular
from gateway.core.instant import Ms, UtcMs
from gateway.settings.plan import cache

PLANS_MOST = 4
WRONG = 78
"""Exit status of :mod:`.warm` where the configuration is wrong."""


class ConfigurationWrong(Exception):
    """The configuration cannot be used; the text holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Plan:
    """A cached plan, and what of the rest of the configuration ``control`` shows: whether there
    is a broker, the recorders that are expected to have everything, how often an
    address outside is told that the gateway is alive (0: never), why the overlay was left
    out, and the values that were replaced (name, what is wrong, the same with what applies)."""

    cached: cache.Cached
    mqtt: bool
    recorders: tuple[str, ...]
    heartbeat_every_ms: Ms = 0
    overlay_problems: tuple[str, ...] = ()
    adjusted: tuple[tuple[str, str, str], ...] = ()

    def to_text(self) -> str:
        more = {
            "mqtt": self.mqtt,
            "recorders": self.recorders,
            "heartbeat_every_ms": self.heartbeat_every_ms,
            "overlay": self.overlay_problems,
            "adjusted": self.adjusted,
        }
        rest = cache.plan_to_json(self.cached)
        return json.dumps({"checksum": _checksum(more, rest), **more}) + "\n" + rest


def from_text(text: str, now_utc_ms: UtcMs | None) -> Plan:
    """Raises :class:`gateway.settings.plan.cache.CacheError`."""
    head, _, rest = text.partition("\n")
    try:
        more = json.loads(head)
        if more.pop("checksum") != _checksum(more, rest):
            raise cache.CacheError("the cached plan is damaged (its checksum differs)")
        cached = cache.plan_from_json(rest, _settings_of, now_utc_ms=now_utc_ms)
        return Plan(
            cached,
            bool(more["mqtt"]),
            tuple(more["recorders"]),
            int(more["heartbeat_every_ms"]),
            tuple(more["overlay"]),
            tuple((str(name), str(wrong), str(text)) for name, wrong, text in more["adjusted"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise cache.CacheError(f"the cached plan is damaged ({error})") from None


def _checksum(more: Mapping[str, Any], rest: str) -> int:
    return zlib.crc32(f"{json.dumps(more)}\n{rest}".encode("utf-8", "surrogatepass"))


def _settings_of(driver: str) -> type[Any]:
    found: type[Any] = importlib.import_module(f"drivers.{driver}").Settings
    return found


def accepted_wiring(state: Path) -> frozenset[str]:
    """The terminals that may stay although they are easier to forge than their role allows: they
    were in use before that was checked (:mod:`gateway.settings.checks.wiring_trust`)."""
    try:
        names = json.loads(regular.read(_accepted_file(state)))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    listed = names if isinstance(names, list) else []
    return frozenset(name for name in listed if isinstance(name, str))


def accept_wiring(state: Path, names: Collection[str]) -> None:
    """Remember these for good. Raises :class:`OSError`."""
    if set(names) <= accepted_wiring(state):
        return
    new = _accepted_file(state).with_suffix(".new")
    durable.write(new, json.dumps(sorted(names), ensure_ascii=False).encode())
    new.replace(_accepted_file(state))


def _accepted_file(state: Path) -> Path:
    return state / "accepted-wiring.json"


def ran_before(state: Path) -> frozenset[str]:
    """The digests of the configurations that ``control`` has run lately, with any version."""
    found = set()
    for path in (state / "plan").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            rest = regular.read(path).partition(b"\n")[2]
            found.add(str(json.loads(rest)["digest"]))
    return frozenset(found)


def timezone(state: Path) -> str | None:
    """The zone of the building that ``control`` ran last, as its newest plan names it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        newest = max((state / "plan").glob("*.json"), key=lambda one: one.stat().st_mtime)
        rest = regular.read(newest).partition(b"\n")[2]
        return str(json.loads(rest)["timezone"])
    return None


def overlay(state: Path) -> Path:
    """Where the page writes what may be changed on it."""
    return state / "overlay.yaml"


def written(state: Path) -> int | None:
    """When the overlay was written last, to see whether it has changed; ``None``: never."""
    with contextlib.suppress(OSError):
        return overlay(state).stat().st_mtime_ns
    return None


def file(config: Path, state: Path) -> Path:
    """Where the plan of this very configuration lies, if it has been made. Raises
    :class:`OSError`."""
    folder = Path(drivers.__file__).parent
    name = cache.key((config, overlay(state)), __version__, folder.glob("*.py"))
    return state / "plan" / f"{name}.json"


def known(config: Path, state: Path, now_utc_ms: UtcMs) -> Plan:
    """The plan of the configuration as it is now, made if need be. Raises
    :class:`ConfigurationWrong`."""
    try:
        return from_text(regular.read(file(config, state)).decode(), now_utc_ms)
    except (OSError, UnicodeDecodeError, cache.CacheError):
        return made(config, state, now_utc_ms)


def made(config: Path, state: Path, now_utc_ms: UtcMs, *, strict: bool = False) -> Plan:
    """The plan, made anew by another process, which also keeps it. ``strict``: an overlay that
    is broken is not left out. Raises :class:`ConfigurationWrong`."""
    import subprocess

    arguments = [
        sys.executable,
        "-m",
        "gateway.app.configuration.compile_plan",
        str(config),
        str(state),
    ]
    done = subprocess.run(
        [*arguments, str(now_utc_ms), *(["strict"] if strict else [])],
        stdout=subprocess.PIPE,
        check=False,
        encoding="utf-8",
    )
    if done.returncode == WRONG:
        raise ConfigurationWrong(json.loads(done.stdout))
    done.check_returncode()
    return from_text(done.stdout, None)


def keep(plan: Plan, config: Path, state: Path) -> None:
    """Write the plan where :func:`known` looks for it; not at all where the disk is full."""
    path = file(config, state)
    path.parent.mkdir(mode=0o750, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.write_text(plan.to_text(), encoding="utf-8")
    new.replace(path)
    # with those whose writing was cut short
    old = sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime)
    for one in old[:-PLANS_MOST]:
        one.unlink(missing_ok=True)
