"""JSON Schema of the configuration, for editors: words, patterns and texts while one types.

What only the whole can show (points that are missing, pins used twice) is for
``portier check``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from gateway.settings.checks.draft import Escalation
from gateway.settings.checks.sites import GROUP_NAME_MOST
from gateway.settings.load import HOUSE, MANY, ONE
from gateway.settings.load_sites import ONE as CENTRE
from gateway.settings.model.configuration import House
from gateway.settings.model.drivers import model
from gateway.settings.model.sites import Group
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.types import ID_PATTERN, POINT_PATTERN

REF = "#/$defs/{model}"


class _Late(GenerateJsonSchema):
    """Defaults are in the texts; the values of the code are in milliseconds."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def schema(drivers: Mapping[str, DriverInfo]) -> dict[str, Any]:
    """The schema of a configuration whose points may have these drivers: of a centre where there
    is a section ``sites``, of a gateway elsewhere."""
    defs: dict[str, Any] = {}

    def of(kind: Any) -> dict[str, Any]:
        made = TypeAdapter(kind).json_schema(
            by_alias=True, ref_template=REF, schema_generator=_Late
        )
        defs.update(made.pop("$defs", {}))
        return made

    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Portier",
        "description": "The configuration of a Portier gateway, or of a centre of many.",
        "type": "object",
        "if": {"required": ["sites"]},
        "then": _object(_centre(of), ["sites", "mqtt"]),
        "else": _object(_gateway(of, drivers), ["gateway", "points"]),
        "$defs": defs,
    }
    plain: dict[str, Any] = _plain(whole)
    return plain


Of = Callable[[Any], dict[str, Any]]


def _object(sections: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"properties": sections, "required": required, "additionalProperties": False}


def _gateway(of: Of, drivers: Mapping[str, DriverInfo]) -> dict[str, Any]:
    sections: dict[str, Any] = {name: of(kind) for name, kind in ONE.items()}
    for name, kind in MANY.items():
        entry = of(Escalation)["properties"]["steps"] if kind is Escalation else of(kind)
        sections[name] = _named(entry, ID_PATTERN)
    sections["points"] = _named(
        {"oneOf": [_line(info, of(model(info))) for _, info in sorted(drivers.items())]},
        POINT_PATTERN,
    )
    house = of(House)["properties"]
    return {**sections, **{name: house[name] for name in HOUSE}}


def _centre(of: Of) -> dict[str, Any]:
    group = of(Group)["properties"]["gateways"]
    names = {"minLength": 1, "maxLength": GROUP_NAME_MOST}
    groups = {"type": "object", "propertyNames": names, "additionalProperties": group}
    return {**{name: of(kind) for name, kind in CENTRE.items()}, "groups": groups}


def _named(entry: dict[str, Any], pattern: str) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": pattern, "maxLength": 64},
        "additionalProperties": entry,
    }


def _line(info: DriverInfo, line: dict[str, Any]) -> dict[str, Any]:
    """The line of a point of one driver."""
    line = dict(line)
    line["title"] = info.name
    line["description"] = info.doc.strip().split("\n\n")[0].replace("\n", " ")
    line["properties"] = {"driver": {"const": info.name}, **line.get("properties", {})}
    line["required"] = ["driver", *line.get("required", [])]
    return line


def _plain(node: Any) -> Any:
    """Without what says nothing: titles made from names, and null, which nobody can write."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _plain(value) for key, value in node.items()}
    if isinstance(found.get("title"), str) and ("type" in found or "anyOf" in found):
        title = found["title"]
        if title != "Portier" and "driver" not in (found.get("properties") or {}):
            del found["title"]
    options = found.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        if len(rest) == 1:
            del found["anyOf"]
            found = {**rest[0], **found}
        else:
            found["anyOf"] = rest
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].split())
    return found
