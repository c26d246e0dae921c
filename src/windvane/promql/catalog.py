"""Which series there are: label names, label values, label sets.

A series has a row in table `series` for every time it was announced (until merges join them), and its
samples lie between the first row's `FirstSeen` and the last one's `LastSeen`. Most series of a time
window are found by one row that reaches into it; only those with rows before and rows behind, and
none inside, need their rows put together. So labels are read without grouping a million maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from windvane.promql.read import Condition, clamp, condition
from windvane.promql.syntax import METRIC_NAME, Selector
from windvane.store.api import DEFAULT_LIMITS, Engine, Limits

_T = TypeVar("_T")

_START, _END = "fromUnixTimestamp64Milli({start:Int64})", "fromUnixTimestamp64Milli({end:Int64})"
_ORDERED = f"arraySort(arrayPushBack(arrayZip(Labels.keys, Labels.values), ('{METRIC_NAME}', toString(Name))))"


@dataclass(frozen=True, slots=True)
class Window:
    """Series that may have samples between two times (ms, inclusive)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Listing(Generic[_T]):
    """What was found, and whether a limit cut it off."""

    items: list[_T]
    truncated: bool = False


class Catalog:
    """Reads table `series`; safe from any thread. `limit` 0 means all, `limits` bound what a call may cost."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def label_names(
        self, selectors: Sequence[Selector], window: Window, limit: int = 0, limits: Limits = DEFAULT_LIMITS
    ) -> Listing[str]:
        """Label names in use, sorted, `__name__` among them."""
        where = series_condition(selectors, window)
        sql = f"SELECT DISTINCT arrayJoin(emptyArrayToSingle(Labels.keys)) AS V FROM series WHERE {where.sql}"
        found = self._strings(sql, where.params, limits)
        names = {METRIC_NAME, *found} - {""} if found else set()
        return _cut(sorted(names), limit)

    def label_values(
        self,
        label: str,
        selectors: Sequence[Selector],
        window: Window,
        limit: int = 0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Listing[str]:
        """Values of one label, sorted."""
        where = series_condition(selectors, window)
        column = "toString(Name)" if label == METRIC_NAME else "Labels[{label:String}]"
        sql = f"SELECT DISTINCT {column} AS V FROM series WHERE {where.sql} AND V != ''"
        return _cut(self._strings(sql, {**where.params, "label": label}, limits), limit)

    def series(
        self, selectors: Sequence[Selector], window: Window, limit: int = 0, limits: Limits = DEFAULT_LIMITS
    ) -> Listing[dict[str, str]]:
        """Label sets, in Prometheus's order: by label name, then value, label after label."""
        where = series_condition(selectors, window)
        order = f" ORDER BY {_ORDERED}" if limit else ""
        most = f" LIMIT {int(limit) + 1}" if limit else ""
        sql = (
            f"SELECT toString(Name) AS N, toJSONString(Labels) AS L FROM series WHERE {where.sql}{order} LIMIT 1 BY Id"
        )
        frame = self._engine.query(sql + most, where.params, limits=limits)
        sets = orjson.loads(f"[{','.join(frame['L'].tolist())}]")
        named = [
            dict(sorted({METRIC_NAME: name, **labels}.items()))
            for name, labels in zip(frame["N"].tolist(), sets, strict=True)
        ]
        named.sort(key=lambda labels: tuple(labels.items()))
        return Listing(named[: limit or None], bool(limit) and len(named) > limit)

    def _strings(self, sql: str, params: dict[str, object], limits: Limits) -> list[str]:
        return sorted(map(str, self._engine.query(sql, params, limits=limits)["V"].tolist()))


def _cut(found: list[str], limit: int) -> Listing[str]:
    return Listing(found[: limit or None], bool(limit) and len(found) > limit)


def series_condition(selectors: Sequence[Selector], window: Window) -> Condition:
    """Rows of `series` in the window that match any of the selectors (all, if none are given)."""
    parts = [condition(selector.matchers, f"s{number}m") for number, selector in enumerate(selectors)]
    params: dict[str, object] = {key: value for part in parts for key, value in part.params.items()}
    matched = " OR ".join(f"({part.sql})" for part in parts) or "1"
    start, end = clamp(window.start), clamp(window.end)
    if start > end:
        return Condition("0", params)
    if start != window.start and end != window.end:  # wider than any time the store can hold
        return Condition(f"({matched})", params)
    params |= {"start": start, "end": end}
    before = f"Id IN (SELECT Id FROM series WHERE ({matched}) AND LastSeen < {_START}"
    behind = f"Id IN (SELECT Id FROM series WHERE ({matched}) AND FirstSeen > {_END})"
    inside = f"FirstSeen <= {_END} AND LastSeen >= {_START}"
    return Condition(f"({matched}) AND ({inside} OR {before} AND {behind}))", params)
