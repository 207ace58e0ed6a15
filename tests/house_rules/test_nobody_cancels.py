"""A call is ended in the room. Every way in from afar, as it is generated, has no word for it.

What comes of the words that there are is proven for the core by
``tests/core/test_nobody_cancels_from_afar.py``; here are the surfaces: routes, topics, the
terminal and the panel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from fastapi.routing import APIRoute

from gateway.app.cli.main import cli
from gateway.core import events
from gateway.panel.commands import BY_LINK, COMMANDS
from gateway.web.app import ROUTERS
from gateway.wire import asyncapi

ENDS = ("cancel", "clear", "silence", "dismiss", "attend", "close_call", "end_call")


def commands(group: Any, path: str = "") -> Iterator[str]:
    """Every command of the terminal, such as ``call acknowledge``."""
    below = getattr(group, "commands", None)
    if below is None:
        yield path
        return
    for name, command in below.items():
        yield from commands(command, f"{path} {name}".strip())


def suspicious(words: Iterator[str] | tuple[str, ...] | frozenset[str]) -> list[str]:
    return [word for word in words if any(end in word for end in ENDS)]


def test_no_route_ends_a_call() -> None:
    paths = [
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert len(paths) > 60
    assert suspicious(tuple(paths)) == []
    about_calls = {path for path in paths if "call" in path}
    assert about_calls == {
        "GET /api/v1/calls",
        "GET /timeline/{call}",
        "POST /api/v1/calls/{call}/acknowledge",
        "POST /calls/acknowledge",
    }


def test_no_topic_ends_a_call() -> None:
    channels = asyncapi()["channels"]
    assert isinstance(channels, dict)
    taken = {str(one["address"]) for name, one in channels.items() if name.startswith("command")}  # type: ignore[index, call-overload]  # JSON
    assert suspicious(tuple(taken)) == []
    assert {topic.partition("/command/")[2] for topic in taken if "call" in topic} == {
        "call/{call}/acknowledge"
    }


def test_no_command_of_the_terminal_ends_a_call() -> None:
    known = list(commands(typer.main.get_command(cli)))
    assert len(known) > 40
    assert suspicious(tuple(known)) == []
    assert {name for name in known if name.startswith("call ")} == {"call list", "call acknowledge"}


def test_the_panel_has_no_word_for_it() -> None:
    assert suspicious(COMMANDS) == []
    assert {"acknowledge_call", "confirm_message"} == BY_LINK
    kinds = {kind.__name__ for kind in events.AnyCommand.__args__}
    assert {name for name in kinds if "Call" in name} == {"AcknowledgeCall"}
