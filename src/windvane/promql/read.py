"""Selectors as engine queries: matchers become SQL conditions, samples come back as flat columns.

The engine evaluates regular expressions (RE2, as Prometheus's). A label that a series lacks reads
as '' from the map, which is what PromQL says of absent labels. Samples arrive in any order and are
put in series order by a kernel.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pandas as pd

from windvane.kit.errors import LimitError
from windvane.promql.arrange import arrange
from windvane.promql.errors import QueryLimitError, QueryTimeoutError
from windvane.promql.labels import Labels, Pool, concatenate
from windvane.promql.native.read import NativeReader
from windvane.promql.plan import Read
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp
from windvane.promql.value import Ids, Samples
from windvane.store.api import Engine, Limits

_EARLIEST, _LATEST = -2_208_988_800_000, 10_413_791_999_999
"""What a DateTime64 can hold: 1900 to 2299, in milliseconds."""
_TIMEOUT = re.compile(r"TIMEOUT_EXCEEDED|Timeout exceeded|timed? ?out", re.IGNORECASE)


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


_FEW = 2000
"""So many ids are named in a query; more are found by the selector again."""
_AFTER, _UNTIL = "fromUnixTimestamp64Milli({after:Int64})", "fromUnixTimestamp64Milli({until:Int64})"


class Reader:
    """Reads selections from one store; safe from any thread.

    Labels of an id never change, so those seen are kept (`SeriesLabels`), and only ids are asked again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._labels = SeriesLabels()
        self._native = NativeReader(self._query)

    def read(self, read: Read, pool: Pool, limits: Limits) -> Samples:
        """All samples of a read; series without any are left out. `QueryLimitError` when there are too many."""
        where = condition(read.matchers)
        params = {**where.params, "after": clamp(read.after), "until": clamp(read.until)}
        ids = self._ids(where.sql, params, limits)
        if not len(ids):
            return Samples(Labels.empty(pool), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
        found = f"Id IN (SELECT Id FROM series WHERE {where.sql}) AND Time > {_AFTER} AND Time <= {_UNTIL}"
        frame = self._query(
            f"SELECT Id, toUnixTimestamp64Milli(Time) AS T, Value FROM samples WHERE {found}",
            params,
            limits,
        )
        columns = (frame["Id"].to_numpy(), frame["T"].to_numpy(), frame["Value"].to_numpy())
        offsets, times, values, stale = arrange(ids, *columns)
        native = self._native.read(ids, found, params, limits)
        counts = np.diff(offsets) if native is None else np.diff(offsets) + np.diff(native.offsets)
        some = np.flatnonzero(counts)
        if len(some) < len(ids):
            offsets = np.append(offsets[some], offsets[-1])
            native = None if native is None else native.take(some)
        labels = self._labels.of(ids[some], pool, lambda unknown: self._fetch(unknown, where, limits))
        return Samples(labels, offsets, times, values, stale, native)

    def _ids(self, where: str, params: dict[str, object], limits: Limits) -> Ids:
        """Ascending ids of the series that match and may have samples in the time asked for."""
        frame = self._query(
            f"SELECT Id FROM series WHERE {where} GROUP BY Id "
            f"HAVING min(FirstSeen) <= {_UNTIL} AND max(LastSeen) > {_AFTER} ORDER BY Id",
            params,
            Limits(limits.seconds, limits.memory_bytes),
        )
        return frame["Id"].to_numpy()

    def _fetch(self, unknown: Ids, where: Condition, limits: Limits) -> tuple[Ids, list[dict[str, str]]]:
        """Ids and label sets, names included, of at least the unknown ids that `where` holds for."""
        narrow = len(unknown) <= _FEW
        frame = self._query(
            f"SELECT Id, any(Name) AS N, any(toJSONString(Labels)) AS L FROM series WHERE {where.sql}"
            f"{' AND Id IN {ids:Array(UInt64)}' if narrow else ''} GROUP BY Id",
            {**where.params, "ids": unknown} if narrow else where.params,
            Limits(limits.seconds, limits.memory_bytes),
        )
        sets = [orjson.loads(text) for text in frame["L"].tolist()]
        named = [{METRIC_NAME: name, **labels} for name, labels in zip(frame["N"].tolist(), sets, strict=True)]
        return frame["Id"].to_numpy(), named

    def _query(self, sql: str, params: dict[str, object], limits: Limits) -> pd.DataFrame:
        try:
            return self._engine.query(sql, params, limits=limits)
        except LimitError as error:
            if _TIMEOUT.search(error.message):
                raise QueryTimeoutError("query timed out in query execution") from error
            raise QueryLimitError(
                f"query processing would load too many samples into memory in query execution ({error.message})"
            ) from error


class SeriesLabels:
    """Label sets by series id, bounded (a cell is four bytes); forgotten when the pool of their strings is replaced."""

    def __init__(self, most_cells: int = 32_000_000) -> None:
        self._most_cells = most_cells
        self._lock = threading.Lock()
        self._ids = np.zeros(0, np.uint64)
        self._labels: Labels | None = None

    def of(self, ids: Ids, pool: Pool, fetch: Fetch) -> Labels:
        """Labels of ids, row by row; `fetch` gives ids and label sets of those not known yet."""
        with self._lock:
            known, labels = self._ids, self._labels
        if labels is None or labels.pool is not pool or labels.codes.size > self._most_cells:
            known, labels = np.zeros(0, np.uint64), Labels.empty(pool)
        unknown = ids[~np.isin(ids, known)]
        if len(unknown):
            fresh, sets = fetch(unknown)
            new = ~np.isin(fresh, known)
            more = Labels.of(pool, [one for one, wanted in zip(sets, new.tolist(), strict=True) if wanted])
            known, labels = np.concatenate([known, fresh[new]]), concatenate(labels, more)
            order = np.argsort(known)
            known, labels = known[order], labels.take(order)
            with self._lock:
                self._ids, self._labels = known, labels
        chosen = labels.take(np.searchsorted(known, ids))
        used = np.asarray(chosen.codes.any(axis=0))
        return chosen.keep(name for name, some in zip(chosen.names, used.tolist(), strict=True) if some)


Fetch = Callable[[Ids], tuple[Ids, list[dict[str, str]]]]


def clamp(time: int) -> int:
    """A time that the store's columns can hold."""
    return max(_EARLIEST, min(_LATEST, time))
