"""What ``guest/rigsim.py`` is called inside the emulated machine."""

from tests.hil.guest.rigsim import *  # noqa: F403 - all of it
