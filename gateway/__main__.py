"""The command ``portier``.

``run control`` goes straight to work: the command line's libraries alone would take it longer
to import than everything a door needs. ``outputs off`` likewise: a relay may be on meanwhile.
The other roles run for months and would keep those libraries in memory.
"""

from __future__ import annotations

import gc
import io
import sys

ALONE = ("link", "record", "notify", "web", "sites")
"""The other roles, as systemd and the supervisor start each."""


def main() -> None:
    """Do what the arguments say and exit with its status."""
    arguments = sys.argv[1:]
    if arguments[:2] == ["run", "control"]:
        gc.disable()  # looking for garbage between imports is a tenth of the start
        from gateway.app import control

        options = control.options(arguments[2:])
        if options is not None:
            sys.exit(control.main(options))
        gc.enable()
    if arguments[:2] == ["outputs", "off"]:
        from gateway.app import outputs

        status = outputs.main(arguments[2:])
        if status is not None:
            sys.exit(status)
    if arguments[:1] == ["run"] and arguments[1:2] in ([role] for role in ALONE):
        from gateway.app import paths

        given = paths.options(arguments[2:], ("--config", "--state"))
        if given is not None:
            from gateway.app.running import start

            config, state = paths.config(given.get("--config")), paths.state(given.get("--state"))
            sys.exit(start.run(arguments[1:2], config, state, None))
    from gateway.app.cli.main import cli

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what it cannot
    cli(prog_name="portier")  # completion is by this name, however it was started


if __name__ == "__main__":
    main()
