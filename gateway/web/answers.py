"""Turns errors into answers: problem details for programs (RFC 9457), a page for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.web.identity.auth import seen
from gateway.web.page import language_of, page
from gateway.web.shared.problems import (
    CHANGE_NEEDED,
    MEDIA,
    NotLoggedIn,
    Problem,
    for_people,
    path_of,
)
from gateway.web.shared.words import Words


def answer(request: Request, problem: Problem, extra: dict[str, Any] | None = None) -> Response:
    """A problem as page or JSON, in the reader's language."""
    words: Words = request.app.state.site.words(language_of(request))
    title = words.get(f"error.{problem.status}") or HTTPStatus(problem.status).phrase
    detail = problem.detail
    for section in ("reason", "problem", "people"):
        detail = detail or words.get(f"{section}.{problem.reason}")
    if isinstance(problem, NotLoggedIn) and for_people(request) and request.method == "GET":
        path = request.url.path
        target = f"/login?next={path}" if path != "/" else "/login"
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    if problem.reason == "second_factor" and for_people(request):
        came_from = path_of(request)
        target = f"/second-factor?next={quote(came_from)}"
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    if problem.reason == CHANGE_NEEDED and for_people(request):
        return RedirectResponse("/account", 303, {"Cache-Control": "no-store"})
    if for_people(request):
        if not hasattr(request.state, "who"):  # no route has asked: an address that is none
            request.state.who = seen(request)
        return page(
            request,
            "error.html",
            {"status": problem.status, "title": title, "detail": detail},
            status=problem.status,
            headers=problem.headers,
        )
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": problem.status}
    if detail:
        body["detail"] = detail
    if problem.reason:
        body["reason"] = problem.reason
    return JSONResponse(
        body | {"instance": request.url.path} | (extra or {}),
        problem.status,
        problem.headers,
        media_type=MEDIA,
    )


def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # registered for this class only
    return answer(request, error, error.extra)


def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    problem = Problem(error.status_code)
    problem.headers = dict(error.headers or {})
    if error.status_code == 405 and (methods := methods_of(request)):
        problem.headers["Allow"] = ", ".join(methods)
    return answer(request, problem)


def methods_of(request: Request) -> list[str]:
    """All that an address knows: the router names those of the first route alone."""
    routes = (context.original_route for context in iter_route_contexts(request.app.routes))
    found = {
        method
        for route in routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def on_invalid(request: Request, error: Exception) -> Response:
    """Says where and what, never the value itself: it may be a password."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this only
    words: Words = request.app.state.site.words(language_of(request))
    errors = [
        {
            "where": ".".join(str(part) for part in found["loc"]),
            "what": words.get(f"invalid.{found['type']}", found["msg"], **found.get("ctx", {})),
        }
        for found in error.errors()[:20]
    ]
    return answer(request, Problem(422, "malformed"), {"errors": errors})


def on_crash(request: Request, error: Exception) -> Response:
    """The server logs the error itself; the reader learns nothing of its inside."""
    return answer(request, Problem(500))
