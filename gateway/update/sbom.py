"""The bill of materials of a release: CycloneDX 1.6 as JSON, from the lock file and
``dependencies.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

KNOWN = Path(__file__).with_name("dependencies.toml")
LICENCE = "Apache-2.0"
OTHER_PLATFORMS = ("win32",)
"""Platforms in the markers of the lock file that Portier does not run on."""


class Locked(NamedTuple):
    """A package of the lock file. ``needed_by``: the packages that need it, which may be
    ``portier`` itself."""

    name: str
    version: str
    needed_by: tuple[str, ...]


def locked(lock: str) -> list[Locked]:
    """The packages of a lock file, without those for other platforms."""
    found = []
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        head, _, rest = block.partition("\n")
        match = re.match(r"([\w.-]+)==([^\s;]+)(.*)", head)
        if match is None or any(f"sys_platform == '{one}'" in match[3] for one in OTHER_PLATFORMS):
            continue
        comments = re.findall(r"(?m)^ +# +(?:via )?([\w.-]+)", rest)
        found.append(Locked(match[1], match[2], tuple(one for one in comments if one != "via")))
    return found


def known() -> dict[str, Any]:
    """The content of ``dependencies.toml``: of each package the licence, and why Portier has it."""
    return tomllib.loads(KNOWN.read_text(encoding="utf-8"))


def bom(
    version: str, lock: str, made_s: int, wheels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The document of one release. ``wheels``: name of each wheel in the archive -> its SHA-256."""
    said = known()
    packages = locked(lock)
    refs = {one.name: f"pkg:pypi/{one.name}@{one.version}" for one in packages}
    portier = f"pkg:pypi/portier@{version}"
    vendored = {name: f"pkg:npm/{name}@{one['version']}" for name, one in said["vendored"].items()}
    components = [
        _component(
            *(one.name, one.version, refs[one.name], said["packages"][one.name]["licence"]),
            distributions(one.name, wheels or {}),
        )
        for one in packages
    ] + [
        _component(name, one["version"], vendored[name], one["licence"], [])
        for name, one in said["vendored"].items()
    ]
    needs: dict[str, list[str]] = {portier: list(vendored.values())}
    needs |= {ref: [] for ref in (*refs.values(), *vendored.values())}
    for one in packages:
        for name in one.needed_by:
            needs[portier if name == "portier" else refs[name]].append(refs[one.name])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{portier} {made_s} {lock}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(made_s, UTC).isoformat().replace("+00:00", "Z"),
            "component": {
                "type": "application",
                "bom-ref": portier,
                "name": "portier",
                "version": version,
                "purl": portier,
                "licenses": [{"license": {"id": LICENCE}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in needs.items()],
    }


def _component(
    name: str, version: str, ref: str, licence: str, files: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    one = {"expression": licence} if " " in licence else {"license": {"id": licence}}
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": name,
        "version": version,
        "purl": ref,
        "licenses": [one],
    }
    if files:
        found["externalReferences"] = list(files)
    return found


def distributions(name: str, wheels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The wheels of a package in the archive, each with its checksum."""
    return [
        {
            "type": "distribution",
            "url": f"wheelhouse/{wheel}",
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for wheel, digest in sorted(wheels.items())
        if re.sub(r"[-_.]+", "-", wheel.partition("-")[0]).lower() == name
    ]
