"""How long the spans that satisfy a query took, over time: counts by columns of time and bands of duration."""

from __future__ import annotations

from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.filters.spans import FAILED
from windvane.tracing.search import TraceQuery, conditions

BANDS_PER_DECADE = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """Spans that start in one column of time with a duration in one band, and how many of them failed.

    `column` counts from the start in steps; band b holds durations of 10^(b / BANDS_PER_DECADE) nanoseconds or more,
    below 10^((b + 1) / BANDS_PER_DECADE).
    """

    column: int
    band: int
    spans: int
    errors: int


def heatmap(engine: Engine, query: TraceQuery, step_ns: int) -> list[Cell]:
    """The cells that are not empty, by column and band; `query`'s order and limit are of no account."""
    where = conditions(engine, query)
    params = {**where.params, "low": query.start_ns, "high": query.end_ns, "step": step_ns}
    frame = engine.query(
        "SELECT intDiv(toUnixTimestamp64Nano(Timestamp) - {low:Int64}, {step:Int64}) AS Column,"
        f" toInt32(floor(log10(greatest(Duration, 1)) * {BANDS_PER_DECADE})) AS Band,"
        f" count() AS Spans, countIf({FAILED}) AS Errors"
        f" FROM otel_traces WHERE {where} AND Timestamp BETWEEN"
        " fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        " GROUP BY Column, Band ORDER BY Column, Band",
        params,
    )
    return [Cell(*map(int, row)) for row in frame.itertuples(index=False, name=None)]
