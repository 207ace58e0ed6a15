"""The pages of the manuals, and the signs to print."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import Public, TheSite, View
from gateway.web.help import manuals
from gateway.web.page import language_of, page
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)


@router.get("/help")
async def overview(request: Request, who: View) -> Response:
    """The list of the manuals and signs."""
    found = [manuals.manual(name, language_of(request)) for name in manuals.NAMES]
    return page(request, "help.html", {"manuals": found, "icons": manuals.ICONS})


@router.get("/help/signs")
async def signs(request: Request, who: View) -> Response:
    """Signs for the door and the bathroom, each on a sheet of its own when printed."""
    return page(request, "signs.html")


@router.get("/help/certificate")
async def certificate(request: Request, who: Public, site: TheSite) -> Response:
    """How a phone or computer comes to trust the page. Without a log-in: nobody should type a
    password on a page that the browser warns of."""
    found = manuals.manual("certificate", language_of(request))
    roots = [
        {"name": name, "fingerprint": sha256(root).digest().hex(":").upper()}
        for name, root in (await asyncio.to_thread(site.options.roots)).items()
    ]
    return page(request, "certificate.html", {"manual": found, "roots": roots})


@router.get("/help/root.crt")
async def root(who: Public, site: TheSite) -> Response:
    """The root that has signed the page's certificate."""
    return await _root(site, "root")


@router.get("/help/next-root.crt")
async def next_root(who: Public, site: TheSite) -> Response:
    """The root that will sign it."""
    return await _root(site, "next-root")


async def _root(site: Site, name: str) -> Response:
    """As a phone takes it: this type makes iOS offer a profile."""
    der = (await asyncio.to_thread(site.options.roots)).get(name)
    if der is None:
        raise HTTPException(404)
    return Response(
        der, media_type="application/x-x509-ca-cert", headers={"Cache-Control": "no-store"}
    )


@router.get("/help/{name}")
async def one(request: Request, name: str, who: View) -> Response:
    """One manual."""
    try:
        found = manuals.manual(name, language_of(request))
    except KeyError:
        raise HTTPException(404) from None
    return page(request, "manual.html", {"manual": found})
