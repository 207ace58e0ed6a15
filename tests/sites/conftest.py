"""The centre's page, and somebody who looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sites.grants import Grant
from tests.sites.centre_web import CentreWeb
from tests.web.conftest import Client

STAFF = Grant("all", "", "staff")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[CentreWeb]:
    made = CentreWeb(tmp_path)
    yield made
    made.close()


@pytest.fixture
def anna(web: CentreWeb) -> Client:
    """She works at all sites."""
    return web.user("anna", STAFF)
