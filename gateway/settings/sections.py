"""What the loaders of both sorts of configuration share: a file, its sections, its secrets.

A gateway's configuration and a centre's are files of one language with different sections; the
section ``sites`` is what tells them apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from gateway import regular
from gateway.settings.checks import contact_secrets
from gateway.settings.checks.contact_secrets import Judge
from gateway.settings.checks.draft import LinksDraft
from gateway.settings.values.problems import Adjusted, Problem, SettingsError, near, phrase, suggest
from gateway.settings.values.reading import Reading
from gateway.settings.values.secrets import SecretError
from gateway.settings.values.tree import Mark, Node
from gateway.settings.values.types import named
from gateway.settings.values.units import tidy

Sections = dict[str, tuple[Mark, Node]]
OF_GATEWAYS = ("gateway", "points", "doors", "rooms")
"""Sections that no centre has, and every gateway has one of."""


def is_centre(root: Node) -> bool:
    """Whether this is the configuration of a centre; also where ``sites`` is misspelt, and nothing
    of a gateway is beside it."""
    names = root.entries or {}
    if "sites" in names or any(name in names for name in OF_GATEWAYS):
        return "sites" in names
    return any(near(name, ["sites", *OF_GATEWAYS]) == "sites" for name in names)


def report_both(root: Node, reading: Reading, names: Collection[str]) -> None:
    """Sections ``names`` of a gateway in a file that is a centre's."""
    for name in names:
        mark, _ = (root.entries or {})[name]
        reading.problem(
            mark,
            name,
            "belongs to a gateway, and sites: makes this the configuration of a centre",
            "write it into a file of its own, or remove sites:",
        )


def file_bytes(path: Path) -> bytes:
    """What is in the file. Raises :class:`SettingsError`."""
    try:
        return regular.read(path)
    except OSError as error:
        problem = Problem(
            str(path), 1, 1, "", f"cannot be read ({error.strerror})", "check the path"
        )
        raise SettingsError([problem]) from None


def sections(
    root: Node, reading: Reading, known: Collection[str], elsewhere: Collection[str] = ()
) -> tuple[Sections, list[Node]]:
    """The sections by name, and those that could not be read. One that is misspelt is reported and
    taken for what it is near to; ``elsewhere``: names that the caller reports."""
    entries = root.entries or {}
    nodes: Sections = {}
    unread: list[Node] = []
    for name, (mark, node) in entries.items():
        if name in known:
            nodes[name] = (mark, node)
            continue
        if name in elsewhere:
            continue
        reading.problem(mark, name[:60], "is not a known section", suggest(name, known))
        best = near(name, known)
        if best is not None and best not in entries:
            nodes.setdefault(best, (mark, node))
        else:
            unread.append(node)
    return nodes, unread


def entries(
    nodes: Sections, name: str, reading: Reading, pattern: str
) -> list[tuple[str, tuple[Mark, Node]]]:
    """The entries of a section that is a mapping; a key that does not match ``pattern`` is
    reported."""
    if name not in nodes:
        return []
    mark, node = nodes[name]
    if node.entries is None:
        reading.problem(mark, name, "must be a mapping", f"write names below {name}:, or remove it")
        return []
    check = named(pattern, "a name", "front (a-z, 0-9, _ and -)").func
    for key, (at, _) in node.entries.items():
        try:
            check(key)  # type: ignore[call-arg]  # it is the one-argument form
        except ValueError:
            reading.problem(
                at,
                f"{name}.{key[:60]}",
                phrase("is not a name that can stand in a topic"),
                phrase("use a-z, 0-9, _ and - with dots between")
                if name == "points"
                else phrase("use a-z, 0-9, _ and -"),
            )
    return list(node.entries.items())


def blanks(draft: LinksDraft) -> None:
    """Quantities with odd blanks, as a bound that came later (:meth:`Draft.bound`)."""
    for key, mark, text in draft.reading.tidied:
        message = phrase("{text} has blanks that do not belong there", text=repr(text[:40]))
        hint = phrase("write {text}", text=tidy(text))
        problem = Problem(mark.file, mark.line, mark.column, key, message, hint)
        if draft.adjust:
            draft.adjusted.append(Adjusted(repr(text), tidy(text), problem))
        else:
            draft.reading.problems.append(problem)


def secrets(reading: Reading, need: Collection[str] | None, judge: Judge | None = None) -> None:
    """Report the secrets of the sections ``need`` (``None``: of all) that cannot be used."""
    for key, mark, secret in reading.secrets:
        if need is not None and key.partition(".")[0] not in need:
            continue
        if key.startswith(("contacts.", "heartbeat.", "messages.")):
            wrong = contact_secrets.wrong(secret, judge if key.startswith("contacts.") else None)
            if wrong is not None:
                reading.problem(mark, key, *wrong)
            continue
        try:
            secret.read()
        except SecretError as error:
            where = secret.places[-1] / secret.name if secret.places else secret.name
            reading.problem(
                mark, key, str(error), f"write it into {where}, readable for its role only"
            )


def digest(root: Node) -> str:
    """sha256 of what is written, whatever the layout and comments; secrets by name."""

    def plain(node: Node) -> Any:
        if node.items is not None:
            return [plain(item) for item in node.items]
        if node.entries is not None:
            return {key: plain(value) for key, (_, value) in node.entries.items()}
        if node.of_page:
            return {"!address": node.text}
        return {"!secret": node.text} if node.secret else node.text

    canonical = json.dumps(plain(root), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
