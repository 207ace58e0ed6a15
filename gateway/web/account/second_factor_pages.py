"""The second factor: setting it up, giving a code, taking it away. All of it without scripts."""

from __future__ import annotations

import segno
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import HalfIn, ThePage, ViewAlwaysProved
from gateway.web.account import changes
from gateway.web.account.log_in_pages import local_target
from gateway.web.account.second_factor import know, prove
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import PROOF_LIFE_S, form_of
from gateway.web.page import page
from gateway.web.shared.problems import Problem
from gateway.web.site import PageSite

router = APIRouter(include_in_schema=False)


def _page(
    request: Request,
    who: Who,
    site: PageSite,
    *,
    target: str,
    note: str = "",
    status: int = 200,
    codes: list[str] | None = None,
    secret: str = "",
    uri: str = "",
    confirming: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    if who.user_id is None or site.identity.second_factor == "off":
        raise Problem(404)
    return page(
        request,
        "second.html",
        {
            "csrf": who.csrf,
            "next": target,
            "note": f"factor.{note}" if note else "",
            "enrolled": site.users.has_factor(who.user_id),
            "secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
            "uri": uri,
            "picture": _picture(uri) if uri else "",
            "confirming": confirming,
            "codes": codes or [],
            "hours": PROOF_LIFE_S // 3600,
            "name": who.name,
        },
        status=status,
        headers=headers,
    )


def _picture(uri: str) -> Markup:
    """What the camera of an app reads: black on white with a quiet zone of four modules
    (ISO/IEC 18004), whatever the page's colours are."""
    code = segno.make(uri, micro=False)
    return Markup(code.svg_inline(border=4, light="white", omitsize=True))


@router.get("/second-factor")
async def show(request: Request, who: HalfIn, site: ThePage, next: str = "/") -> Response:
    return _page(request, who, site, target=local_target(next))


@router.post("/second-factor")
async def give(request: Request, who: HalfIn, site: ThePage) -> Response:
    """A code, or a recovery code."""
    form = await form_of(request)
    target = local_target(form.get("next", "/"))
    try:
        right = await prove(site, request, who, form.get("code", ""))
    except Problem as problem:
        note = {"code_early": "early", "code_waits": "waits", "limit": "limited"}.get(
            problem.reason
        )
        if note is None:
            raise
        return _page(
            request, who, site, target=target, note=note, status=problem.status,
            headers=problem.headers,
        )  # fmt: skip
    if not right:
        return _page(request, who, site, target=target, note="wrong", status=422)
    response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    know(response, request, site, who)
    return response


@router.post("/account/factor")
async def set_up(request: Request, who: HalfIn, site: ThePage) -> Response:
    """Begin, with the password; then confirm with a first code. One that is there stays."""
    form = await form_of(request)
    target = local_target(form.get("next", "/account"))
    if form.get("do") == "begin":
        secret, uri = await changes.begin_factor(site, who, form.get("password", ""))
        return _page(request, who, site, target=target, secret=secret, uri=uri, confirming=True)
    try:
        codes = await changes.confirm_factor(site, who, form.get("code", ""))
    except Problem as problem:
        if problem.status != 429:
            raise
        return _page(request, who, site, target=target, note="limited", status=429)
    if codes is None:
        secret, uri = changes.begun_factor(site, who, form.get("secret", "").replace(" ", ""))
        return _page(
            request, who, site, target=target, note="wrong", status=422, secret=secret, uri=uri,
            confirming=True,
        )  # fmt: skip
    response = _page(request, who, site, target=target, codes=codes)
    know(response, request, site, who)
    return response


@router.post("/account/factor/remove")
async def remove(request: Request, who: ViewAlwaysProved, site: ThePage) -> Response:
    """Needs the password and a code: who has only the password cannot get round the code."""
    form = await form_of(request)
    await changes.remove_factor(site, who, form.get("password", ""))
    return RedirectResponse("/account?done=1", 303, {"Cache-Control": "no-store"})
