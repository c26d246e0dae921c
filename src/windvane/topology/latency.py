"""Response times of edges, from Istio's duration histogram.

Buckets are merged per edge before a quantile is taken (quantiles cannot be averaged), so an edge
between two apps is right however many versions, and so is the edge from an injected service node.
The source's report counts where there is one, since it has the network and the retries in it.
"""

from __future__ import annotations

import math

import numpy as np

from windvane.promql.labels import Labels
from windvane.topology.traffic import Floats, Ints, Mask


def bounds_of(labels: Labels) -> tuple[Ints, Floats]:
    """For each series the index of its `le`, and all upper bounds in ascending order."""
    distinct, inverse = np.unique(labels.column("le"), return_inverse=True)
    values = np.array([_bound(labels.pool[code]) for code in distinct.tolist()])
    bounds, place = np.unique(values, return_inverse=True)
    return place.reshape(-1)[inverse.reshape(-1)].astype(np.int64), bounds


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def quantile(q: float, bounds: Floats, cumulative: Floats) -> Floats:
    """The q-quantile of each row of cumulative bucket counts, as Prometheus's `histogram_quantile`.

    `bounds` ascend and end in +Inf; within a bucket values are taken to lie evenly. NaN without
    observations, the last finite bound where the quantile lies above it.
    """
    counts = np.maximum.accumulate(cumulative, axis=1)
    total = counts[:, -1]
    rank = q * total
    place = np.minimum((counts < rank[:, None]).sum(axis=1), len(bounds) - 1)
    rows = np.arange(len(counts))
    below = np.where(place > 0, counts[rows, np.maximum(place - 1, 0)], 0.0)
    start = np.where(place > 0, bounds[np.maximum(place - 1, 0)], 0.0)
    end = bounds[place]
    inside = counts[rows, place] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        value = start + (end - start) * (rank - below) / inside
    value = np.where(np.isinf(end), start, value)
    value = np.where((place == 0) & (end <= 0), end, value)
    return np.where(total > 0, value, np.nan)


def merged(edge: Ints, edges: int, place: Ints, places: int, values: Floats) -> Floats:
    """(edges x places) sums of values that belong to an edge and a place."""
    sums: Floats = np.bincount(edge * places + place, weights=values, minlength=edges * places).astype(np.float64)
    return sums.reshape(edges, places)


def preferred(edge: Ints, edges: int, sent: Mask) -> Mask:
    """Which rows count: an edge's rows from the source where it has any, else the destination's."""
    has_source = np.zeros(edges, np.bool_)
    has_source[edge[sent]] = True
    return sent | ~has_source[edge]
