"""What a run leaves for the next one: kept state, rows and pages, however they were damaged."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import building
from gateway.core.building.snapshot import snapshot
from gateway.core.events import AcknowledgeCall, CivilTime, Issuer, Level, OpenDoor, SetMode
from gateway.core.facts import KINDS, LANES, Fact
from gateway.journal import audit, recovery
from gateway.journal.audit import AuditEntry
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState
from gateway.journal.store import Store
from gateway.wire import PUBLISHED, to_cloudevent
from tests.fuzz.draws import HALF, TEXTS, TREES, folder, fuzz, tampered
from tests.fuzz.houses import house, planned
from tests.settings.house import NOW

pytestmark = pytest.mark.thorough

FOLDER = folder()
STAFF = Issuer("web:3", "web")


@lru_cache(maxsize=1)
def kept() -> dict[str, Any]:
    """Of a house with an override, a call that was seen, alarms and counters."""
    state = house()
    for at_ms, event in (
        (2_000, Level("front.leaf", False, 2_000)),
        (2_100, SetMode("m", STAFF, 9_000, "front", "night", NOW + 9_000_000, None)),
        (2_200, OpenDoor("o", STAFF, 9_000, "front", "parcel")),
        (2_300, Level("wc.cord", False, 2_300)),
        (2_400, Level("wc.cord", True, 2_400)),
        (9_000, AcknowledgeCall("a", STAFF, 19_000, "wc")),
        (9_100, Level("wc.leak", True, 9_100)),
        (60_000, None),
    ):
        state = building.step(state, event, at_ms).state
    found: dict[str, Any] = json.loads(json.dumps(building.state_to_save(state)))
    return found


def test_the_house_has_something_to_keep() -> None:
    assert {"alarms", "overrides", "service", "counters"} <= set(kept())
    assert kept()["alarms"]
    assert kept()["overrides"]


def section(name: str) -> st.SearchStrategy[Any]:
    """One part of what was kept, of a list only its first."""
    found = kept()[name]
    return tampered({name: found[:1] if isinstance(found, list) else found}, most=2)


ALARMS = st.deferred(lambda: section("alarms"))
SECTIONS = st.deferred(lambda: st.sampled_from(sorted(kept())).flatmap(section))


@fuzz(200)
@given(st.one_of(ALARMS, SECTIONS, st.deferred(lambda: tampered(kept()))))
@example({"alarms": 7, HALF: [None]})
def test_whatever_was_kept_the_house_starts_and_keeps_what_can_be_written(tree: Any) -> None:
    step = building.start(planned(), tree, 0)
    state = building.step(step.state, CivilTime(NOW, True), 1_000).state
    state = building.step(state, None, 120_000).state
    json.dumps([building.state_to_save(state), snapshot(state, 120_000)])
    again = building.restore(house(), tree, 2_000).state
    building.step(again, CivilTime(NOW + 60_000, True), 62_000)


VALUES: dict[str, Any] = {"str": "a", "int": 7, "float": 2.5, "bool": True, "range": [1, 4]}
DATA = {
    kind.name: {name: VALUES[wanted.rstrip("?")] for name, wanted in kind.fields.items()}
    for kind in KINDS.values()
}
FACTS = st.sampled_from(sorted(DATA)).flatmap(
    lambda kind: st.builds(
        Fact,
        st.just(kind) | TEXTS,
        st.just("front") | TEXTS,
        st.integers(0, 2**40),
        (tampered(DATA[kind]) if DATA[kind] else st.just({})) | st.dictionaries(TEXTS, TREES),
    )
)


@fuzz(80)
@given(st.lists(FACTS, min_size=1, max_size=6), TEXTS, TEXTS)
@example([Fact("reading", "wc.climate", 5, {"quantity": "t_c", "value": 1.7e308})] * 2, "a", "b")
@example([Fact("door_opened", "front", 5, {"cause": HALF})], "web:3", HALF)
@example([Fact(HALF, HALF, 5, {})], "web:3", "")
def test_every_fact_that_is_written_is_read_numbered_and_can_be_sent(
    facts: list[Fact], actor: str, detail: str
) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as inner:
        path = Path(inner) / "journal.sqlite"
        store = Store(path, "boot-1")
        lanes = [kind.lane if (kind := KINDS.get(f.kind)) else "routine" for f in facts]
        entry = AuditEntry(actor, "open_door", "front", "accepted", 5, detail)
        work = Work([(n, lane, f) for n, (lane, f) in enumerate(zip(lanes, facts, strict=True))])
        work.audit.append(entry)
        store.write(work)
        store.close(clean=True)
        reader = Reader(path)
        rows = reader.after_row(0, 100)
        reader.close()
    assert [row.row for row in rows] == list(range(1, len(facts) + 1))
    for row in rows:
        if row.lane in PUBLISHED:
            sent = to_cloudevent("csg", "j", row, late=False)
            json.dumps(sent, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


CLAIMS = st.lists(
    st.tuples(
        st.sampled_from(["main", "r", ""]) | TEXTS,
        st.dictionaries(
            st.sampled_from([*LANES, "x"]), st.integers(0, 4) | st.integers(0, 2**53), max_size=2
        ),
        st.booleans(),
    ),
    max_size=5,
)


@fuzz(40)
@given(st.lists(CLAIMS, max_size=5))
@example([[("r", {"urgent": 2**53}, False)]])
@example([[("r", {"urgent": 9}, False)]] * 3)
def test_whatever_recorders_claim_only_expected_ones_are_kept_and_one_is_believed(
    told: list[list[tuple[str, dict[str, int], bool]]],
) -> None:
    """Each of ``told`` is one transaction; each claim names the journal as it is by then."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as inner:
        path = Path(inner) / "journal.sqlite"
        store = Store(path, "boot-1")
        store.write(Work([(0, "urgent", Fact("door_opened", "front", 5, {}))]))
        names, expected = [store.journal], set()
        for claims in told:
            work = Work()
            for recorder, lanes, keep in claims:
                work.recorded[audit.storable(recorder)] = (store.journal, lanes, keep)
            expected |= {name for name, (*_, keep) in work.recorded.items() if keep}
            store.write(work)
            if store.journal != names[-1]:
                names.append(store.journal)
        assert len(names) <= 2
        store.close(clean=True)
        reader = Reader(path)
        assert set(reader.cursors().recorded) == expected
        reader.close()


