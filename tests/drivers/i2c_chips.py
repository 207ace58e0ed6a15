"""Chips on I²C buses, register by register, behind what smbus2 is to the drivers.

A chip is written bytes to and asked for bytes, as on the wire; it knows nothing of drivers.
Faults are injected on the bus, where they happen: a chip that is unplugged does not
acknowledge, a line that is held low hangs, wires that are stuck read as ones or zeros.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from smbus2 import i2c_msg


def crc8(data: Iterable[int]) -> int:
    """Sensirion's, one bit after the other."""
    crc = 0xFF
    for byte in data:
        for n in range(7, -1, -1):
            top = crc >> 7 ^ (byte >> n & 1)
            crc = (crc << 1 & 0xFF) ^ (0x31 if top else 0)
    return crc


class Nack(Exception):
    """The chip does not acknowledge."""


class Chip:
    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def read(self, length: int) -> bytes:
        raise NotImplementedError


@dataclass
class Bus:
    """One bus. ``nacks``: so many transfers fail; ``refuses``: and those that write this;
    ``hangs``: a line is held low; ``stuck``: what every byte reads as."""

    chips: dict[int, Chip] = field(default_factory=dict)
    nacks: int = 0
    hangs: bool = False
    stuck: int | None = None
    refuses: Callable[[bytes], bool] = lambda data: False
    transfers: list[tuple[int, bytes, int]] = field(default_factory=list)
    open_files: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    before: Callable[[], None] = lambda: None

    def transfer(self, *messages: i2c_msg) -> None:
        with self.lock:
            self.before()
            if self.hangs:
                raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
            for message in messages:
                chip = self.chips.get(message.addr)
                if chip is None or self.nacks:
                    self.nacks = max(0, self.nacks - 1)
                    raise OSError(errno.EREMOTEIO, "Remote I/O error")
                reads = bool(message.flags & 1)
                if not reads and self.refuses(bytes(message)):
                    raise OSError(errno.EREMOTEIO, "Remote I/O error")
                self.transfers.append(
                    (message.addr, b"" if reads else bytes(message), message.len if reads else 0)
                )
                try:
                    if not reads:
                        chip.write(bytes(message))
                        continue
                    answer = chip.read(message.len)
                except Nack:
                    raise OSError(errno.EREMOTEIO, "Remote I/O error") from None
                if self.stuck is not None:
                    answer = bytes([self.stuck]) * message.len
                for n, byte in enumerate(answer):
                    message.buf[n] = bytes([byte])


@dataclass
class Buses:
    """The machine's buses by number, and the class that stands in for ``smbus2.SMBus``."""

    by_number: dict[int, Bus] = field(default_factory=lambda: {1: Bus()})
    denied: bool = False
    limits: list[tuple[int, int]] = field(default_factory=list)

    def smbus(self, number: int) -> OpenBus:
        path = f"/dev/i2c-{number}"
        if self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if number not in self.by_number:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return OpenBus(self.by_number[number])

    def ioctl(self, fd: int, request: int, value: int) -> int:
        self.limits.append((request, value))
        return 0


class OpenBus:
    """The part of ``smbus2.SMBus`` that the drivers use."""

    fd = -1

    def __init__(self, bus: Bus) -> None:
        self._bus: Bus | None = bus
        bus.open_files += 1

    def i2c_rdwr(self, *messages: i2c_msg) -> None:
        assert self._bus is not None, "the bus is closed"
        self._bus.transfer(*messages)

    def close(self) -> None:
        assert self._bus is not None, "the bus is closed"
        self._bus.open_files -= 1
        self._bus = None


class Registers(Chip):
    """A chip that is a row of registers of one byte: the first byte written points to one."""

    def __init__(self) -> None:
        self.cells = bytearray(256)
        self.at = 0

    def write(self, data: bytes) -> None:
        self.at = data[0]
        for byte in data[1:]:
            self.set(self.at, byte)
            self.at = self.at + 1 & 0xFF

    def read(self, length: int) -> bytes:
        answer = bytearray()
        for _ in range(length):
            answer.append(self.get(self.at))
            self.at = self.at + 1 & 0xFF
        return bytes(answer)

    def set(self, register: int, value: int) -> None:
        self.cells[register] = value

    def get(self, register: int) -> int:
        return self.cells[register]


