"""Who reads the snapshot asks for keys that it has.

The type checker sees a wrong key in ``room["call"]``, but not in ``room.get("call")``, as what
reads a ``control`` of another version asks; nor in a list of keys."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.core import snapshot_types as building
from gateway.link import state
from gateway.panel import snapshot_types as panel

GATEWAY = Path(__file__).parents[2] / "gateway"
SHAPES = [
    shape
    for module in (building, panel)
    for name, shape in vars(module).items()
    if isinstance(shape, type) and hasattr(shape, "__total__")
]
KEYS = {key for shape in SHAPES for key in shape.__annotations__}
READERS = (
    "link/discovery.py", "link/home_assistant.py", "link/state.py",
    "web/building/guarantees.py", "web/building/control_client.py", "web/building/view.py",
    "web/maintenance/view.py", "web/programs/health.py", "web/presenter/points.py",
    "web/presenter/rooms.py", "web/presenter/presenter.py", "web/presenter/sentences.py",
    "app/cli/live.py", "app/cli/rooms.py", "app/doctor/broker.py", "app/doctor/examination.py",
    "app/doctor/machine.py", "app/running/readiness.py",
)  # fmt: skip
"""The files that read it and little else."""
OTHERS = {
    "web/building/control_client.py": {
        "type",
        "status",
        "settings",
        "fact",
        "effective",
        "contacts",
    },
    "web/building/view.py": {"raised"},
}
"""What they ask of something else."""


def asked(file: Path) -> set[str]:
    """The texts that are asked for with ``.get(…)`` in a file."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and not node.args[0].value.startswith("/")  # the address of a route
    }


@pytest.mark.parametrize("name", READERS)
def test_a_key_that_is_asked_for_exists(name: str) -> None:
    assert asked(GATEWAY / name) - KEYS == OTHERS.get(name, set())


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        (state._DOOR, building.DoorShown),
        (state._ROOM, building.RoomShown),
        (state._POINT, building.PointShown),
        (state._CALL, building.CallShown),
        (state._ALARM, building.AlarmShown),
        (state._GUARANTEE, panel.GuaranteeShown),
    ],
)
def test_a_state_shows_keys_that_exist(keys: tuple[str, ...], shape: type) -> None:
    assert set(keys) <= shape.__annotations__.keys()
