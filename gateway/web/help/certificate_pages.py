"""How a phone comes to trust the page, and the certificates it needs for that."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import Public, ThePage
from gateway.web.help import manuals
from gateway.web.page import language_of, page
from gateway.web.site import PageSite

router = APIRouter(include_in_schema=False)


@router.get("/help/certificate")
async def certificate(request: Request, who: Public, site: ThePage) -> Response:
    """How a phone or computer comes to trust the page. Without a log-in: nobody should type a
    password on a page that the browser warns of."""
    found = manuals.manual("certificate", language_of(request))
    roots = [
        {"name": name, "fingerprint": sha256(root).digest().hex(":").upper()}
        for name, root in (await asyncio.to_thread(site.options.roots)).items()
    ]
    return page(request, "certificate.html", {"manual": found, "roots": roots})


@router.get("/help/root.crt")
async def root(who: Public, site: ThePage) -> Response:
    """The root that has signed the page's certificate."""
    return await _root(site, "root")


@router.get("/help/next-root.crt")
async def next_root(who: Public, site: ThePage) -> Response:
    """The root that will sign it."""
    return await _root(site, "next-root")


async def _root(site: PageSite, name: str) -> Response:
    """As a phone takes it: this type makes iOS offer a profile."""
    der = (await asyncio.to_thread(site.options.roots)).get(name)
    if der is None:
        raise HTTPException(404)
    return Response(
        der, media_type="application/x-x509-ca-cert", headers={"Cache-Control": "no-store"}
    )