class Sht(Chip):
    """A Sensirion humidity sensor: one command, then an answer that is there once."""

    def __init__(self, command: bytes, temperature: int = 0x6666, humidity: int = 0x8000) -> None:
        self.command = command
        self.temperature = temperature
        self.humidity = humidity
        self.garbled = 0
        self.answer: bytes | None = None

    def write(self, data: bytes) -> None:
        if data != self.command:
            raise Nack
        words = [self.temperature.to_bytes(2, "big"), self.humidity.to_bytes(2, "big")]
        self.answer = b"".join(word + bytes([crc8(word)]) for word in words)

    def read(self, length: int) -> bytes:
        if self.answer is None:
            raise Nack
        answer, self.answer = bytearray(self.answer), None
        if self.garbled:
            self.garbled -= 1
            answer[4] ^= 0x10
        return bytes(answer[:length])


T = (27504, 26435, -1000)
P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
H = (75, 362, 0, 326, 50, 30)
RAW_T, RAW_P, RAW_H = 519888, 415148, 30000


class Bme280(Registers):
    """With the calibration and raw values of Bosch's example (humidity: those of a real chip).
    It measures when it is told to, and each measurement takes so many looks at its status."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = (RAW_T, RAW_P, RAW_H)
        self.busy = 0
        self.takes = 1
        self.cells[0xD0] = 0x60
        self.calibrate(T, P, H)
        self.reset()

    def calibrate(self, t: tuple[int, ...], p: tuple[int, ...], h: tuple[int, ...]) -> None:
        self.cells[0x88:0xA0] = struct.pack("<H2hH8h", *t, *p)
        self.cells[0xA1] = h[0]
        h4, h5 = h[3] & 0xFFF, h[4] & 0xFFF
        self.cells[0xE1:0xE8] = struct.pack("<hB", h[1], h[2]) + bytes(
            [h4 >> 4, (h5 & 15) << 4 | (h4 & 15), h5 >> 4, h[5] & 0xFF]
        )

    def reset(self) -> None:
        self.cells[0xF2:0xF6] = bytes(4)
        self.cells[0xF7:0xFF] = b"\x80\0\0\x80\0\0\x80\0"

    def write(self, data: bytes) -> None:
        """Registers and values by turns: this chip does not count up when it is written to."""
        self.at = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            self.set(register, value)

    def set(self, register: int, value: int) -> None:
        super().set(register, value)
        if register == 0xF4 and value & 3 in {1, 2}:
            self.busy = self.takes
            if not self.takes:
                self._measure()

    def get(self, register: int) -> int:
        if register == 0xF3 and self.busy:
            self.busy -= 1
            if not self.busy:
                self._measure()
            return 0b1000
        return super().get(register)

    def _measure(self) -> None:
        temperature, pressure, humidity = self.raw
        if not self.cells[0xF2] & 7:
            humidity = 0x8000
        self.cells[0xF7:0xFF] = (
            (pressure << 4).to_bytes(3, "big")
            + (temperature << 4).to_bytes(3, "big")
            + humidity.to_bytes(2, "big")
        )


class Ads1115(Chip):
    """Two registers of 16 bits that matter. A conversion is done after so many looks."""

    ENDS = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)

    def __init__(self) -> None:
        self.volts = [0.0, 0.0, 0.0, 0.0]
        self.takes = 0
        self.at = 0
        self.config = 0x8583
        self.result = 0
        self.busy = 0

    def write(self, data: bytes) -> None:
        self.at = data[0]
        if len(data) == 3 and self.at == 1:
            self.config = int.from_bytes(data[1:], "big") & 0x7FFF
            if data[1] & 0x80:
                mux = self.config >> 12 & 7
                assert mux >= 4, "against ground"
                end = self.ENDS[self.config >> 9 & 7]
                steps = round(self.volts[mux - 4] / end * 0x8000)
                self.result = min(max(steps, -0x8000), 0x7FFF)
                self.busy = self.takes

    def read(self, length: int) -> bytes:
        if self.at == 0:
            return self.result.to_bytes(2, "big", signed=True)
        done = 0x8000
        if self.busy:
            self.busy -= 1
            done = 0
        return (done | self.config).to_bytes(2, "big")


IODIR, IPOL, GPINTEN, DEFVAL, INTCON, IOCON, GPPU, INTF, INTCAP, GPIO, OLAT = range(0, 0x16, 2)
MIRROR, ODR = 0x40, 0x04


class Mcp23017(Registers):
    """The expander, in its usual order of registers (IOCON.BANK = 0). ``wires``: what pulls a
    terminal from outside (True: to the supply); a terminal that nobody pulls floats, and reads
    as low. ``when_line``: is told the level of INTA."""

    def __init__(self) -> None:
        super().__init__()
        self.wires: dict[int, bool] = {}
        self.line = True
        self.when_line: Callable[[bool], None] = lambda level: None
        self.driven: list[tuple[int, bool]] = []
        self.reset()

    def reset(self) -> None:
        """Power off and on."""
        self.cells[:] = bytes(256)
        self.cells[IODIR : IODIR + 2] = b"\xff\xff"
        self.seen = [self.level(n) for n in range(16)]
        self._interrupt()

    def wire(self, terminal: int, level: bool | None) -> None:
        """Pull a terminal from outside, or let go of it."""
        if level is None:
            self.wires.pop(terminal, None)
        else:
            self.wires[terminal] = level
        self._changed()

    def output(self, terminal: int) -> bool | None:
        """What the terminal drives; ``None``: it is an input."""
        if self._bit(IODIR, terminal):
            return None
        return self._bit(OLAT, terminal)

    def level(self, terminal: int) -> bool:
        driven = self.output(terminal)
        if driven is not None:
            return driven
        return self.wires.get(terminal, self._bit(GPPU, terminal))

    def set(self, register: int, value: int) -> None:
        if register == 0x0B:
            register = IOCON
        if register >= 0x16 or register & ~1 in {INTF, INTCAP}:
            return
        if register & ~1 == GPIO:
            register += 2
        before = [self.output(n) for n in range(16)]
        super().set(register, value)
        for n, level in enumerate(before):
            now = self.output(n)
            if now != level and now is not None:
                self.driven.append((n, now))
        self._changed()

    def get(self, register: int) -> int:
        half = register & 1
        if register & ~1 == IOCON:
            return self.cells[IOCON]
        if register & ~1 == INTCAP:
            kept = self.cells[register]
            self._answered(half)
            return kept
        if register & ~1 == GPIO:
            levels = self._levels(half) ^ self.cells[IPOL + half]
            self._answered(half)
            return levels
        return super().get(register)

    def _bit(self, register: int, terminal: int) -> bool:
        return bool(self.cells[register + terminal // 8] >> terminal % 8 & 1)

    def _levels(self, half: int) -> int:
        return sum(self.level(half * 8 + n) << n for n in range(8))

    def _changed(self) -> None:
        for half in (0, 1):
            flags = 0
            for n in range(8):
                terminal = half * 8 + n
                level = self.level(terminal)
                if level != self.seen[terminal]:
                    self.seen[terminal] = level
                    if self._bit(GPINTEN, terminal) and self._bit(IODIR, terminal):
                        flags |= 1 << n
            if flags and not self.cells[INTF + half]:  # the first change is what is kept
                self.cells[INTCAP + half] = self._levels(half)
            self.cells[INTF + half] |= flags
        self._interrupt()

    def _answered(self, half: int) -> None:
        self.cells[INTF + half] = 0
        self._interrupt()

    def _interrupt(self) -> None:
        flags = self.cells[INTF] or (self.cells[IOCON] & MIRROR and self.cells[INTF + 1])
        line = not flags
        if line != self.line:
            self.line = line
            self.when_line(line)
