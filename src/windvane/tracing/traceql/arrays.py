"""Which attributes were ever stored as arrays: their elements have no tokens in the index.

Learnt from the table's parts, each read once; a part that merging made is read again.
"""

from __future__ import annotations

import threading

from windvane.store.api import Engine

_TRIES = 5


class ArrayKeys:
    """The names in `AttributeTypes` (`span.k`, `event.0.k`, …) that hold an array in some span. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._parts: set[str] = set()
        self._keys: frozenset[str] = frozenset()

    def known(self) -> frozenset[str]:
        """All of them, brought up to date."""
        with self._lock:
            for _ in range(_TRIES):
                active = self._active()
                self._parts &= active
                fresh = sorted(active - self._parts)
                if not fresh:
                    break
                self._learn(fresh)
            return self._keys

    def _active(self) -> set[str]:
        frame = self._engine.query(
            "SELECT name AS Name FROM system.parts"
            " WHERE database = currentDatabase() AND table = 'otel_traces' AND active"
        )
        return {str(name) for name in frame["Name"].tolist()}

    def _learn(self, parts: list[str]) -> None:
        """Read parts; one that was merged away meanwhile stays unknown, and its successor is read next."""
        frame = self._engine.query(
            "SELECT _part AS Part,"
            " groupUniqArrayArray(mapKeys(mapFilter((k, v) -> v = 'array', AttributeTypes))) AS Keys"
            " FROM otel_traces WHERE _part IN {parts:Array(String)} GROUP BY Part",
            {"parts": parts},
        )
        self._parts |= {str(part) for part in frame["Part"].tolist()}
        found = {str(key) for keys in frame["Keys"].tolist() for key in keys}
        self._keys |= found
