"""Each package has a reason and a licence, and what builds a release is as fixed as what runs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path
from typing import Any

import pytest

from gateway.update import sbom

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKED = sbom.locked((ROOT / "requirements.lock").read_text(encoding="utf-8"))
SAID = sbom.known()
TEXTS = {"ISC": "ISC", "Unlicense": "Unlicense", "MPL-2.0": "MPL-2.0", "MIT": "MIT"}
"""What older metadata has for a licence, where it is not the first part of its name."""


def names(wanted: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in wanted}


def test_each_package_that_is_wanted_has_a_reason_and_no_other_has() -> None:
    project = PROJECT["project"]
    with_why = {name for name, one in SAID["packages"].items() if one.get("why")}
    assert with_why == names(project["dependencies"])
    optional = project["optional-dependencies"].values()
    assert SAID["optional"].keys() == {name for wanted in optional for name in names(wanted)}


def test_each_package_that_is_installed_is_named_and_no_other_is() -> None:
    assert SAID["packages"].keys() == {one.name for one in LOCKED}


@pytest.mark.parametrize("name", sorted(SAID["packages"]))
def test_the_licence_is_the_one_that_the_package_names(name: str) -> None:
    try:
        told = metadata(name)
    except PackageNotFoundError:  # of another machine
        assert name in {"gpiod", "iotcore"}
        return
    licence = SAID["packages"][name]["licence"]
    if expression := told["License-Expression"]:
        assert licence == expression
        return
    texts = [told["License"] or "", *(told.get_all("Classifier") or ())]
    texts = [one for one in texts if one and (one == told["License"] or "License" in one)]
    if not texts:
        texts = [one.read_text()[:100] for one in files(name) or () if "LICENSE" in one.name]
    for part in re.split(r" (?:OR|AND) ", licence):
        word = TEXTS.get(part, part.partition("-")[0])
        assert any(word in one for one in texts), (part, told["License"])


def test_files_of_others_are_those_of_the_page() -> None:
    text = (ROOT / "gateway/web/static/vendor/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| npm `([\w-]+)`, [^|]+\| ([\d.]+) \| ([^|(]+)\(", text)
    shown = {(name, version, licence.strip().upper()) for name, version, licence in rows}
    assert shown == {
        (name, one["version"], one["licence"].upper()) for name, one in SAID["vendored"].items()
    }


def test_what_builds_a_release_is_the_version_that_is_locked() -> None:
    (setuptools,) = [one for one in LOCKED if one.name == "setuptools"]
    assert PROJECT["build-system"]["requires"] == [f"setuptools=={setuptools.version}"]
