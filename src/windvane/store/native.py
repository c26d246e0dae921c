"""A DataFrame as one block of ClickHouse's Native format: columns, each name, type, then its data.

Numbers and times travel as their NumPy bytes, so writing samples costs a copy; strings, maps and
arrays are joined. The engine casts to the table's own types (LowCardinality, precision) on insert.
Format: https://clickhouse.com/docs/en/interfaces/formats/Native
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from windvane.kit.errors import BadInputError

_NUMBERS = {"i": "Int", "u": "UInt", "f": "Float"}
_TIME_SCALE = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def encode(frame: pd.DataFrame) -> tuple[bytes, str]:
    """The block's bytes and its structure (`name Type, …`) for a table function."""
    parts = [_varint(len(frame.columns)), _varint(len(frame))]
    structure = []
    for name, column in frame.items():
        kind, data = _column(str(name), column)
        parts += [_string(str(name)), _string(kind), data]
        structure.append(f"`{name}` {kind}")
    return b"".join(parts), ", ".join(structure)


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
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        return f"{_NUMBERS[kind]}{values.itemsize * 8}", little.tobytes()
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
