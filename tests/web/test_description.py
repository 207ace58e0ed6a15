"""The description of the API is one that programs can be generated from: names that stay, who may
ask, and which headers it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Web
from tests.web.test_surface import TOLD, reason

OPERATIONS = """
get_display                GET    /api/v1/display
list_doors                 GET    /api/v1/doors
get_door                   GET    /api/v1/doors/{door}
open_door                  POST   /api/v1/doors/{door}/open
set_door_mode              PUT    /api/v1/doors/{door}/mode
set_door_service           PUT    /api/v1/doors/{door}/service
list_rooms                 GET    /api/v1/rooms
get_room                   GET    /api/v1/rooms/{room}
begin_room_test            PUT    /api/v1/rooms/{room}/test
end_room_test              DELETE /api/v1/rooms/{room}/test
list_calls                 GET    /api/v1/calls
acknowledge_call           POST   /api/v1/calls/{call}/acknowledge
get_status                 GET    /api/v1/status
list_points                GET    /api/v1/points
get_point                  GET    /api/v1/points/{point}
test_relay                 POST   /api/v1/points/{point}/test
list_alarms                GET    /api/v1/alarms
acknowledge_alarm          POST   /api/v1/alarms/{alarm}/acknowledge
reset_alarm                POST   /api/v1/alarms/{alarm}/reset
confirm_clock              POST   /api/v1/clock/confirm
shelve_alarm               POST   /api/v1/alarms/{alarm}/shelve
get_counters               GET    /api/v1/counters
list_guarantees            GET    /api/v1/guarantees
get_retention              GET    /api/v1/kept
list_events                GET    /api/v1/events
get_point_history          GET    /api/v1/points/{point}/history
export_events              GET    /api/v1/export
log_in                     POST   /api/v1/session
log_out                    DELETE /api/v1/session
get_me                     GET    /api/v1/me
get_preferences            GET    /api/v1/me/preferences
set_preferences            PUT    /api/v1/me/preferences
change_password            PUT    /api/v1/me/password
get_second_factor          GET    /api/v1/me/second-factor
prove_second_factor        POST   /api/v1/me/second-factor
begin_second_factor        POST   /api/v1/me/second-factor/enrolment
confirm_second_factor      POST   /api/v1/me/second-factor/confirmation
remove_second_factor       POST   /api/v1/me/second-factor/removal
list_own_sessions          GET    /api/v1/users/me/sessions
end_other_sessions         DELETE /api/v1/users/me/sessions
end_own_session            DELETE /api/v1/users/me/sessions/{session}
list_devices               GET    /api/v1/me/devices
add_device                 POST   /api/v1/me/devices
remove_device              DELETE /api/v1/me/devices/{device}
test_device                POST   /api/v1/me/devices/{device}/test
list_users                 GET    /api/v1/users
add_user                   POST   /api/v1/users
set_user_role              PUT    /api/v1/users/{user}/role
set_user_password          PUT    /api/v1/users/{user}/password
remove_user                DELETE /api/v1/users/{user}
remove_user_second_factor  DELETE /api/v1/users/{user}/second-factor
list_user_sessions         GET    /api/v1/users/{user}/sessions
end_user_sessions          DELETE /api/v1/users/{user}/sessions
end_user_session           DELETE /api/v1/users/{user}/sessions/{session}
list_tokens                GET    /api/v1/tokens
add_token                  POST   /api/v1/tokens
revoke_token               DELETE /api/v1/tokens/{name}
list_audit_entries         GET    /api/v1/audit
verify_audit_chain         GET    /api/v1/audit/verdict
get_settings               GET    /api/v1/settings
change_settings            PUT    /api/v1/settings
preview_settings           POST   /api/v1/settings/preview
undo_settings              POST   /api/v1/settings/undo
list_contacts              GET    /api/v1/contacts
test_contact               POST   /api/v1/contacts/{contact}/test
get_maintenance            GET    /api/v1/maintenance
get_test_book              GET    /api/v1/testbook
begin_test                 POST   /api/v1/testbook
get_test                   GET    /api/v1/testbook/{number}
drop_test                  DELETE /api/v1/testbook/{number}
answer_test_step           POST   /api/v1/testbook/{number}/steps
undo_test_step             DELETE /api/v1/testbook/{number}/steps/last
sign_test                  POST   /api/v1/testbook/{number}/signature
follow_live                GET    /api/v1/live
press_point                POST   /api/v1/bench/points/{point}/press
set_point                  PUT    /api/v1/bench/points/{point}
"""
"""Names of functions in programs that were generated: each stays, new ones come beside it."""
Way = dict[str, list[str]]
TOKEN: Way = {"token": []}
LOG_IN: Way = {"session": []}
DISPLAY: Way = {"display": []}
NOT_OF_A_TOKEN = ("needs_person", "unknown_session", "unknown_device", "factor_off")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    web = Web(tmp_path_factory.mktemp("description"), bench=True)
    yield web
    web.close()


@pytest.fixture(scope="module")
def described(house: Web) -> dict[str, Any]:
    answer = house.call("GET", "/api/openapi.json", headers=house.token("view"))
    told: dict[str, Any] = answer.json()
    return told


def operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def body_of(told: dict[str, Any], operation: dict[str, Any]) -> Any:
    """An example of the body, or nothing."""
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0]


def address(path: str) -> str:
    """With a name that is nobody's, or the number of nothing."""
    return re.sub(r"\{\w+\}", "1000000", path) + ("?view=none" if path.endswith("/live") else "")


