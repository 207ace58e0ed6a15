"""The history of alarms, read from the journal: raised, seen by whom, shelved, cleared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.web.presenter.facts import around
from gateway.web.presenter.presenter import Presenter
from gateway.wire import Row

KINDS = ("alarm_raised", "alarm_acknowledged", "alarm_shelved", "alarm_cleared")


@dataclass(slots=True)
class Life:
    """One alarm from the time it came until it was gone and seen, in sentences; texts are empty
    where it has not come to that. ``raised`` is empty where that is no longer kept."""

    id: str
    what: str
    severity: str = ""
    severity_text: str = ""
    raised: str = ""
    count: int = 1
    seen: list[str] = field(default_factory=list)
    shelved: list[str] = field(default_factory=list)
    cleared: str = ""
    around: str = ""

    @property
    def over(self) -> bool:
        """It is gone and somebody has seen it: coming back it would be another one."""
        return bool(self.cleared and self.seen)


def lives(rows: Iterable[Row], presenter: Presenter) -> list[Life]:
    """The lives that facts (oldest first) tell of, the newest first."""
    found: list[Life] = []
    standing: dict[str, Life] = {}
    for row in rows:
        life = standing.get(row.subject)
        if life is None or (row.kind == "alarm_raised" and life.over):
            subject, _, kind = row.subject.partition("/")
            life = standing[row.subject] = Life(
                row.subject,
                presenter.alarm_text(kind, subject, "what"),
                around=around(row, presenter),
            )
            found.append(life)
        _tell(life, row, presenter)
    return found[::-1]


def _tell(life: Life, row: Row, presenter: Presenter) -> None:
    w, data = presenter.w, row.data
    when = w("event.no_time", duration=w.ago(row.mono_ms))
    if row.utc_ms is not None:
        when = w.short(row.utc_ms)
    who = presenter.who(str(data.get("by") or ""))
    match row.kind:
        case "alarm_raised":
            life.severity = str(data.get("severity") or "")
            life.severity_text = w.get(f"severity.{life.severity}", life.severity)
            life.count = int(str(data.get("count") or 1))
            life.raised = life.raised or when
            life.cleared = ""  # it has come back before anybody saw it
        case "alarm_acknowledged":
            life.seen.append(w("alarm_life.by", time=when, who=who))
        case "alarm_shelved":
            for_ms = int(str(data.get("for_ms") or 0))
            key = "alarm_life.shelved" if for_ms else "alarm_life.unshelved"
            life.shelved.append(w(key, time=when, who=who, duration=w.ago(for_ms)))
        case _:
            active_ms = data.get("active_ms")
            lasted = w.ago(int(str(active_ms))) if active_ms is not None else ""
            life.cleared = w("alarm_life.after", time=when, duration=lasted) if lasted else when
