"""Whole answers kept for queries asked again while nothing they read has changed.

A dashboard that several people watch, or that asks the same panel twice, gets the answer computed
before. It holds as long as the parts of the tables show no new row and no deletion (`parts.change`),
so it is what evaluating again would give. Bounded in bytes, least recently used first out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from windvane.promql.parts import Parts, change
from windvane.promql.value import MatrixResult, QueryValue, VectorResult

_OVERHEAD = 1_000


Result = TypeVar("Result")


def size_of(value: QueryValue) -> int | None:
    """About the memory of a query's value; None for what is not kept (native histograms)."""
    if not isinstance(value, VectorResult | MatrixResult):
        return _OVERHEAD
    if value.native is not None:
        return None
    times = value.times.nbytes + value.offsets.nbytes if isinstance(value, MatrixResult) else 0
    return _OVERHEAD + times + value.values.nbytes + value.labels.codes.nbytes


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Result]):
    """A result, the parts it was computed from, and its size."""

    result: Result
    parts: dict[str, Parts]
    size: int

    def holds(self, parts: dict[str, Parts]) -> bool:
        """Whether nothing was written or deleted since."""
        return all(
            old.number >= parts[table].number or change(old, parts[table]).fresh == ()
            for table, old in self.parts.items()
        )


class AnswerCache(Generic[Result]):
    """Results by query and times; safe from any thread. `most_bytes` bounds them all, one to an eighth of it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Answer[Result]] = OrderedDict()
        self._held = 0

    def find(self, key: Hashable, parts: Callable[[], dict[str, Parts]]) -> Result | None:
        """The result of this query, if it still holds; the present parts are asked for if there is one."""
        with self._lock:
            found = self._answers.get(key)
        if found is None:
            return None
        holds = found.holds(parts())
        with self._lock:
            if self._answers.get(key) is found:
                if holds:
                    self._answers.move_to_end(key)
                else:
                    self._drop(key)
        return found.result if holds else None

    def keep(self, key: Hashable, result: Result, size: int | None, parts: dict[str, Parts]) -> None:
        """Hold a result, unless it is large."""
        if size is None or 8 * size > self._most_bytes:
            return
        with self._lock:
            self._drop(key)
            self._answers[key] = _Answer(result, parts, size)
            self._held += size
            while self._held > self._most_bytes:
                self._drop(next(iter(self._answers)))

    @property
    def held_bytes(self) -> int:
        """Memory of all results."""
        with self._lock:
            return self._held

    def _drop(self, key: Hashable) -> None:
        found = self._answers.pop(key, None)
        self._held -= 0 if found is None else found.size
