"""The heat map over a trace search: durations of matching spans over time."""

from __future__ import annotations

import math

from pydantic import BaseModel

from windvane.api.windvane.docs import Parameter, RouteDoc
from windvane.store.api import Engine
from windvane.tracing.heatmap import BANDS_PER_DECADE, heatmap
from windvane.tracing.search import TraceQuery

DEFAULT_COLUMNS, MAX_COLUMNS = 96, 500


class HeatCell(BaseModel):
    """Spans of one column (from 0) and one band of duration; empty cells are not listed."""

    column: int
    band: int
    spans: int
    errors: int


class TracesHeatmap(BaseModel):
    """Column c starts at `start` + c × `step_seconds`; band b at 10^(b / `bands_per_decade`) nanoseconds."""

    start: float
    step_seconds: float
    columns: int
    bands_per_decade: int
    cells: list[HeatCell]


def heatmap_doc(parameters: tuple[Parameter, ...]) -> RouteDoc:
    """What the route takes beside the query and its window."""
    columns = Parameter(
        "columns", f"How many columns of time at most (up to {MAX_COLUMNS}).", "integer", default=DEFAULT_COLUMNS
    )
    return RouteDoc(
        "Durations of the spans that match a query, over time",
        TracesHeatmap,
        (*parameters, columns),
        "Counts all matching spans of the window, not only those of a page of traces.",
    )


def heatmap_answer(engine: Engine, query: TraceQuery, columns: int) -> TracesHeatmap:
    """The window in `columns` steps of whole milliseconds."""
    length_ns = max(1, query.end_ns - query.start_ns)
    step_ns = math.ceil(length_ns / columns / 1_000_000) * 1_000_000
    return TracesHeatmap(
        start=query.start_ns / 1e9,
        step_seconds=step_ns / 1e9,
        columns=math.ceil(length_ns / step_ns),
        bands_per_decade=BANDS_PER_DECADE,
        cells=[
            HeatCell(column=one.column, band=one.band, spans=one.spans, errors=one.errors)
            for one in heatmap(engine, query, step_ns)
        ],
    )
