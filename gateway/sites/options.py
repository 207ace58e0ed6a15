"""What the page of the centre needs to know of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.settings.model.link import SITES
from gateway.sites.history.stored import StoredHistory
from gateway.web.options import Options


@dataclass(frozen=True, slots=True)
class CentreOptions(Options):
    """``gateway`` is the id of the centre, which its cookies carry."""

    gateway: str = "sites"
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group -> the gateways in it; one may be in several."""
    issuer: str = SITES
    """The name under which the gateways know this centre (``mqtt: issuers``)."""
    open_history: Callable[[], StoredHistory] | None = None
    """Makes a reader of what the recorder has stored; ``None``: that cannot be read from here."""
