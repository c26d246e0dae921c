"""Label sets of many series as one table of small integers.

A `Labels` is a matrix with a row for a series and a column for a label name; cells are codes of
strings in a `Pool`, and code 0 is '', which is the same as the label being absent. Grouping, joining
and dropping labels are then operations on integers (`group_rows` hashes rows without the GIL).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.promql.jit import kernel
from windvane.promql.syntax import METRIC_NAME

METADATA = (METRIC_NAME, "__type__", "__unit__")
"""Labels that describe a metric itself and are dropped by whatever changes its meaning."""

Codes = NDArray[np.int32]
Index = NDArray[np.int64]


class Pool:
    """Strings by code and codes by string; grows only, safe from any thread."""

    def __init__(self) -> None:
        self._strings = [""]
        self._codes = {"": 0}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._strings)

    def __getitem__(self, code: int) -> str:
        return self._strings[code]

    def code(self, text: str) -> int:
        """The code of a string, new if need be."""
        found = self._codes.get(text)
        if found is not None:
            return found
        with self._lock:
            found = self._codes.setdefault(text, len(self._strings))
            if found == len(self._strings):
                self._strings.append(text)
            return found

    def find(self, text: str) -> int | None:
        """The code of a string, if it has one."""
        return self._codes.get(text)

    def codes(self, texts: Iterable[str]) -> Codes:
        """Codes of many strings."""
        known, code = self._codes, self.code
        return np.fromiter((known[text] if text in known else code(text) for text in texts), np.int32)


@dataclass(frozen=True, slots=True)
class Labels:
    """Label sets: `codes[row, column]` is the value of `names[column]`; names are sorted."""

    pool: Pool
    names: tuple[str, ...]
    codes: Codes

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def empty(cls, pool: Pool, rows: int = 0) -> Labels:
        """`rows` label sets without any label."""
        return cls(pool, (), np.zeros((rows, 0), np.int32))

    @classmethod
    def of(cls, pool: Pool, sets: Sequence[Mapping[str, str]]) -> Labels:
        """From dictionaries, one a series."""
        names = tuple(sorted({name for labels in sets for name in labels}))
        codes = np.zeros((len(sets), len(names)), np.int32)
        for column, name in enumerate(names):
            codes[:, column] = pool.codes(labels.get(name, "") for labels in sets)
        return cls(pool, names, codes)

    def column(self, name: str) -> Codes:
        """Codes of one label for every series (0 where absent)."""
        if name in self.names:
            return self.codes[:, self.names.index(name)]
        return np.zeros(len(self), np.int32)

    def values(self, name: str) -> list[str]:
        """One label of every series as text."""
        return [self.pool[code] for code in self.column(name).tolist()]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> Labels:
        """The chosen rows."""
        return Labels(self.pool, self.names, self.codes[rows])

    def keep(self, names: Iterable[str]) -> Labels:
        """Only these labels; all of them become columns, absent or not."""
        chosen = tuple(sorted(set(names)))
        codes = np.zeros((len(self), len(chosen)), np.int32)
        for column, name in enumerate(chosen):
            if name in self.names:
                codes[:, column] = self.codes[:, self.names.index(name)]
        return Labels(self.pool, chosen, codes)

    def drop(self, names: Iterable[str]) -> Labels:
        """Without these labels."""
        gone = set(names)
        if gone.isdisjoint(self.names):
            return self
        kept = [column for column, name in enumerate(self.names) if name not in gone]
        return Labels(self.pool, tuple(self.names[column] for column in kept), self.codes[:, kept])

    def drop_name(self) -> Labels:
        """Without the metric's name and what else describes the metric itself."""
        return self.drop(METADATA)

    def with_column(self, name: str, codes: Codes) -> Labels:
        """With one label replaced or added."""
        wider = self.keep({*self.names, name})
        wider.codes[:, wider.names.index(name)] = codes
        return wider

    def map(self, name: str, change: Callable[[str], str]) -> Codes:
        """Codes of `change(value)` for every series; called once for each distinct value."""
        distinct, inverse = np.unique(self.column(name), return_inverse=True)
        return self.pool.codes(change(self.pool[code]) for code in distinct.tolist())[inverse.reshape(-1)]

    def groups(self) -> tuple[Index, Index]:
        """For each row the number of its label set, and for each label set its first row."""
        return group_rows(np.ascontiguousarray(self.codes))

    def unique(self) -> bool:
        """Whether no two rows are the same label set."""
        return len(self) < 2 or len(self.groups()[1]) == len(self)

    def order(self) -> Index:
        """Row numbers in Prometheus's order of label sets: by name, then value, label after label.

        So in each column a set that has no more labels comes first, then values, then sets whose next label is later.
        """
        keys: list[Index] = []
        later = np.zeros(len(self), np.bool_)
        for column in reversed(range(len(self.names))):
            codes = self.codes[:, column]
            distinct, inverse = np.unique(codes, return_inverse=True)
            texts = [self.pool[code] for code in distinct.tolist()]
            ranks = np.empty(len(texts), np.int64)
            ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(1, len(texts) + 1)
            present = codes != 0
            keys.append(np.where(present, ranks[inverse.reshape(-1)], np.where(later, len(texts) + 1, 0)))
            later |= present
        return np.lexsort(keys) if keys else np.arange(len(self))

    def dicts(self) -> list[dict[str, str]]:
        """As dictionaries without empty values, names in sorted order."""
        text = self.pool._strings
        names = self.names
        return [{n: text[c] for n, c in zip(names, row, strict=True) if c} for row in self.codes.tolist()]


def aligned(left: Labels, right: Labels) -> tuple[Labels, Labels]:
    """Both with the same columns."""
    names = {*left.names, *right.names}
    return left.keep(names), right.keep(names)


def concatenate(left: Labels, right: Labels) -> Labels:
    """The rows of both, left first."""
    a, b = aligned(left, right)
    return Labels(a.pool, a.names, np.concatenate([a.codes, b.codes]))


@kernel
def group_rows(codes: Codes) -> tuple[Index, Index]:
    """Number equal rows alike, in order of first appearance: (group of each row, first row of each group)."""
    rows, columns = codes.shape
    size = 16
    while size < 2 * rows:
        size *= 2
    table = np.full(size, -1, np.int64)
    group = np.empty(rows, np.int64)
    first = np.empty(rows, np.int64)
    count = 0
    for row in range(rows):
        digest = np.uint64(14695981039346656037)
        for column in range(columns):
            digest = (digest ^ np.uint64(codes[row, column])) * np.uint64(1099511628211)
            digest ^= digest >> np.uint64(29)
        slot = np.int64(digest & np.uint64(size - 1))
        while True:
            found = table[slot]
            if found < 0:
                table[slot] = count
                first[count] = row
                group[row] = count
                count += 1
                break
            same = True
            for column in range(columns):
                if codes[first[found], column] != codes[row, column]:
                    same = False
                    break
            if same:
                group[row] = found
                break
            slot = (slot + 1) & (size - 1)
    return group, first[:count].copy()
