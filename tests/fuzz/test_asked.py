"""What people and links bring: signed links, codes, times in addresses and on the command line."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pyotp
import pytest
import typer
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.app.cli.console import an_instant
from gateway.panel.tickets import LIFE_S, Instant, Ticket, TicketError, Tickets, make_key
from gateway.web.history.ranges import Range
from gateway.web.identity.users import Users
from gateway.web.overview.pages import mode_args
from gateway.web.settings import rows
from gateway.web.shared.problems import Problem
from tests.fuzz.draws import HALF, ODD_NUMBERS, ODD_TEXTS, TREES, folder, fuzz
from tests.identity import use_code

pytestmark = pytest.mark.thorough

NOW_S = 1_700_000_000.0
NOW = Instant(NOW_S, 500.0)
TEXTS = st.sampled_from([text for text in ODD_TEXTS if text != HALF]) | st.text(max_size=30)
TIMES = TEXTS | st.sampled_from(
    (
        "0001-01-01T00:00", "0001-01-01T00:00+23:59", "1970-01-01T00:00", "9999-12-31T23:59:59.9",
        "9999-12-31T23:59-23:59", "2026-03-29T02:30", "2026-10-25T02:30",
        "2026-W01-1", "20260101T000000Z", "2026-01-01", "24:00", "18:00", "5 min", "100 y",
    )
)  # fmt: skip
ZONES = st.sampled_from(
    [ZoneInfo(n) for n in ("Europe/Berlin", "UTC", "Pacific/Apia", "America/New_York")]
)


@lru_cache(maxsize=1)
def tickets() -> Tickets:
    state = folder()
    make_key(state)
    return Tickets(state)


TICKETS = st.builds(
    Ticket,
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from(["call", "test"]),
    st.integers(int(NOW_S) + 1, int(NOW_S) + LIFE_S),
)


@fuzz(100)
@given(TICKETS)
def test_a_link_says_what_it_was_made_for_and_no_longer_than_it_lives(ticket: Ticket) -> None:
    token = tickets().make(ticket, NOW)
    assume(len(token) <= 2_000)
    read = tickets().read(token, NOW)
    assert (read, read.doubtful) == (ticket, False)
    later_s = ticket.expires_utc_s - NOW_S
    for utc_s in (NOW_S, NOW_S + later_s):
        with pytest.raises(TicketError, match="expired"):
            tickets().read(token, Instant(utc_s, 500.0 + later_s))


@fuzz(200)
@given(TICKETS, st.integers(0, 3_000), st.text(max_size=3), st.integers(0, 4))
@example(Ticket("a", "b", "c", "call", int(NOW_S) + 9), 0, HALF, 0)
def test_a_link_that_was_changed_says_the_same_or_is_none(
    ticket: Ticket, at: int, put: str, gone: int
) -> None:
    token = tickets().make(ticket, NOW)
    at %= len(token) + 1
    forged = token[:at] + put + token[at + gone :]
    try:
        read = tickets().read(forged, NOW)
    except TicketError:
        return
    assert read == ticket  # base64 has more than one spelling of the same


@fuzz(60)
@given(TICKETS, TICKETS)
def test_the_words_of_one_link_under_the_signature_of_another_are_none(
    one: Ticket, other: Ticket
) -> None:
    assume(one != other)
    words = tickets().make(one, NOW).rpartition(".")[0]
    with pytest.raises(TicketError, match="bad_signature"):
        tickets().read(f"{words}.{tickets().make(other, NOW).rpartition('.')[2]}", NOW)


@fuzz(100)
@given(TEXTS | TREES.map(str) | st.just("." * 2_000))
def test_no_text_is_a_link(token: str) -> None:
    with pytest.raises(TicketError):
        tickets().read(token, NOW)


@fuzz(100)
@given(
    TREES
    | st.tuples(TEXTS, TEXTS, TEXTS, st.just("call") | TREES, st.sampled_from(ODD_NUMBERS) | TREES)
    | st.tuples(TEXTS, TEXTS, TEXTS, st.just("call"), *3 * [st.sampled_from(ODD_NUMBERS) | TREES])
)
def test_what_another_program_has_signed_with_our_key_is_a_ticket_or_none(said: Any) -> None:
    with contextlib.suppress(UnicodeError):
        token = str(tickets()._signer().dumps(said))
        with contextlib.suppress(TicketError):
            assert isinstance(tickets().read(token, NOW), Ticket)


@lru_cache(maxsize=1)
def users() -> tuple[Users, list[float]]:
    clock = [NOW_S]
    made = Users(folder() / "web.sqlite", lambda: clock[0])
    made.add_user("anna", "admin", "a long password")
    made.begin_factor(1)
    with made._change() as db:
        db.execute("UPDATE factors SET confirmed = 1")
    return made, clock


@fuzz(150)
@given(
    TEXTS | st.text("0123456789 -", min_size=6, max_size=8) | st.text("٠١٢٣٤٥", min_size=6),
    st.integers(-90, 90),
)
@example("٠" * 6, 0)
def test_only_the_six_digits_of_this_half_minute_are_a_code(code: str, off_s: int) -> None:
    made, clock = users()
    clock[0] += 3_000  # a code counts once
    secret = str(made._db.execute("SELECT secret FROM factors").fetchone()[0])
    right = {pyotp.TOTP(secret).at(int(clock[0]) + step) for step in (-30, 0, 30)}
    plain = "".join(char for char in code[:60].lower() if char.isalnum())
    assert use_code(made, 1, code) == ("code" if plain in right else "")
    good = pyotp.TOTP(secret).at(int(clock[0]) + off_s)
    assert (use_code(made, 1, f" {good[:3]} {good[3:]}\n") == "code") is (good in right)


@fuzz(200)
@given(TIMES, TIMES, ZONES)
def test_any_two_texts_are_a_range_that_the_page_can_show(start: str, end: str, zone: Any) -> None:
    found = Range.read(start, end, zone)
    found.fields(zone)
    query = found.query()
    assert Range.read(query.get("from", ""), query.get("to", ""), zone) == found
    first, last = found.filled(datetime(2026, 11, 23, tzinfo=UTC), timedelta(days=1)).whole()
    assert first < last


@fuzz(200)
@given(TIMES, st.booleans())
@example("0001-01-01T00:00", False)
@example("9999-12-31T23:59:59.9", True)
def test_any_text_is_an_instant_on_the_command_line_or_is_explained(text: str, ahead: bool) -> None:
    with contextlib.suppress(typer.BadParameter):
        assert isinstance(an_instant(text, ahead=ahead), int)


@fuzz(150)
@given(
    TEXTS | st.sampled_from(["off", "schedule"]),
    TIMES | st.sampled_from(["18:00", "24:00"]),
    TEXTS | st.sampled_from(["", "2026-12-01", "0001-01-01", "9999-12-31"]),
    TEXTS | st.sampled_from(["", "4h", "until:1", "until:²", "until:9999999999999999"]),
    ZONES,
)
@example("off", "0001-01-01T00:00", "", "", ZoneInfo("Europe/Berlin"))
@example("off", "00:00", "0001-01-01", "", ZoneInfo("Europe/Berlin"))
def test_any_form_of_a_door_is_a_command_or_malformed(
    mode: str, until: str, day: str, span: str, zone: Any
) -> None:
    site: Any = SimpleNamespace(
        options=SimpleNamespace(zone=zone), control=SimpleNamespace(now_utc_ms=1_796_000_000_000)
    )
    form = {"mode": mode, "until": until, "day": day, "for": span}
    with contextlib.suppress(Problem):
        args = mode_args("front", form, site)
        assert args["door"] == "front"


KINDS = st.sampled_from(sorted(rows.FIELDS))
CELLS = TEXTS | st.sampled_from(
    ["mon-fri", "daily", "holiday", "07:00", "24:00", "night", "2026-12-24", "5", "s"]
)


@fuzz(150)
@given(KINDS, st.data())
def test_any_rows_of_a_form_become_sections_that_give_rows_again(
    kind: str, data: st.DataObject
) -> None:
    many = data.draw(st.integers(0, 4))
    fields = {f"{name}.{n}": data.draw(CELLS) for n in range(many) for name in rows.FIELDS[kind]}
    form = rows.posted(fields, f"contacts.desk.{kind}", kind)
    try:
        value = rows.value(form)
    except rows.Twice:
        return
    if kind in ("schedule", "exceptions"):
        rows.weekly("p", kind, value)
    elif kind == "hours":
        rows.hours("p", value)
    else:
        rows.steps("p", value)
