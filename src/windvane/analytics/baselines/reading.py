"""What Istio's metrics, and those made of spans, say of every scope, minute by minute: a few queries for each kind.

Both proxies of a call report it; of a scope's requests and failures the larger report counts, as in `mesh_series`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.contract import Kind, Scope
from windvane.analytics.mesh_series import FAILURES, QUANTILE, RANGE, STEP
from windvane.analytics.releases.read import AskRange
from windvane.promql.value import MatrixResult

Small = npt.NDArray[np.float32]
_SERVICE = ("destination_service_namespace", "destination_service_name")
_REPORTERS = 'reporter=~"destination|source"'
_UNKNOWN = ("", "unknown")
_SPANS = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
_BY: dict[Kind, tuple[str, ...]] = {
    "service": _SERVICE,
    "workload": (
        *_SERVICE, "destination_workload", "destination_canonical_service", "destination_workload_namespace"
    ),
    "version": (*_SERVICE, "destination_version", "destination_canonical_revision"),
    "edge": (*_SERVICE, "source_canonical_service", "source_workload_namespace"),
    "operation": ("service", "span_name"),
}  # fmt: skip


@dataclass
class Minutes:
    """Minutes of the scopes of one kind: row i of each matrix is of `scopes[i]`; NaN is unknown."""

    scopes: list[Scope]
    requests: Small
    errors: Small
    latency: Small
    """Milliseconds, the 95th percentile."""
    mean: Small
    """Milliseconds; unknown of minutes that were read without."""


@dataclass
class Reader:
    """Reads minutes of scopes. `names` is what was learnt of services' applications: (namespace, application) to the
    service that it is behind, so that callers are named as services are."""

    ask: AskRange
    kinds: Sequence[Kind]
    names: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def read(self, first: int, size: int, *, means: bool = True) -> Iterator[tuple[Kind, Minutes]]:
        """`size` minutes from minute `first` (since the epoch) on, one kind after another; with `means` or without."""
        for kind in sorted(self.kinds, key=list(_BY).index):
            yield kind, self._kind(kind, first, size, means)

    def earliest(self, first: int, last: int) -> int:
        """About the first minute of [first, last] in which anything is known; `last` less an hour if nothing is."""
        step = 30 * STEP * 1_000
        found = self.ask(f"count(istio_requests_total{{{_REPORTERS}}})", first * 60_000, last * 60_000, step)
        times = found.times
        return max(first, int(times.min()) // 60_000 - 30) if len(times) else max(first, last - 60)

    def _kind(self, kind: Kind, first: int, size: int, means: bool) -> Minutes:
        table = _Table(self._scope_of(kind), size, first)
        start, end = first * 60_000, (first + size - 1) * 60_000
        for place, query in _queries(kind):
            if place == "time" and not means:
                continue
            result = self.ask(query, start, end, STEP * 1_000)
            if kind == "workload" and place == "requests":
                self._learn_names(result)
            table.take(place, result, ("reporter", *_BY[kind]), 1_000.0 if kind == "operation" else 1.0)
        return table.minutes()

    def _learn_names(self, result: MatrixResult) -> None:
        columns = (result.labels.values(name) for name in _BY["workload"])
        for namespace, service, _, application, home in zip(*columns, strict=True):
            if application not in _UNKNOWN and service not in _UNKNOWN:
                self.names[home, application] = (namespace, service)

    def _scope_of(self, kind: Kind) -> Callable[[tuple[str, ...]], Scope | None]:
        def scope(labels: tuple[str, ...]) -> Scope | None:
            if kind == "operation":
                name, _, namespace = labels[0].partition(".")
                return Scope(kind, namespace, name, labels[1]) if name and labels[1] else None
            namespace, name, *more = labels
            if name in _UNKNOWN:
                return None
            if kind == "service":
                return Scope(kind, namespace, name)
            detail = self._caller(more[1], more[0]) if kind == "edge" else _first_known(more)
            return Scope(kind, namespace, name, detail) if detail else None

        return scope

    def _caller(self, namespace: str, application: str) -> str:
        if application in _UNKNOWN:
            return ""
        space, name = self.names.get((namespace, application), (namespace, application))
        return f"{name}.{space}" if space else name


def _first_known(labels: list[str]) -> str:
    """The version, or the revision where there is none; the workload."""
    return next((one for one in labels[:2] if one not in _UNKNOWN), "")


def _queries(kind: Kind) -> Iterator[tuple[str, str]]:
    by = ", ".join(_BY[kind])
    if kind == "operation":
        calls = f"traces_spanmetrics_calls_total{{{_SPANS}}}"
        yield "requests", f"sum by ({by}) ({STEP} * rate({calls}[{RANGE}s]))"
        failed = f'traces_spanmetrics_calls_total{{{_SPANS},status_code="STATUS_CODE_ERROR"}}'
        yield "errors", f"sum by ({by}) ({STEP} * rate({failed}[{RANGE}s]))"
        buckets = f"rate(traces_spanmetrics_latency_bucket{{{_SPANS}}}[{RANGE}s])"
        yield "latency", f"histogram_quantile({QUANTILE}, sum by ({by}, le) ({buckets}))"
        yield "time", f"sum by ({by}) ({STEP} * rate(traces_spanmetrics_latency_sum{{{_SPANS}}}[{RANGE}s]))"
        return
    by = f"reporter, {by}"
    yield "requests", f"sum by ({by}) ({STEP} * rate(istio_requests_total{{{_REPORTERS}}}[{RANGE}s]))"
    for failure in FAILURES:
        yield "errors", f"sum by ({by}) ({STEP} * rate(istio_requests_total{{{_REPORTERS},{failure}}}[{RANGE}s]))"
    buckets = f"rate(istio_request_duration_milliseconds_bucket{{{_REPORTERS}}}[{RANGE}s])"
    yield "latency", f"histogram_quantile({QUANTILE}, sum by ({by}, le) ({buckets}))"
    spent = f"rate(istio_request_duration_milliseconds_sum{{{_REPORTERS}}}[{RANGE}s])"
    yield "time", f"sum by ({by}) ({STEP} * {spent})"


class _Table:
    """Results of queries laid into matrices, a row for each reporter and scope."""

    def __init__(self, scope_of: Callable[[tuple[str, ...]], Scope | None], size: int, first: int) -> None:
        self._scope_of, self._size, self._first = scope_of, size, first
        self._rows: dict[tuple[str, Scope], int] = {}
        self._known: dict[tuple[str, ...], int] = {}
        self._columns: dict[str, Small] = {}

    def take(self, place: str, result: MatrixResult, names: tuple[str, ...], scale: float) -> None:
        """Lay a result into the matrix of requests, errors, latency or time (the sum of it)."""
        keys = list(zip(*(result.labels.values(name) for name in names), strict=True))
        rows = np.fromiter((self._row(key, place == "requests") for key in keys), np.int64, len(keys))
        matrix = self._matrix(place)
        counts = np.diff(result.offsets)
        line = np.repeat(rows, counts)
        column = result.times // 60_000 - self._first
        values = result.values.astype(np.float32)
        told = (line >= 0) & np.isfinite(values)
        flat, where = matrix.reshape(-1), (line * self._size + column)[told]
        if place == "latency":
            np.fmax.at(flat, where, values[told] * np.float32(scale))
        else:
            flat[where] = np.nan_to_num(flat[where])  # known from now on
            np.add.at(flat, where, values[told] * np.float32(scale if place == "time" else 1.0))

    def _matrix(self, place: str) -> Small:
        matrix = self._columns.get(place)
        many = len(self._rows)
        if matrix is None or len(matrix) < many:
            wider = np.full((many, self._size), np.nan, np.float32)
            if matrix is not None:
                wider[: len(matrix)] = matrix
            self._columns[place] = matrix = wider
        return matrix

    def _row(self, key: tuple[str, ...], fresh: bool) -> int:
        found = self._known.get(key)
        if found is None:
            scope = self._scope_of(key[1:])
            if scope is None:
                found = -1
            elif fresh:
                found = self._rows.setdefault((key[0], scope), len(self._rows))
            else:
                found = self._rows.get((key[0], scope), -1)
            self._known[key] = found
        return found

    def minutes(self) -> Minutes:
        """Of every scope: the larger of both reports."""
        numbers: dict[Scope, int] = {}
        line = np.fromiter(
            (numbers.setdefault(scope, len(numbers)) for _, scope in self._rows), np.int64, len(self._rows)
        )
        merged = []
        for matrix in (*map(self._matrix, ("requests", "errors", "latency")), self._means()):
            into = np.full((len(numbers), self._size), np.nan, np.float32)
            np.fmax.at(into, line, matrix)
            merged.append(into)
        requests, errors, latency, mean = merged
        errors = np.where(np.isfinite(requests), np.nan_to_num(errors), np.float32(np.nan))
        return Minutes(list(numbers), requests, np.fmin(errors, requests), latency, mean)

    def _means(self) -> Small:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = self._matrix("time") / self._matrix("requests")
        return np.where(found > 0, found, np.float32(np.nan))
