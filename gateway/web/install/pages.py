"""The web manifest, the service worker, and the notice that it shows where there is no network.

The service worker stores the notice and nothing else: what a page said of the building must
never look as if it were so now.
"""

from __future__ import annotations

import hashlib
import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.web.access import Public, ThePage
from gateway.web.page import language_of
from gateway.web.shared.render import asset, fragment, static_files
from gateway.web.shared.words import LANGUAGES
from gateway.web.site import PageSite

router = APIRouter(include_in_schema=False)
LIGHT, DARK = "#f2f5f8", "#0f151b"
"""``--page`` of the stylesheet."""
ICONS = (
    ("icons/icon-192.png", 192, "any"),
    ("icons/icon-512.png", 512, "any"),
    ("icons/maskable-192.png", 192, "maskable"),
    ("icons/maskable-512.png", 512, "maskable"),
)
WORKER = "service_worker.js"
NOTICE = "/offline"


@router.get("/manifest.webmanifest")
async def manifest(request: Request, who: Public, site: ThePage) -> Response:
    """What a phone calls the page once it is installed: the name of the building."""
    name = site.options.name
    icons: list[dict[str, str]] = [
        {"src": asset("icon.svg"), "sizes": "any", "type": "image/svg+xml"}
    ]
    for file, size, purpose in ICONS:
        made = {"src": asset(file), "sizes": f"{size}x{size}", "type": "image/png"}
        icons.append({**made, "purpose": purpose})
    described = {
        "id": "/",
        "name": name,
        "short_name": name if len(name) <= 12 else site.words(language_of(request))("site.name"),
        "lang": language_of(request),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": LIGHT,
        "theme_color": LIGHT,
        "icons": icons,
    }
    return JSONResponse(
        described,
        media_type="application/manifest+json",
        headers={"Cache-Control": "no-cache", "Vary": "Cookie, Accept-Language"},
    )


@router.get("/sw.js")
async def worker(request: Request, who: Public, site: ThePage) -> Response:
    """The service worker. It changes with what it stores, which is how a browser notices."""
    html = _notice(site)
    stored = [NOTICE, asset("offline.css"), asset("offline.js")]
    digest = hashlib.sha256("\n".join([html, *stored]).encode()).hexdigest()[:12]
    values: dict[str, object] = {"name": site.options.name}
    values |= {"cache": f"portier-offline-{digest}", "stored": stored, "notice": NOTICE}
    values["icon"] = asset("icons/icon-192.png")
    values["badge"] = asset("icons/badge-96.png")
    script = f"const SETTINGS = {json.dumps(values)};\n{static_files()[WORKER].decode()}"
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get(NOTICE)
async def offline(request: Request, who: Public, site: ThePage) -> Response:
    """The notice, in every language of the building: whoever reads it may be another than the
    one for whom it was stored."""
    headers = {"Cache-Control": "no-cache"}
    return Response(_notice(site), media_type="text/html", headers=headers)


def _notice(site: PageSite) -> str:
    spoken = [code for code in site.options.languages if code in LANGUAGES]
    values = {"languages": [site.words(code) for code in spoken], "options": site.options}
    return fragment("offline.html", values)
