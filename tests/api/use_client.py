"""Use a generated client: ``use_client.py FOLDER ADDRESS``, the token in ``PORTIER_TOKEN``.

It runs in the environment of the generator and imports nothing of Portier.
"""

from __future__ import annotations

import importlib
import os
import sys
from http import HTTPStatus
from typing import Any

sys.path.insert(0, sys.argv[1])


def operation(tag: str, name: str) -> Any:
    """The generated module of an operation."""
    return importlib.import_module(f"client.api.{tag}.{name}")


generated: Any = importlib.import_module("client")
models: Any = importlib.import_module("client.models")
with generated.AuthenticatedClient(
    base_url=sys.argv[2], token=os.environ["PORTIER_TOKEN"], raise_on_unexpected_status=True
) as client:
    doors = operation("doors", "list_doors").sync(client=client)
    assert [door.id for door in doors] == ["front"]
    open_door = operation("doors", "open_door")
    reason = models.OpenRequest(reason="client")
    first, again = (
        open_door.sync_detailed("front", client=client, body=reason, idempotency_key="one")
        for _ in range(2)
    )
    assert first.status_code == HTTPStatus.ACCEPTED
    assert again.parsed == first.parsed
    assert open_door.sync("none", client=client).reason == "unknown_door"
    history = operation("journal", "get_point_history")
    shown = history.sync("wc.climate", client=client, buckets=5)
    assert "temperature_c" in shown.quantities.additional_properties
    forbidden = operation("settings", "get_settings").sync(client=client)
    assert (forbidden.status, forbidden.reason) == (403, "role")
    events = operation("journal", "list_events").sync(client=client, limit=50)
    assert "door_request" in {event.kind for event in events}
print("client: lists doors, opens one once per key, reads history and events")
