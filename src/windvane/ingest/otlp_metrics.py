"""OTLP metrics as Prometheus series, translated as Prometheus's own OTLP receiver does.

A request becomes rows (`windvane.signals.otlp.metrics_scan`); names and labels are made only for rows
whose series are new. Names follow a strategy (`windvane.ingest.metric_names`); `service.namespace`/
`service.name` become `job`, `service.instance.id` becomes `instance`, and a resource's other
attributes stand in `target_info`. Explicit histograms become `_bucket`, `_sum`, `_count`;
exponential ones native histograms; deltas running totals. A point flagged as without a recorded
value ends its series. Start times are not stored.

What cannot be stored is told to the sender as a partial success; a point is stored whole or not.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from windvane.ingest import metric_names
from windvane.ingest.deltas import DeltaTotals
from windvane.ingest.deltas import warm as warm_deltas
from windvane.ingest.metric_commit import Exemplars, Histograms, MetricBatch, MetricStore
from windvane.ingest.metric_names import COUNTER, label_name, metric_name, unit_name
from windvane.ingest.otlp_labels import INFO, OtlpMetricSettings, point_labels, target_labels
from windvane.ingest.series_book import Pairs, Resolved
from windvane.ingest.series_table import warm as warm_table
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError, LimitError, WindvaneError
from windvane.signals.otlp import metrics_scan as otlp
from windvane.signals.otlp import points
from windvane.signals.refusals import Refusals, RefusedError
from windvane.store.api import Engine
from windvane.store.metric_facts import Metadata
from windvane.store.series import NAME, STALE

_INFO_EVERY_MS = 150_000
"""Half of Prometheus's lookback: so close samples of target_info are where a batch covers more time."""
_INFO_MOST_MS = 86_400_000
_INFO_KEY = np.uint64(0x7A2D_13F5_90C1_4E6B)
_KNOWN_TARGETS = 10_000
_SUFFIXES = {otlp.TOTAL: "_sum", otlp.COUNT: "_count", otlp.BUCKET: "_bucket", otlp.LAST_BUCKET: "_bucket"}
_ATTRIBUTES = {otlp.GAUGE: 7, otlp.SUM: 7, otlp.HISTOGRAM: 9, otlp.EXPONENTIAL: 1, otlp.SUMMARY: 7}
_TYPES = {
    otlp.GAUGE: (metric_names.GAUGE, "gauge"),
    otlp.SUM: (metric_names.SUM, "gauge"),
    otlp.HISTOGRAM: (metric_names.HISTOGRAM, "histogram"),
    otlp.EXPONENTIAL: (metric_names.EXPONENTIAL, "histogram"),
    otlp.SUMMARY: (metric_names.SUMMARY, "summary"),
}

Mask = NDArray[np.bool_]
Times = NDArray[np.int64]


@dataclass(slots=True)
class Translated:
    """A request as a batch: how many points arrived, how many of them are refused and why."""

    batch: MetricBatch
    refusals: Refusals
    received: int
    deltas: NDArray[np.uint64]
    delta_histograms: list[int]


