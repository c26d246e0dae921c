"""Large columns of keys: numbering, grouping and membership, by sorting only what is small or simple to sort."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from windvane.tracing.analysis.spans import Ints, Keys, Mask

Column = TypeVar("Column", Ints, Keys)

_SHORT = 1 << 16  # NumPy sorts numbers of 16 bits in linear time


def among(values: Keys, known: Keys) -> Mask:
    """Which values are among the sorted known ones."""
    if not len(known):
        return np.zeros(len(values), np.bool_)
    return np.equal(known[np.minimum(np.searchsorted(known, values), len(known) - 1)], values)


def among_many(values: Keys, known: Keys) -> Mask:
    """The same where both are many: looked for in order, so that memory is read in order."""
    order = np.argsort(values)
    found = np.empty(len(values), np.bool_)
    found[order] = among(values[order], known)
    return found


def numbered(values: Column) -> tuple[Column, NDArray[Any]]:
    """The different values, sorted, and for each entry the number of its own; for columns of few different values."""
    different = np.sort(np.unique(values))
    numbers = np.searchsorted(different, values)
    return different, numbers.astype(np.uint16) if len(different) <= _SHORT else numbers


def grouped(numbers: NDArray[Any], groups: int) -> tuple[Ints, Ints]:
    """Rows in the order of their group, and where each group begins there (with the end of the last)."""
    order = np.argsort(numbers.astype(np.uint16) if groups <= _SHORT else numbers, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=groups))])
