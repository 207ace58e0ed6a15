"""Every default of the configuration stands in the settings model, and nowhere else.

The plan of a building has none. A number that code has to repeat, because it may not import the
model, and a sentence that names one, are compared here.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import gateway.settings.model
from drivers import ads1115_line, enocean_contact, mcp23017_contact, mqtt_contact, mqtt_meter
from gateway.core import plan
from gateway.settings.model import by_use, limits
from gateway.settings.model.configuration import (
    ContactOptions,
    Journal,
    MeterOptions,
    Retention,
    Watch,
)
from gateway.settings.model.doors import Activation, Door
from gateway.settings.model.link import Mqtt, Record, Tls
from gateway.settings.model.rooms import Line, Room
from gateway.settings.values.types import Model
from gateway.settings.values.units import say_ms

ROOT: Final = Path(__file__).parents[2]


# --- the plan -----------------------------------------------------------------------------

PLANS: Final = [
    kind
    for kind in vars(plan).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == plan.__name__
]


def made_of(hint: Any) -> set[Any]:
    """The plain types and words in an annotation."""
    parts = typing.get_args(hint)
    return set().union(*map(made_of, parts)) if parts else {hint}


def decided(kind: Any) -> list[str]:
    """The fields of a plan whose default is more than *there is none*."""
    hints = typing.get_type_hints(kind)
    return [
        f"{kind.__name__}.{field.name}"
        for field in dataclasses.fields(kind)
        if field.default_factory is not dataclasses.MISSING
        or (
            field.default is not dataclasses.MISSING
            and (field.default not in (None, ()) or made_of(hints[field.name]) & {int, float, bool})
        )
    ]


@pytest.mark.parametrize("kind", PLANS, ids=lambda kind: kind.__name__)
def test_a_plan_has_no_default_but_that_there_is_none_of_a_part(kind: Any) -> None:
    assert decided(kind) == []


@dataclasses.dataclass
class _Wrong:
    settle_ms: int = 30
    word: str = "automatic"
    flag: bool = False
    unlimited_ms: int | None = None
    pattern: tuple[int, ...] = ()
    bands: tuple[tuple[str, float], ...] = ()
    made: list[str] = dataclasses.field(default_factory=list)
    point: str | None = None
    points: tuple[str, ...] = ()
    part: plan.FirePlan | None = None


def test_a_plan_with_a_default_of_a_setting_is_found() -> None:
    wrong = ("settle_ms", "word", "flag", "unlimited_ms", "pattern", "bands", "made")
    assert decided(_Wrong) == [f"_Wrong.{name}" for name in wrong]


# --- the code -----------------------------------------------------------------------------

TWICE: Final = {
    # the core and the journal may not import the model
    ("gateway/core/room/climate.py", "HEARTBEAT_MS"),
    ("gateway/core/room/occupancy.py", "STUCK_AFTER_MS"),
    ("gateway/journal/queries/means.py", "HEARTBEAT_MS"),
}
"""Constants that have to be the same as a default of the model; none should be added."""


def number(node: ast.expr | None) -> float | None:
    """The value of a number other than 0, also of a product such as ``6 * 3_600_000``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = number(node.left), number(node.right)
        return left * right if left and right else None
    value = node.value if isinstance(node, ast.Constant) else None
    return (value or None) if isinstance(value, int | float) else None


