"""What happened during one call, as the journal tells it: who was told, who went, its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.web.building.records import Records
from gateway.web.presenter.presenter import Presenter
from gateway.web.presenter.rooms import RESULTS
from gateway.web.presenter.view_models import Icon, State
from gateway.wire import Row

CALL_KINDS = ("call_raised", "call_seen", "call_acknowledged", "call_attended", "call_cancelled")
SPANS = ("call_acknowledged", "call_attended", "call_cancelled")
"""Until when it took how long."""
ROWS_MOST = 2000
"""So many facts are looked through, the newest ones; a call further back is not found."""
BEFORE_MS, AFTER_MS = 60_000, 24 * 3_600_000
"""Messages are looked for from a little before a call until a day after."""
LOOKS: dict[str, tuple[Icon, State]] = {
    "call_raised": ("siren", "call"),
    "call_seen": ("info", "info"),
    "call_acknowledged": ("hand", "info"),
    "call_attended": ("user", "good"),
    "call_cancelled": ("check", "good"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. ``after``: how long after the first pull, where that is known."""

    time: str
    after: str
    icon: Icon
    tone: State
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A call. ``spans``: how long its parts took, as (what, how long); ``over``: it has ended."""

    room: str
    test: bool
    begun: str
    over: bool
    steps: tuple[Step, ...]
    spans: tuple[tuple[str, str], ...]


async def timeline(records: Records, presenter: Presenter, call: str) -> Timeline | None:
    """The timeline of the call of this id; ``None`` where the journal knows none (any more).
    Raises :class:`gateway.web.building.records.Unavailable`."""
    rows = await records.before(None, ROWS_MOST, kinds=CALL_KINDS)
    own = sorted((row for row in rows if row.data.get("call") == call), key=lambda row: row.row)
    if not own:
        return None
    begun = own[0].utc_ms
    period = {}
    if begun is not None:
        period = {"from_utc_ms": begun - BEFORE_MS, "to_utc_ms": begun + AFTER_MS}
    earlier = await records.before(
        None, ROWS_MOST, kinds=("message",), subject=own[0].subject, **period
    )
    messages = [row for row in earlier if row.data.get("about") == call]
    return _made(own, _last_words(messages), presenter)


def _last_words(messages: Iterable[Row]) -> list[Row]:
    """Of each message the last that is known (newest first): *sent* is over once it arrived."""
    last: dict[str, Row] = {}
    for row in messages:
        last.setdefault(str(row.data.get("delivery")), row)
    return list(last.values())


def _made(own: list[Row], messages: list[Row], presenter: Presenter) -> Timeline:
    w, first = presenter.w, own[0]
    kinds = {row.kind: row for row in reversed(own)}  # the first of each
    steps = [_step(row, first, presenter) for row in sorted([*own, *messages], key=lambda r: r.row)]
    spans = [
        (w(f"timeline.{kind}_span"), _after(kinds[kind], first, presenter) or "–")
        for kind in SPANS
        if kind in kinds
    ]
    return Timeline(
        room=presenter.subject(first.subject),
        test=all(bool(row.data.get("test")) for row in own if row.kind == "call_raised"),
        begun=_time(first, presenter),
        over="call_cancelled" in kinds,
        steps=tuple(steps),
        spans=tuple(spans),
    )


def _time(row: Row, presenter: Presenter) -> str:
    if row.utc_ms is None:
        return presenter.w("event.no_time", duration=presenter.w.ago(row.mono_ms))
    return presenter.w.moment(row.utc_ms, ms=False)


def _after(row: Row, first: Row, presenter: Presenter) -> str:
    """From the first pull on; empty where the two cannot be compared."""
    if row is first:
        return ""
    if row.utc_ms is not None and first.utc_ms is not None:
        return presenter.w.running(max(0, row.utc_ms - first.utc_ms))
    return presenter.w.running(row.mono_ms - first.mono_ms) if row.boot == first.boot else ""


def _step(row: Row, first: Row, presenter: Presenter) -> Step:
    w, data = presenter.w, row.data
    icon, tone = LOOKS.get(row.kind, ("message", "info"))
    if row.kind == "message":
        result = str(data.get("result"))
        icon, tone = RESULTS.get(result, ("clock", "info"))
        why = presenter.message_reason(str(data.get("reason") or ""))
        text = w(
            "timeline.message",
            receiver=presenter.receiver(str(data.get("receiver"))),
            result=presenter.message_result(result, str(data.get("medium") or "")),
        )
        text = f"{text} ({why})" if why else text
    elif row.kind == "call_raised":
        cause = str(data.get("cause") or "cord")
        text = w.get(f"timeline.cause_{cause}", w("timeline.cause_cord"))
        point = str(data.get("point") or "")
        if point and cause in ("cord", "line"):
            text = f"{text}: {presenter.terminals.part(w, point)}"
    else:
        who = presenter.goes(data.get("attends"), str(data.get("by") or ""))
        text = w(f"timeline.{row.kind}", who=who)
    return Step(_time(row, presenter), _after(row, first, presenter), icon, tone, text)
