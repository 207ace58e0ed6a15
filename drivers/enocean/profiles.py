"""EnOcean Equipment Profiles: what the bytes of a telegram mean. Pure.

Rockers (F6-02) send a telegram when a button goes down and one when all are up again. Single
buttons and pull cords (F6-01-01) do the same. Window and door contacts (D5-00-01), motion
(A5-07-01) and climate sensors (A5-04) tell their state when it changes and now and then.
"""

from __future__ import annotations

from typing import Literal

from drivers.enocean.esp3 import Telegram

RPS, ONE_BYTE, FOUR_BYTES = 0xF6, 0xD5, 0xA5
"""The sorts of telegrams (RORG)."""

Button = Literal["any", "AI", "AO", "BI", "BO"]
BUTTONS: tuple[Button, ...] = ("AI", "AO", "BI", "BO")
ALL = frozenset(BUTTONS)
NAMED = 0x10
"""The bit of an RPS telegram's status that says: the telegram names the buttons."""
DOWN = 0x10
"""The bit of an RPS telegram's data that says: something is down."""
NO_LEARN = 0x08
"""The bit of a D5 or A5 telegram that is clear when the learn button was pressed."""


def rorg(profile: str) -> int:
    """The sort of telegrams that a device of this profile sends."""
    return int(profile[:2], 16)


def pressed(telegram: Telegram) -> frozenset[Button]:
    """The buttons of a rocker that are down."""
    byte = telegram.data[0]
    if not byte & DOWN:
        return frozenset()
    if not telegram.status & NAMED:
        return ALL if byte >> 5 else frozenset()  # three or four at once: a whole hand
    first = BUTTONS[byte >> 5 & 3]
    second = BUTTONS[byte >> 1 & 3]
    return frozenset({first, second} if byte & 1 else {first})


def closed(profile: str, button: Button, telegram: Telegram) -> bool | None:
    """Whether the contact is closed: a button down, the magnet near, somebody moving. ``None``:
    the telegram says nothing about it."""
    data = telegram.data
    if telegram.rorg != rorg(profile) or len(data) != (4 if telegram.rorg == FOUR_BYTES else 1):
        return None
    if profile == "F6-01-01":
        return bool(data[0] & DOWN)
    if telegram.rorg == RPS:
        down = pressed(telegram)
        return bool(down) if button == "any" else button in down
    if not data[-1] & NO_LEARN:
        return None
    if profile == "D5-00-01":
        return bool(data[0] & 1)
    return data[2] >= 0x80  # A5-07-01


CLIMATE = {"A5-04-01": (0.0, 40.0), "A5-04-02": (-20.0, 60.0)}
"""The range of temperatures of a climate profile."""


def values(profile: str, telegram: Telegram) -> dict[str, float]:
    """The quantities that a telegram tells beside its strength."""
    data = telegram.data
    if telegram.rorg != FOUR_BYTES or rorg(profile) != FOUR_BYTES or len(data) != 4:
        return {}
    if not data[3] & NO_LEARN:
        return {}
    if profile == "A5-07-01":
        return {"battery_v": data[0] / 50} if data[3] & 1 and data[0] <= 250 else {}
    told: dict[str, float] = {}
    if data[1] <= 250:
        told["humidity_percent"] = data[1] / 2.5
    if data[3] & 2 and data[2] <= 250:
        low, high = CLIMATE[profile]
        told["temperature_c"] = round(low + data[2] / 250 * (high - low), 2)
    return told


def guess(telegram: Telegram) -> tuple[str, str]:
    """The profile that a telegram seems to have (empty: it does not tell), and in words what was
    done. Only a learn telegram of an A5 device names its profile."""
    data = telegram.data
    if telegram.rorg == RPS and len(data) == 1:
        down = sorted(pressed(telegram))
        return "F6-02-01", f"{' + '.join(down)} pressed" if down else "released"
    if telegram.rorg == ONE_BYTE and len(data) == 1:
        done = "closed" if data[0] & 1 else "open"
        return "D5-00-01", done if data[0] & NO_LEARN else "learn button pressed"
    if telegram.rorg == FOUR_BYTES and len(data) == 4:
        return _guess_of_four(data)
    return "", f"a telegram of the sort {telegram.rorg:02X}, which Portier does not understand"


def _guess_of_four(data: bytes) -> tuple[str, str]:
    if data[3] & NO_LEARN:
        return "", "values; press the learn button of the device to see its profile"
    if not data[3] & 0x80:
        return "", "learn button pressed, but the device does not name its profile"
    function, kind = data[0] >> 2, (data[0] & 3) << 5 | data[1] >> 3
    return f"A5-{function:02X}-{kind:02X}", "learn button pressed"
