"""All series of a store in memory: what a selector means is found among integers, without SQL.

Series stand by metric name, for most selectors name one: a `Family` has a matrix of label codes with just the
columns that its series have. A matcher is tried once on each distinct value of a label, and a label that a
series lacks reads as '', which decides over whole families at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.promql.cache import known
from windvane.promql.labels import Codes, Index, Labels, Pool, concatenate
from windvane.promql.regex import anchored
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp
from windvane.promql.value import Ids, Mask, Times

_PLAIN = re.compile(r"[\w \-/:,=@%#&~!;'\"<>|]*")
"""Patterns that mean their text, or one of several: no character of RE2's syntax but the bar."""
_FEW = 4096


@dataclass(frozen=True, slots=True)
class Family:
    """The series of one metric name, ascending by id; labels with the name, row by row."""

    ids: Ids
    labels: Labels

    def plus(self, ids: Ids, labels: Labels) -> Family:
        """With series that are new to it."""
        both = np.concatenate([self.ids, ids])
        order = np.argsort(both)
        return Family(both[order], concatenate(self.labels, labels).take(order))


@dataclass(frozen=True, slots=True)
class Found:
    """What a selector means: ids, ascending, with the first and a bound of the last time of their samples."""

    ids: Ids
    first: Times
    last: Times


