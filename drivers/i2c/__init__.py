"""I²C for the drivers: a chip is an address on a bus, and everything is a transfer.

A write and the read that belongs to it are one transfer of the kernel, so nobody comes between
them. What takes several transfers holds ``alone``, a lock for each chip and not for the bus:
while one sensor measures, the others are served. A transfer has a time limit, because a chip
that holds a line low would keep the kernel waiting for a second.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import threading
from typing import Any

from drivers import DriverFault

I2C_TIMEOUT = 0x0702
"""Linux's request for the time limit of a transfer, in units of 10 ms (``linux/i2c-dev.h``)."""
LIMIT_10MS = 5
"""The longest block here takes 3 ms at 100 kHz."""

NOBODY = frozenset({errno.EREMOTEIO, errno.ENXIO, errno.EIO})
"""What kernels call an address that is not acknowledged."""
HANGS = frozenset({errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY})

_locks: dict[tuple[int, int], threading.RLock] = {}
_locks_lock = threading.Lock()


class Chip:
    """One address on one bus. Opens the bus when it is used, and anew after every failure."""

    def __init__(self, bus: int, address: int) -> None:
        self.bus = bus
        self.address = address
        with _locks_lock:
            self.alone = _locks.setdefault((bus, address), threading.RLock())
        self._smbus: Any = None

    def __str__(self) -> str:
        return f"0x{self.address:02x} on I²C bus {self.bus}"

    def transfer(self, write: bytes, read: int = 0) -> bytes:
        """Write, then read so many bytes without letting go of the bus. What is not
        acknowledged is tried once more: it may have been a spark. Raises
        :class:`DriverFault`."""
        with self.alone:
            try:
                try:
                    return self._transfer(write, read)
                except OSError as error:
                    if error.errno not in NOBODY:
                        raise
                    return self._transfer(write, read)
            except OSError as error:
                self.close()
                raise self._fault(error) from error

    def close(self) -> None:
        """Let go of the bus; the next transfer takes it again."""
        with self.alone:
            smbus, self._smbus = self._smbus, None
            if smbus is not None:
                smbus.close()

    def _transfer(self, write: bytes, read: int) -> bytes:
        from smbus2 import SMBus, i2c_msg

        if self._smbus is None:
            self._smbus = SMBus(self.bus)
            # An adapter that has no such limit keeps its own.
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._smbus.fd, I2C_TIMEOUT, LIMIT_10MS)
        messages = [i2c_msg.write(self.address, write)] if write else []
        if read:
            messages.append(i2c_msg.read(self.address, read))
        self._smbus.i2c_rdwr(*messages)
        return bytes(messages[-1]) if read else b""

    def _fault(self, error: OSError) -> DriverFault:
        code = error.errno
        if code in NOBODY:
            return DriverFault(
                f"nobody answers at {self}",
                f"check wiring, supply and address; `i2cdetect -y {self.bus}` shows who does",
            )
        if code in HANGS:
            return DriverFault(
                f"I²C bus {self.bus} hangs",
                "a chip or a wire holds a line low: check the wiring, take the supply of the "
                "chips away for a second",
            )
        if code in {errno.ENOENT, errno.ENODEV}:
            return DriverFault(
                f"there is no I²C bus {self.bus}",
                "switch it on (dtparam=i2c_arm=on in config.txt, module i2c-dev); "
                "`i2cdetect -l` lists the buses",
            )
        if code in {errno.EACCES, errno.EPERM}:
            return DriverFault(
                f"no permission for I²C bus {self.bus}",
                "add the user to the group that owns /dev/i2c-* (usermod -aG i2c USER), "
                "and let the unit have DeviceAllow=char-i2c rw",
            )
        return DriverFault(f"{self} failed ({error.strerror})", "see dmesg")


def check_address(address: int, possible: range | tuple[int, ...], what: str) -> None:
    """Refuse an address that the chip cannot have.

    :raises ValueError: with the addresses it can"""
    if address not in possible:
        known = ", ".join(f"0x{each:02x}" for each in possible)
        raise ValueError(f"address is 0x{address:02x}, but {what} has one of {known}")
