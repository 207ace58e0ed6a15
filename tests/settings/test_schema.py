"""The schema for editors: fresh, complete, and of one mind with the loader."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from gateway.settings import load_sites
from gateway.settings.load import HOUSE, MANY, ONE, SECTIONS
from gateway.settings.model.configuration import House
from gateway.settings.model.drivers import docs, model
from gateway.settings.schema import schema
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.types import Model
from tests.settings import test_doors, test_load
from tests.settings.house import DRIVERS, ROOT, SMALL, changed, loaded, real


class _Editor(yaml.SafeLoader):
    """YAML 1.2 as editors read it: true, false and numbers, and nothing else, are no texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own form


_Editor.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Editor.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9]\d*)$"), list("-+0123456789")
)
_Editor.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+\.\d+$"), list("-+0123456789")
)
_Editor.add_constructor("!secret", lambda _, node: node.value)


def edited(content: str) -> Any:
    return yaml.load(content, Loader=_Editor)


VALIDATOR = jsonschema_rs.validator_for(schema(DRIVERS))


def test_the_schema_that_is_shipped_is_fresh() -> None:
    """Make it anew with ``portier schema > config/schema.json``."""
    shipped = json.loads((ROOT / "config" / "schema.json").read_text())
    assert shipped == schema(real())


@pytest.mark.parametrize("name", ["office.yaml", "bench.yaml", "demo.yaml", "sites.yaml"])
def test_the_shipped_configurations_fit_the_shipped_schema(name: str) -> None:
    shipped = jsonschema_rs.validator_for(json.loads((ROOT / "config" / "schema.json").read_text()))
    errors = shipped.iter_errors(edited((ROOT / "config" / name).read_text()))
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("name", ["office.yaml", "bench.yaml", "demo.yaml", "sites.yaml"])
def test_an_editor_is_told_of_the_schema_in_the_first_line(name: str) -> None:
    """The same line is right here and in ``/etc/portier``: the schema lies beside the file."""
    first, _, _ = (ROOT / "config" / name).read_text(encoding="utf-8").partition("\n")
    assert first == "# yaml-language-server: $schema=schema.json"
    assert (ROOT / "config" / "schema.json").is_file()


@pytest.mark.parametrize("content", [test_doors.FULL, test_load.CONTRACT, SMALL])
def test_what_can_be_loaded_fits_the_schema(content: str) -> None:
    errors = VALIDATOR.iter_errors(edited(content))
    assert [(error.message, list(error.instance_path)) for error in errors] == []


SLIPS = [
    ("pin: GPIO17", "pim: GPIO17"),
    ("kind: button", "kind: buton"),
    ("driver: gpio_relay", "driver: gpio_rely"),
    ("leaf: front.leaf", "leaf: Front Leaf"),
    ("leaf: front.leaf", "leaf: front.leaf\n    left_open_after: 2"),
    ("leaf: front.leaf", "leaf: front.leaf\n    schedule: {otherwise: open}"),
    ("gateway:", "gatway:"),
    ("id: small, ", ""),
]


@pytest.mark.parametrize(("right", "wrong"), SLIPS)
def test_an_editor_sees_what_the_loader_refuses(tmp_path: Path, right: str, wrong: str) -> None:
    content = changed(SMALL, (right, wrong))
    assert not VALIDATOR.is_valid(edited(content))
    with pytest.raises(SettingsError):
        loaded(tmp_path, content)


def _models(kind: Any, seen: set[type[Model]]) -> set[type[Model]]:
    from gateway.settings.values.reading import model_in

    found = model_in(kind)
    if found is not None and found not in seen:
        seen.add(found)
        for info in found.model_fields.values():
            _models(info.annotation, seen)
    return seen


ALL = sorted(
    {
        found
        for kind in (
            *ONE.values(),
            *MANY.values(),
            *load_sites.ONE.values(),
            House,
            *(model(i) for i in real().values()),
        )
        for found in _models(kind, set())
    },
    key=lambda found: found.__name__,
)
UNIT = re.compile(r"\bno unit\b|\bdurations?\b|\bsize\b|\bin the unit\b|\bnumber\b")


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.__name__)
def test_every_setting_says_what_it_is_and_in_which_unit(found: type[Model]) -> None:
    own = {field for info in real().values() for field in docs(info.settings)}
    for name, info in found.model_fields.items():
        assert info.description, f"{found.__name__}.{name}"
        if name not in own:
            assert UNIT.search(info.description), f"{found.__name__}.{name}: {info.description}"


def test_every_setting_of_a_driver_has_a_text_in_the_schema() -> None:
    for info in real().values():
        for field in dataclasses.fields(info.settings):
            assert docs(info.settings).get(field.name), f"{info.name}.{field.name}"


def test_no_setting_of_a_driver_has_the_name_of_a_common_one() -> None:
    from gateway.settings.model.drivers import OPTIONS

    for info in real().values():
        own = {field.name for field in dataclasses.fields(info.settings)}
        assert not own & set(OPTIONS[info.kind].model_fields)


def test_every_section_is_in_the_schema() -> None:
    assert set(schema(DRIVERS)["else"]["properties"]) == set(SECTIONS)
    assert set(schema(DRIVERS)["then"]["properties"]) == set(load_sites.SECTIONS)
    assert set(HOUSE) <= set(SECTIONS)
