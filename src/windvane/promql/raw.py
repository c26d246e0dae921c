"""Samples as they are stored, staleness markers among them: what remote read and federation hand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from windvane.kit.errors import LimitError
from windvane.promql.arrange import arrange
from windvane.promql.catalog import Window, series_condition
from windvane.promql.errors import QueryLimitError
from windvane.promql.read import clamp
from windvane.promql.syntax import METRIC_NAME, Matcher, Selector
from windvane.promql.value import Floats, Ids, Times
from windvane.store.api import Engine, Limits


@dataclass(frozen=True, slots=True)
class RawSeries:
    """Series in order of their labels; series i has times[offsets[i]:offsets[i + 1]], ascending (ms)."""

    labels: list[dict[str, str]]
    offsets: Times
    times: Times
    values: Floats


def raw_samples(engine: Engine, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limits: Limits) -> RawSeries:
    """Samples in [start, end] of series that satisfy all matchers; of several at one time, one.

    `QueryLimitError` when there are more than `limits.rows`, or a bound is reached otherwise.
    """
    where = series_condition([Selector(tuple(matchers))], Window(start_ms, end_ms))
    params = {**where.params, "first": clamp(start_ms), "last": clamp(end_ms)}
    try:
        frame = engine.query(
            "SELECT Id, toUnixTimestamp64Milli(Time) AS T, Value FROM samples "
            f"WHERE Id IN (SELECT Id FROM series WHERE {where.sql}) "
            "AND Time >= fromUnixTimestamp64Milli({first:Int64}) AND Time <= fromUnixTimestamp64Milli({last:Int64})",
            params,
            limits=limits,
        )
        named = _named(engine, where.sql, where.params, Limits(limits.seconds, limits.memory_bytes))
    except LimitError as error:
        raise QueryLimitError(f"too many samples to read at once ({error.message})") from error
    column = frame["Id"].to_numpy()
    ids: Ids = np.unique(column)
    offsets, times, values, *_ = arrange(ids, column, frame["T"].to_numpy(), frame["Value"].to_numpy())
    sets = [named[number] for number in ids.tolist()]
    order = np.array(sorted(range(len(sets)), key=lambda row: tuple(sets[row].items())), np.int64)
    return _in_order(RawSeries(sets, offsets, times, values), order)


def _named(engine: Engine, where: str, params: dict[str, object], limits: Limits) -> dict[int, dict[str, str]]:
    """Label sets by id, names in order."""
    frame = engine.query(
        f"SELECT Id, toString(Name) AS N, toJSONString(Labels) AS L FROM series WHERE {where} LIMIT 1 BY Id",
        params,
        limits=limits,
    )
    labels = orjson.loads(f"[{','.join(frame['L'].tolist())}]")
    return {
        number: dict(sorted({METRIC_NAME: name, **one}.items()))
        for number, name, one in zip(frame["Id"].tolist(), frame["N"].tolist(), labels, strict=True)
    }


def _in_order(series: RawSeries, order: Times) -> RawSeries:
    counts = np.diff(series.offsets)[order]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    starts = series.offsets[:-1][order]
    place = np.arange(int(offsets[-1])) + np.repeat(starts - offsets[:-1], counts)
    labels = [series.labels[row] for row in order.tolist()]
    return RawSeries(labels, offsets, series.times[place], series.values[place])
