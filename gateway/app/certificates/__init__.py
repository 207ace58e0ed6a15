"""The certificates of an installation: authorities, certificates of servers and of clients.

``signing`` makes them and touches no file, ``folder`` has them in one folder, ``command`` is the
program that the installer runs. Only the standard library, ``cryptography`` and
:mod:`gateway.durable` are used: the installer runs this with the system's Python, before there is
an environment."""
