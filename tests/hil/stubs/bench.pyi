"""What ``guest/bench.py`` is called inside the emulated machine."""

from tests.hil.guest.bench import *  # noqa: F403 - all of it
