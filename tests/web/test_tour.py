"""The tour: four steps on the overview of a bench, skipped or gone through once by each person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.presenter.terminals import Terminals
from tests.page.fake import called, contact, room
from tests.web.conftest import Client, Web, snapshot

HTML = {"Accept": "text/html", "Accept-Language": "de"}
POINTS = {"front.button": contact(), "wc.cord": contact(), "wc.cancel": contact()}
SERVED = {"front.button": ("Front", "button_outside"), "wc.cord": ("WC", "room_cord")}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path, bench=True, terminals=Terminals(served=SERVED))
    made.see(snapshot(points=POINTS, rooms={"wc": room("WC")}))
    yield made
    made.close()


def place(client: Client) -> str:
    """Which step is shown, or none."""
    found = re.search(r"Schritt \d von \d", client.get("/", headers=HTML).text)
    return found[0] if found else ""


def test_it_goes_on_step_by_step_and_ends(bench: Web) -> None:
    staff = bench.as_("staff")
    for number, href in enumerate(("/bench#point-front.button", "/bench#point-wc.cord", "/bench",
                                   "/events"), 1):  # fmt: skip
        assert place(staff) == f"Schritt {number} von 4"
        assert f'href="{href}"' in staff.get("/", headers=HTML).text
        moved = staff.post("/account/tour", data={"do": "next", "step": str(number)})
        assert (moved.status_code, moved.headers["location"]) == (303, "/")
    assert place(staff) == ""


def test_a_card_that_is_sent_twice_moves_one_step(bench: Web) -> None:
    staff = bench.as_("staff")
    for _ in range(2):
        staff.post("/account/tour", data={"do": "next", "step": "1"})
    assert place(staff) == "Schritt 2 von 4"


def test_it_is_skipped_for_good_by_each_for_themselves(bench: Web) -> None:
    staff, other = bench.as_("staff"), bench.as_("admin")
    staff.post("/account/tour", data={"do": "skip", "step": "1"})
    assert place(staff) == ""
    assert place(bench.as_("staff")) == ""  # also at the next log-in
    assert place(other) == "Schritt 1 von 4"
    assert "Rundgang noch einmal zeigen" in staff.get("/account", headers=HTML).text
    staff.post("/account/tour", data={"do": "again"})
    assert place(staff) == "Schritt 1 von 4"


def test_it_is_for_those_who_may_use_the_bench(bench: Web) -> None:
    assert place(bench.as_("view")) == ""
    assert bench.as_("view").post("/account/tour", data={"do": "skip"}).status_code == 404


def test_on_real_terminals_there_is_none(web: Web) -> None:
    admin = web.as_("admin")
    assert place(admin) == ""
    assert admin.post("/account/tour", data={"do": "next", "step": "1"}).status_code == 404


@pytest.mark.parametrize("data", [{}, {"do": "next"}, {"do": "next", "step": "-1"}, {"do": "x"}])
def test_what_is_no_step_is_refused(bench: Web, data: dict[str, str]) -> None:
    assert bench.as_("staff").post("/account/tour", data=data).status_code == 422
    assert place(bench.as_("staff")) == "Schritt 1 von 4"


def test_a_call_stands_above_it(bench: Web) -> None:
    bench.see(snapshot(points=POINTS, rooms={"wc": room("WC", call=called())}))
    text = bench.as_("staff").get("/", headers=HTML).text
    assert text.index("Notruf") < text.index('class="card tour"')
