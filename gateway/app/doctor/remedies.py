"""What ``portier doctor`` advises where a gateway and a centre differ: certificates of a centre are
made elsewhere, and its bench has another name."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.app.connections import Configuration
from gateway.settings.model.sites import SitesSettings


@dataclass(frozen=True, slots=True)
class Remedies:
    """``missing``: for a certificate or key that is not there; ``bench``: how it is started from a
    checkout; ``made_here``: whether this machine makes its certificates."""

    missing: str
    bench: str
    made_here: bool

    def renew(self, name: str) -> str:
        """For a certificate that ends."""
        command = f"sudo portier certificate renew {name}"
        if self.made_here:
            return command
        return f"where the certificates are made: {command}; then bring {name}.pem and its key here"


GATEWAY = Remedies("sudo portier certificate new makes what is missing", "make run", True)
CENTRE = Remedies(
    "bring it from where the certificates are made, such as a gateway: sudo portier certificate "
    "client NAME (docs/operations/sites.md)",
    "make run-sites",
    False,
)


def of(settings: Configuration) -> Remedies:
    return CENTRE if isinstance(settings, SitesSettings) else GATEWAY
