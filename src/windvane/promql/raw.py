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
from windvane.promql.native.read import NativeReader
from windvane.promql.read import clamp
from windvane.promql.syntax import METRIC_NAME, Matcher, Selector
from windvane.promql.value import Floats, Ids, NativeSamples, Times
from windvane.store.api import Engine, Limits

_FIRST, _LAST = "fromUnixTimestamp64Milli({first:Int64})", "fromUnixTimestamp64Milli({last:Int64})"


@dataclass(frozen=True, slots=True)
class RawSeries:
    """Series in order of their labels; series i has times[offsets[i]:offsets[i + 1]], ascending (ms).

    `native` has their native histograms, None where there are none at all.
    """

    labels: list[dict[str, str]]
    offsets: Times
    times: Times
    values: Floats
    native: NativeSamples | None = None


def raw_samples(engine: Engine, matchers: Sequence[Matcher], start_ms: int, end_ms: int, limits: Limits) -> RawSeries:
    """Samples in [start, end] of series that satisfy all matchers; of several at one time, one.

    `QueryLimitError` when there are more than `limits.rows`, or a bound is reached otherwise.
    """
    where = series_condition([Selector(tuple(matchers))], Window(start_ms, end_ms))
    params = {**where.params, "first": clamp(start_ms), "last": clamp(end_ms)}
    found = f"Id IN (SELECT Id FROM series WHERE {where.sql}) AND Time >= {_FIRST} AND Time <= {_LAST}"
    plain = Limits(limits.seconds, limits.memory_bytes)
    try:
        frame = engine.query(
            f"SELECT Id, toUnixTimestamp64Milli(Time) AS T, Value FROM samples WHERE {found}", params, limits=limits
        )
        named = _named(engine, where.sql, where.params, plain)
        ids: Ids = np.array(sorted(named), np.uint64)
        reader = NativeReader(lambda sql, given, bounds: engine.query(sql, given, limits=bounds))
        native = reader.read(ids, found, params, plain)
    except LimitError as error:
        raise QueryLimitError(f"too many samples to read at once ({error.message})") from error
    offsets, times, values, *_ = arrange(ids, frame["Id"].to_numpy(), frame["T"].to_numpy(), frame["Value"].to_numpy())
    sets = [named[number] for number in ids.tolist()]
    counts = np.diff(offsets) if native is None else np.diff(offsets) + np.diff(native.offsets)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda row: tuple(sets[row].items()))
    return _chosen(RawSeries(sets, offsets, times, values, native), np.array(order, np.int64))


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


def _chosen(series: RawSeries, rows: Times) -> RawSeries:
    """Some of the series, in the order given."""
    counts = np.diff(series.offsets)[rows]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    place = np.arange(int(offsets[-1])) + np.repeat(series.offsets[:-1][rows] - offsets[:-1], counts)
    native = None if series.native is None else series.native.take(rows)
    labels = [series.labels[row] for row in rows.tolist()]
    return RawSeries(labels, offsets, series.times[place], series.values[place], native)
