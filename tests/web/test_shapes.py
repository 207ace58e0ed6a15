"""The answers are what the description says: real ones, of a building to which all happens."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from gateway.journal.audit import AuditEntry
from gateway.web.shared.problems import MEDIA
from tests.page.fake import alarm
from tests.web.conftest import Web
from tests.web.lived import states
from tests.web.test_audit import write

BUILDING = ("status", "doors", "rooms", "calls", "alarms", "points", "counters", "guarantees")


def strict(schema: Any) -> Any:
    """The same, but nothing may be told that is not described."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


class Description:
    """What the gateway serves as its description."""

    def __init__(self, web: Web) -> None:
        self.told = web.call("GET", "/api/openapi.json", headers=web.token("view")).json()
        self._schemas = strict(copy.deepcopy(self.told["components"]["schemas"]))

    def of(self, path: str) -> jsonschema_rs.Validator:
        answer = self.told["paths"][path]["get"]["responses"]["200"]
        schema = strict(answer["content"]["application/json"]["schema"])
        whole = {**schema, "components": {"schemas": self._schemas}}
        return jsonschema_rs.validator_for(whole, validate_formats=True)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    web = Web(tmp_path_factory.mktemp("shapes"), retention={"calls": 1000}, store="sqlite")
    yield web
    web.close()


@pytest.fixture(scope="module")
def described(house: Web) -> Description:
    return Description(house)


def test_the_building_of_these_tests_has_seen_it_all() -> None:
    """Else they would say nothing."""
    doors = [state["doors"]["front"] for state in states()]
    calls = [state["rooms"]["wc"]["call"] for state in states()]
    assert {"closed", "opening", "open", "unknown"} <= {door["state"] for door in doors}
    assert {"quiet", "raised", "acknowledged"} <= {call["state"] for call in calls}
    assert any(call["messages"] for call in calls)
    assert any(door["last_refusal"] for door in doors)
    assert any(state["utc_offset_ms"] is None for state in states())
    assert len({alarm["kind"] for state in states() for alarm in state["alarms"]}) > 8


@pytest.mark.parametrize("name", BUILDING)
@pytest.mark.parametrize("role", ["view", "staff"])
def test_every_answer_has_the_described_shape(
    house: Web, described: Description, name: str, role: str
) -> None:
    path, headers = f"/api/v1/{name}", house.token(role)
    validator = described.of(path)
    for state in states()[:: 1 if role == "view" and name == "status" else 6]:
        house.see(state)
        validator.validate(house.call("GET", path, headers=headers).json())


@pytest.mark.parametrize(
    ("name", "id"), [("doors", "front"), ("rooms", "wc"), ("points", "wc.pir")]
)
def test_one_of_them_has_the_described_shape(
    house: Web, described: Description, name: str, id: str
) -> None:
    place = {"doors": "door", "rooms": "room", "points": "point"}[name]
    validator = described.of(f"/api/v1/{name}/{{{place}}}")
    for state in states()[::20]:
        house.see(state)
        answer = house.call("GET", f"/api/v1/{name}/{id}", headers=house.token("view"))
        validator.validate(answer.json())


def test_a_call_that_stands_and_one_alarm_on_the_shelf(house: Web, described: Description) -> None:
    shelved = alarm("front", "left_open", "notice", state="shelved", shelved_until_ms=5)
    for state in states():
        if state["rooms"]["wc"]["call"]["state"] == "quiet":
            continue
        house.see({**state, "alarms": [shelved]})
        for name in ("calls", "alarms"):
            answer = house.call("GET", f"/api/v1/{name}", headers=house.token("view")).json()
            assert len(answer) == 1
            described.of(f"/api/v1/{name}").validate(answer)


def test_before_the_controller_was_heard_and_when_it_is_away(tmp_path: Path) -> None:
    web = Web(tmp_path)
    described, headers = Description(web), web.token("view")
    for snapshot in (None, states()[0]):
        web.site.control.snapshot = snapshot
        web.away()
        for name in BUILDING:
            answer = web.call("GET", f"/api/v1/{name}", headers=headers)
            assert answer.status_code == 200
            described.of(f"/api/v1/{name}").validate(answer.json())
    web.close()


def test_events_the_chain_and_what_is_kept(house: Web, described: Description) -> None:
    write(
        house,
        AuditEntry("web:1", "open_door", "front", "refused: mode_off", 1, '{"command": "c"}'),
        AuditEntry("system:reload", "reload", "c0ffee", "accepted", 4),
    )
    for name in ("events", "audit", "kept"):
        answer = house.call("GET", f"/api/v1/{name}", headers=house.token("admin"))
        assert answer.json()
        described.of(f"/api/v1/{name}").validate(answer.json())


def test_nothing_undescribed_passes_these_tests(house: Web, described: Description) -> None:
    house.see(states()[0])
    doors = house.call("GET", "/api/v1/doors", headers=house.token("view")).json()
    validator = described.of("/api/v1/doors")
    assert validator.is_valid(doors)
    assert not validator.is_valid([{**doors[0], "new": 1}])
    assert not validator.is_valid([{**doors[0], "state": "ajar"}])
    assert not validator.is_valid([{k: v for k, v in doors[0].items() if k != "mode"}])


def test_every_success_is_described(described: Description) -> None:
    """No answer is just an object, or anything at all."""
    vague = [
        (path, status)
        for path, methods in described.told["paths"].items()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status in ("200", "201", "202")
        for media, content in answer.get("content", {}).items()
        if media == "application/json" and not _tells(content.get("schema", {}))
    ]
    assert vague == []


def _tells(schema: dict[str, Any]) -> bool:
    return bool(schema.keys() & {"$ref", "properties"}) or _tells(
        schema.get("items") or {"$ref": 0}
    )


def test_every_problem_is_described_as_one(described: Description) -> None:
    told = described.told
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == [MEDIA], (path, method, status)
            if "requestBody" in operation:
                assert {"400", "413"} <= operation["responses"].keys(), (path, method)
    assert "HTTPValidationError" not in json.dumps(told)
