"""Changes of guarantees as facts: those that last, and few of one that flaps."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.control.guarantee_changes import SETTLE_MS, GuaranteeChanges
from gateway.core.facts import KINDS, Fact
from gateway.panel.snapshot_types import GuaranteeShown, GuaranteeValue

SECOND = 1_000
HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass
class Watched:
    """One guarantee that is looked at every two seconds."""

    now: int = 0
    changes: GuaranteeChanges = field(default_factory=GuaranteeChanges)
    facts: list[Fact] = field(default_factory=list)

    def is_(self, value: GuaranteeValue, for_ms: int, reason: str = "") -> Watched:
        end = self.now + for_ms
        while self.now < end:
            shown: GuaranteeShown = {
                "ok": value == "yes", "value": value, "since_ms": 0, "reason": reason,
                "subject": "", "evidence_ms": None, "void_after_ms": None,
            }  # fmt: skip
            self.facts += self.changes.facts({"clock": shown}, self.now)
            self.now += 2 * SECOND
        return self

    @property
    def told(self) -> list[tuple[int, object, object]]:
        return [(fact.at_ms, fact.data["value"], fact.data["before"]) for fact in self.facts]


def test_the_first_value_of_a_start_is_recorded_once_it_has_settled() -> None:
    watched = Watched().is_("unknown", 10 * SECOND).is_("yes", SETTLE_MS)
    assert watched.told == []
    watched.is_("yes", 10 * SECOND)
    assert watched.told == [(10 * SECOND, "yes", None)]
    assert watched.is_("yes", DAY).told == [(10 * SECOND, "yes", None)], "without a cause no write"


def test_a_change_is_dated_when_it_happened_not_when_it_was_recorded() -> None:
    watched = Watched().is_("yes", HOUR).is_("no", 2 * SETTLE_MS, "journal_full")
    assert watched.told[1:] == [(HOUR, "no", "yes")]
    assert watched.facts[1].data["reason"] == "journal_full"
    assert set(watched.facts[1].data) == set(KINDS["guarantee_changed"].fields)


def test_what_lasts_for_moments_only_is_not_recorded() -> None:
    watched = Watched().is_("yes", HOUR).is_("no", 20 * SECOND).is_("yes", HOUR)
    assert len(watched.facts) == 1


def test_a_guarantee_that_comes_and_goes_is_recorded_as_broken() -> None:
    watched = Watched().is_("yes", HOUR)
    for _ in range(20):
        watched.is_("no", 10 * SECOND, "unreachable").is_("yes", 10 * SECOND)
    begin = watched.told[1]
    assert begin == (HOUR, "no", "yes")
    assert watched.facts[1].data["reason"] == "unreachable"
    changes = watched.facts[1].data["changes"]
    assert isinstance(changes, int)
    assert changes > 1
    watched.is_("yes", 2 * HOUR)
    assert watched.told[-1][1] == "yes"


def test_a_day_of_flapping_leaves_few_facts() -> None:
    for spell in (10 * SECOND, 40 * SECOND, 5 * 60 * SECOND, 20 * 60 * SECOND):
        watched = Watched().is_("yes", HOUR)
        while watched.now < DAY:
            watched.is_("no", spell).is_("yes", spell)
        assert 2 <= len(watched.facts) <= 40, spell


def test_after_a_calm_time_it_is_as_prompt_as_at_first() -> None:
    watched = Watched().is_("yes", HOUR)
    for _ in range(5):
        watched.is_("no", 10 * 60 * SECOND).is_("yes", 10 * 60 * SECOND)
    watched.is_("yes", 12 * HOUR)
    count = len(watched.facts)
    watched.is_("no", 30 * 60 * SECOND)
    count_later = len(watched.facts)
    watched.is_("yes", 12 * HOUR).is_("no", 2 * SETTLE_MS)
    assert count_later == count + 1
    assert watched.told[-1][1] == "no"
