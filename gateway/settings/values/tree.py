"""YAML as a tree in which every key and every value knows its line and column.

Every scalar is text until the model types it: ``22:00``, ``017``, ``no`` and ``on`` mean what
is written. Built from PyYAML's events, so that depth and size are bounded before anything
is built, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.reader import ReaderError

from gateway.settings.values.problems import Problem, SettingsError, phrase
from gateway.settings.values.secrets import NAME

LARGEST_BYTES = 256 * 1024
DEEPEST = 24
MOST_NODES = 20_000
"""With every alias counted as often as it is used."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class Node:
    """A value: exactly one of ``text``, ``items`` and ``entries`` is set."""

    mark: Mark
    text: str | None = None
    secret: bool = False
    of_page: bool = False
    """``!address ID``: the id of an address that was entered on the page."""
    plain: bool = False
    in_braces: bool = False
    items: list[Node] | None = None
    entries: dict[str, tuple[Mark, Node]] | None = None
    size: int = 1

    def child(self, key: str | int) -> Node | None:
        if self.entries is not None and key in self.entries:
            return self.entries[str(key)][1]
        if self.items is not None and isinstance(key, int) and key < len(self.items):
            return self.items[key]
        return None

    def texts(self) -> Iterator[str]:
        """Every scalar at or below this node, and every key."""
        if self.text is not None:
            yield self.text
        for item in self.items or ():
            yield from item.texts()
        for key, (_, value) in (self.entries or {}).items():
            yield key
            yield from value.texts()


@dataclass(slots=True)
class _Builder:
    file: str
    events: Iterator[yaml.Event]
    problems: list[Problem]
    overlay: bool = False
    anchors: dict[str, Node | None] = field(default_factory=dict)
    nodes: int = 0

    def mark(self, event: yaml.Event) -> Mark:
        at = event.start_mark
        return Mark(self.file, at.line + 1, at.column + 1) if at else Mark(self.file, 1, 1)

    def problem(self, mark: Mark, key: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(mark.file, mark.line, mark.column, key, message, hint))

    def stop(self, mark: Mark, key: str, message: str, hint: str) -> SettingsError:
        """What would make everything after it meaningless."""
        self.problem(mark, key, message, hint)
        return SettingsError(self.problems)

    def count(self, mark: Mark, key: str, size: int) -> None:
        self.nodes += size
        if self.nodes > MOST_NODES:
            raise self.stop(
                mark,
                key,
                phrase("there are more than {most} values here, aliases counted", most=MOST_NODES),
                phrase("write a smaller file, or use fewer aliases"),
            )

    def node(self, event: yaml.Event, key: str, depth: int, braces: bool) -> Node:
        mark = self.mark(event)
        if depth > DEEPEST:
            raise self.stop(
                mark, key, f"nested deeper than {DEEPEST} levels", "check the brackets before it"
            )
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, mark, key)
        self.count(mark, key, 1)
        node = Node(mark, in_braces=braces)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = None
        self.tag(event, node, key)
        if isinstance(event, yaml.ScalarEvent):
            node.text = event.value
            if any("\ud800" <= char <= "\udfff" or char == "\0" for char in event.value):
                node.text = ""
                said_half = phrase("holds half a character")
                self.problem(node.mark, key, said_half, phrase("check its \\u escapes"))
            node.plain = event.style is None
        elif isinstance(event, yaml.SequenceStartEvent):
            self.sequence(node, key, depth)
        else:
            self.mapping(node, key, depth, bool(getattr(event, "flow_style", False)))
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def alias(self, event: yaml.AliasEvent, mark: Mark, key: str) -> Node:
        target = self.anchors.get(str(event.anchor))
        if target is None:
            within = event.anchor in self.anchors
            self.problem(
                mark,
                key,
                f"*{event.anchor} " + ("contains itself" if within else "is not defined above"),
                f"write &{event.anchor} at the value that is meant, before this line",
            )
            return Node(mark, text=event.anchor)
        self.count(mark, key, target.size)
        return target

    def tag(self, event: yaml.Event, node: Node, key: str) -> None:
        tag: str | None = getattr(event, "tag", None)
        if tag is None:
            return
        if tag == "!address" and self.overlay:
            node.of_page = isinstance(event, yaml.ScalarEvent) and bool(NAME.match(event.value))
            if node.of_page:
                return
        if tag != "!secret":
            self.problem(
                node.mark,
                key,
                f"the tag {tag} is not known",
                "only !secret NAME is; write the value without a tag",
            )
        elif not (isinstance(event, yaml.ScalarEvent) and NAME.match(event.value)):
            self.problem(
                node.mark,
                key,
                phrase("!secret wants the name of a file"),
                phrase("write for example !secret mqtt_password (letters, digits, _ . -)"),
            )
        else:
            node.secret = True

    def sequence(self, node: Node, key: str, depth: int) -> None:
        node.items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item = self.node(event, f"{key}[{len(node.items)}]", depth + 1, False)
            node.items.append(item)
            node.size += item.size

    def mapping(self, node: Node, key: str, depth: int, braces: bool) -> None:
        node.entries = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            name = self.node(event, key, depth + 1, braces)
            text = name.text
            below = f"{key}.{text}" if key else str(text)
            value = self.node(next(self.events), below, depth + 1, braces)
            node.size += name.size + value.size
            if text is None or name.secret or name.of_page:
                self.problem(
                    name.mark,
                    key,
                    "a key must be a plain text",
                    "a comma or { inside a key needs quotes around the key",
                )
            elif text in node.entries:
                self.problem(
                    name.mark,
                    below,
                    f"is here twice, first in line {node.entries[text][0].line}",
                    "keep one of the two",
                )
            else:
                node.entries[text] = (name.mark, value)


