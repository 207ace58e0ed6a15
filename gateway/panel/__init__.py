"""The Unix socket between ``control`` and every other role: protocol, server and clients."""
