"""Points that others tell over MQTT: what a message means, and who is told in this process.

``control`` has no network: ``link`` subscribes, reads a message with :mod:`.payload`'s help,
and tells ``control``, where :mod:`.told` hands the value to the point.
"""