def parse(data: bytes, file: str, problems: list[Problem], *, overlay: bool = False) -> Node:
    """The tree of one document. ``overlay``: one that the page has written, beside its addresses.

    What is wrong but leaves the rest readable (a key twice, an unknown tag) is added to
    ``problems``.

    :raises SettingsError: the file is not YAML, too large, or not a mapping; with everything
        found so far
    """
    top = Mark(file, 1, 1)
    if len(data) > LARGEST_BYTES:
        problems.append(
            Problem(
                file,
                1,
                1,
                "",
                phrase("larger than {size}", size=f"{LARGEST_BYTES // 1024} KB"),
                phrase("this is probably not the configuration"),
            )
        )
        raise SettingsError(problems)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        problems.append(Problem(file, line, column, "", "is not UTF-8", "save the file as UTF-8"))
        raise SettingsError(problems) from None
    builder = _Builder(file, iter(()), problems, overlay)
    try:
        builder.events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        return _document(builder, top)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(file, at.line + 1, at.column + 1) if at else top
        what = ", ".join(part for part in (error.context, error.problem) if part)
        begun = error.context_mark
        if begun and at and begun.line != at.line:
            what += f" (it begins in line {begun.line + 1})"
        raise builder.stop(
            mark, "", f"is not YAML: {what}", "check indentation, brackets and quotes near here"
        ) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise builder.stop(
            Mark(file, line, 1),
            "",
            f"holds a character that YAML forbids (U+{int(error.character):04X})",
            "remove it",
        ) from None
    except (ValueError, OverflowError) as error:
        raise builder.stop(top, "", f"is not YAML: {error}", "check its escapes") from None


def _document(builder: _Builder, top: Mark) -> Node:
    root: Node | None = None
    for event in builder.events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise builder.stop(
                    builder.mark(event), "", "a second document begins here", "remove the ---"
                )
            root = builder.node(next(builder.events), "", 0, False)
    if root is None or (root.text == "" and root.plain):
        raise builder.stop(top, "", "is empty", "start from config/office.yaml")
    if root.entries is None:
        raise builder.stop(
            root.mark, "", "must be a mapping", "start with gateway:, points: and doors:"
        )
    return root