@dataclass(frozen=True)
class Families:
    """Series by id, ascending, and by metric name. Never altered, but for what is computed on demand."""

    pool: Pool
    ids: Ids
    first: Times
    last: Times
    by_name: Mapping[str, Family]
    cells: int = 0
    _places: dict[str, Index] = field(default_factory=dict)
    _owners: list[tuple[list[Family], Index, Index]] = field(default_factory=list)

    @classmethod
    def empty(cls, pool: Pool) -> Families:
        """No series."""
        return cls(pool, np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), {})

    def find(self, matchers: Sequence[Matcher]) -> Found:
        """The series that satisfy all matchers."""
        chosen = [self._place(name)[rows] for name, rows in self.rows(matchers)]
        if len(chosen) == 1:
            at = chosen[0]
        else:
            marks = np.zeros(len(self.ids), np.bool_)
            for places in chosen:
                marks[places] = True
            at = np.flatnonzero(marks)
        return Found(self.ids[at], self.first[at], self.last[at])

    def rows(self, matchers: Sequence[Matcher]) -> Iterator[tuple[str, Mask | slice]]:
        """Families with series that satisfy all matchers, and which of their rows do."""
        tests = [_Test(matcher, self.pool) for matcher in matchers if matcher.name != METRIC_NAME]
        for name in self._names([matcher for matcher in matchers if matcher.name == METRIC_NAME]):
            rows = _matching(self.by_name[name].labels, tests)
            if isinstance(rows, slice) or rows.any():
                yield name, rows

    def labels(self, ids: Ids) -> Labels | None:
        """Label sets of ids, row by row, without labels that none has; None where an id is not known."""
        if not len(ids):
            return Labels.empty(self.pool)
        at = np.searchsorted(self.ids, ids)
        if at.max() == len(self.ids) or not np.array_equal(self.ids[at], ids):
            return None
        families, owner, row = self._owned()
        owners = owner[at]
        first = int(owners[0])
        if (owners == first).all():
            return used(families[first].labels.take(row[at]))
        order = np.argsort(owners, kind="stable")
        bounds = np.flatnonzero(np.diff(owners[order], prepend=-1)).tolist()
        pieces = [order[low:high] for low, high in zip(bounds, [*bounds[1:], len(order)], strict=True)]
        return used(_gathered(self.pool, len(ids), [(families[int(owners[p[0]])], row[at[p]], p) for p in pieces]))

    def announced(self, ids: Ids, first: Times, last: Times) -> Families:
        """With the times of further announcements of series that are known; other ids are left out."""
        same = known(self.ids, ids)
        if not same.any():
            return self
        at = np.searchsorted(self.ids, ids[same])
        firsts, lasts = self.first.copy(), self.last.copy()
        firsts[at], lasts[at] = np.minimum(firsts[at], first[same]), np.maximum(lasts[at], last[same])
        return Families(self.pool, self.ids, firsts, lasts, self.by_name, self.cells, self._places, self._owners)

    def plus(self, ids: Ids, first: Times, last: Times, sets: Sequence[Mapping[str, str]]) -> Families:
        """With series that are not among these (ids ascending; label sets with the name)."""
        rows: dict[str, list[int]] = {}
        for row, one in enumerate(sets):
            rows.setdefault(one[METRIC_NAME], []).append(row)
        by_name, cells = dict(self.by_name), self.cells
        for name, own in rows.items():
            fresh, labels = ids[own], Labels.of(self.pool, [sets[row] for row in own])
            old = by_name.get(name)
            by_name[name] = made = Family(fresh, labels) if old is None else old.plus(fresh, labels)
            cells += made.labels.codes.size - (0 if old is None else old.labels.codes.size)
        at = np.searchsorted(self.ids, ids)
        all_ids: Ids = np.insert(self.ids, at, ids)
        firsts: Times = np.insert(self.first, at, first)
        return Families(self.pool, all_ids, firsts, np.insert(self.last, at, last), by_name, cells)

    def _names(self, matchers: Sequence[Matcher]) -> list[str]:
        for matcher in matchers:
            if matcher.op is MatchOp.EQUAL:
                names = [matcher.value] if matcher.value in self.by_name else []
                break
        else:
            names = list(self.by_name)
        tests = [_Test(matcher, self.pool) for matcher in matchers]
        return [name for name in names if all(test.holds(name) for test in tests)]

    def _place(self, name: str) -> Index:
        """Where the series of a family stand among all."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = np.searchsorted(self.ids, self.by_name[name].ids)
        return place

    def _owned(self) -> tuple[list[Family], Index, Index]:
        """The families, and for each series which has it, in which row."""
        if not self._owners:
            families = list(self.by_name.values())
            owner, row = np.zeros(len(self.ids), np.int64), np.zeros(len(self.ids), np.int64)
            for number, name in enumerate(self.by_name):
                place = self._place(name)
                owner[place], row[place] = number, np.arange(len(place))
            self._owners.append((families, owner, row))
        return self._owners[0]


def used(labels: Labels) -> Labels:
    """Without the columns that no row has a value in."""
    some = np.asarray(labels.codes.any(axis=0))
    if some.all():
        return labels
    names = tuple(name for name, own in zip(labels.names, some.tolist(), strict=True) if own)
    return Labels(labels.pool, names, np.ascontiguousarray(labels.codes[:, some]))


def _gathered(pool: Pool, size: int, pieces: Sequence[tuple[Family, Index, Index]]) -> Labels:
    """Rows of several families at their places in one table."""
    names = tuple(sorted({name for family, _, _ in pieces for name in family.labels.names}))
    column = {name: number for number, name in enumerate(names)}
    codes = np.zeros((size, len(names)), np.int32)
    for family, rows, places in pieces:
        columns = np.array([column[name] for name in family.labels.names])
        codes[places[:, None], columns] = family.labels.codes[rows]
    return Labels(pool, names, codes)


def _matching(labels: Labels, tests: Sequence[_Test]) -> Mask | slice:
    """The rows for which all tests hold."""
    mask: Mask | None = None
    for test in tests:
        if test.name in labels.names:
            own = test.mask(labels.column(test.name))
            mask = own if mask is None else mask & own
        elif not test.absent:
            return np.zeros(len(labels), np.bool_)
    return slice(None) if mask is None else mask


class _Test:
    """One matcher; tries each distinct value once."""

    def __init__(self, matcher: Matcher, pool: Pool) -> None:
        self.name = matcher.name
        self._pool = pool
        self._negative = matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX)
        regular = matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX)
        self._wanted: set[str] | None = None
        if not regular:
            self._wanted = {matcher.value}
        elif _PLAIN.fullmatch(matcher.value):
            self._wanted = set(matcher.value.split("|"))
        self._pattern = matcher.value
        self._known: dict[int, bool] = {}
        self.absent = self.holds("")

    def holds(self, text: str) -> bool:
        """Whether a label of this value satisfies the matcher."""
        if self._wanted is not None:
            return (text in self._wanted) != self._negative
        return (anchored(self._pattern).fullmatch(text) is not None) != self._negative

    def mask(self, codes: Codes) -> Mask:
        """For which values it holds, given their codes."""
        if self._wanted is None:
            return self._tried(codes)
        wanted = [code for text in self._wanted if (code := self._pool.find(text)) is not None]
        same: Mask = codes == wanted[0] if len(wanted) == 1 else np.isin(codes, np.array(wanted, np.int32))
        return ~same if self._negative else same

    def _tried(self, codes: Codes) -> Mask:
        if len(codes) <= _FEW:
            distinct, inverse = np.unique(codes, return_inverse=True)
            return self._verdicts(distinct)[inverse.reshape(-1)]
        some = np.zeros(int(codes.max()) + 1, np.bool_)
        some[codes] = True
        some[some] = self._verdicts(np.flatnonzero(some))
        return some[codes]

    def _verdicts(self, distinct: NDArray[np.integer]) -> Mask:
        known, pool = self._known, self._pool
        for code in distinct.tolist():
            if code not in known:
                known[code] = self.holds(pool[code])
        return np.fromiter((known[code] for code in distinct.tolist()), np.bool_, len(distinct))
