"""The test book for people: a guided walk by forms, and its pages to be read and printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Maintenance, TheSite
from gateway.web.building.records import Unavailable
from gateway.web.identity.auth import form_of
from gateway.web.inspection import walk
from gateway.web.inspection.view import page_view
from gateway.web.page import language_of, page
from gateway.web.shared.problems import Problem
from gateway.web.storage.testbook import KINDS

router = APIRouter(include_in_schema=False)
Number = Annotated[int, Path(ge=1, le=2**53)]
SAID_FOR_S = 60


def _to(target: str) -> Response:
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.post("/maintenance/testbook")
async def begin(request: Request, who: Maintenance, site: TheSite) -> Response:
    """Begin a walk, or go on with the one that was begun."""
    form = await form_of(request)
    kind = next((kind for kind in KINDS if kind == form.get("kind")), None)
    if kind is None:
        raise Problem(422, "malformed")
    begun = await walk.begin(site, who, kind, form.get("subject", "")[:200])
    return _to(f"/maintenance/testbook/{begun.id}")


@router.get("/maintenance/testbook/{number}")
async def one(
    request: Request, number: Number, who: Maintenance, site: TheSite, said: str = ""
) -> Response:
    """A page: its next step while it is open, the record when it is signed."""
    found = walk.page_of(site, number)
    presenter, words = site.presenter(language_of(request), who), site.words(language_of(request))
    seen, problem = None, words.get(site.signer.read(said).get("text", ""))
    if found.current is not None:
        try:
            seen = await walk.look(site, found, found.current)
        except Unavailable:
            problem = words("problem.no_journal")
    return page(
        request,
        "testbook.html",
        {
            "page": page_view(presenter, found, seen),
            "problem": problem,
            "in_test": walk.in_test(site, found),
            "can_sign": who.user_id is not None,
        },
    )


@router.post("/maintenance/testbook/{number}")
async def act(request: Request, number: Number, who: Maintenance, site: TheSite) -> Response:
    """Answer a step, take the last answer back, sign, or leave the walk."""
    form, found = await form_of(request), walk.page_of(site, number)
    do, back = form.get("do", ""), f"/maintenance/testbook/{number}"
    try:
        match do:
            case "ok" | "bad":
                await walk.answer(site, who, found, form.get("step", "")[:250], do)
            case "again":
                await walk.again(site, who, found)
            case "test":
                if found.kind == "call" and not found.signed:
                    await walk.set_test(site, who, found, walk.TEST_MS)
            case "sign":
                await walk.sign(site, who, found, form.get("note", ""))
            case "drop":
                await walk.drop(site, who, found)
                return _to("/maintenance#testbook")
            case _:
                raise Problem(422, "malformed")
    except Problem as problem:
        if problem.status != 409:
            raise
        words = site.words(language_of(request))
        keys = (f"problem.{problem.reason}", f"reason.{problem.reason}", "error.409")
        text = next(key for key in keys if words.get(key))
        return _to(f"{back}?said={site.signer.sign(SAID_FOR_S, text=text)}#walk")
    return _to(f"{back}#walk")
