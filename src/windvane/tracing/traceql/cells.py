"""Counting spans into cells (group, slot, bucket), and cells into series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from windvane.kit.errors import LimitError
from windvane.tracing.traceql.fields import Value
from windvane.tracing.traceql.search import field_label
from windvane.tracing.traceql.series import Exemplar, SeriesData, Slots, Values, log2_quantile
from windvane.tracing.traceql.spansets import key_of
from windvane.tracing.traceql.syntax import Function, Intrinsic, IntrinsicField, Reference

MAX_SERIES = 10_000
BUCKETED = frozenset({"histogram_over_time", "quantile_over_time"})


@dataclass(frozen=True, slots=True)
class Cell:
    """Spans of one group, slot and bucket: how many, and of their values the sum and the bounds."""

    count: int
    total: float = 0.0
    least: float = float("nan")
    most: float = float("nan")


def in_seconds(reference: Reference | None) -> bool:
    """Whether values are durations, which are shown in seconds."""
    return isinstance(reference, IntrinsicField) and reference.which in (
        Intrinsic.DURATION,
        Intrinsic.TRACE_DURATION,
        Intrinsic.EVENT_TIME,
    )


def bucket_of(value: float) -> int | None:
    """The power of two that is the upper bound of a value's bucket; None for values below 2, which have none."""
    whole = int(value)
    return (whole - 1).bit_length() if whole >= 2 else None


@dataclass(slots=True)
class _Group:
    values: tuple[Value, ...]
    slots: int
    buckets: dict[int, Values] = field(default_factory=dict)
    total: Values = field(init=False)
    least: Values = field(init=False)
    most: Values = field(init=False)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    """One a slot at most."""

    def __post_init__(self) -> None:
        self.total = np.zeros(self.slots)
        self.least = np.full(self.slots, np.nan)
        self.most = np.full(self.slots, np.nan)

    def counts(self, bucket: int) -> Values:
        """The counts of one bucket."""
        return self.buckets.setdefault(bucket, np.zeros(self.slots))


class Cells:
    """The cells of one function over one request."""

    def __init__(self, function: Function, slots: Slots) -> None:
        self._function = function
        self._slots = slots
        self._groups: dict[tuple[object, ...], _Group] = {}

    def add(self, group: tuple[Value, ...], slot: int, cell: Cell, bucket: int = 0) -> None:
        """Count a cell into its group; `LimitError` for too many groups."""
        key = tuple(map(key_of, group))
        found = self._groups.get(key)
        if found is None:
            if len(self._groups) >= MAX_SERIES:
                raise LimitError(f"the query makes more than {MAX_SERIES} series; group by less or filter more")
            found = self._groups[key] = _Group(group, self._slots.count)
        found.counts(bucket)[slot] += cell.count
        found.total[slot] += cell.total
        found.least[slot] = np.fmin(found.least[slot], cell.least)
        found.most[slot] = np.fmax(found.most[slot], cell.most)

    def exemplify(self, group: tuple[Value, ...], slot: int, exemplar: Exemplar) -> None:
        """Let a span stand for a slot of its group, which has been counted."""
        found = self._groups.get(tuple(map(key_of, group)))
        if found is not None:
            found.exemplars.setdefault(slot, exemplar)

    def series(self, exemplars: int = 0) -> list[SeriesData]:
        """The function's series, by labels; so many exemplars in all, spread over them."""
        made = [one for group in self._groups.values() for one in self._of_group(group)]
        made.sort(key=lambda one: repr(one.key))
        return _thinned(made, exemplars)

    def _of_group(self, group: _Group) -> list[SeriesData]:
        labels = self._labels(group)
        match self._function.name:
            case "histogram_over_time":
                return [
                    SeriesData((*labels, ("__bucket", self._bound(bucket))), counts, ())
                    for bucket, counts in sorted(group.buckets.items())
                ]
            case "quantile_over_time":
                return self._quantiles(group, labels)
        values = self._values(group)
        shown = tuple(
            self._shown(exemplar, values[slot]) for slot, exemplar in sorted(group.exemplars.items(), key=_slot)
        )
        return [SeriesData(labels or (("__name__", self._function.name),), values, shown)]

    def _shown(self, exemplar: Exemplar, value: float) -> Exemplar:
        if self._function.operand is not None:
            return exemplar
        return Exemplar(exemplar.trace_id, exemplar.time_ns, float(value))

    def _values(self, group: _Group) -> Values:
        count = group.counts(0)
        match self._function.name:
            case "rate":
                return count / self._slots.seconds
            case "count_over_time":
                return count
            case "min_over_time":
                return group.least
            case "max_over_time":
                return group.most
        with np.errstate(all="ignore"):
            values = group.total / count if self._function.name == "avg_over_time" else group.total
        return np.where(count > 0, values, np.nan)

    def _quantiles(self, group: _Group, labels: tuple[tuple[str, Value], ...]) -> list[SeriesData]:
        bounds = [(self._bound(bucket), counts) for bucket, counts in sorted(group.buckets.items())]
        exemplars = tuple(exemplar for _, exemplar in sorted(group.exemplars.items(), key=_slot))
        made = []
        for place, quantile in enumerate(self._function.quantiles):
            values = [
                log2_quantile(quantile, [(bound, counts[slot]) for bound, counts in bounds if counts[slot]])
                for slot in range(self._slots.count)
            ]
            made.append(SeriesData((*labels, ("p", quantile)), np.array(values), exemplars if not place else ()))
        return made

    def _bound(self, bucket: int) -> float:
        return 2.0**bucket / (1e9 if in_seconds(self._function.operand) else 1.0)

    def _labels(self, group: _Group) -> tuple[tuple[str, Value], ...]:
        """The groups' values that there are; when there is none, the first one says so."""
        names = [field_label(one) for one in self._function.by]
        labels = tuple((name, value) for name, value in zip(names, group.values, strict=True) if value is not None)
        return labels or ((names[0], None),) if names else ()


def _slot(item: tuple[int, Exemplar]) -> int:
    return item[0]


def _thinned(series: Sequence[SeriesData], most: int) -> list[SeriesData]:
    total = sum(len(one.exemplars) for one in series)
    if total <= most:
        return list(series)
    kept, place = [], 0
    for one in series:
        chosen = []
        for exemplar in one.exemplars:
            if most and (place * most) // total != ((place + 1) * most) // total:
                chosen.append(exemplar)
            place += 1
        kept.append(SeriesData(one.labels, one.values, tuple(chosen)))
    return kept
