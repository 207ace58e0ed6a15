"""Requests made up from the description: whoever sends them, the answer is a described one.

The live stream, which does not end, is tried elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from httpx import Response
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.core.facts import KINDS
from gateway.web.shared.problems import MEDIA
from tests.web.conftest import FakePanel, Web
from tests.web.lived import states
from tests.web.test_audit import write

pytestmark = pytest.mark.thorough

Sent = Case[Any]
Operation = APIOperation[Any, Any, Any, Any]
ENDLESS = "GET /api/v1/live"
NOT_HERE = "GET /api/v1/export"
"""501 for Parquet is an answer, not a breakdown."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
VALID, BROKEN = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
EXAMPLES = {"visitor": {VALID: 1}, "staff": {VALID: 2, BROKEN: 2}, "admin": {VALID: 4, BROKEN: 3}}
"""How many requests of each sort per operation. A visitor is refused before they are read."""
SETTINGS: dict[str, Any] = {
    "version": "1", "overlay": {}, "effective": {"contacts": {}}, "ways": {}, "problems": [],
    "before": [], "timezone": "Europe/Berlin", "holidays": None, "preview": [],
}  # fmt: skip


class Willing(FakePanel):
    """Does all that is asked; the settings too."""

    async def ask(self, message: Mapping[str, object], timeout_s: float = 6.0) -> dict[str, Any]:
        answer = await super().ask(message, timeout_s)
        if message["type"] == "settings":
            return {**answer, "settings": SETTINGS}
        return answer


NAMES = {
    "door": "front", "room": "wc", "point": "wc.climate", "call": "wc", "alarm": "wc/leak",
}  # fmt: skip
"""What the building has, for every second request: the others are of things that it has not."""


class Asker:
    """One role against one building; logged in again when it was logged out or removed."""

    def __init__(self, state: Path, role: str) -> None:
        self.web, self.role = Web(state, bench=True), role
        self.web.site.control._panel = self.web.panel = Willing()
        self.web.see(states()[-1])
        self.web.add("root", "admin")
        write(self.web)
        self.enter()

    def enter(self) -> None:
        self.headers: dict[str, str] = {}
        if self.role != "visitor":
            client = self.web.as_(self.role)
            self.headers = {
                "Cookie": client.cookie, "Origin": self.web.base, "X-CSRF-Token": client.csrf
            }  # fmt: skip

    def ask(self, case: Sent) -> Response:
        sent = case.as_transport_kwargs(base_url=self.web.base)
        body = sent.get("data")
        headers = {**sent["headers"], **self.headers}
        answer = self.web.call(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            json=sent.get("json"),
            content=body if isinstance(body, bytes | str) else None,
            headers={name: str(value).encode("latin-1") for name, value in headers.items()},
        )
        if answer.status_code == 401:
            self.enter()
        return answer


@pytest.fixture(scope="module", params=EXAMPLES)
def asker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asker]:
    made = Asker(tmp_path_factory.mktemp(request.param), request.param)
    yield made
    made.web.close()


@pytest.fixture(scope="module")
def operations(asker: Asker) -> list[Operation]:
    told = asker.web.call("GET", "/api/openapi.json", headers=asker.web.token("view")).json()
    found = schemathesis.openapi.from_dict(told).get_all_operations()
    good = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(good) == sum(len(methods) for methods in told["paths"].values())
    return [operation for operation in good if operation.label != ENDLESS]


def sorts(operation: Operation, role: str) -> Iterator[tuple[SearchStrategy[Sent], int]]:
    """What to send, and how many of each."""
    named = {p.name: NAMES[p.name] for p in operation.path_parameters if p.name in NAMES}
    for mode, number in EXAMPLES[role].items():
        if mode is VALID or operation.body or operation.query or operation.headers:
            yield operation.as_strategy(generation_mode=mode), number
    if named:
        yield operation.as_strategy(path_parameters=named), EXAMPLES[role][VALID]


def test_every_answer_is_a_described_one(asker: Asker, operations: list[Operation]) -> None:
    statuses: Counter[int] = Counter()

    def check(case: Sent) -> None:
        answer = asker.ask(case)
        statuses[answer.status_code] += 1
        told = answer.status_code == 501 and case.operation.label == NOT_HERE
        case.validate_response(answer, checks=CHECKS[1:] if told else CHECKS)

    for operation in operations:
        asker.enter()
        for strategy, number in sorts(operation, asker.role):
            bounded = settings(
                max_examples=number,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            bounded(given(case=strategy)(check))()
    expected = {"visitor": {401}, "staff": {200, 202, 403, 422}, "admin": {200, 202, 204, 404, 422}}
    assert expected[asker.role] <= statuses.keys(), statuses


# --- what was found -----------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"\xff", b'{"minutes": "\xe4"}'], ids=["no text", "latin"])
def test_a_body_that_is_no_text_is_a_described_400(web: Web, body: bytes) -> None:
    """It was answered well and described nowhere."""
    headers = {**web.token("admin"), "Content-Type": "application/json"}
    answer = web.call("PUT", "/api/v1/doors/front/service", headers=headers, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, MEDIA)
    told = web.call("GET", "/api/openapi.json", headers=web.token("view")).json()
    described = told["paths"]["/api/v1/doors/{door}/service"]["put"]["responses"]
    assert list(described["400"]["content"]) == [MEDIA]


@pytest.mark.parametrize("what", ["users", "tokens"])
def test_a_name_that_cannot_be_is_refused_with_the_rule_that_counts(web: Web, what: str) -> None:
    """It was explained with the rule for names in the settings."""
    more = {"password": "ein langer Satz"} if what == "users" else {}
    given = {"name": "\u0098", "role": "view", **more}
    headers = {**web.token("admin"), "Accept-Language": "en"}
    answer = web.call("POST", f"/api/v1/{what}", headers=headers, json=given)
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_name")
    assert answer.json()["detail"] == "A name has 1 to 40 characters."


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/export"])
def test_the_description_names_the_kinds_of_events(web: Web, path: str) -> None:
    """Any text was described, and only these are taken."""
    told = web.call("GET", "/api/openapi.json", headers=web.token("view")).json()
    kind = next(p for p in told["paths"][path]["get"]["parameters"] if p["name"] == "kind")
    assert kind["schema"]["items"]["enum"] == sorted(KINDS)
