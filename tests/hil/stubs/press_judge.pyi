"""What ``guest/press_judge.py`` is called inside the emulated machine."""

from tests.hil.guest.press_judge import *  # noqa: F403 - all of it
