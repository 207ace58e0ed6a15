"""From the tree to the models: each part on its own, so that all errors come at once.

What is wrong in a part is reported and left out, and the rest is read: so what depends on the part
can be checked, too. Nothing starts from it, because a configuration with a problem is refused.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from gateway.settings.values.problems import Problem, near, phrase, suggest
from gateway.settings.values.secrets import Secret, of_page
from gateway.settings.values.tree import Mark, Node
from gateway.settings.values.types import Model
from gateway.settings.values.units import DURATION_MS, say_ms

T = TypeVar("T")
Loc = tuple[str | int, ...]
PASSES = 6


@dataclass(slots=True)
class Part(Generic[T]):
    """A part of the file: ``value`` is ``None`` where it cannot be read at all; ``bad`` are its
    keys that are there but wrong, so that no check reports them as missing."""

    key: str
    node: Node
    mark: Mark
    value: T | None = None
    bad: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Reading:
    """The problems found so far, and how to find more."""

    places: tuple[Path, ...]
    problems: list[Problem] = field(default_factory=list)
    secrets: list[tuple[str, Mark, Secret]] = field(default_factory=list)
    tidied: list[tuple[str, Mark, str]] = field(default_factory=list)
    """Quantities with odd blanks, which were understood all the same: key, place and text."""

    def problem(self, mark: Mark, key: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(mark.file, mark.line, mark.column, key, message, hint))

    def data(self, node: Node, key: str) -> Any:
        """The tree as mappings, lists, texts and secrets. Values that are not written are
        reported and left out."""
        if node.secret or node.of_page:
            secret = Secret(str(node.text), self.places)
            if node.of_page:
                secret = of_page(str(node.text), Path(node.mark.file).parent)
            self.secrets.append((key, node.mark, secret))
            return secret
        if node.items is not None:
            return [self.data(item, f"{key}[{n}]") for n, item in enumerate(node.items)]
        if node.entries is not None:
            return {
                name: self.data(value, f"{key}.{name}" if key else name)
                for name, (_, value) in node.entries.items()
            }
        return node.text

    def empty(self, node: Node, key: str) -> set[Loc]:
        """Report every value that is not written; the ways to them."""
        found: set[Loc] = set()
        for name, child in list(_children(node)):
            below = _join(key, (name,))
            if child.plain and child.text == "" and not (child.secret or child.of_page):
                comma = "; in { } a key with a comma needs quotes" if child.in_braces else ""
                self.problem(
                    child.mark, below, "has no value", f"write one or remove the key{comma}"
                )
                found.add((name,))
            else:
                found |= {(name, *way) for way in self.empty(child, below)}
        return found

    def read(
        self, kind: Any, node: Node, key: str, mark: Mark | None = None, wrap: str = ""
    ) -> Part[Any]:
        """One part of the file as ``kind``, a model or the type of a field.

        ``wrap``: the node is the value of this field of the model."""
        part: Part[Any] = Part(key, node, mark or node.mark)
        data = self.data(node, key)
        gone = self.empty(node, key)
        for way in gone:
            part.bad.add(str(way[0]))
            _remove(data, way)
        if wrap:
            data = {wrap: data}
        elif node.text == "" and node.plain:
            self.problem(node.mark, key, "has no value", "write one or remove the key")
            return part
        tidied: set[str] = set()
        part.value = self._valid(kind, part, data, gone, tidied)
        for shown, child in _texts(node, key) if tidied else ():
            if child.text in tidied and not (child.secret or child.of_page):
                self.tidied.append((shown, child.mark, child.text))
        return part

    def _valid(
        self, kind: Any, part: Part[Any], data: Any, gone: set[Loc], tidied: set[str]
    ) -> Any:
        """The value without what is wrong, which is reported; ``None`` where nothing is left.
        ``gone``: the ways to what was left out, whose absence is no news."""
        reported: set[tuple[Loc, str]] = set()
        for _ in range(PASSES):
            try:
                return _adapter(kind).validate_python(data, context=tidied)
            except ValidationError as error:
                errors = error.errors(include_url=False, include_input=False)
            # unknown keys first: one that is misspelt is not missing as well
            errors = [one for one in errors if one["type"] == "extra_forbidden"] or errors
            for found in errors:
                loc, sort = tuple(found["loc"]), found["type"]
                known = any(loc[: len(way)] == way for way in gone) or (loc, sort) in reported
                reported.add((loc, sort))
                if not known:
                    self._report(kind, part, found)
            for found in errors:
                gone |= _leave_out(kind, part, data, found)
        return None

    def _report(self, kind: Any, part: Part[Any], found: Any) -> None:
        loc: Loc = tuple(found["loc"])
        sort = str(found["type"])
        context: Mapping[str, Any] = found.get("ctx") or {}
        mark, shown = place(part, loc, at_key=sort == "extra_forbidden")
        if sort == "missing":
            name = str(loc[-1])
            hint = f"write {name}: …"
            self.problem(mark, shown, f"{name} is missing", hint)
        elif sort == "extra_forbidden":
            self._unknown(mark, shown, str(loc[-1]), fields(kind, loc))
        elif sort == "setting":
            self.problem(mark, shown, context["message"], context["hint"])
        elif sort == "lines":
            for line, message, hint in context["problems"]:
                at, name = place(part, (*loc, line) if line else loc, at_key=True)
                self.problem(at, name, message, hint)
        elif sort in _BOUNDS:
            bound, message, hint = _BOUNDS[sort]
            text = part_text(part, loc).strip("'")
            limit = _limit(context[bound], text)
            self.problem(mark, shown, phrase(message, text=text), phrase(hint, limit=limit))
        elif sort == "literal_error":
            text = part_text(part, loc)
            hint = suggest(text.strip("'"), _choices(found))
            self.problem(mark, shown, f"{text} is not possible", hint)
        else:
            message, hint = _plain(sort, str(found["msg"]))
            self.problem(mark, shown, message, hint)

    def _unknown(self, mark: Mark, shown: str, name: str, known: list[str]) -> None:
        if name == "<<":
            self.problem(mark, shown, "merging is not supported", "write the keys out")
        elif re.search(r"passw|token|secret", name) and near(name, known) is None:
            self.problem(
                mark,
                shown,
                "is not a known key, and secrets do not belong here",
                "put the secret into a file in the folder secrets and write !secret NAME",
            )
        else:
            self.problem(mark, shown, "is not a known key", suggest(name, known))


_BOUNDS: Mapping[str, tuple[str, str, str]] = {
    "less_than_equal": ("le", "{text} is too much", "write at most {limit}"),
    "greater_than_equal": ("ge", "{text} is too little", "write at least {limit}"),
}
"""pydantic's names -> where the limit is, what is wrong, and the remedy."""