class OtlpMetrics:
    """Translates and stores OTLP metrics of one tenant."""

    def __init__(
        self,
        engine: Engine,
        store: MetricStore,
        *,
        clock: Clock | None = None,
        settings: OtlpMetricSettings | None = None,
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._settings = settings or OtlpMetricSettings()
        self._totals = DeltaTotals(engine)
        self._targets: OrderedDict[tuple[int, int], dict[str, str] | None] = OrderedDict()

    def translate(self, payload: bytes) -> Translated:
        """A request as a batch; `BadInputError` when it is no ExportMetricsServiceRequest."""
        return _Translation(payload, self).result()

    async def store(self, translated: Translated) -> None:
        """Store a batch; when that fails, totals of deltas are taken anew from the store."""
        try:
            await self._store.store(translated.batch)
        except WindvaneError:
            self._totals.forget(translated.deltas, translated.delta_histograms)
            raise

    @property
    def settings(self) -> OtlpMetricSettings:
        return self._settings

    @property
    def totals(self) -> DeltaTotals:
        return self._totals

    @property
    def book(self) -> MetricStore:
        return self._store

    def now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def target(self, key: tuple[int, int], resource: bytes) -> dict[str, str] | None:
        """Labels of a resource's target_info; None when it has none."""
        if key not in self._targets:
            if len(self._targets) >= _KNOWN_TARGETS:
                self._targets.popitem(last=False)
            self._targets[key] = target_labels(dict(points.attributes(resource, 1)), self._settings)
        return self._targets[key]


def warm() -> None:
    """Compile what the first request would wait for."""
    otlp.warm()
    warm_table()
    warm_deltas()


class _Translation:
    """One request on its way to a batch."""

    def __init__(self, payload: bytes, owner: OtlpMetrics) -> None:
        self._owner, self._settings = owner, owner.settings
        self._found = found = otlp.scan(payload)
        limits = self._settings.limits
        if len(found.values) > limits.samples:
            raise LimitError(f"a request of {len(found.values)} samples, the limit is {limits.samples}")
        self._times = found.points[:, 3] // 1_000_000
        self._lowest, self._highest = limits.times(owner.now_ms(), self._times)
        self._refused = np.zeros(len(found.points), np.bool_)
        self._refusals = Refusals()
        self._names: dict[int, str] = {}
        self._resources: dict[int, dict[str, str]] = {}
        self._labels: dict[int, dict[str, str]] = {}

    def result(self) -> Translated:
        found = self._found
        self._refuse_metrics()
        self._refuse_points()
        targets = self._target_times() if self._settings.target_info else {}
        resolved = self._resolved(targets)
        rows = len(found.values)
        for row, error in resolved.refused.items():
            if row < rows:
                self._refuse(np.array([found.row_points[row]]), error)
        native = self._native(resolved)
        deltas, values = self._totals(resolved)
        kept = ~self._refused[found.row_points] & (found.roles != otlp.NATIVE) & (resolved.ids[:rows] != 0)
        ids, times, values = resolved.ids[:rows][kept], self._times[found.row_points][kept], values[kept]
        batch = MetricBatch(resolved.announcements, ids, times, values, native[0], self._exemplars(resolved))
        self._add_targets(batch, resolved, targets)
        batch.metadata = self._metadata(resolved)
        return Translated(batch, self._refusals, len(found.points), deltas, native[1])

    def _refuse(self, rows: NDArray[np.intp] | Mask, error: RefusedError) -> None:
        """Points (by number or mask) are not stored; each counts once."""
        before = int(self._refused.sum())
        self._refused[rows] = True
        self._refusals.add(error, int(self._refused.sum()) - before)

    def _refuse_metrics(self) -> None:
        """Points of metrics that have no temporality and need one."""
        kinds, temporalities = self._found.metrics[:, 4], self._found.metrics[:, 5]
        wrong = np.isin(kinds, (otlp.SUM, otlp.HISTOGRAM, otlp.EXPONENTIAL))
        wrong &= ~np.isin(temporalities, (otlp.DELTA, otlp.CUMULATIVE))
        for number in np.flatnonzero(wrong).tolist():
            name = points.string(self._found.part(*self._found.metrics[number, 2:4].tolist()), 1)
            error = RefusedError("temporality", f"metric {name!r} is neither cumulative nor delta")
            self._refuse(self._found.points[:, 0] == number, error)

    def _name(self, metric: int) -> str:
        """A metric family's name."""
        if metric not in self._names:
            start, end, kind, _, monotonic = self._found.metrics[metric, 2:].tolist()
            message = self._found.part(start, end)
            type_ = COUNTER if kind == otlp.SUM and monotonic else _TYPES[kind][0]
            try:
                name, unit = points.string(message, 1), points.string(message, 3)
                self._names[metric] = metric_name(name, unit, type_, self._settings.strategy)
            except BadInputError as error:
                raise RefusedError("invalid_name", error.message) from None
        return self._names[metric]

    def _refuse_points(self) -> None:
        found, times = self._found, self._times
        missing = found.points[:, 3] == 0
        if missing.any():
            self._refuse(missing, RefusedError("time_range", "a data point has no time"))
        for outside in (~missing & (times < self._lowest), times > self._highest):
            if outside.any():
                shown = int(times[outside][0])
                message = f"timestamp {shown} ms is not from {self._lowest} to {self._highest}"
                self._refuse(outside, RefusedError("time_range", message))
        valueless = found.row_points[(found.roles == otlp.VALUE) & (found.bounds == 0)]
        if len(valueless):
            self._refuse(valueless, RefusedError("no_value", "a data point has no value"))

    def _target_times(self) -> dict[int, tuple[int, int]]:
        """First and last time of points by resource, where the resource has a target_info."""
        found = self._found
        good = np.flatnonzero(~self._refused)
        resources = found.metrics[found.points[good, 0], 0]
        spans: dict[int, tuple[int, int]] = {}
        for resource in np.unique(resources).tolist():
            start, end, first, second = found.resources[resource].tolist()
            if self._owner.target((first, second), found.part(start, end)):
                own = self._times[good[resources == resource]]
                spans[resource] = int(own.min()), int(own.max())
        return spans

    def _resolved(self, targets: dict[int, tuple[int, int]]) -> Resolved:
        """Ids of rows, then of the target_info of resources."""
        found = self._found
        times = self._times[found.row_points]
        refused = self._refused[found.row_points]
        firsts = np.where(refused, np.iinfo(np.int64).max, times)
        lasts = np.where(refused, np.iinfo(np.int64).min, times)
        chosen = list(targets)
        info = found.resources[chosen, 2:].view(np.uint64) ^ _INFO_KEY if chosen else np.zeros((0, 2), np.uint64)
        spans = np.array(list(targets.values()), np.int64).reshape(-1, 2)
        facts = found.facts[found.points[found.row_points, 0]]

        def labels_of(row: int) -> Pairs:
            one = self._row_labels(row) if row < len(times) else self._target_labels(chosen[row - len(times)])
            return [(name.encode(), value.encode()) for name, value in one.items()]

        return self._owner.book.book.resolve(
            np.concatenate([found.keys, info]),
            np.concatenate([firsts, spans[:, 0]]),
            np.concatenate([lasts, spans[:, 1]]),
            np.concatenate([facts, np.ones(len(chosen), np.uint64)]),
            labels_of,
        )

    def _target_labels(self, resource: int) -> dict[str, str]:
        start, end, first, second = self._found.resources[resource].tolist()
        return self._owner.target((first, second), self._found.part(start, end)) or {}

    def _row_labels(self, row: int) -> dict[str, str]:
        found = self._found
        point, role = int(found.row_points[row]), int(found.roles[row])
        labels = dict(self._point_labels(point))
        name = self._name(int(found.points[point, 0]))
        if role in (otlp.BUCKET, otlp.LAST_BUCKET):
            labels["le"] = points.decimal(float(found.bounds[row]))
        elif role == otlp.QUANTILE:
            labels["quantile"] = points.decimal(float(found.bounds[row]))
        labels[NAME] = name + _SUFFIXES.get(role, "")
        return labels

    def _point_labels(self, point: int) -> dict[str, str]:
        if point not in self._labels:
            metric, start, end = self._found.points[point, :3].tolist()
            resource, scope, _, _, kind, _, _ = self._found.metrics[metric].tolist()
            try:
                own = list(points.attributes(self._found.part(start, end), _ATTRIBUTES[kind]))
                scoped = self._scope_labels(scope) if self._settings.promote_scope else {}
                self._labels[point] = point_labels(own, self._resource(resource), scoped, self._settings)
            except RefusedError:
                raise
            except BadInputError as error:
                raise RefusedError("invalid_labels", error.message) from None
        return self._labels[point]

    def _resource(self, resource: int) -> dict[str, str]:
        if resource not in self._resources:
            start, end = self._found.resources[resource, :2].tolist()
            self._resources[resource] = dict(points.attributes(self._found.part(start, end), 1))
        return self._resources[resource]

    def _scope_labels(self, scope: int) -> dict[str, str]:
        start, end, url, url_end = self._found.scopes[scope].tolist()
        message = self._found.part(start, end)
        name = points.string(message, 1)
        if not name:
            return {}
        strategy = self._settings.strategy
        labels = {
            "otel_scope_name": name,
            "otel_scope_version": points.string(message, 2),
            "otel_scope_schema_url": self._found.part(url, url_end).decode(errors="replace"),
        }
        others = points.attributes(message, 3)
        return labels | {label_name(f"otel_scope_{key}", strategy): value for key, value in others}

    def _totals(self, resolved: Resolved) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Ids of delta series, and the values of all rows with their deltas made into totals."""
        found = self._found
        kinds, temporalities = found.metrics[found.points[:, 0], 4], found.metrics[found.points[:, 0], 5]
        delta_points = (
            (temporalities == otlp.DELTA) & ((kinds == otlp.SUM) | (kinds == otlp.HISTOGRAM)) & ~self._refused
        )
        delta_points &= found.points[:, 5] & otlp.NO_VALUE == 0
        rows = np.flatnonzero(delta_points[found.row_points])
        if not len(rows):
            return np.zeros(0, np.uint64), found.values
        rows = rows[np.argsort(self._times[found.row_points[rows]], kind="stable")]
        ids, times = resolved.ids[rows], self._times[found.row_points[rows]]
        values = found.values.copy()
        values[rows], taken = self._owner.totals.add(ids, times, found.values[rows])
        if not taken.all():
            self._refuse(found.row_points[rows[~taken]], _not_newer())
            self._owner.totals.forget(ids[taken & self._refused[found.row_points[rows]]], [])
        return ids, values

    def _native(self, resolved: Resolved) -> tuple[Histograms, list[int]]:
        """Exponential histograms as native ones; ids of those that came as deltas."""
        found, kept, deltas = self._found, Histograms(), list[int]()
        for row in np.flatnonzero(found.roles == otlp.NATIVE).tolist():
            point, number = int(found.row_points[row]), int(resolved.ids[row])
            if self._refused[point] or not number:
                continue
            metric, start, end, _, _, flags, _ = found.points[point].tolist()
            time = int(self._times[point])
            try:
                one = points.exponential(found.part(start, end))
            except BadInputError as error:
                self._refuse(np.array([point]), RefusedError("invalid_histogram", error.message))
                continue
            if flags & otlp.NO_VALUE:
                one = replace(one, sum=STALE)
            elif int(found.metrics[metric, 5]) == otlp.DELTA:
                total = self._owner.totals.add_histogram(number, time, one)
                if total is None:
                    self._refuse(np.array([point]), _not_newer())
                    continue
                one = total
                deltas.append(number)
            kept.add(number, time, one)
        return kept, deltas

    def _exemplars(self, resolved: Resolved) -> Exemplars:
        """Each beside the series that counted it: of a histogram, the first bucket that holds its value."""
        found, kept = self._found, Exemplars()
        for point, start, end in found.exemplars.tolist():
            if self._refused[point]:
                continue
            try:
                one = points.exemplar(found.part(start, end))
            except BadInputError:
                continue
            time = one.time_ns // 1_000_000 or int(self._times[point])
            number = int(resolved.ids[self._exemplar_row(point, one.value)])
            if number and self._lowest <= time <= self._highest:
                kept.add(number, time, one.value, one.labels)
        return kept

    def _exemplar_row(self, point: int, value: float) -> int:
        found = self._found
        row = int(found.points[point, 6])
        while row < len(found.roles) and found.row_points[row] == point:
            if found.roles[row] in (otlp.VALUE, otlp.NATIVE, otlp.LAST_BUCKET) or (
                found.roles[row] == otlp.BUCKET and value <= found.bounds[row]
            ):
                return row
            row += 1
        return row - 1

    def _add_targets(self, batch: MetricBatch, resolved: Resolved, targets: dict[int, tuple[int, int]]) -> None:
        ids, times = list[int](), list[int]()
        own = resolved.ids[len(self._found.values) :].tolist()
        for number, (first, last) in zip(own, targets.values(), strict=True):
            if number:
                moments = [*range(max(first, last - _INFO_MOST_MS), last, _INFO_EVERY_MS), last]
                ids += [number] * len(moments)
                times += moments
        batch.ids = np.concatenate([batch.ids, np.array(ids, np.uint64)])
        batch.times = np.concatenate([batch.times, np.array(times, np.int64)])
        batch.values = np.concatenate([batch.values, np.ones(len(ids))])

    def _metadata(self, resolved: Resolved) -> list[Metadata]:
        found, known = self._found, dict[int, Metadata]()
        for row in resolved.heard:
            if row >= len(found.values):
                known[-1] = Metadata(INFO, "gauge", "Target metadata")
                continue
            metric = int(found.points[found.row_points[row], 0])
            if metric not in known:
                _, _, start, end, kind, _, monotonic = found.metrics[metric].tolist()
                message = found.part(start, end)
                type_ = "counter" if kind == otlp.SUM and monotonic else _TYPES[kind][1]
                unit = unit_name(points.string(message, 3), self._settings.strategy)
                known[metric] = Metadata(self._name(metric), type_, points.string(message, 2), unit)
        return list(known.values())


def _not_newer() -> RefusedError:
    return RefusedError("out_of_order", "a delta is not newer than the last one of its series")
