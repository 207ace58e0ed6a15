"""The test book in words: what is due, the step of the walk, and the page as a record."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.web.inspection.walk import Due, Seen
from gateway.web.presenter.presenter import Presenter
from gateway.web.storage.testbook import Page, Result, Step


@dataclass(frozen=True, slots=True)
class DueView:
    """``is_new``: never tested here, so that nothing is late yet."""

    kind: str
    subject: str
    title: str
    text: str
    overdue: bool
    is_new: bool
    page: int | None


def due_view(presenter: Presenter, one: Due) -> DueView:
    """When a subject was tested last, and until when it is to be tested again."""
    w = presenter.w
    if one.last_utc_ms is None or one.due_utc_ms is None:
        text = w("testbook.never")
    else:
        key = "testbook.was_due" if one.overdue else "testbook.due"
        text = w(key, last=w.day(one.last_utc_ms / 1000), due=w.day(one.due_utc_ms / 1000))
    return DueView(one.kind, one.subject, title(presenter, one.kind, one.name), text, one.overdue,
                    one.last_utc_ms is None, one.page)  # fmt: skip


def overdue_line(presenter: Presenter, found: list[Due]) -> str:
    """A sentence for the overview, empty where nothing is overdue; another one for what was never
    tested, as in a building that is new."""
    said = []
    for key, is_new in (("testbook.line", False), ("testbook.line_never", True)):
        names = [one.name for one in found if one.overdue and (one.last_utc_ms is None) == is_new]
        if names:
            shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
            said.append(presenter.w(key, names=shown))
    return " ".join(said)


def title(presenter: Presenter, kind: str, name: str) -> str:
    return presenter.w(f"testbook.title_{kind}", name=name)


@dataclass(frozen=True, slots=True)
class StepView:
    """``result`` is empty while there is none. ``by``: who saw it."""

    id: str
    word: str
    text: str
    help: str
    measured: bool
    result: str
    good: bool
    by: str
    time: str


def step_view(presenter: Presenter, step: Step, result: Result | None) -> StepView:
    w = presenter.w
    point = (step.names or {}).get(w.language) or step.point
    text = w(f"step.{step.word}", point=point)
    if result is None:
        return StepView(step.id, step.word, text, w.get(f"step_help.{step.word}"),
                         step.measured, "", False, "", "")  # fmt: skip
    said = w(f"testbook.{result.answer}")
    if result.took_ms is not None:
        said = f"{said} ({w.seconds(result.took_ms)})"
    return StepView(
        id=step.id,
        word=step.word,
        text=text,
        help="",
        measured=step.measured,
        result=said,
        good=result.answer == "ok",
        by=w("testbook.by_gateway" if result.seen else "testbook.by_person"),
        time=w.moment(result.at_utc_ms, ms=False),
    )


@dataclass(frozen=True, slots=True)
class PageView:
    """``current``: the step that is to be done now. ``seen``: what the gateway saw of it."""

    id: int
    kind: str
    title: str
    begun: str
    steps: tuple[StepView, ...]
    done: int
    current: StepView | None
    seen: str
    signed: str
    by: str
    passed: bool
    note: str
    digest: str
    whole: bool


def page_view(presenter: Presenter, page: Page, seen: Seen | None = None) -> PageView:
    """A page of the test book."""
    w, current = presenter.w, page.current
    said = ""
    if seen is not None:
        time = w.moment(seen.utc_ms, ms=False) if seen.utc_ms else "–"
        took = f" ({w.seconds(seen.took_ms)})" if seen.took_ms is not None else ""
        said = w("testbook.seen", time=time) + took
    return PageView(
        id=page.id,
        kind=page.kind,
        title=title(presenter, page.kind, page.name),
        begun=w.moment(page.begun_utc_ms, ms=False),
        steps=tuple(step_view(presenter, step, page.results.get(step.id)) for step in page.steps),
        done=len(page.results),
        current=step_view(presenter, current, None) if current else None,
        seen=said,
        signed=w.moment(page.signed_utc_ms, ms=False) if page.signed_utc_ms else "",
        by=presenter.who(f"web:{page.signed_by}") if page.signed_by is not None else "",
        passed=bool(page.passed),
        note=page.note,
        digest=page.digest,
        whole=page.whole,
    )