@lru_cache(maxsize=1)
def journal() -> Path:
    """A journal of several pages, closed in order."""
    path = FOLDER / "whole.sqlite"
    store = Store(path, "boot-1")
    for n in range(60):
        facts = [
            (0, LANES[n % 3], Fact("door_opened", f"front{n % 5}", n, {"cause": "request" * 9})),
            (1, LANES[1], Fact("reading", "wc.climate", n, {"quantity": "t_c", "value": n / 3})),
        ]
        work = Work(facts, saved_state=NumberedState(n + 1, {"n": n}))
        work.audit.append(AuditEntry("web:3", "open_door", "front", "accepted", n))
        store.write(work)
    store.close(clean=True)
    return path


@fuzz(25)
@given(st.lists(st.tuples(st.integers(0, 2**20), st.binary(min_size=1, max_size=40)), max_size=8))
def test_a_journal_with_bytes_of_it_replaced_is_mended_and_every_number_has_its_answer(
    wounds: list[tuple[int, bytes]],
) -> None:
    whole = bytearray(journal().read_bytes())
    for at, with_ in wounds:
        start = at % len(whole)
        whole[start : start + len(with_)] = with_[: len(whole) - start]
    with tempfile.TemporaryDirectory(dir=FOLDER) as inner:
        path = Path(inner) / "journal.sqlite"
        path.write_bytes(whole)
        recovery.salvage(path, "a test", "boot-2")
        store = Store(path, "boot-2")
        assert store.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store.saved_state()
        audit.verify(store.connection)
        store.close(clean=True)
        reader = Reader(path)
        for lane, head in reader.heads().items():
            rows = {row.seq for row in reader.lane(lane, 1, 10_000)}
            gone = {
                n for low, high, _ in reader.absent(lane, 1, head) for n in range(low, high + 1)
            }
            assert not rows & gone
            assert rows | gone == set(range(1, head + 1))
        reader.close()
    shutil.rmtree(inner, ignore_errors=True)