def _limit(limit: Any, text: str) -> str:
    """A limit as one would write it, where ``text`` is what was written."""
    unit = re.search(r"[A-Za-z]+\Z", text.strip())
    return say_ms(int(limit)) if unit is not None and unit[0] in DURATION_MS else f"{limit}"


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _children(node: Node) -> Iterator[tuple[str | int, Node]]:
    if node.items is not None:
        yield from enumerate(node.items)
    for name, (_, value) in (node.entries or {}).items():
        yield name, value


def _texts(node: Node, key: str) -> Iterator[tuple[str, Node]]:
    """Every value below a node, with its key."""
    if node.text is not None:
        yield key, node
    for name, child in _children(node):
        yield from _texts(child, _join(key, (name,)))


def _at(data: Any, loc: Loc) -> Any:
    """The value at ``loc``; steps that the file leaves out are passed over."""
    for step in loc:
        child = isinstance(data, dict) and step in data
        item = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if child or item:
            data = data[step]
    return data


def _remove(data: Any, way: Loc) -> None:
    parent = _at(data, way[:-1])
    if isinstance(parent, dict):
        parent.pop(way[-1], None)
    elif isinstance(parent, list) and isinstance(way[-1], int):
        parent[way[-1]] = "-"  # its place must stay taken: the others are named by number


