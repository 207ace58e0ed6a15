"""Who hears nothing for three seconds takes ``control`` as absent: snapshots come in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.panel.server import IDLE_TICK_S, SNAPSHOT_WITHIN_S, Server


@pytest.mark.parametrize(("age_s", "wait_s"), [(0.0, IDLE_TICK_S), (1.9, 0.1), (5.0, 0.0)])
def test_a_wake_up_in_between_does_not_put_the_next_snapshot_off(
    tmp_path: Path, age_s: float, wait_s: float
) -> None:
    handler: Any = None
    server = Server(tmp_path / "panel.sock", handler, clock=lambda: 100.0)
    server._snapshot_at = 100.0 - age_s
    assert server._timeout() == pytest.approx(wait_s)
    assert SNAPSHOT_WITHIN_S < 3
    server._listener.close()
    server._selector.close()
