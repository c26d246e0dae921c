"""Two ways around chDB's DataFrame output: no pyarrow, and no arrays of arrays, maps or tuples.

The first string column that chDB turns into a DataFrame decides for the life of the process how
it looks at pandas: if pandas was imported before, chDB insists on importing pyarrow (35 MB of
memory, 166 MB of disk, no use to us); if chDB imports pandas itself, it does not. So the first
DataFrame is asked for while pandas seems not to be imported; chDB's import then finds the very
module that everybody else has.

A column of arrays of arrays, maps or tuples comes out wrong from its second row on, or never (chDB
26.9 waits for itself). Such columns leave the engine as JSON and are parsed here.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import orjson
import pandas as pd
from chdb.state.sqlitelike import Connection

_once = threading.Lock()
_done: list[bool] = []


def prepare(connection: Connection) -> None:
    """Ask for the process's first DataFrame; later calls do nothing."""
    with _once:
        if _done:
            return
        known = sys.modules.get("pandas")
        if known is None or importlib.util.find_spec("pyarrow") is not None:
            connection.query("SELECT 'a' AS a", "DataFrame")
        else:
            _first_frame(connection, known)
        _done.append(True)


def _first_frame(connection: Connection, pandas: ModuleType) -> None:
    finder, spec = _Known(pandas), pandas.__spec__
    sys.meta_path.insert(0, finder)
    del sys.modules["pandas"]
    try:
        connection.query("SELECT 'a' AS a", "DataFrame")
    finally:
        sys.modules["pandas"] = pandas
        sys.meta_path.remove(finder)
        pandas.__spec__ = spec


class _Known(MetaPathFinder, Loader):
    """Finds one module that is already loaded."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == self._module.__name__ else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Already run."""


_NESTED = re.compile(r"Array\((Array|Map|Tuple|Nested|Variant|Dynamic|JSON)\b")


def nested(description: pd.DataFrame) -> tuple[str, ...]:
    """The columns that must travel as JSON, from the answer of `DESCRIBE (query)`."""
    pairs = zip(description["name"], description["type"], strict=True)
    return tuple(str(name) for name, kind in pairs if _NESTED.search(str(kind)))


def as_json(sql: str, columns: Sequence[str]) -> str:
    """The query with `columns` as JSON text."""
    replaced = ", ".join(f"toJSONString(`{name}`) AS `{name}`" for name in columns)
    return f"SELECT * REPLACE ({replaced}) FROM ({sql})"


def parse(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The frame with JSON columns as Python lists and dicts."""
    parsed = {name: pd.Series([orjson.loads(text) for text in frame[name]], dtype=object) for name in columns}
    return frame.assign(**parsed)
