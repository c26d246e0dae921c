"""Python values as the text that ClickHouse reads for a `{name:Type}` placeholder.

At the top level a string is escaped as in TabSeparated; inside an array, tuple or map it is a
quoted literal. The engine parses the text under the placeholder's type, so a value can never
become SQL.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_QUOTED = str.maketrans({"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def parameter(value: Any) -> str:
    """The text of one query parameter (str, numbers, bool, None, dates, sequences, tuples, mappings)."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    return _moment(value) if isinstance(value, datetime.datetime) else _nested(value)


def quoted(text: str) -> str:
    """A string literal for SQL made of our own constants (paths, formats), quotes included."""
    return "'" + text.translate(_QUOTED) + "'"


def _nested(value: Any) -> str:
    if isinstance(value, str | datetime.datetime):
        return quoted(value if isinstance(value, str) else _moment(value))
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_nested(k)}:{_nested(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(map(_nested, value)) + ")"
    if isinstance(value, np.ndarray | list | set | frozenset):
        return "[" + ",".join(_nested(item) for item in value) + "]"
    return "NULL" if value is None else str(value)


def _moment(value: datetime.datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value.isoformat(sep=" ")
