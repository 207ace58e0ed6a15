"""A contact that others tell over MQTT, such as a Zigbee sensor behind zigbee2mqtt.

The message is a word, or JSON with the word at ``value``. A kept (retained) message is a level
and never a press. Without the broker the contact is unknown; it is as reliable as the broker
and as trustworthy as who may publish there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers import ContactReport, Device, DurationMs, Emit, MeterReport, Report
from drivers.mqtt import payload, subscribers

KIND = "contact"
TRUST = "network"
HEALS = True


@dataclass(frozen=True, slots=True)
class Settings:
    topic: str
    """Where it is told; no unit, a topic such as zigbee2mqtt/window."""
    value: str = ""
    """Where in the JSON; no unit, names with dots such as contact. Empty: the whole message."""
    active: tuple[str, ...] = ("true", "on", "1")
    """What means active; no unit, words. Zigbee says contact: true where a window is closed."""
    inactive: tuple[str, ...] = ("false", "off", "0")
    """What means inactive; no unit, words. Any other word makes it unknown."""
    release_after_ms: DurationMs = 0
    """For a button that only tells its press: it ends after this; a duration. 0 s: it is told."""
    alive_within_ms: DurationMs = 24 * 3_600_000
    """Unknown when no message came for longer; a duration. 0 s: not watched."""

    def __post_init__(self) -> None:
        payload.check_topic(self.topic)
        both = {word.casefold() for word in self.active} & {w.casefold() for w in self.inactive}
        if both or not self.active:
            raise ValueError(f"active and inactive both say {', '.join(both) or 'nothing'}")


def read(settings: Settings, message: bytes) -> Sequence[Report]:
    """What a message says; nothing where it does not speak of this contact. Never raises."""
    try:
        word = payload.word(payload.at(payload.content(message), settings.value))
    except payload.Missing:
        return ()
    except payload.Unreadable as error:
        return (ContactReport(None, None, str(error)),)
    for active, words in ((True, settings.active), (False, settings.inactive)):
        if word in {one.casefold() for one in words}:
            return (ContactReport(active),)
    if settings.release_after_ms:
        return ()  # another button, or the same one in another way
    return (ContactReport(None, None, f"{word[:40]!r} is neither active nor inactive"),)


class MqttContact:
    """The values of one point. A :class:`subscribers.Listener`."""

    def __init__(self, point: str, emit: Emit) -> None:
        self._emit = emit
        self._active: bool | None = None
        self._leave = subscribers.join(point, self)

    def close(self) -> None:
        self._leave()

    def told(self, report: ContactReport | MeterReport) -> None:
        if not isinstance(report, ContactReport):
            return
        known = None not in (self._active, report.active)
        if known and report.edge_ns is None and report.active != self._active:
            # Nobody saw the edge: by way of unknown it is a level, and no press.
            self._emit(ContactReport(None, None, "an older message is read"))
        self._active = report.active
        self._emit(report)

    def lost(self, reason: str) -> None:
        self._active = None
        self._emit(ContactReport(None, None, reason))


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Listen to what is told for this point; unknown until then."""
    return MqttContact(name, emit)
