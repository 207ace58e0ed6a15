"""The test book for programs: the same walk as on the page. Only a user can sign."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.web.access import Maintenance, TheSite
from gateway.web.inspection import walk
from gateway.web.shared.models import Strict, problems
from gateway.web.storage.testbook import Kind, Page
from gateway.wire import calendar_time

router = APIRouter(tags=["maintenance"])
Number = Annotated[int, Path(ge=1, le=2**53)]


class NewPage(Strict):
    kind: Kind
    subject: str = Field(min_length=1, max_length=200, description="A room or a door.")
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "call", "subject": "wc"}]}
    )


class StepAnswer(Strict):
    step: str = Field(max_length=250)
    answer: Literal["ok", "bad"]
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"step": "pull:wc.cord", "answer": "ok"}]},
    )


class Signature(Strict):
    note: str = Field("", max_length=500)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "Lampe über der Tür getauscht"}]}
    )


class StepShape(BaseModel):
    """``measured``: the gateway must see it. ``seen``: it did; else the person says so."""

    id: str
    word: str
    point: str
    measured: bool
    answer: Literal["ok", "bad"] | None = None
    seen: bool | None = None
    time: datetime | None = None
    took_ms: int | None = None


class PageShape(BaseModel):
    """``signed_by``: a user's id. ``whole``: nothing was changed since the signature."""

    id: int
    kind: Kind
    subject: str
    name: str
    begun: datetime
    steps: list[StepShape]
    signed: datetime | None
    signed_by: int | None
    passed: bool | None
    note: str
    digest: str
    whole: bool


class DueShape(BaseModel):
    """``last``: when it was last in order. ``page``: the one that was begun and is not signed."""

    kind: Kind
    subject: str
    name: str
    last: datetime | None
    due: datetime | None
    overdue: bool
    page: int | None


class TestBookShape(BaseModel):
    __test__ = False  # not a test class, whatever its name says to pytest
    due: list[DueShape]
    pages: list[PageShape]


def _time(utc_ms: int | None) -> datetime | None:
    return None if utc_ms is None else calendar_time(utc_ms)


def _shape(page: Page) -> PageShape:
    steps = []
    for step in page.steps:
        shape = StepShape(id=step.id, word=step.word, point=step.point, measured=step.measured)
        if result := page.results.get(step.id):
            shape.answer, shape.seen = result.answer, result.seen
            shape.time, shape.took_ms = _time(result.at_utc_ms), result.took_ms
        steps.append(shape)
    return PageShape(
        id=page.id,
        kind=page.kind,
        subject=page.subject,
        name=page.name,
        begun=calendar_time(page.begun_utc_ms),
        steps=steps,
        signed=_time(page.signed_utc_ms),
        signed_by=page.signed_by,
        passed=page.passed,
        note=page.note,
        digest=page.digest,
        whole=page.whole,
    )


@router.get(
    "/api/v1/testbook", operation_id="get_test_book", summary="The test book", responses=problems()
)
async def book(
    who: Maintenance,
    site: TheSite,
    before: Annotated[int, Query(ge=1, le=2**53, description="pages with smaller ids")] = 2**53,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> TestBookShape:
    """What is to be tested and when, and the signed pages, newest first."""
    return TestBookShape(
        due=[
            DueShape(
                kind=one.kind, subject=one.subject, name=one.name, last=_time(one.last_utc_ms),
                due=_time(one.due_utc_ms), overdue=one.overdue, page=one.page,
            )
            for one in walk.due(site)
        ],
        pages=[_shape(page) for page in site.testbook.signed_pages(limit, before)],
    )  # fmt: skip


@router.post(
    "/api/v1/testbook",
    operation_id="begin_test",
    summary="Begin a test, or go on with it",
    status_code=201,
    responses=problems(404, 409, 503),
)
async def begin(wanted: NewPage, who: Maintenance, site: TheSite) -> PageShape:
    """Begin a walk; where one of this subject is open, go on with that."""
    return _shape(await walk.begin(site, who, wanted.kind, wanted.subject))


@router.get(
    "/api/v1/testbook/{number}",
    operation_id="get_test",
    summary="One page of the test book",
    responses=problems(404),
)
async def one(number: Number, who: Maintenance, site: TheSite) -> PageShape:
    """One page, open or signed."""
    return _shape(walk.page_of(site, number))


@router.post(
    "/api/v1/testbook/{number}/steps",
    operation_id="answer_test_step",
    summary="Answer the next step",
    responses=problems(404, 409, 503),
)
async def answer(number: Number, said: StepAnswer, who: Maintenance, site: TheSite) -> PageShape:
    """Answer the step that is next; one that has a result keeps it. 409 ``not_seen`` where the
    gateway should have seen it. Step ``begin`` puts the room into test mode."""
    await walk.answer(site, who, walk.page_of(site, number), said.step, said.answer)
    return _shape(walk.page_of(site, number))


@router.delete(
    "/api/v1/testbook/{number}/steps/last",
    operation_id="undo_test_step",
    summary="Take an answer back",
    responses=problems(404),
)
async def again(number: Number, who: Maintenance, site: TheSite) -> PageShape:
    """Take the newest answer back, to do the step again. A signed page stays as it is."""
    await walk.again(site, who, walk.page_of(site, number))
    return _shape(walk.page_of(site, number))


@router.post(
    "/api/v1/testbook/{number}/signature",
    operation_id="sign_test",
    summary="Sign a page",
    responses=problems(404, 409, 503),
)
async def sign(number: Number, wanted: Signature, who: Maintenance, site: TheSite) -> PageShape:
    """Sign a page whose steps all have a result, in the name of the user who is logged in."""
    return _shape(await walk.sign(site, who, walk.page_of(site, number), wanted.note))


@router.delete(
    "/api/v1/testbook/{number}",
    operation_id="drop_test",
    summary="Drop an unsigned page",
    status_code=204,
    responses=problems(404, 409, 503),
)
async def drop(number: Number, who: Maintenance, site: TheSite) -> Response:
    """Drop a page that is not signed; test mode of the room ends."""
    await walk.drop(site, who, walk.page_of(site, number))
    return Response(status_code=204)
