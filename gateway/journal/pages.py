"""Records out of the raw pages of a broken SQLite file, without SQLite.

A damaged page makes everything below it unreachable for SQLite although it is still there.
So salvage does not follow the tree: it looks at every page for itself and takes each record
that can be decoded. This is sound for our files: ``secure_delete`` zeroes what was deleted,
so that nothing old comes back; and their pages have one of a few known sizes.

The format is frozen (https://www.sqlite.org/fileformat2.html). Newer images of pages lie in
the -wal file. Each of its frames is checked on its own: its checksum continues the one that
is stored in the frame before, so one torn frame costs one page and not all that follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.journal import raw_files
from gateway.journal.schema import PAGE_SIZES

Value = None | int | float | str | bytes
Record = tuple[bool, tuple[Value, ...]]
"""(from an index or a table without rowid, values). The first value of a table's record is
its rowid where the column is the rowid."""

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 0x0D, 0x0A, 0x02
_FRAME_HEADER = 24
_WAL_HEADER = 32
_WORDS = {size: struct.Struct(f"<{size // 4}I") for size in PAGE_SIZES}
_GUESS_BYTES = 1_000_000
_FILE_MAGIC, _WAL_MAGICS = b"SQLite format 3\0", (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_TREE_PAGES = (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR, 0x05)
_INT_BYTES = (0, 1, 2, 3, 4, 6, 8)


class Broken(Exception):
    """These bytes are not a record."""


def page_bytes(file: BinaryIO, wal: bytes) -> int:
    """The size of the pages of a file whose -wal begins with ``wal``: as the headers say, else
    the one at which pages seem to begin."""
    head = _read(file, 0, 18)
    claims = []
    if wal[:4] in _WAL_MAGICS:
        claims.append(int.from_bytes(wal[8:12], "big"))
    if head[:16] == _FILE_MAGIC:
        claims.append(int.from_bytes(head[16:18], "big"))
    known = [size for size in claims if size in PAGE_SIZES]
    if known:
        return known[0]
    length = min(file.seek(0, 2), _GUESS_BYTES)
    start = b"".join(_read(file, at, 4096) for at in range(0, length, 4096))
    small, large = PAGE_SIZES
    # A large page begins at every second place of the small ones, so half of those are wrong.
    return small if _share(start, small) > 0.75 * _share(start, large) else large


def _share(start: bytes, size: int) -> float:
    """Of the places where a page of this size would begin, those where one seems to."""
    places = range(size, len(start) - 8, size)
    right = 0
    for at in places:
        kind, content = start[at], int.from_bytes(start[at + 5 : at + 7], "big")
        right += kind in _TREE_PAGES and 8 <= content <= size and start[at + 7] <= 60
    return right / max(len(places), 1)


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    """A piece of the file; zeros where the card cannot read it."""
    try:
        file.seek(at)
        return file.read(length).ljust(length, b"\0")
    except OSError:
        return bytes(length)


def frames(wal: bytes, page: int) -> Iterator[tuple[int, int, int, bool]]:
    """The frames of the newest generation: (index, page number, size after commit, valid).
    ``page``: bytes of one."""
    salts = wal[16:24] if wal[:4] == b"\x37\x7f\x06\x82" else wal[40:48]
    before = wal[24:32]
    frame = _FRAME_HEADER + page
    for index in range(max(len(wal) - _WAL_HEADER, 0) // frame):
        start = _WAL_HEADER + index * frame
        header = wal[start : start + 24]
        number, size = struct.unpack_from(">II", header)
        if header[8:16] == salts:
            yield index, number, size, _valid(wal, start, before, page)
        before = header[16:24]


def _valid(wal: bytes, start: int, before: bytes, page: int) -> bool:
    one, two = struct.unpack(">II", before)
    words = (*struct.unpack_from("<II", wal, start), *_WORDS[page].unpack_from(wal, start + 24))
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return wal[start + 16 : start + 24] == struct.pack(">II", one, two)


def torn(path: Path, wal_path: Path, used_frames: int) -> bool:
    """Whether the -wal of the file at ``path`` has commits beyond the ``used_frames`` that
    SQLite accepts.

    SQLite stops at the first bad frame and would write over what follows.
    """
    if not wal_path.is_file():
        return False
    with raw_files.opened(wal_path) as file:
        header = file.read(_WAL_HEADER + 24)
        with raw_files.opened(path) as main:
            page = page_bytes(main, header)
        length = _FRAME_HEADER + page
        salts = header[16:24] if header[:4] == b"\x37\x7f\x06\x82" else header[40:48]
        index = used_frames
        while True:
            file.seek(_WAL_HEADER + index * length)
            frame = file.read(24)
            if len(frame) < 24:
                return False
            if frame[8:16] == salts and frame[4:8] != b"\0\0\0\0" and index > used_frames:
                file.seek(_WAL_HEADER + (index - 1) * length + 16)
                before = file.read(8)
                file.seek(_WAL_HEADER + index * length)
                whole = file.read(length)
                if len(whole) == length and _valid(whole, 0, before, page):
                    return True
            index += 1


class Pages:
    """The newest readable image of every page of a file and its -wal."""

    def __init__(self, path: Path, wal_path: Path) -> None:
        """Raises :class:`OSError` when the file cannot be read at all."""
        self._file = path.open("rb")
        self._wal = wal_path.read_bytes() if wal_path.is_file() else b""
        self.size = page_bytes(self._file, self._wal)
        self._map_every = self.size // 5 + 1
        self._images: dict[int, int] = {}
        pending: dict[int, int] = {}
        for index, number, count, valid in frames(self._wal, self.size):
            if valid:
                frame = _WAL_HEADER + index * (_FRAME_HEADER + self.size)
                pending[number] = frame + _FRAME_HEADER
                if count:
                    self._images.update(pending)
                    pending.clear()
        in_file = (path.stat().st_size + self.size - 1) // self.size
        self.count = max(in_file, max(self._images, default=0))

    def close(self) -> None:
        self._file.close()

    def page(self, number: int) -> bytes:
        """One page, filled up with zeros where the file ends within it."""
        at = self._images.get(number)
        if at is not None:
            return self._wal[at : at + self.size]
        return _read(self._file, (number - 1) * self.size, self.size)

    def records(self, number: int) -> Iterator[Record]:
        """Every record on one page that can be decoded; nothing for any other page."""
        if number < 2 or (number - 2) % self._map_every == 0:
            return  # the schema, and maps of pages
        page = self.page(number)
        kind = page[0]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR):
            return
        first = 12 if kind == _INDEX_INTERIOR else 8
        cells = min(int.from_bytes(page[3:5], "big"), self.size // 4)
        for cell in range(cells):
            at = first + 2 * cell
            start = int.from_bytes(page[at : at + 2], "big")
            if first <= start < self.size:
                try:
                    yield kind != _TABLE_LEAF, self._cell(page, start, kind)
                except (Broken, IndexError, struct.error, UnicodeDecodeError):
                    continue

    def _cell(self, page: bytes, at: int, kind: int) -> tuple[Value, ...]:
        if kind == _INDEX_INTERIOR:
            at += 4
        size, at = _varint(page, at)
        rowid: int | None = None
        most = self.size - 35
        if kind == _TABLE_LEAF:
            rowid, at = _varint(page, at)
        else:
            most = (self.size - 12) * 64 // 255 - 23
        if size <= most:
            return _decode(page[at : at + size], size, rowid)
        least = (self.size - 12) * 32 // 255 - 23
        local = least + (size - least) % (self.size - 4)
        if local > most:
            local = least
        payload = bytearray(page[at : at + local])
        overflow = int.from_bytes(page[at + local : at + local + 4], "big")
        while len(payload) < size:
            if not 1 < overflow <= self.count or size > 10_000_000:
                raise Broken
            more = self.page(overflow)
            overflow = int.from_bytes(more[:4], "big")
            payload += more[4 : 4 + size - len(payload)]
        return _decode(bytes(payload), size, rowid)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(9):
        byte = data[at + index]
        if index == 8:
            value = value << 8 | byte
            break
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    if value >= 1 << 63:
        value -= 1 << 64
    return value, at + index + 1


def _decode(payload: bytes, size: int, rowid: int | None) -> tuple[Value, ...]:
    """The values of one record; its parts must fill it exactly, or it is not one."""
    end, at = _varint(payload, 0)
    if not 0 < end <= len(payload) or len(payload) != size:
        raise Broken
    body = end
    values: list[Value] = []
    while at < end:
        serial, at = _varint(payload, at)
        if serial < 0 or serial in (10, 11):
            raise Broken
        if serial == 0:
            values.append(rowid if not values and rowid is not None else None)
        elif serial <= 6:
            width = _INT_BYTES[serial]
            values.append(int.from_bytes(payload[body : body + width], "big", signed=True))
            body += width
        elif serial == 7:
            values.append(struct.unpack_from(">d", payload, body)[0])
            body += 8
        elif serial <= 9:
            values.append(serial - 8)
        else:
            width = (serial - 12) // 2
            raw = payload[body : body + width]
            values.append(raw.decode("utf-8") if serial % 2 else raw)
            body += width
    if at != end or body != size:
        raise Broken
    return tuple(values)
