"""Pictures and a table of the imports, drawn from the code; ``tables`` writes them.

The layers are those of the import contracts in ``pyproject.toml``, the arrows what the files
import. An arrow that a longer way of arrows implies is left out of a picture (``app`` imports
``core``, but so does ``control`` below it); the table names every import.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[2]
DRIVERS: Final = "drivers"

Layers = tuple[tuple[str, ...], ...]
Imports = Mapping[str, frozenset[str]]


def layers(container: str) -> Layers:
    """The layers of a package, from above to below, as its import contract has them."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in written["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract["containers"] == [container]:
            return tuple(tuple(re.split(r"\s*[|:]\s*", row)) for row in contract["layers"])
    raise KeyError(container)


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("gateway", DRIVERS, cache_dir=None)


def imports(container: str) -> Imports:
    """What each part of a package imports of the other parts, wherever in its files it does so."""
    graph = _graph()
    found: dict[str, set[str]] = {part: set() for row in layers(container) for part in row}
    for module in graph.modules:
        part = _part(container, module)
        if part in found:
            others = {
                _part(container, one) for one in graph.find_modules_directly_imported_by(module)
            }
            found[part] |= {other for other in others if other and other != part}
    return {part: frozenset(others) for part, others in found.items()}


def _part(container: str, module: str) -> str:
    """The part of a package to which a module belongs; empty for none. Drivers are one part."""
    if container == "gateway" and module.partition(".")[0] == DRIVERS:
        return DRIVERS
    inside = module.startswith(f"{container}.")
    return module.removeprefix(f"{container}.").partition(".")[0] if inside else ""


def shortest(found: Imports) -> Imports:
    """The same without what a longer way implies; what can be reached stays the same."""

    def below(part: str) -> frozenset[str]:
        direct = found.get(part, frozenset())
        return direct.union(*(below(one) for one in direct))

    return {
        part: frozenset(
            one for one in direct if not any(one in below(other) for other in direct - {one})
        )
        for part, direct in found.items()
    }


def mermaid(rows: Layers, found: Imports) -> str:
    """A Mermaid picture: a box for each layer, an arrow for each import that no way implies."""
    lines = ["```mermaid", "flowchart TB"]
    for number, row in enumerate(rows):
        lines.append(f'  subgraph layer{number} [" "]')
        lines += [f'    {_id(part)}["{part}"]' for part in row]
        lines.append("  end")
    known = [part for row in rows for part in row]
    arrows = shortest(found)
    lines += [
        f"  {_id(part)} --> {_id(other)}"
        for part in known
        for other in known
        if other in arrows.get(part, ())
    ]
    return "\n".join([*lines, "```"])


def _id(part: str) -> str:
    """A name that Mermaid does not take for a word of its own."""
    return f"part_{part.strip('_')}"


def what(module: str) -> str:
    """The first sentence of a module's docstring."""
    text = " ".join((importlib.import_module(module).__doc__ or "").split("\n\n")[0].split())
    assert text, f"{module} says what it is in its docstring"
    plain = re.sub(r":\w+:`", "`", text).replace("``", "`")
    return re.split(r"(?<=\.) (?=[A-Z])", plain)[0]


def table(container: str) -> Sequence[tuple[str, str, str]]:
    """A row for each part, from above to below: what it is, and every part that it imports."""
    found, rows = imports(container), layers(container)
    order = [part for row in rows for part in row]
    if container == "gateway":
        order.append(DRIVERS)
    result = []
    for part in order:
        module = part if part == DRIVERS else f"{container}.{part}"
        others = [f"`{other}`" for other in order if other in found.get(part, ())]
        result.append((f"`{part}`", what(module), ", ".join(others) or "nothing"))
    return result


def packages() -> str:
    """The picture of the gateway's packages and the drivers."""
    return mermaid((*layers("gateway"), (DRIVERS,)), imports("gateway"))


def core() -> str:
    """The picture of the core's folders and files."""
    return mermaid(layers("gateway.core"), imports("gateway.core"))
