"""An MCP23017 and its points: one object per chip, whatever points it has.

The chip is written to as the *shadow* of its registers says, kept here. A look at the chip
compares both, so that a chip which has lost its supply for a moment gets its levels back. A
look costs 1 ms to 3 ms; nobody who switches a relay waits for longer than one.

An input's change makes the chip keep the levels of that moment and pull its interrupt line
low. The kernel stamps that edge; the chip's own thread then looks. Without that line it looks
every few milliseconds. With it, it still looks now and then: an edge that was missed is found.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers import DriverFault
from drivers.i2c import Chip
from drivers.i2c.interrupt import InterruptLine
from drivers.i2c.mcp23017 import (
    BANKED_IOCON,
    GPINTEN,
    GPIO,
    GPPU,
    INTF,
    IOCON,
    IOCON_VALUE,
    IODIR,
    LENGTH,
    OLAT,
    Registers,
    bit,
    pair,
    with_bits,
)

PULL_UPS_TAKE_S = 0.002
"""100 kΩ and the capacity of a long cable."""
FORGIVEN_AFTER_S = 0.3
"""A chip that was lost is not asked again sooner by who opens a point: sixteen points of a bus
that hangs would take a second."""

Heard = Callable[[bool | None, int | None, str], None]
"""Level, the kernel's instant of the edge or that of the look, reason. Returns at once."""


@dataclass(slots=True, eq=False)
class Input:
    """A contact at the chip, and what it was told last."""

    terminal: str
    pull_up: bool
    interrupt: str
    poll_s: float
    check_s: float
    heard: Heard
    level: bool | None = None

    def tell(self, level: bool | None, edge_ns: int | None = None, reason: str = "") -> None:
        if level != self.level:
            self.level = level
            self.heard(level, edge_ns, reason)


@dataclass(slots=True)
class _Turns:
    """What the thread waits for."""

    called: threading.Event = field(default_factory=threading.Event)
    edge_ns: int | None = None
    looked_s: float = 0.0
    compared_s: float = 0.0


