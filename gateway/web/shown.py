"""What a template prints of one door, alarm, guarantee or point: sentences, ready to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoorScene:
    """A door in sentences. ``why``: why staff cannot open it now, or empty."""

    id: str
    name: str
    state: str
    state_text: str
    since: str
    assumed: bool
    mode: str
    mode_text: str
    mode_detail: str
    last_request: str
    last_refusal: str
    last_opened: str
    notes: tuple[str, ...]
    ok: bool
    needs_reason: bool
    why: str
    command: str
    answer: str
    settled: bool
    result: str


@dataclass(frozen=True, slots=True)
class AlarmScene:
    id: str
    kind: str
    severity: str
    severity_text: str
    state: str
    state_text: str
    what: str
    means: str
    todo: str
    raised: str
    count: str
    detail: str
    seen_by: str
    can_acknowledge: bool
    can_shelve: bool


@dataclass(frozen=True, slots=True)
class GuaranteeScene:
    name: str
    text: str
    ok: bool
    since: str
    detail: str
    absent: bool
    """Not configured, and therefore nothing that could hold or not."""


@dataclass(frozen=True, slots=True)
class PointScene:
    """``name`` is for people, ``label`` what the electrician wrote beside the terminal."""

    id: str
    name: str
    label: str
    kind: str
    kind_text: str
    level: str
    active: bool
    raw: str
    since: str
    changes: int
    faults: str
    known: bool
