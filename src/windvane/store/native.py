"""A DataFrame as one block of ClickHouse's Native format: columns, each name, type, then its data.

Numbers and times travel as their NumPy bytes, so writing samples costs a copy; strings, maps and
arrays are joined. The engine casts to the table's own types (LowCardinality, precision) on insert.
Format: https://clickhouse.com/docs/en/interfaces/formats/Native
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.store.api import PayloadInsert

_NUMBERS = {"i": "Int", "u": "UInt", "f": "Float"}
_TIME_SCALE = {"s": 0, "ms": 3, "us": 6, "ns": 9}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a block: its name, the engine's type of it, and its data as the format has it."""

    name: str
    kind: str
    data: bytes

    @property
    def structure(self) -> str:
        """`name Type` for a table function."""
        return f"`{self.name}` {self.kind}"


def encode(frame: pd.DataFrame) -> tuple[bytes, str]:
    """The block's bytes and its structure (`name Type, …`) for a table function."""
    columns = [Column(str(name), *_column(str(name), column)) for name, column in frame.items()]
    return block(columns, len(frame)), ", ".join(column.structure for column in columns)


def block(columns: Sequence[Column], rows: int) -> bytes:
    """Columns of `rows` rows as one block; blocks of the same columns may follow each other."""
    parts = [_varint(len(columns)), _varint(rows)]
    for column in columns:
        parts += [_string(column.name), _string(column.kind), column.data]
    return b"".join(parts)


def insert_of(table: str, columns: Sequence[Column]) -> PayloadInsert:
    """The statement that stores blocks of such columns in a table."""
    names = [column.name for column in columns]
    select = f"SELECT {', '.join(f'`{name}`' for name in names)} FROM {{source}}"
    return PayloadInsert(table, names, select, "Native", ", ".join(column.structure for column in columns))


def numbers(name: str, values: NDArray[Any]) -> Column:
    """A column of numbers, of the width that the array has."""
    return Column(name, _number_kind(values.dtype), _little(values))


def moments(name: str, times_ms: NDArray[np.int64]) -> Column:
    """A column of times given in milliseconds since the epoch."""
    return Column(name, "DateTime64(3, 'UTC')", _little(times_ms.astype(np.int64, copy=False)))


def lists(name: str, ends: NDArray[Any], values: NDArray[Any]) -> Column:
    """A column of lists of numbers: all values one after the other, and where the list of each row ends."""
    kind = f"Array({_number_kind(values.dtype)})"
    return Column(name, kind, _little(ends.astype(np.uint64, copy=False)) + _little(values))


def maps(name: str, rows: Sequence[Mapping[str, str]]) -> Column:
    """A column of maps of strings."""
    values = _strings(value for row in rows for value in row.values())
    return Column(name, "Map(String, String)", _offsets(rows) + _strings(chain.from_iterable(rows)) + values)


def texts(name: str, values: Iterable[str | bytes]) -> Column:
    """A column of strings."""
    return Column(name, "String", _strings(values))


def text_lists(name: str, rows: Sequence[Sequence[str]]) -> Column:
    """A column of lists of strings."""
    return Column(name, "Array(String)", _offsets(rows) + _strings(chain.from_iterable(rows)))


def coded(name: str, numbers_: NDArray[Any], words: Sequence[bytes]) -> Column:
    """A column of `LowCardinality(String)`: each row's place in a list of different words."""
    return Column(name, "LowCardinality(String)", _VERSION + _coded(numbers_, words))


def coded_maps(
    name: str, ends: NDArray[np.uint64], keys: NDArray[Any], words: Sequence[bytes], values: bytes
) -> Column:
    """A column of `Map(LowCardinality(String), String)`: ends of rows, keys as places in `words`, values as strings."""
    data = _VERSION + _little(ends) + _coded(keys, words) + values
    return Column(name, "Map(LowCardinality(String), String)", data)


def coded_pairs(  # noqa: PLR0917 - as `coded_maps`
    name: str,
    ends: NDArray[np.uint64],
    keys: NDArray[Any],
    words: Sequence[bytes],
    values: NDArray[Any],
    value_words: Sequence[bytes],
) -> Column:
    """A column of `Map(LowCardinality(String), LowCardinality(String))`."""
    data = 2 * _VERSION + _little(ends) + _coded(keys, words) + _coded(values, value_words)
    return Column(name, "Map(LowCardinality(String), LowCardinality(String))", data)


# Of LowCardinality in blocks: the version of its layout; then, where there are rows, the width of a number and
# that the words come along.
_VERSION = struct.pack("<Q", 1)
_WITH_WORDS = 1 << 9
_WIDTHS = {1: 0, 2: 1, 4: 2, 8: 3}


def _coded(numbers_: NDArray[Any], words: Sequence[bytes]) -> bytes:
    if not len(numbers_):
        return b""
    head = struct.pack("<QQ", _WIDTHS[numbers_.dtype.itemsize] | _WITH_WORDS, len(words))
    return head + _strings(words) + struct.pack("<Q", len(numbers_)) + _little(numbers_)


def _number_kind(kind: np.dtype[Any]) -> str:
    return f"{_NUMBERS[kind.kind]}{kind.itemsize * 8}"


def _little(values: NDArray[Any]) -> bytes:
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _column(name: str, column: pd.Series[Any]) -> tuple[str, bytes]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "String", _strings(column.astype(object).tolist())
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    kind = column.dtype.kind
    if kind == "M":
        scale = _TIME_SCALE[np.datetime_data(np.dtype(str(column.dtype)))[0]]
        return f"DateTime64({scale}, 'UTC')", column.to_numpy().astype("<i8").tobytes()
    if kind in _NUMBERS:
        values = column.to_numpy(dtype=np.dtype(str(column.dtype).lower()))
        return _number_kind(values.dtype), _little(values)
    if kind == "b":
        return "Bool", column.to_numpy().astype("u1").tobytes()
    return _objects(name, column.tolist())


def _objects(name: str, values: Sequence[Any]) -> tuple[str, bytes]:
    first = values[0] if values else ""
    try:
        if isinstance(first, Mapping):
            keys = _strings(chain.from_iterable(values))
            return "Map(String, String)", _offsets(values) + keys + _strings(v for m in values for v in m.values())
        if isinstance(first, list | tuple | np.ndarray):
            return "Array(String)", _offsets(values) + _strings(chain.from_iterable(values))
        return "String", _strings(values)
    except (AttributeError, TypeError) as error:
        raise BadInputError(
            f"column {name!r} mixes kinds of values or holds something else than text: {error}"
        ) from error


def _offsets(values: Iterable[Any]) -> bytes:
    return np.cumsum([len(value) for value in values], dtype="<u8").tobytes()


def _strings(values: Iterable[Any]) -> bytes:
    return b"".join([_string(value) for value in values])


def _string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
