"""sum and avg over native histograms, and what other aggregations say about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.promql.native import kernels, totals
from windvane.promql.native.bulk import histograms_of
from windvane.promql.native.columns import Grid
from windvane.promql.native.histogram import NO_RESET, RESET, Histogram
from windvane.promql.native.reports import Reports
from windvane.promql.numbers import general
from windvane.promql.syntax import METRIC_NAME
from windvane.promql.value import Floats, Mask, Times, Vector

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
    rows, steps = np.nonzero(which)
    taken = np.zeros(present.shape, np.bool_)
    taken[group[rows], steps] = True
    if (clash := taken & present).any():
        reports.warn("encountered a mix of histograms and floats for aggregation")
        present[clash] = False
    kept = ~clash[group[rows], steps]
    rows, steps = rows[kept], steps[kept]
    members = _Members.of(native, rows, steps, group[rows], present.shape)
    status, hints, notes, *results = kernels.summed(
        native.histograms.columns, members.numbers, members.starts, members.sets, operation == "avg", True
    )
    done = (status == kernels.DONE).reshape(present.shape)
    if (notes[status == kernels.DONE] & kernels.COLLISION).any():
        reports.hints_collide("aggregation")
    grid = Grid(np.full(present.shape, -1, np.int64), native.histograms)
    grid = grid.filled(done, histograms_of(native.histograms, hints[status == kernels.DONE], *results))
    patches = members.otherwise(status, operation, vector, reports)
    grid = grid.patched(patches)
    present |= done
    for place in patches:
        present[place] = True
    return values, present, grid


@dataclass(frozen=True, slots=True)
class _Members:
    """The elements of every group and step, in that order: element i has starts[i] to starts[i + 1].

    `sets` are the elements of each group.
    """

    rows: Times
    numbers: Times
    starts: Times
    sets: Times
    shape: tuple[int, ...]

    @classmethod
    def of(cls, native: Grid, rows: Times, steps: Times, group: Times, shape: tuple[int, ...]) -> _Members:
        element = group * shape[1] + steps
        order = np.argsort(element, kind="stable")  # rows of a group stay in their order
        starts = np.searchsorted(element[order], np.arange(shape[0] * shape[1] + 1))
        sets = shape[1] * np.arange(shape[0] + 1, dtype=np.int64)
        return cls(rows[order], native.index[rows[order], steps[order]], starts, sets, shape)

    def otherwise(
        self, status: NDArray[np.int8], operation: str, vector: Vector, reports: Reports
    ) -> dict[tuple[int, ...], Histogram]:
        """The sums or means of what the kernel left."""
        native, found = vector.native, {}
        assert native is not None
        metrics = vector.labels.values(METRIC_NAME)
        for element in np.flatnonzero(status == kernels.OTHERWISE).tolist():
            part = slice(int(self.starts[element]), int(self.starts[element + 1]))
            histograms = [native.histograms.one(number) for number in self.numbers[part].tolist()]
            result = _one(operation, histograms, [metrics[row] for row in self.rows[part].tolist()], reports)
            if result is not None:
                found[tuple(divmod(element, self.shape[1]))] = result
        return found


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
