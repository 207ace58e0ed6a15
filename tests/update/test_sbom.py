"""The bill of materials is whole, and CycloneDX's own schema takes it."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from gateway.update import sbom

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
SCHEMAS = ROOT / "tests/fixtures/cyclonedx-1.6.tar.xz"
WHEELS = {
    "argon2_cffi-25.1.0-py3-none-any.whl": "a" * 64,
    "uvloop-0.23.0-cp311-cp311-manylinux_2_17_aarch64.whl": "b" * 64,
    "uvloop-0.23.0-cp313-cp313-manylinux_2_17_aarch64.whl": "c" * 64,
}


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Validator:
    resources = {}
    with tarfile.open(SCHEMAS) as tar:
        for member in tar.getmembers():
            if (file := tar.extractfile(member)) is not None:
                schema = json.load(file)
                resources[schema["$id"]] = schema
                resources[f"http://cyclonedx.org/schema/{Path(member.name).name}"] = schema
    root = resources["http://cyclonedx.org/schema/bom-1.6.schema.json"]
    registry = jsonschema_rs.Registry([*resources.items()])
    return jsonschema_rs.validator_for(root, registry=registry, validate_formats=True)


def made(version: str = "0.2.0", **wheels: str) -> dict[str, Any]:
    return sbom.bom(version, LOCK, 1_800_000_000, wheels or WHEELS)


def test_the_schema_takes_it_and_would_refuse_another_licence(
    validator: jsonschema_rs.Validator,
) -> None:
    document = made()
    assert [error.message for error in validator.iter_errors(document)] == []
    document["components"][0]["licenses"] = [{"license": {"id": "BSD"}}]
    assert not validator.is_valid(document)


def test_it_has_every_package_once_with_its_version() -> None:
    found = [(one["name"], one["version"]) for one in made()["components"]]
    versions = dict(re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", LOCK))
    del versions["colorama"]  # Windows
    versions |= {name: one["version"] for name, one in sbom.known()["vendored"].items()}
    assert len(found) == len(dict(found))
    assert dict(found) == versions


def test_every_package_is_needed_by_somebody_that_is_there() -> None:
    document = made()
    graph = {one["ref"]: set(one["dependsOn"]) for one in document["dependencies"]}
    top = document["metadata"]["component"]["bom-ref"]
    reached, ahead = {top}, {top}
    while ahead:
        ahead = {ref for one in ahead for ref in graph[one]} - reached
        reached |= ahead
    assert reached == graph.keys() == {top, *(one["bom-ref"] for one in document["components"])}


def test_each_wheel_of_the_archive_has_its_checksum() -> None:
    found = {
        reference["url"]: reference["hashes"][0]["content"]
        for one in made()["components"]
        for reference in one.get("externalReferences", ())
    }
    assert found == {f"wheelhouse/{name}": digest for name, digest in WHEELS.items()}


def test_the_same_release_has_the_same_document_and_another_has_another_number() -> None:
    assert made() == made()
    assert made()["serialNumber"] != made("0.2.1")["serialNumber"]
