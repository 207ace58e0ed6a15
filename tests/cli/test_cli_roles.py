"""From the configuration to what each role is told."""

from __future__ import annotations

import pytest

from gateway.app.roles import RoleError, _store, web_port
from gateway.settings.model_link import Record


@pytest.mark.parametrize(
    ("record", "store"),
    [
        (Record(store="sqlite"), "sqlite"),
        (Record(store="influx://db:8086", org="o", bucket="b"), "influx://db:8086/o/b"),
        (Record(store="influx://db:8086/x/y"), "influx://db:8086/x/y"),
        (Record(store="influx1://db", bucket="b", user="u"), "influx1://u@db/b"),
        (Record(store="influx://db?forgets=0"), "influx://db/portier/portier?forgets=0"),
    ],
)
def test_the_stores_address(record: Record, store: str) -> None:
    assert _store(record) == store


def test_the_port_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert web_port() is None
    monkeypatch.setenv("PORT", "8081")
    assert web_port() == 8081
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(RoleError):
        web_port()
