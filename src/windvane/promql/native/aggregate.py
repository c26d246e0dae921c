"""sum and avg over native histograms, and what other aggregations say about them."""

from __future__ import annotations

import numpy as np

from windvane.promql.native import totals
from windvane.promql.native.histogram import NO_RESET, RESET, Histogram
from windvane.promql.native.window import Reports
from windvane.promql.numbers import general
from windvane.promql.syntax import METRIC_NAME
from windvane.promql.value import Floats, Grid, Mask, Times, Vector

IGNORING = frozenset({"min", "max", "stddev", "stdvar", "quantile", "topk", "bottomk"})
"""Aggregations of floats only."""


def summed(
    operation: str, vector: Vector, group: Times, computed: tuple[Floats, Mask], reports: Reports
) -> tuple[Floats, Mask, Grid]:
    """sum or avg of a vector that has histograms, given the result of its floats: values, presence, histograms.

    A group of both kinds has no result.
    """
    native = vector.native
    assert native is not None
    which = vector.is_native()
    values, present = computed
    metrics = vector.labels.values(METRIC_NAME)
    grid = np.full(present.shape, None, object)
    members: dict[tuple[int, int], list[int]] = {}
    for step, row in zip(*(index.tolist() for index in np.nonzero(which.T)), strict=True):
        members.setdefault((step, int(group[row])), []).append(row)
    for (step, which_group), rows in members.items():
        if present[which_group, step]:
            present[which_group, step] = False
            reports.warn("encountered a mix of histograms and floats for aggregation")
            continue
        histograms: list[Histogram] = native[rows, step].tolist()
        result = _one(operation, histograms, [metrics[row] for row in rows], reports)
        if result is not None:
            grid[which_group, step], present[which_group, step] = result, True
    return values, present, grid


def _one(operation: str, histograms: list[Histogram], metrics: list[str], reports: Reports) -> Histogram | None:
    """The sum or mean of one group at one step; None when custom and standard buckets are mixed."""
    hints = {histogram.hint for histogram in histograms}
    odd = next((place for place, one in enumerate(histograms) if one.is_custom != histograms[0].is_custom), None)
    if odd is not None:
        reports.mixed_schemas(metrics[odd])
        return None
    result, reconciled = (totals.total if operation == "sum" else totals.average)(histograms)
    if reconciled:
        reports.bounds_reconciled("aggregation")
    if hints >= {RESET, NO_RESET}:
        reports.hints_collide("aggregation")
    return result.compacted()


def as_text(histogram: Histogram) -> str:
    """A histogram as count_values shows it: count, sum and populated buckets with their bounds."""
    parts = [f"count:{general(histogram.count)}", f"sum:{general(histogram.sum)}"]
    buckets = histogram.buckets().populated()
    for lower, upper, count in buckets.rows():
        opening, closing = histogram.inclusive(lower, upper)
        shown = f"{'[' if opening else '('}{general(lower)},{general(upper)}{']' if closing else ')'}"
        parts.append(f"{shown}:{general(count)}")
    return "{" + ", ".join(parts) + "}"
