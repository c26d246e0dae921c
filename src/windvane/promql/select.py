"""Which series a selector means: matchers become SQL conditions over table `series`.

Where all series are held in memory (`index`) they are found there. Else the engine evaluates regular
expressions (RE2, as Prometheus's). A label that a series lacks reads as '' from the map, which is what
PromQL says of absent labels. Selections are kept as long as the table's parts show no new row.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pandas as pd

from windvane.promql.cache import known
from windvane.promql.families import used
from windvane.promql.index import SeriesIndex
from windvane.promql.labels import Labels, Pool, concatenate
from windvane.promql.parts import Parts, change
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp
from windvane.promql.value import Ids, Times
from windvane.store.api import DEFAULT_LIMITS, Limits

_EARLIEST, _LATEST = -2_208_988_800_000, 10_413_791_999_999
"""What a DateTime64 can hold: 1900 to 2299, in milliseconds."""
_FEW = 2000
"""So many ids are named in a query; more are found by the selector again."""
_MOST_LEARNED = 200_000

Query = Callable[[str, dict[str, object], Limits], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause over table `series` and its parameters."""

    sql: str
    params: dict[str, object]


def condition(matchers: Sequence[Matcher], prefix: str = "m") -> Condition:
    """The series that satisfy all matchers."""
    clauses: list[str] = []
    params: dict[str, object] = {}
    for number, matcher in enumerate(matchers):
        label, value = f"{prefix}{number}l", f"{prefix}{number}v"
        column = "Name"
        if matcher.name != METRIC_NAME:
            column = f"Labels[{{{label}:String}}]"
            params[label] = matcher.name
        regular = matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX)
        params[value] = f"^(?s:{matcher.value})$" if regular else matcher.value
        clauses.append(_CLAUSES[matcher.op].format(column=column, value=f"{{{value}:String}}"))
    return Condition(" AND ".join(clauses) or "1", params)


_CLAUSES = {
    MatchOp.EQUAL: "{column} = {value}",
    MatchOp.NOT_EQUAL: "{column} != {value}",
    MatchOp.REGEX: "match({column}, {value})",
    MatchOp.NOT_REGEX: "NOT match({column}, {value})",
}


def clamp(time: int) -> int:
    """A time that the store's columns can hold."""
    return max(_EARLIEST, min(_LATEST, time))


@dataclass(frozen=True, slots=True)
class Selection:
    """All series that match, ascending by id, with the first and a bound of the last time of their samples."""

    ids: Ids
    first: Times
    last: Times
    parts: Parts

    def within(self, after: int, until: int) -> Ids:
        """Those that may have samples in (after, until]."""
        ids: Ids = self.ids[(self.first <= until) & (self.last > after)]
        return self.ids if len(ids) == len(self.ids) else ids


class Selections:
    """Finds selections and keeps the last ones, as long as they hold; `most_ids` bounds their size together."""

    def __init__(self, query: Query, index: SeriesIndex | None = None, most_ids: int = 4_000_000) -> None:
        self._query = query
        self._index = index
        self._most_ids = most_ids
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Matcher, ...], Selection] = OrderedDict()
        self._held = 0

    def find(self, matchers: tuple[Matcher, ...], parts: Parts, limits: Limits) -> Selection:
        """The selection as of `parts` of the table `series`, or newer."""
        with self._lock:
            kept = self._kept.get(matchers)
            if kept is not None:
                self._kept.move_to_end(matchers)
        if kept is not None and (kept.parts is parts or change(kept.parts, parts).fresh == ()):
            return kept
        found = self._read(matchers, parts, limits)
        with self._lock:
            self._drop(matchers)
            self._kept[matchers] = found
            self._held += len(found.ids)
            while self._held > self._most_ids:
                self._drop(next(iter(self._kept)))
        return found

    def _drop(self, matchers: tuple[Matcher, ...]) -> None:
        kept = self._kept.pop(matchers, None)
        self._held -= 0 if kept is None else len(kept.ids)

    def _read(self, matchers: tuple[Matcher, ...], parts: Parts, limits: Limits) -> Selection:
        held = None if self._index is None else self._index.at(parts)
        if held is not None:
            found = held.find(matchers)
            return Selection(found.ids, found.first, found.last, parts)
        where = condition(matchers)
        frame = self._query(
            "SELECT Id, toUnixTimestamp64Milli(min(FirstSeen)) AS F, toUnixTimestamp64Milli(max(LastSeen)) AS L "
            f"FROM series WHERE {where.sql} GROUP BY Id ORDER BY Id",
            where.params,
            limits,
        )
        columns = [
            np.array(frame[name].to_numpy()) for name in ("Id", "F", "L")
        ]  # writable, as kernels are compiled for
        return Selection(columns[0], columns[1], columns[2], parts)


