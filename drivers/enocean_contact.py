"""An EnOcean radio contact: a rocker remote, a pull cord, a window contact, a motion sensor.

Heard through a USB 300 or another stick with a TCM module (ESP3); any number of points share
one stick. `portier enocean learn` tells a device's id, its profile and its buttons.

A button's release is a telegram of its own. Where that one gets lost, the press ends after
``release_after``. Only window contacts and motion sensors send life signals: after
``alive_within`` without one the contact is unknown. Buttons without a battery send none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers import ContactReport, Device, DurationMs, Emit
from drivers.enocean import profiles, stick
from drivers.enocean.esp3 import Telegram

KIND = "contact"
TRUST = "radio"
HEALS = True
LIFE_SIGNAL_MS = 24 * 3_600_000
BEFORE_NS = 1_000_000_000
"""A button that is heard after a silence was not down for this long before its press."""
PRESS_LEAST_NS = 100_000_000
"""A press lasts at least this long, however soon its release is heard."""


@dataclass(frozen=True, slots=True)
class Settings:
    port: str
    """The stick; no unit, a path such as /dev/serial/by-id/usb-EnOcean…"""
    device: str
    """The id of the device; no unit, eight hexadecimal digits as they are printed on it."""
    profile: Literal["F6-02-01", "F6-02-02", "F6-01-01", "D5-00-01", "A5-07-01"]
    """What the device is; no unit, its EnOcean profile: F6-02 rockers, F6-01-01 a single button or
    a cord, D5-00-01 a window or door contact, A5-07-01 motion."""
    button: Literal["any", "AI", "AO", "BI", "BO"] = "any"
    """Which button of a rocker; no unit, A or B for the rocker and I or O for its side."""
    active: Literal["closed", "open"] = "closed"
    """What active means; no unit. Closed: a button is down, the magnet is near, somebody moves."""
    release_after_ms: DurationMs = 5_000
    """A press whose release got lost ends after this; a duration. For F6 profiles only."""
    alive_within_ms: DurationMs = 0
    """Unknown when nothing was heard for longer; a duration. 0 s: 24 h for D5 and A5 profiles, and
    not watched for F6, which send no life signals unless the device has a battery."""

    def __post_init__(self) -> None:
        stick.device_id(self.device)

    @property
    def is_button(self) -> bool:
        """Whether it is only ever active for the length of a press."""
        return self.profile.startswith("F6")


class EnoceanContact:
    """What the telegrams of one device mean for one point. A :class:`stick.Listener`."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self._settings = settings
        self._emit = emit
        self._device = stick.device_id(settings.device)
        self._alive_ms = settings.alive_within_ms
        if not self._alive_ms and not settings.is_button:
            self._alive_ms = LIFE_SIGNAL_MS
        self._closed: bool | None = None
        self._pressed_ns = 0
        self._release_ns: int | None = None
        self._silent_ns: int | None = None
        self._leave = stick.join(settings.port, self)

    def close(self) -> None:
        self._leave()

    def back(self, now_ns: int) -> None:
        """Nothing was heard yet: a button is up, as far as anybody can know."""
        self._lives(now_ns)
        if self._settings.is_button:
            self._say(False, None)
        else:
            self._unknown("not heard yet")

    def lost(self, reason: str) -> None:
        self._release_ns = self._silent_ns = None
        self._unknown(reason)

    def heard(self, told: Telegram, now_ns: int) -> None:
        settings = self._settings
        if told.device != self._device:
            return
        self._lives(now_ns)
        closed = profiles.closed(settings.profile, settings.button, told)
        if settings.is_button:
            self._button(closed, now_ns)
        elif closed is not None and closed != self._closed:
            self._say(closed, None if self._closed is None else now_ns)

    def time(self, now_ns: int) -> int | None:
        if self._release_ns is not None and now_ns >= self._release_ns:
            self._say(False, self._release_ns)
            self._release_ns = None
        if self._silent_ns is not None and now_ns >= self._silent_ns:
            self._silent_ns = None
            self._unknown(f"no life signal for {_spoken(self._alive_ms)}")
        return min((at for at in (self._release_ns, self._silent_ns) if at), default=None)

    def _button(self, closed: bool | None, now_ns: int) -> None:
        if self._closed is None:  # it was silent, and was not down before this telegram
            self._say(False, now_ns - BEFORE_NS)
        if closed:
            if not self._closed:
                self._pressed_ns = now_ns
                self._say(True, now_ns)
            self._release_ns = now_ns + self._settings.release_after_ms * 1_000_000
        elif closed is False and self._closed:
            # Both telegrams may be read at once; the press is not too short to count then.
            self._release_ns = max(now_ns, self._pressed_ns + PRESS_LEAST_NS)
            self.time(now_ns)

    def _lives(self, now_ns: int) -> None:
        if self._alive_ms:
            self._silent_ns = now_ns + self._alive_ms * 1_000_000

    def _say(self, closed: bool, edge_ns: int | None) -> None:
        self._closed = closed
        self._emit(ContactReport(closed == (self._settings.active == "closed"), edge_ns))

    def _unknown(self, reason: str) -> None:
        self._closed = None
        self._emit(ContactReport(None, None, reason))


def _spoken(ms: int) -> str:
    for unit, each_ms in (("h", 3_600_000), ("min", 60_000)):
        if ms >= each_ms:
            return f"{ms / each_ms:g} {unit}"
    return f"{ms / 1000:g} s"


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Hear through the stick. Raises :class:`DriverFault`."""
    return EnoceanContact(settings, emit)
