"""What this gateway stores, for how long, and which code removes it: one row each.

The page and the API show these rows, and a test makes something older than each row says and
sees it removed. A row without a number says in words how it ends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.facts import KINDS
from gateway.set_aside import LIFE_MS
from gateway.settings.model.configuration import Retention
from gateway.web.options import Options
from gateway.web.shared.limits import Once
from gateway.web.storage.testbook import UNSIGNED_MS
from gateway.web.storage.weeks import WEEKS

DAY_MS = 86_400_000
JOURNAL = "gateway.journal.retention:Upkeep.expire"
REMOVE_OLD = "gateway.set_aside:remove_old"
RECORDED_BY = {
    "sqlite": "gateway.recorder.stores.sqlite:SqliteStore.expire",
    "postgresql": "gateway.recorder.stores.postgresql:PostgresqlStore.expire",
}
"""What removes the recorded history, by the kind of the store; other stores do so themselves."""
RECORDED_MS = 30 * DAY_MS
"""See :data:`gateway.recorder.state.MOVED_KEPT_MS`."""
SETTLED_MS = 30 * DAY_MS
"""See :data:`gateway.recorder.rejects.RESOLVED_KEPT_MS`."""
WAITING_MS = DAY_MS
"""See :data:`gateway.recorder.ingest.UNKNOWN_KEPT_MS`."""
LOG_FOLDERS = (Path("/usr/lib/systemd"), Path("/run/systemd"), Path("/etc/systemd"))
"""Where the settings of the system's journal are, the last one wins."""
_SPANS_MS = {
    "": 1_000, "s": 1_000, "sec": 1_000, "second": 1_000, "seconds": 1_000,
    "m": 60_000, "min": 60_000, "minute": 60_000, "minutes": 60_000,
    "h": 3_600_000, "hr": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "d": DAY_MS, "day": DAY_MS, "days": DAY_MS, "w": 7 * DAY_MS, "week": 7 * DAY_MS,
    "weeks": 7 * DAY_MS, "M": 2_629_800_000, "month": 2_629_800_000, "months": 2_629_800_000,
    "y": 31_557_600_000, "year": 31_557_600_000, "years": 31_557_600_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retained:
    """One row. ``life_ms``: how long at most, ``None``: as the word ``until`` says.
    ``enforcer``: ``module:function`` that removes it; ``kinds``: the facts of this class."""

    id: str
    enforcer: str
    life_ms: int | None = None
    until: str = ""
    kinds: tuple[str, ...] = ()


def rows(options: Options, folders: Iterable[Path] = LOG_FOLDERS) -> list[Retained]:
    """Everything that is stored, as configured and as it is enforced."""
    lives = options.retention
    classes: dict[str, list[str]] = {}
    for kind in KINDS.values():
        classes.setdefault(kind.life, []).append(kind.name)
    web = "gateway.web."
    book, sessions = "storage.testbook:TestBook.tidy", "identity.sessions:Sessions.tidy_sessions"
    found = [
        Retained(name, JOURNAL, lives.get(name), "" if name in lives else "full", tuple(kinds))
        for name, kinds in classes.items()
    ]
    found += [
        Retained("audit", JOURNAL, lives.get("audit"), "" if "audit" in lives else "full"),
        Retained("state", "gateway.journal.store:Store.write", until="over"),
        Retained("starts", "gateway.journal.retention:Upkeep.drop_boots", until="starts"),
        Retained("testbook", web + book, lives.get("testbook", Retention().testbook_ms)),
        Retained("testbook_open", web + book, UNSIGNED_MS),
        Retained("door_weeks", web + "storage.weeks:Weeks._keep", WEEKS * 7 * DAY_MS),
        Retained("sessions", web + sessions, options.session_life_ms),
        Retained("tokens", web + "identity.tokens:Tokens.tidy_tokens", until="token"),
        Retained("devices", web + "identity.users:Users.tidy_devices", until="device"),
        Retained("displays", web + "storage.displays:Displays.remove", until="display"),
        Retained("users", web + "identity.users:Users.forget", until="removed"),
        Retained("audit_outbox", web + "storage.store:Store.remove_entries", until="entered"),
        Retained("answers", web + "shared.limits:Once.do", int(Once.LIFE_S * 1000)),
        Retained("versions", "gateway.settings.editing.file:Store._keep", until="versions"),
        Retained("broken", REMOVE_OLD, LIFE_MS),
        Retained("plans", "gateway.app.configuration.plans:keep", until="plans"),
        Retained("users_broken", REMOVE_OLD, LIFE_MS),
    ]
    if options.broker:
        found += [
            Retained(
                "unsent", "gateway.link.refused_messages:RefusedMessages.drop_fact", until="unsent"
            ),
            Retained(
                "published", "gateway.link.home_assistant:HomeAssistant.cleared", until="taken"
            ),
        ]
    if options.store:
        found += [
            Retained("recorder", "gateway.recorder.state:RecorderState.forget_old", RECORDED_MS),
            Retained("aside", "gateway.recorder.rejects:drop_expired", until="aside"),
            Retained("aside_done", "gateway.recorder.rejects:forget_old", SETTLED_MS),
            Retained("waiting", "gateway.recorder.ingest:Ingest.prepare", WAITING_MS),
            Retained("recorder_broken", REMOVE_OLD, LIFE_MS),
        ]
        enforcer = RECORDED_BY.get(options.store.partition(":")[0], "")
        found.append(Retained("recorded", enforcer, until="classes" if enforcer else "store"))
    found.append(_logs(options, folders))
    return found


def _logs(options: Options, folders: Iterable[Path]) -> Retained:
    """The services write to the system's journal, and that decides; without systemd they write
    to the terminal, and nothing is stored."""
    if not options.systemd:
        return Retained("logs", "", until="terminal")
    life_ms = system_log_ms(folders)
    return Retained("logs", "systemd-journald", life_ms, "" if life_ms else "system")


def under_systemd(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what this process says goes to the system's journal."""
    return "JOURNAL_STREAM" in environment


def system_log_ms(folders: Iterable[Path] = LOG_FOLDERS) -> int | None:
    """``MaxRetentionSec`` of the system's journal (journald.conf(5)), ``None``: it has none."""
    named: dict[str, Path] = {}
    main: list[Path] = []
    for folder in folders:
        main += [folder / "journald.conf"] if (folder / "journald.conf").is_file() else []
        named |= {path.name: path for path in sorted((folder / "journald.conf.d").glob("*.conf"))}
    text = ""
    for path in [*main[-1:], *(named[name] for name in sorted(named))]:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() == "MaxRetentionSec":
                text = value.strip()
    return _span_ms(text)


def _span_ms(text: str) -> int | None:
    """A time span of systemd.time(7), such as ``14day``; ``None`` for none and for 0."""
    total = 0.0
    for number, unit in re.findall(r"([0-9.]+)\s*([A-Za-z]*)", text):
        if unit not in _SPANS_MS:
            return None
        total += float(number) * _SPANS_MS[unit]
    return int(total) or None
