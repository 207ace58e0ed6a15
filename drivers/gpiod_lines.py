"""Lines of Linux gpiochips: which one a pin means, and how to ask the kernel for it.

Chips are found by what they are, never by their number: the header of a Raspberry Pi has
been gpiochip0, 4 and 11, depending on the kernel. Imports nothing of gpiozero, because
``portier outputs off`` has to be quick.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob

import gpiod
from gpiod.line import Direction, Value

from drivers import DriverFault, InUse

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Chips of a Raspberry Pi's header. Line n is GPIOn on each, also where a device tree gives
it another name (``TXD1`` for GPIO14)."""

BOARD = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
    21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19,
    36: 16, 37: 26, 38: 20, 40: 21,
}  # fmt: skip
"""Physical pin of the 40-pin header -> GPIO."""

CONSUMER = "portier"
EVENT_BUFFER = 1024
"""Edges that the kernel keeps for a reader that is late; its own limit."""

_NUMBER = re.compile(r"(?:GPIO|BCM)?(\d+)", re.ASCII | re.IGNORECASE)
_PHYSICAL = re.compile(r"(?:BOARD|J8:)(\d+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one chip. ``name`` is what the kernel or the header calls it."""

    path: str
    offset: int
    name: str


def find(pin: str | int, chip: str = "") -> Line:
    """The line that ``pin`` means.

    ``pin``: a line's name (``GPIO17``), a header pin (``J8:11``, ``BOARD11``), or a number,
    which is a GPIO on a Raspberry Pi's header and an offset elsewhere. ``chip``: path, name,
    number or label of a gpiochip; empty: the header of this Raspberry Pi, else whichever chip
    has a line of that name. Raises :class:`DriverFault`."""
    refused: list[str] = []
    seen: list[str] = []
    found: list[Line] = []
    for path in _paths(chip):
        try:
            with gpiod.Chip(path) as opened:
                info = opened.get_info()
                seen.append(f"{info.name} ({info.label})")
                if chip and not _is(chip, path, info.name, info.label):
                    continue
                header = info.label.startswith(HEADER_LABELS)
                offset = _offset(opened, str(pin), header=header, chosen=bool(chip))
                if offset is not None:
                    name = opened.get_line_info(offset).name or f"{info.label}:{offset}"
                    line = Line(path, offset, f"GPIO{offset}" if header else name)
                    # Other chips of a Raspberry Pi may have lines of the same names.
                    found.insert(0 if header else len(found), line)
                elif chip:
                    raise DriverFault(
                        f"chip {chip} has no line {pin}",
                        f"choose a name of `gpioinfo`, or a number below {info.num_lines}",
                    )
        except PermissionError:
            refused.append(path)
        except OSError as error:
            if error.errno not in {errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.ENOTTY}:
                raise fault(error, path) from error
    if found:
        return found[0]
    raise _not_found(pin, chip, seen, refused)


def request(line: Line, settings: gpiod.LineSettings) -> gpiod.LineRequest:
    """Take the line for this process. Raises :class:`DriverFault`, :class:`InUse`."""
    try:
        with gpiod.Chip(line.path) as chip:
            try:
                return chip.request_lines(
                    {line.offset: settings}, consumer=CONSUMER, event_buffer_size=EVENT_BUFFER
                )
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                user = chip.get_line_info(line.offset).consumer or "the kernel"
                raise InUse(
                    f"{line.name} is in use by {user}",
                    "stop that program, or choose another pin; `gpioinfo` shows who has which",
                ) from error
    except OSError as error:
        raise fault(error, line.name) from error


def user(line: Line) -> str:
    """Who has the line at present; empty where nobody has. Raises :class:`DriverFault`."""
    try:
        with gpiod.Chip(line.path) as chip:
            info = chip.get_line_info(line.offset)
    except OSError as error:
        raise fault(error, line.name) from error
    return str(info.consumer or "the kernel") if info.used else ""


def switch_off(pin: str | int, *, active_high: bool, chip: str = "") -> None:
    """Put an output to its inactive level and let go of it, in one request without a blip.

    Where the kernel keeps the level of a line that nobody holds (Raspberry Pi OS), this is
    what ends a relay that a killed process left on. Raises :class:`DriverFault`."""
    request(find(pin, chip), output(not active_high)).release()


def output(high: bool) -> gpiod.LineSettings:
    """Settings of an output that has its level from the first instant."""
    return gpiod.LineSettings(
        direction=Direction.OUTPUT, output_value=Value.ACTIVE if high else Value.INACTIVE
    )


def fault(error: OSError, what: str) -> DriverFault:
    """The same, in words, with what to do about it."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DriverFault(
                f"no permission for {what}",
                "add the user to the group that owns /dev/gpiochip* (usermod -aG gpio USER), "
                "and let the unit have DeviceAllow=char-gpiochip rw",
            )
        case errno.ENODEV | errno.ENOENT | errno.ENXIO:
            return DriverFault(f"{what} is gone", "plug it in again; `gpiodetect` lists the chips")
        case errno.EBUSY:
            return DriverFault(f"{what} is in use", "`gpioinfo` shows by whom")
        case _:
            return DriverFault(f"{what} failed ({error.strerror})", "see `gpioinfo` and dmesg")


def _paths(chip: str) -> Iterator[str]:
    """Devices to look at, each once: newer kernels keep old numbers as links."""
    if chip.startswith("/"):
        yield chip
        return
    paths = {os.path.realpath(path) for path in glob("/dev/gpiochip*")}
    yield from sorted(paths, key=lambda path: (len(path), path))


def _is(chip: str, path: str, name: str, label: str) -> bool:
    return chip in {path, name, label} or f"gpiochip{chip}" == name


def _offset(chip: gpiod.Chip, pin: str, *, header: bool, chosen: bool) -> int | None:
    """Where the pin is on this chip. A bare number counts on a header, or where the chip was
    chosen."""
    physical = _PHYSICAL.fullmatch(pin)
    if physical:
        gpio = BOARD.get(int(physical[1]))
        pin = f"GPIO{gpio}" if gpio is not None else pin
    number = _NUMBER.fullmatch(pin)
    if number and header:
        return int(number[1]) if int(number[1]) < chip.get_info().num_lines else None
    if pin.isdecimal() and not chosen:
        return None
    try:
        return chip.line_offset_from_id(pin)
    except (ValueError, FileNotFoundError):
        return None


def _not_found(pin: str | int, chip: str, seen: list[str], refused: list[str]) -> DriverFault:
    if refused:
        return fault(PermissionError(errno.EACCES, ""), ", ".join(refused))
    there = f"there are {', '.join(seen)}" if seen else "this machine has none"
    if chip and not any(chip in name for name in seen):
        return DriverFault(f"no gpiochip is called {chip}", f"plug it in, or choose one: {there}")
    return DriverFault(
        f"no gpiochip has a line {pin}",
        f"name the chip and the line as `gpioinfo` does, or use simulated points: {there}",
    )