def test_operations_have_the_names_that_they_had(described: dict[str, Any]) -> None:
    rows = [line.split() for line in OPERATIONS.splitlines() if line]
    found = {one["operationId"]: [method, path] for method, path, one in operations(described)}
    assert found == {name: [method, path] for name, method, path in rows}
    assert len(found) == len(list(operations(described))), "two operations of one name"


def test_the_names_are_short_and_begin_with_a_verb(described: dict[str, Any]) -> None:
    for _, _, operation in operations(described):
        assert re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", operation["operationId"])
        assert len(operation["operationId"]) <= 25


def test_every_operation_says_who_may_ask(described: dict[str, Any]) -> None:
    """The least role is that of the table which is tried for every role."""
    schemes = described["components"]["securitySchemes"]
    for method, path, operation in operations(described):
        least = TOLD[method, path]
        if least == "everybody":
            assert operation["security"] == []
            assert "x-least-role" not in operation
            continue
        assert operation["x-least-role"] == least, path
        assert {name for way in operation["security"] for name in way} <= schemes.keys()
        session = LOG_IN if method == "GET" else {**LOG_IN, "csrf": []}
        ways = [DISPLAY] if least == "display" else [TOKEN, session]
        assert operation["security"] in (ways, ways[1:]), path
        assert operation["security"]


@pytest.mark.parametrize("tls", [False, True])
def test_the_cookie_is_called_as_it_is(tmp_path: Path, tls: bool) -> None:
    from gateway.web.app import create_app
    from gateway.web.programs.openapi import describe

    pem = tmp_path / "web.pem"
    web = Web(tmp_path, gateway="office", **({"tls_cert": pem, "tls_key": pem} if tls else {}))
    client = web.as_("view")
    schemes = describe(create_app(web.site))["components"]["securitySchemes"]
    web.close()
    assert schemes["session"]["name"] == client.cookie.partition("=")[0]
    assert schemes["csrf"] == {**schemes["csrf"], "in": "header", "name": "X-CSRF-Token"}


def test_a_token_can_do_what_is_said_and_nothing_that_is_not(
    house: Web, described: dict[str, Any]
) -> None:
    headers = house.token("admin")
    for method, path, operation in operations(described):
        if operation["security"] in ([], [DISPLAY]):
            continue
        answer = house.call(
            method, address(path), headers=headers, json=body_of(described, operation)
        )
        can = reason(answer) not in ("not_logged_in", "csrf", *NOT_OF_A_TOKEN)
        assert can == (TOKEN in operation["security"]), (method, path, answer.text)


def test_a_log_in_needs_the_token_of_its_forms_for_every_change_and_for_nothing_else(
    house: Web, described: dict[str, Any]
) -> None:
    client = house.as_("admin")
    client.csrf = ""
    for method, path, operation in operations(described):
        if operation["security"] in ([], [DISPLAY]):
            continue
        answer = client.call(method, address(path), json=body_of(described, operation))
        (way,) = [one for one in operation["security"] if "session" in one]
        assert (reason(answer) == "csrf") == ("csrf" in way), (method, path, answer.text)


def test_headers_are_written_as_they_are_known_and_required_where_a_request_fails_without(
    house: Web, described: dict[str, Any]
) -> None:
    headers = house.token("admin")
    found = set()
    for method, path, operation in operations(described):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "header":
                continue
            found.add(parameter["name"])
            answer = house.call(
                method, address(path), headers=headers, json=body_of(described, operation)
            )
            assert parameter["required"] == (answer.status_code == 428), (method, path)
    assert found == {"Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID"}


def test_what_is_not_sent_is_left_out_and_not_null(described: dict[str, Any]) -> None:
    """A program that was generated sent the word, or ended where a body was left out."""
    for method, path, operation in operations(described):
        schemas = [one["schema"] for one in operation.get("parameters", ())]
        body = operation.get("requestBody", {"content": {}})
        schemas += [one["schema"] for one in body["content"].values()]
        for schema in schemas:
            assert {"type": "null"} not in schema.get("anyOf", ()), (method, path)


def test_the_document_names_its_licence_its_server_and_its_tags(described: dict[str, Any]) -> None:
    assert described["info"]["license"]["identifier"] == "Apache-2.0"
    assert described["servers"][0]["url"] == "/"
    used = {tag for _, _, operation in operations(described) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in described["tags"]}
    assert all(tag["description"] for tag in described["tags"])