def given(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """(name, value) of each constant, each default of a field and of a parameter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.arguments):
            named = [one.arg for one in (*node.posonlyargs, *node.args)]
            yield from zip(reversed(named), reversed(node.defaults), strict=False)
            yield from zip([one.arg for one in node.kwonlyargs], node.kw_defaults, strict=True)


def defaults() -> set[tuple[str, float]]:
    """(name, value) of each number that the model decides."""
    found: set[tuple[str, float]] = {
        ("pulse_ms", limits.PULSE_MS),
        ("stuck_after_ms", by_use.PRESSED_STUCK_AFTER_MS),
        ("stuck_after_ms", by_use.MOTION_STUCK_AFTER_MS),
        ("silent_after_ms", by_use.SILENT_AFTER_MS),
        ("chatter_changes", by_use.CHATTER_CHANGES),
        ("chatter_window_ms", by_use.CHATTER_WINDOW_MS),
    }
    folder = gateway.settings.model
    for info in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
        for kind in vars(importlib.import_module(info.name)).values():
            if isinstance(kind, type) and issubclass(kind, Model):
                fields = kind.model_fields.items()
                found |= {
                    (name, f.default) for name, f in fields if type(f.default) in (int, float)
                }
    return found


def test_no_code_repeats_a_default_of_the_model() -> None:
    """As the default of a field or parameter, or as a constant, of the setting's name."""
    known = defaults()
    assert ("settle_ms", 30) in known
    found = {
        (str(file.relative_to(ROOT)), name)
        for file in (ROOT / "gateway").rglob("*.py")
        if not file.is_relative_to(ROOT / "gateway" / "settings")
        for name, node in given(ast.parse(file.read_text(encoding="utf-8")))
        if (value := number(node)) is not None and (name.lower(), value) in known
    }
    assert found == TWICE


# --- documents ----------------------------------------------------------------------------


def default(kind: type[Model], name: str) -> Any:
    """What applies where the file does not say ``name``."""
    return kind.model_fields[name].get_default(call_default_factory=True)


def spoken(kind: type[Model], name: str) -> str:
    """A duration as documents write it."""
    return say_ms(default(kind, name))


def gigabytes(kind: type[Model], name: str) -> str:
    return f"{default(kind, name) / 1e9:g} GB"


def of_driver(module: Any, name: str) -> int:
    """A driver has its defaults in its own ``Settings``."""
    fields: dict[str, Any] = {one.name: one.default for one in dataclasses.fields(module.Settings)}
    return int(fields[name])


def kilo_ohms(name: str) -> str:
    return f"{default(Line, name) / 1000:g} kΩ"


BANDS: Final = by_use.DEAD_BANDS
WORDS: Final = {10: "ten", 1000: "one second", 100: "ten times a second"}
ALIVE_MS: Final = of_driver(mqtt_contact, "alive_within_ms")
SENTENCES: Final = (
    # descriptions of the model itself
    (
        ContactOptions, "stuck_after_ms",
        f"{say_ms(by_use.PRESSED_STUCK_AFTER_MS)} for buttons, "
        f"{say_ms(by_use.MOTION_STUCK_AFTER_MS)} for motion",
    ),
    (
        MeterOptions, "silent_after_ms",
        f"{WORDS[by_use.READINGS_TO_SILENCE]} readings if it is not written",
    ),
    (
        MeterOptions, "deadband",
        f"{BANDS['temperature_c']:g} K, {BANDS['humidity_percent']:g} % humidity, "
        f"{BANDS['pressure_hpa']:g} hPa, {BANDS['co2_ppm']:g} ppm CO₂",
    ),
    (Activation, "pulse_ms", f"{limits.PULSE_MS} ms if neither this nor maintained is written"),
    (Door, "mode", f"{Door.model_construct().unscheduled_mode} if it is not written"),
    (Watch, "active", f"{'yes' if Watch.model_construct().alarm_level else 'no'} (the default)"),
    (Mqtt, "port", f"{Mqtt(tls=Tls()).port_number} with TLS and {Mqtt().port_number}"),
    (
        Room, "lines",
        f"{kilo_ohms('rest_ohm')} at rest and {kilo_ohms('pulled_ohm')} pulled where nothing",
    ),
    # documents
    ("README.md", f"of which the contact settles for {default(ContactOptions, 'settle_ms')} "),
    ("config/office.yaml", f"its pulse and {WORDS[limits.MARGIN_MS]} if nothing is written"),
    (
        "config/office.yaml",
        f"every {default(MeterOptions, 'heartbeat_ms') // 60_000} minutes in any case",
    ),
    ("deploy/store/README.md", f"at `limit` ({gigabytes(Record, 'limit_bytes')})"),
    ("docs/operations/network.md", f"`journal: limit`, {gigabytes(Journal, 'limit_bytes')}"),
    (
        "docs/operations/machine.md",
        f"{default(Retention, 'logs_ms') // 86_400_000} days and 500 MB for everything",
    ),
    ("gateway/README.md", f"| `journal: limit`, {gigabytes(Journal, 'limit_bytes')} |"),
    ("gateway/README.md", f"`journal: commit_within` ({spoken(Journal, 'commit_within_ms')})"),
    ("gateway/README.md", f"reading up to {spoken(Journal, 'commit_within_ms')} later"),
    ("gateway/journal/schema.py", f"default limit of {gigabytes(Journal, 'limit_bytes')}"),
    ("gateway/app/cli/live.py", f"is {spoken(Door, 'override_for_ms')} where nothing is written"),
    (
        "drivers/README.md",
        f"`release_after` ({say_ms(of_driver(enocean_contact, 'release_after_ms'))})",
    ),
    ("drivers/README.md", f"compares every {of_driver(mcp23017_contact, 'check_ms')} ms"),
    (
        "drivers/README.md",
        f"asked every {of_driver(mcp23017_contact, 'poll_ms')} ms or "
        f"{of_driver(mcp23017_contact, 'check_ms')} ms",
    ),
    (
        "drivers/README.md",
        f"reports its resistance {WORDS[of_driver(ads1115_line, 'every_ms')]}",
    ),
    ("drivers/README.md", f"after `alive_within` ({ALIVE_MS // 3_600_000} h)"),
)  # fmt: skip
"""(document, or model and field; what it says of a default). A sentence that names one is added."""


@pytest.mark.parametrize("said", SENTENCES, ids=lambda said: str(said[-1]))
def test_a_sentence_that_names_a_default_names_the_one_that_applies(said: Any) -> None:
    where, *field, sentence = said
    if field:
        text = where.model_fields[field[0]].description
    else:
        text = re.sub(r"\n *#(?!#)", "\n", (ROOT / where).read_text(encoding="utf-8"))
    assert " ".join(sentence.split()) in " ".join(text.split())


def test_drivers_for_mqtt_wait_equally_long() -> None:
    assert of_driver(mqtt_meter, "alive_within_ms") == ALIVE_MS
