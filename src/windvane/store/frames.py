"""Makes chDB's DataFrame output work beside pandas without pyarrow.

The first string column that chDB turns into a DataFrame decides for the life of the process how
it looks at pandas: if pandas was imported before, chDB insists on importing pyarrow (35 MB of
memory, 166 MB of disk, no use to us); if chDB imports pandas itself, it does not. So the first
DataFrame is asked for while pandas seems not to be imported; chDB's import then finds the very
module that everybody else has.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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