def place(part: Part[Any], loc: Loc, *, at_key: bool = False) -> tuple[Mark, str]:
    """Where in the file ``loc`` is, and what it is called there."""
    node, mark, shown = part.node, part.mark, part.key
    for step in loc:
        child = node.child(step)
        if child is None:
            continue
        mark = child.mark
        if at_key and node.entries is not None and isinstance(step, str):
            mark = node.entries[step][0]
        node, shown = child, _join(shown, (step,))
    return mark, shown


def _node(part: Part[Any], loc: Loc) -> Node:
    """The node at ``loc``; steps that the file leaves out are skipped."""
    node = part.node
    for step in loc:
        node = node.child(step) or node
    return node


def part_text(part: Part[Any], loc: Loc) -> str:
    node = _node(part, loc)
    return repr(node.text[:60]) if node.text is not None else "a list or mapping"


def _leave_out(kind: Any, part: Part[Any], data: Any, found: Any) -> set[Loc]:
    """Leave out what is wrong, as little as possible: a key or word that is nearly a known one is
    taken for that one, also in the tree, so that it keeps its place. The way to what was left
    out."""
    loc: Loc = tuple(found["loc"])
    if not loc or not isinstance(data, dict):
        return set()
    part.bad.add(str(loc[0]))
    parent, last = _at(data, loc[:-1]), loc[-1]
    if not isinstance(parent, dict) or last not in parent:
        data.pop(str(loc[0]), None)
        return {loc[:1]}
    value = parent.pop(last)
    if found["type"] == "extra_forbidden":
        best = near(str(last), fields(kind, loc))
        entries = _node(part, loc[:-1]).entries
        if best is not None and best not in parent and entries is not None:
            parent[best] = value
            entries[best] = entries.pop(str(last))
            part.bad.add(best)
    elif found["type"] == "literal_error":
        words = _choices(found)
        parent[last] = near(str(value), words) or words[0]  # so that what is beside it is checked
    return set() if last in parent else {loc}


def _choices(found: Any) -> list[str]:
    """The words that a literal can be, from pydantic's own list of them."""
    expected = str((found.get("ctx") or {}).get("expected", ""))
    return re.findall(r"'([^']*)'", expected) or [""]


def _join(key: str, loc: Loc) -> str:
    for step in loc:
        if isinstance(step, int):
            key = f"{key}[{step}]"
        else:
            shown = step if len(step) <= 60 else step[:57] + "…"
            key = f"{key}.{shown}" if key else shown
    return key


def _plain(sort: str, message: str) -> tuple[str, str]:
    if sort in {"model_type", "dict_type", "model_attributes_type"}:
        return "must be a mapping", "write key: value lines below it, or {key: value, …}"
    if sort in {"tuple_type", "list_type"}:
        return "must be a list", "write [one, two] or lines that begin with a dash"
    if sort in {"too_short", "too_long"}:
        return "has the wrong number of entries", message
    return message.removeprefix("Value error, "), "see config/office.yaml for an example"


def fields(kind: Any, loc: Loc) -> list[str]:
    """The keys that are known where ``loc`` leads to."""
    model = model_in(kind)
    for step in loc[:-1]:
        if model is None:
            break
        for info in model.model_fields.values():
            if info.alias == step:
                model = model_in(info.annotation) or model_in_all(info.metadata) or model
    return [str(info.alias) for info in model.model_fields.values()] if model else []


def model_in_all(metadata: list[Any]) -> type[Model] | None:
    return next((found for item in metadata if (found := model_in(item))), None)


def model_in(annotation: Any) -> type[Model] | None:
    """The model in ``tuple[Model, ...]``, ``Annotated[Model | None, …]`` and their like."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, Model) else None
    return next((m for inner in typing.get_args(annotation) if (m := model_in(inner))), None)
