"""What an owner wants to know of a simulated life, counted by week from the facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.simulation.agenda import DAY

WEEK = 7 * DAY
ANSWERS = {
    "call_acknowledged": "acknowledged",
    "call_attended": "attended",
    "call_cancelled": "ended",
}


@dataclass
class Week:
    """Seven days."""

    openings: int = 0
    by_hand: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    test_calls: int = 0
    raised_again: int = 0
    answers: dict[str, list[Ms]] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    visits: int = 0


class Report:
    """Facts in, weeks out."""

    def __init__(self) -> None:
        self.weeks: list[Week] = []
        self.told: Counter[tuple[str, str]] = Counter()
        self.kinds: Counter[str] = Counter()
        self._calls: set[tuple[int, object]] = set()

    def take(self, fact: Fact, at_ms: Ms, boot: int) -> None:
        """A fact that was told at ``at_ms`` of the world's time, in this boot."""
        while len(self.weeks) <= at_ms // WEEK:
            self.weeks.append(Week())
        week, data = self.weeks[at_ms // WEEK], fact.data
        self.kinds[fact.kind] += 1
        match fact.kind:
            case "door_opened":
                week.openings += 1
                week.by_hand += data["cause"] in ("hand", "forced")
            case "door_request":
                self._request(week, str(data["outcome"]), str(data["reason"] or ""), 1)
            case "refusals_counted" if data["outcome"] in ("refused", "merged", "extended"):
                count = int(str(data["count"]))
                self._request(week, str(data["outcome"]), str(data["reason"]), count)
            case "call_raised":
                self._raised(week, fact)
            case "call_acknowledged" | "call_attended" | "call_cancelled":
                after = data["after_ms"]
                if isinstance(after, int) and not data.get("test"):
                    week.answers.setdefault(ANSWERS[fact.kind], []).append(after)
            case "message":
                week.messages[str(data["result"])] += 1
                self.told[str(data["receiver"]), str(data["result"])] += 1
            case "alarm_raised":
                week.alarms[fact.subject.rpartition("/")[2]] += 1
            case "occupancy_hour":
                week.visits += int(str(data["visits"]))
            case _:
                pass

    def _request(self, week: Week, outcome: str, reason: str, count: int) -> None:
        week.requests[outcome] += count
        if outcome == "refused":
            week.refusals[reason] += count

    def _raised(self, week: Week, fact: Fact) -> None:
        """A call counts once, however often it is raised again."""
        name = (0, fact.data["call"])
        if name in self._calls or fact.data["was"] is not None:
            week.raised_again += 1
        elif fact.data["test"]:
            week.test_calls += 1
        else:
            week.calls += 1
        self._calls.add(name)

    def to_json(self) -> list[Json]:
        """One object a week."""
        return [
            {
                "week": number + 1,
                "openings": week.openings,
                "by_hand": week.by_hand,
                "requests": dict(sorted(week.requests.items())),
                "refusals": dict(sorted(week.refusals.items())),
                "calls": week.calls,
                "test_calls": week.test_calls,
                "raised_again": week.raised_again,
                "answers": {name: _times(ms) for name, ms in sorted(week.answers.items())},
                "messages": dict(sorted(week.messages.items())),
                "alarms": dict(sorted(week.alarms.items())),
                "visits": week.visits,
            }
            for number, week in enumerate(self.weeks)
        ]

    def answers(self) -> dict[str, dict[str, Json]]:
        """How fast calls were answered over the whole life."""
        every: dict[str, list[Ms]] = {}
        for week in self.weeks:
            for name, times in week.answers.items():
                every.setdefault(name, []).extend(times)
        return {name: _times(every[name]) for name in sorted(every)}


def _times(times: list[Ms]) -> dict[str, Json]:
    ranked = sorted(times)
    return {
        "count": len(ranked),
        "median_ms": ranked[len(ranked) // 2],
        "longest_ms": ranked[-1],
    }
