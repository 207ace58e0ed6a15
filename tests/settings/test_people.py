"""Contacts, escalations and messages by the clock, from the file to the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.core.plan import ReceiverPlan
from gateway.settings.load import load
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import SettingsError
from tests import plans
from tests.settings.house import DRIVERS, NOW, SMALL, changed, loaded, said, write

BERLIN = ZoneInfo("Europe/Berlin")
PEOPLE = """
contacts:
  caretaker: {channels: [!secret one, !secret two], hours: mon-fri 08:00-16:00}
  craftsman: {channels: [!secret one], hours: [daily 06:00-22:00]}
  care_service: {channels: [!secret one]}
escalations:
  care:
    - {after: 0 s, notify: caretaker}
    - {after: 60 s, notify: craftsman}
    - {every: 2 min, notify: care_service}
alarms: {urgent: care}
messages:
  test: {notify: [care_service], at: mon 08:00, confirm_within: 12 h}
  summary: {notify: [caretaker, craftsman], at: "mon, thu 07:30"}
"""
HOUSE = changed(SMALL, ("timezone: Europe/Berlin", "timezone: Europe/Berlin, holidays: DE-SN"))


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("one", "two"):
        (tmp_path / "secrets" / name).write_text("json://localhost")


def on_duty(receiver: ReceiverPlan, *when: int) -> bool:
    utc_ms = int(datetime(*when, tzinfo=BERLIN).timestamp() * 1000)  # type: ignore[misc,arg-type]
    return [one.on_duty for one in receiver.duty if one.utc_ms <= utc_ms][-1]


def test_everything_reaches_the_plan(tmp_path: Path) -> None:
    made = plan(loaded(tmp_path, HOUSE + PEOPLE), now_utc_ms=NOW)
    assert [(one.id, one.channels) for one in made.receivers] == [
        ("caretaker", 2),
        ("craftsman", 1),
        ("care_service", 1),
    ]
    (care,) = made.escalations
    assert care.steps == (
        plans.step("caretaker", 0),
        plans.step("craftsman", 60_000),
        plans.last_step("care_service", 120_000),
    )
    assert made.alarm_escalations == (("urgent", "care"),)
    test, summary = made.mailings
    assert (test.kind, test.receivers, test.confirm_within_ms) == (
        "test",
        ("care_service",),
        12 * 3_600_000,
    )
    assert (summary.kind, summary.confirm_within_ms) == ("summary", None)


def test_hours_are_those_of_working_days(tmp_path: Path) -> None:
    caretaker, craftsman, always = plan(loaded(tmp_path, HOUSE + PEOPLE), now_utc_ms=NOW).receivers
    assert on_duty(caretaker, 2026, 11, 23, 8, 0)
    assert not on_duty(caretaker, 2026, 11, 23, 7, 59)
    assert not on_duty(caretaker, 2026, 11, 22, 12, 0)  # a Sunday
    assert not on_duty(caretaker, 2026, 12, 25, 12, 0)  # a Friday, and Christmas
    assert on_duty(caretaker, 2027, 6, 1, 8, 0)  # summer time
    assert on_duty(craftsman, 2026, 12, 25, 12, 0)  # every day is every day
    assert always.duty == ()
    assert caretaker.duty[-1].utc_ms > NOW + 390 * 86_400_000


def test_hours_may_name_holidays(tmp_path: Path) -> None:
    text = changed(
        PEOPLE,
        ("hours: mon-fri 08:00-16:00", 'hours: ["mon-fri 08:00-16:00", "holiday 10:00-12:00"]'),
    )
    caretaker = plan(loaded(tmp_path, HOUSE + text), now_utc_ms=NOW).receivers[0]
    assert on_duty(caretaker, 2026, 12, 25, 11, 0)
    assert not on_duty(caretaker, 2026, 12, 25, 13, 0)


def test_messages_fall_due_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    test, summary = plan(loaded(tmp_path, HOUSE + PEOPLE), now_utc_ms=NOW).mailings
    local = [datetime.fromtimestamp(utc_ms / 1000, BERLIN) for utc_ms in test.due]
    assert {(at.weekday(), at.hour, at.minute) for at in local} == {(0, 8, 0)}
    assert len({at.utcoffset() for at in local}) == 2
    assert 56 <= len(local) <= 58
    days = {datetime.fromtimestamp(utc / 1000, BERLIN).weekday() for utc in summary.due}
    assert days == {0, 3}
    assert datetime.fromtimestamp(summary.due[0] / 1000, UTC).second == 0


def test_without_people_the_plan_is_silent(tmp_path: Path) -> None:
    made = plan(loaded(tmp_path, SMALL), now_utc_ms=NOW)
    assert (made.receivers, made.escalations, made.mailings) == ((), (), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[care_service], at", "[care_servic], at", "did you mean care_service"),
        ("[care_service], at", "[], at", "names nobody"),
        ("[caretaker, craftsman]", "[caretaker, caretaker]", "names somebody twice"),
        ("mon 08:00", "munday 08:00", "'munday' is not a day"),
        ("mon 08:00", "fri-sat-sun 08:00", "is not a range of days"),
        ("mon 08:00", "mon 24:00", "24:00 is no time of day"),
        ("mon 08:00", "08:00", "is no day and time; write for example mon 08:00"),
        ("at: mon 08:00", "at: [mon]", "is no day and time"),
        ("12 h", "8 d", "is longer than until the next test"),
        ("  summary:", "  sumary:", "did you mean summary"),
        ("messages:", "mesages:", "did you mean messages"),
        ("confirm_within", "confirm", "did you mean confirm_within"),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in said(tmp_path, HOUSE + changed(PEOPLE, (old, new)))


def test_days_may_be_all_of_them(tmp_path: Path) -> None:
    text = changed(PEOPLE, ("at: mon 08:00", "at: daily 08:00"))
    assert len(plan(loaded(tmp_path, HOUSE + text), now_utc_ms=NOW).mailings[0].due) > 400


def test_a_secret_can_be_judged_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "two").write_text("no address")
    path = write(tmp_path, HOUSE + PEOPLE)
    with pytest.raises(SettingsError) as error:
        load(path, DRIVERS, judge=lambda address: address == "json://localhost")
    (problem,) = error.value.problems
    assert problem.key == "contacts.caretaker.channels[1]"
    assert problem.message == "the secret two holds no address that Apprise knows"
    assert "no address;" not in str(error.value)


# --- hints --------------------------------------------------------------------------------


def hints(tmp_path: Path, text: str) -> str:
    return "\n".join(loaded(tmp_path, HOUSE + text).hints)


def test_an_escalation_with_somebody_always_on_duty_is_fine(tmp_path: Path) -> None:
    once = changed(PEOPLE, ("every: 2 min", "after: 2 min"))
    assert "nobody on duty" not in hints(tmp_path, once)
    assert "nobody on duty" not in hints(tmp_path, PEOPLE)


def test_an_hour_without_anybody_is_hinted_at(tmp_path: Path) -> None:
    once = changed(
        PEOPLE, ("{every: 2 min, notify: care_service}", "{after: 2 min, notify: caretaker}")
    )
    assert "escalations.care: has nobody on duty at mon 00:00" in hints(tmp_path, once)
    repeats = changed(once, ("after: 2 min", "every: 2 min"))
    assert "nobody on duty" not in hints(tmp_path, repeats)


def test_push_is_a_way_of_a_contact_behind_its_channels(tmp_path: Path) -> None:
    text = (
        SMALL + "contacts: {phones: {push: staff}, desk: {channels: [!secret one], push: anna}}\n"
    )
    made = loaded(tmp_path, text)
    assert [one.channels for one in plan(made, now_utc_ms=NOW).receivers] == [1, 2]
    assert [one.ways for one in made.contacts.values()] == [1, 2]


@pytest.mark.parametrize(
    ("push", "wrong"),
    [
        ("hosts: [https://push.example]", "is no host"),
        ("hosts: [push.example:99999]", "is not a port"),
        ("hosts: [a..b]", "is no host"),
        ("mail: nobody", "is no mail address"),
    ],
)
def test_a_push_service_is_named_by_its_host(tmp_path: Path, push: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match=wrong):
        loaded(tmp_path, SMALL + f"push: {{{push}}}\n")


def test_a_push_service_of_ones_own(tmp_path: Path) -> None:
    hosts = "push: {hosts: [Push.Example, 127.0.0.1:8443], ca: ca.pem, mail: it@example.org}\n"
    made = loaded(tmp_path, SMALL + hosts).push
    assert (made.hosts, made.ca) == (("push.example", "127.0.0.1:8443"), "ca.pem")
