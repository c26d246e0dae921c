"""Exemplars of the series that a query's selectors match."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pandas as pd

from windvane.promql.catalog import Window, series_condition
from windvane.promql.read import clamp
from windvane.promql.syntax import METRIC_NAME, Expr, Selector, children
from windvane.promql.value import Floats, Times
from windvane.store.api import Engine, Limits

_LIMITS = Limits(seconds=60, rows=1_000_000)


@dataclass(frozen=True, slots=True)
class SeriesExemplars:
    """One series' exemplars, ascending in time: milliseconds, values, and each one's own labels."""

    series: dict[str, str]
    times: Times
    values: Floats
    labels: list[dict[str, str]]


def selectors(expr: Expr) -> list[Selector]:
    """Every series selector in an expression."""
    found = [expr] if isinstance(expr, Selector) else []
    return found + [selector for child in children(expr) for selector in selectors(child)]


def exemplars(engine: Engine, chosen: Sequence[Selector], start_ms: int, end_ms: int) -> list[SeriesExemplars]:
    """Exemplars between two times (inclusive) of series that any selector matches, in order of their labels.

    `LimitError` when there are more than a million.
    """
    where = series_condition(chosen, Window(start_ms, end_ms))
    params = {**where.params, "first": clamp(start_ms), "last": clamp(end_ms)}
    found = (
        f"FROM exemplars WHERE Id IN (SELECT Id FROM series WHERE {where.sql}) "
        "AND Time >= fromUnixTimestamp64Milli({first:Int64}) AND Time <= fromUnixTimestamp64Milli({last:Int64})"
    )
    rows = engine.query(
        f"SELECT Id, toUnixTimestamp64Milli(Time) AS T, Value, toJSONString(Labels) AS L {found} ORDER BY Id, Time",
        params,
        limits=_LIMITS,
    )
    if rows.empty:
        return []
    named = engine.query(
        "SELECT Id, any(toString(Name)) AS N, any(toJSONString(Labels)) AS L FROM series "
        f"WHERE Id IN (SELECT Id {found}) GROUP BY Id",
        params,
        limits=_LIMITS,
    )
    return sorted(_grouped(rows, named), key=lambda one: tuple(one.series.items()))


def _grouped(rows: pd.DataFrame, named: pd.DataFrame) -> Iterator[SeriesExemplars]:
    sets = {
        number: dict(sorted({METRIC_NAME: name, **orjson.loads(labels)}.items()))
        for number, name, labels in zip(named["Id"].tolist(), named["N"].tolist(), named["L"].tolist(), strict=True)
    }
    ids, times, values = rows["Id"].to_numpy(), rows["T"].to_numpy(), rows["Value"].to_numpy()
    labels = orjson.loads(f"[{','.join(rows['L'].tolist())}]")
    bounds = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
    for first, last in itertools.pairwise(bounds):
        part = slice(first, last)
        yield SeriesExemplars(sets[int(ids[first])], times[part], values[part], labels[part])