Fetch = Callable[[Ids], tuple[Ids, list[dict[str, str]]]]


class SeriesLabels:
    """Label sets by series id, which never change: from the index of all series, or read and kept.

    What is kept is bounded (a cell is four bytes), and forgotten when the pool of its strings is replaced.
    """

    def __init__(self, query: Query, index: SeriesIndex | None = None, most_cells: int = 32_000_000) -> None:
        self._query = query
        self._index = index
        self._most_cells = most_cells
        self._lock = threading.Lock()
        self._ids = np.zeros(0, np.uint64)
        self._labels: Labels | None = None

    def of(self, ids: Ids, pool: Pool, where: Condition, limits: Limits) -> Labels:
        """Labels of ids (ascending) that `where` holds for, row by row."""
        held = None if self._index is None else self._index.labels(ids, pool)
        if held is not None:
            return held
        have, labels = self._kept(pool)
        unknown = ids[~known(have, ids)]
        if len(unknown):
            fresh, sets = self._fetch(unknown, where, limits)
            new = ~known(have, fresh)
            more = Labels.of(pool, [one for one, wanted in zip(sets, new.tolist(), strict=True) if wanted])
            have, labels = np.concatenate([have, fresh[new]]), concatenate(labels, more)
            order = np.argsort(have)
            have, labels = have[order], labels.take(order)
            with self._lock:
                self._ids, self._labels = have, labels
        return used(labels.take(np.searchsorted(have, ids)))

    def learn(self, ids: Ids, pool: Pool, limits: Limits = DEFAULT_LIMITS) -> None:
        """Fetch the labels of ids before a query asks for them, some at a time; not more than there is room for.

        Nothing to do where all series are held.
        """
        if self._index is not None and self._index.loaded:
            return
        unknown = ids[~known(self._kept(pool)[0], ids)]
        for start in range(0, min(len(unknown), _MOST_LEARNED), _FEW):
            if self._kept(pool)[1].codes.size > self._most_cells // 2:
                return
            self.of(unknown[start : start + _FEW], pool, Condition("1", {}), limits)

    def _kept(self, pool: Pool) -> tuple[Ids, Labels]:
        """What is known, ascending by id, as long as it may be used and added to."""
        with self._lock:
            have, labels = self._ids, self._labels
        if labels is None or labels.pool is not pool or labels.codes.size > self._most_cells:
            return np.zeros(0, np.uint64), Labels.empty(pool)
        return have, labels

    def _fetch(self, unknown: Ids, where: Condition, limits: Limits) -> tuple[Ids, list[dict[str, str]]]:
        """Ids and label sets, names included, of at least the unknown ids that `where` holds for."""
        clause, params = which(unknown, where)
        frame = self._query(
            "SELECT Id, any(Name) AS N, any(toJSONString(Labels)) AS L FROM series "
            f"WHERE {where.sql} AND {clause} GROUP BY Id",
            params,
            limits,
        )
        sets = [orjson.loads(text) for text in frame["L"].tolist()]
        named = [{METRIC_NAME: name, **labels} for name, labels in zip(frame["N"].tolist(), sets, strict=True)]
        return frame["Id"].to_numpy(), named


def which(ids: Ids, where: Condition) -> tuple[str, dict[str, object]]:
    """A clause true for rows of these ids, which `where` holds for, and perhaps for others: few are named."""
    if len(ids) <= _FEW:
        return "Id IN {ids:Array(UInt64)}", {**where.params, "ids": ids}
    return f"Id IN (SELECT Id FROM series WHERE {where.sql})", where.params
