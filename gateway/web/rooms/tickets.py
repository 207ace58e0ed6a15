"""The signed link of a message. Opened it only shows; what it is for is done by its button,
so that a mail program that looks at links does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.panel.tickets import Ticket, TicketError
from gateway.web.access import Public, TheSite
from gateway.web.building.control_client import Answer
from gateway.web.page import language_of, page
from gateway.web.presenter.rooms import call_view
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import peer
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
GONE = frozenset({"unknown_call", "unknown_message"})


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever has the link, as the journal knows them: a function, not a person."""

    actor: str


@router.get("/m/{token}")
async def show(request: Request, token: str, who: Public, site: TheSite) -> Response:
    """What the message is about, and how it stands now."""
    ticket = _read(request, site, token)
    if ticket is None:
        return _page(request, site, None, status=404)
    return _page(request, site, ticket)


@router.post("/m/{token}")
async def use(request: Request, token: str, who: Public, site: TheSite) -> Response:
    """Acknowledge the call, or confirm the test message."""
    ticket = _read(request, site, token)
    if ticket is None:
        return _page(request, site, None, status=404)
    holder, share = Holder(f"link:{ticket.receiver}"), f"link {ticket.delivery}"
    if ticket.kind == "call":
        answer = await site.control.ask(
            "acknowledge_call", {"call": ticket.about}, holder, via="link", share=share
        )
    else:
        answer = await site.control.ask(
            "confirm_message", {"delivery": ticket.delivery}, holder, via="link", share=share
        )
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    if not answer.done and answer.reason not in GONE:
        raise Problem(409, answer.reason)
    return _page(request, site, ticket, answer)


def _read(request: Request, site: Site, token: str) -> Ticket | None:
    """``None`` for a link that is none, or is over. Only those are counted: whoever guesses from
    the same address must not be in the way of who has a right one. Raises :class:`Problem`."""
    try:
        ticket = site.tickets.read(token)
    except TicketError:
        if not site.ticket_limit.take(peer(request)):
            raise Problem(429, "limit", Retry_After="3") from None
        return None
    if ticket.doubtful and ticket.kind == "call" and site.control.connected:
        return ticket if site.control.call(ticket.about) else None
    return ticket  # of a test message control knows whether it is still waited for


def _page(
    request: Request,
    site: Site,
    ticket: Ticket | None,
    answer: Answer | None = None,
    *,
    status: int = 200,
) -> Response:
    presenter = site.scene_for(language_of(request), names=True)
    call = None
    if ticket is not None and ticket.kind == "call":
        found = site.control.call(ticket.about)
        call = call_view(presenter, *found) if found else None
    done = answer is not None and answer.done
    values = {"ticket": ticket, "call": call, "done": done, "presenter": presenter}
    return page(request, "ticket.html", values, status=status)
