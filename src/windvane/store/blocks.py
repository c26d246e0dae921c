"""Results as plain NumPy columns, block by block: for reads of millions of rows.

A block in ClickHouse's Native format is the number of columns and of rows, and for every column its
name, its type and then its values one after the other. Columns of numbers are seen where they lie:
no copy, no pandas. A block lives until the next one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import InternalError

Bytes = NDArray[np.uint8]

_NUMBERS = {
    **{f"{sign}Int{8 * size}": np.dtype(f"<{kind}{size}") for sign, kind in (("", "i"), ("U", "u"))
       for size in (1, 2, 4, 8)},
    "Float32": np.dtype("<f4"),
    "Float64": np.dtype("<f8"),
    "DateTime64": np.dtype("<i8"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a result: `raw` bytes, and for every column its name, type of number and first byte there.

    A `DateTime64` is the integer it is stored as. Columns need not be aligned in memory.
    """

    raw: Bytes
    rows: int
    columns: dict[str, tuple[np.dtype[np.generic], int]]

    def column(self, name: str) -> NDArray[np.generic]:
        """A column, seen in place."""
        kind, start = self.columns[name]
        return self.raw[start : start + self.rows * kind.itemsize].view(kind)

    def start(self, name: str) -> int:
        """Where a column's bytes begin."""
        return self.columns[name][1]


def parse(chunk: memoryview) -> Iterator[Block]:
    """The blocks in some bytes; `InternalError` for columns that are not numbers."""
    raw = np.frombuffer(chunk, np.uint8)
    raw.setflags(write=False)
    place = 0
    while place < len(chunk):
        width, place = _varint(chunk, place)
        rows, place = _varint(chunk, place)
        columns: dict[str, tuple[np.dtype[np.generic], int]] = {}
        for _ in range(width):
            name, place = _text(chunk, place)
            kind, place = _text(chunk, place)
            number = _NUMBERS.get(kind.split("(", 1)[0])
            if number is None:
                raise InternalError(f"column {name} of type {kind} cannot be read in blocks")
            columns[name] = (number, place)
            place += rows * number.itemsize
        if rows:
            yield Block(raw, rows, columns)


def _varint(chunk: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = chunk[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place


def _text(chunk: memoryview, place: int) -> tuple[str, int]:
    length, place = _varint(chunk, place)
    return bytes(chunk[place : place + length]).decode(), place + length