class Expander:
    """One chip. Every method may be called from any thread, and waits for a few milliseconds at
    most, or for the time limit of one transfer."""

    def __init__(self, bus: int, address: int) -> None:
        self._chip = Chip(bus, address)
        self._alone = self._chip.alone
        self._registers: Registers | None = None
        self._inputs: list[Input] = []
        self._outputs: dict[str, bool] = {}
        self._lost: DriverFault | None = None
        self._lost_s = 0.0
        self._thread: threading.Thread | None = None
        self._turns = _Turns()
        self._line: InterruptLine | None = None

    def __str__(self) -> str:
        return f"the MCP23017 at {self._chip}"

    # --- points

    def add_input(self, contact: Input) -> None:
        """Make the terminal an input and tell its level. Raises :class:`DriverFault`."""
        with self._alone:
            self._free(contact.terminal)
            if contact.interrupt:
                self._listen(contact.interrupt)
            registers, mask = self._ready(), bit(contact.terminal)
            pulled = bool(registers.gppu & mask) == contact.pull_up
            registers.gppu = with_bits(registers.gppu, mask, contact.pull_up)
            registers.iodir |= mask
            registers.gpinten |= mask
            try:
                self._write(GPPU, registers.gppu)
                self._write(IODIR, registers.iodir)
                self._write(GPINTEN, registers.gpinten)
                if not pulled:
                    time.sleep(PULL_UPS_TAKE_S)
                self._inputs.append(contact)
                self._look()
            except DriverFault as fault:
                self._lose(fault, told=contact)
                raise
            self._begin()

    def remove_input(self, contact: Input) -> None:
        """Nothing is told from now on. A second call does nothing."""
        with self._alone:
            if contact in self._inputs:
                self._inputs.remove(contact)
                if self._registers is not None:
                    self._registers.gpinten &= ~bit(contact.terminal)
            if not any(other.interrupt for other in self._inputs):
                self._deafen()
            self._turns.called.set()

    def add_output(self, terminal: str, off: bool) -> None:
        """Make the terminal an output at its ``off`` level, from the first instant. Raises
        :class:`DriverFault`."""
        with self._alone:
            self._free(terminal)
            registers, mask = self._ready(), bit(terminal)
            registers.olat = with_bits(registers.olat, mask, off)
            registers.gpinten &= ~mask
            registers.iodir &= ~mask
            try:
                self._write(OLAT, registers.olat)
                self._write(GPINTEN, registers.gpinten)
                self._write(IODIR, registers.iodir)
            except DriverFault as fault:
                self._lose(fault)
                raise
            self._outputs[terminal] = off
            self._begin()

    def drive(self, terminal: str, level: bool) -> None:
        """Put an output to this level. Raises :class:`DriverFault`, at once where the chip is
        known to be lost; the output is off then, as soon as the chip is back."""
        with self._alone:
            registers = self._registers
            if self._lost is not None or registers is None:
                self._put(terminal, self._outputs[terminal])
                raise self._lost or DriverFault(f"{self} is not ready", "open the relay anew")
            self._put(terminal, level)
            try:
                self._write(OLAT, registers.olat)
            except DriverFault as fault:
                self._put(terminal, self._outputs[terminal])
                self._lose(fault)
                raise

    def remove_output(self, terminal: str) -> None:
        """Off, then let go of it: it stays an output that is off. Raises nothing: what could
        not be switched off is when the chip is back, or by ``portier outputs off``."""
        with self._alone:
            off = self._outputs.pop(terminal, None)
            if off is None or self._registers is None:
                return
            self._put(terminal, off)
            if self._lost is None or self._is_forgiven():
                try:
                    self._write(OLAT, self._registers.olat)
                except DriverFault as fault:
                    self._lose(fault)
            self._turns.called.set()

    # --- the chip

    def _free(self, terminal: str) -> None:
        if terminal in self._outputs or any(i.terminal == terminal for i in self._inputs):
            raise DriverFault(
                f"{terminal} of {self} is already in use", "give each point a terminal of its own"
            )

    def _put(self, terminal: str, level: bool) -> None:
        if self._registers is not None:
            self._registers.olat = with_bits(self._registers.olat, bit(terminal), level)

    def _ready(self) -> Registers:
        """The shadow of a chip that is as the shadow says."""
        if self._lost is not None and not self._is_forgiven():
            raise self._lost
        if self._registers is not None and self._lost is None:
            return self._registers
        try:
            return self._restore()
        except DriverFault as fault:
            self._lose(fault)
            raise

    def _is_forgiven(self) -> bool:
        return time.monotonic() - self._lost_s > FORGIVEN_AFTER_S

    def _restore(self) -> Registers:
        """Make the chip what the shadow says: latches before directions, so that an output has
        its level from the first instant. The first shadow is what the chip itself says:
        terminals that are nobody's stay as they are."""
        self._chip.transfer(bytes([BANKED_IOCON, 0]))
        if self._registers is None:
            seen = self._chip.transfer(bytes([IODIR]), LENGTH)
            self._registers = Registers(
                iodir=pair(seen, IODIR), gppu=pair(seen, GPPU), olat=pair(seen, OLAT)
            )
        registers = self._registers
        self._write(OLAT, registers.olat)
        self._write(IOCON, IOCON_VALUE * 0x0101)
        # No inverted levels (IPOL); an interrupt at every change (DEFVAL, INTCON).
        enabled = registers.gpinten.to_bytes(2, "little")
        self._chip.transfer(bytes([0x02, 0, 0]) + enabled + bytes(4))
        self._write(GPPU, registers.gppu)
        self._write(IODIR, registers.iodir)
        time.sleep(PULL_UPS_TAKE_S)
        self._lost = None
        return registers

    def _write(self, register: int, value: int) -> None:
        self._chip.transfer(bytes([register]) + value.to_bytes(2, "little"))

    def _read(self, first: int, end: int) -> bytes:
        """The registers from ``first`` on, each at its own place."""
        return bytes(first) + self._chip.transfer(bytes([first]), end - first)

    def _lose(self, fault: DriverFault, told: Input | None = None) -> None:
        """The chip does not answer: its contacts are unknown until it does. ``told``: who
        learns it otherwise."""
        self._lost, self._lost_s = fault, time.monotonic()
        if told in self._inputs:
            self._inputs.remove(told)
        for contact in self._inputs:
            contact.tell(None, None, str(fault))

    # --- looking

    def _look(self, edge_ns: int | None = None, *, compare: bool = False) -> None:
        """Read the levels, and those that the chip has kept at an interrupt; ``compare``: all
        registers. What no interrupt tells changed before this look began, whenever this thread
        comes to report it."""
        began_ns = time.monotonic_ns()
        seen = self._read(IODIR, LENGTH) if compare else self._read(INTF, OLAT)
        if compare and not (self._registers and self._registers.matches(seen)):
            self._restore()
            began_ns = time.monotonic_ns()
            seen = self._read(INTF, OLAT)
        flags, kept, levels = pair(seen, INTF), pair(seen, INTF + 2), pair(seen, GPIO)
        for contact in list(self._inputs):
            mask = bit(contact.terminal)
            if contact.level is None:
                contact.tell(bool(levels & mask))
                continue
            if flags & mask:  # a press that has ended before we looked is in what was kept
                contact.tell(bool(kept & mask), edge_ns or began_ns)
            contact.tell(bool(levels & mask), began_ns)

    def _begin(self) -> None:
        if self._thread is None:
            self._turns = _Turns(looked_s=time.monotonic(), compared_s=time.monotonic())
            self._thread = threading.Thread(target=self._run, name=str(self), daemon=True)
            self._thread.start()
        self._turns.called.set()

    def _run(self) -> None:
        while True:
            with self._alone:
                turns = self._turns
                if not self._inputs and not self._outputs:
                    self._thread = None
                    self._chip.close()
                    return
                pause_s = min(turns.looked_s + self._poll_s(), turns.compared_s + self._check_s())
            called = turns.called.wait(max(0.0, pause_s - time.monotonic()))
            turns.called.clear()
            edge_ns, turns.edge_ns = turns.edge_ns, None
            with self._alone:
                self._turn(turns, edge_ns, called=called)

    def _turn(self, turns: _Turns, edge_ns: int | None, *, called: bool) -> None:
        """One look, where one is due."""
        now_s = time.monotonic()
        compare = turns.compared_s + self._check_s() <= now_s
        if not (compare or called or turns.looked_s + self._poll_s() <= now_s):
            return
        turns.looked_s = now_s
        if compare:
            turns.compared_s = now_s
        try:
            if self._lost is None:
                self._look(edge_ns, compare=compare)
            elif compare:
                self._restore()
                self._look()
        except DriverFault as fault:
            self._lose(fault)

    def _poll_s(self) -> float:
        """How soon to look although nobody called. A line that stays low has no edge to wait
        for: something has changed between the last look and the end of its interrupt."""
        if not self._inputs or (self._line is not None and self._line.is_high()):
            return self._check_s()
        return min(contact.poll_s for contact in self._inputs)

    def _check_s(self) -> float:
        return min((contact.check_s for contact in self._inputs), default=0.5)

    # --- the interrupt line

    def _listen(self, pin: str) -> None:
        """Take the line that the chip pulls down. Raises :class:`DriverFault`."""
        if self._line is None:
            self._line = InterruptLine(pin, str(self), self._called)
        elif pin != self._line.pin:
            raise DriverFault(
                f"{self} has its interrupt at {self._line.pin}, not at {pin}",
                "write the same line at all points of the chip",
            )

    def _deafen(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _called(self, edge_ns: int) -> None:
        turns = self._turns
        if turns.edge_ns is None:
            turns.edge_ns = edge_ns
        turns.called.set()


_expanders: dict[tuple[int, int], Expander] = {}
_expanders_lock = threading.Lock()


def expander(bus: int, address: int) -> Expander:
    """The one object of this process for the chip."""
    with _expanders_lock:
        return _expanders.setdefault((bus, address), Expander(bus, address))
