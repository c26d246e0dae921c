"""From what a target exposes to what is stored: ids of its series, staleness markers, limits.

The text of a series decides its labels, so labels are made (honouring or not, metric relabelling,
limits) once per text. A scrape whose series are the same as the last time's reuses the whole plan: its
ids, and which samples are kept. Rules are Prometheus's: a series that is gone ends with a staleness
marker, unless it came with timestamps of its own; of two samples of a series for one time the first counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.ingest.scrape import native
from windvane.ingest.scrape.config import ScrapeConfig
from windvane.ingest.scrape.fields import is_classic_label
from windvane.ingest.scrape.relabel import Labels, Relabeller
from windvane.kit.errors import LimitError
from windvane.signals.exposition import NO_TIME, Exposition, NativeHistogram
from windvane.store.series import ANNOUNCE_EVERY_MS, NAME, STALE, digest, pair

FUTURE_MS, PAST_MS = 600_000, 3_600_000
"""How far a timestamp of the target's own may be from the scrape; beyond, the sample is dropped."""

_DROPPED = -1
_SPARE_ROWS = 1000
_STALE_HISTOGRAM = NativeHistogram(0, 0.0, STALE)

Ids = NDArray[np.uint64]
Times = NDArray[np.int64]


class SampleError(LimitError):
    """A series or a scrape that breaks a rule: the whole scrape fails. `counts` has what was read of it."""

    def __init__(self, message: str, counts: Counts | None = None) -> None:
        super().__init__(message)
        self.counts = counts
        self.key = b""  # of the series that broke it


@dataclass(slots=True)
class Block:
    """Samples on their way to the store, and what has to be told of their series before."""

    ids: Ids
    times_ms: Times
    values: NDArray[np.float64]
    announce: list[tuple[Labels, int]] = field(default_factory=list)
    histograms: list[tuple[int, int, NativeHistogram]] = field(default_factory=list)
    exemplars: list[tuple[int, int, float, Labels]] = field(default_factory=list)

    @classmethod
    def empty(cls) -> Block:
        """Nothing yet."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0))

    def __len__(self) -> int:
        return len(self.ids) + len(self.histograms)

    def take_floats(self) -> None:
        """The float samples, and what is told of series, are stored: only the rest is left."""
        self.ids, self.times_ms, self.values = self.ids[:0], self.times_ms[:0], self.values[:0]
        self.announce = []

    def add(self, ids: Ids, time_ms: int, values: NDArray[np.float64]) -> None:
        """More samples, all of one time."""
        self.ids = np.concatenate([self.ids, ids])
        self.times_ms = np.concatenate([self.times_ms, np.full(len(ids), time_ms, np.int64)])
        self.values = np.concatenate([self.values, values])


@dataclass(slots=True)
class Counts:
    """Of one scrape: samples in the body, left after relabelling, series that are new, samples refused."""

    scraped: int = 0
    kept: int = 0
    added: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    out_of_bounds: int = 0


@dataclass(slots=True)
class _Plan:
    """What to do with a body of these keys: positions of the samples kept, their rows and ids."""

    keys: Sequence[bytes]
    positions: NDArray[np.int64]
    rows: NDArray[np.int64]
    ids: Ids
    kept: int
    duplicate: int
    distinct: bool


class SeriesCache:
    """The series of one target."""

    def __init__(self, config: ScrapeConfig, target_labels: Mapping[str, str], relabel: Relabeller) -> None:
        self._config = config
        self._target_labels = dict(target_labels)
        self._relabel = relabel
        self._legacy = config.metric_name_validation_scheme == "legacy"
        self.rows: dict[bytes, int] = {}
        self._ids = np.empty(0, np.uint64)
        self._until = np.empty(0, np.int64)  # announced up to this time
        self._last = np.empty(0, np.int64)  # the newest time of the target's own
        self._texts: list[bytes] = []
        self._plan: _Plan | None = None
        self._tracked = np.empty(0, np.uint64)
        self._histogram_ids: set[int] = set()
        self._exemplars: dict[int, tuple[object, ...]] = {}

    def tracked(self) -> Ids:
        """Ids that get a staleness marker once they are gone."""
        return self._tracked

    def histogram_ids(self) -> set[int]:
        """Those of them whose samples are native histograms."""
        return self._histogram_ids

    def take_over(self, before: SeriesCache) -> None:
        """Go on from another cache of the same target: what it tracked and is not seen again ends."""
        self._tracked = before._tracked
        self._histogram_ids = set(before._histogram_ids)

    def apply(self, found: Exposition, at_ms: int) -> tuple[Block, Counts]:
        """Samples of a scrape at `at_ms`. `SampleError` when a limit fails it: nothing is to be stored then."""
        counts = Counts(scraped=len(found.keys))
        counts.added = self._learned(found)
        plan = self._plan
        distinct = found.times_ms is None
        if plan is None or plan.keys is not found.keys or plan.distinct != distinct:
            plan = self._plan = self._planned(found.keys, distinct=distinct)
        counts.kept, counts.duplicate = plan.kept, plan.duplicate
        limit = self._config.sample_limit
        if limit and plan.kept > limit:
            raise SampleError("sample limit exceeded", counts)
        block = self._samples(found, plan, at_ms, counts)
        self._evict(found.keys)
        return block, counts

    def fail(self, at_ms: int) -> Block:
        """The scrape failed: every series ends."""
        return self._end(np.empty(0, np.uint64), at_ms)

    def _end(self, alive: Ids, at_ms: int) -> Block:
        """Staleness markers of tracked series that are not `alive`, which are tracked from now on."""
        gone = np.setdiff1d(self._tracked, alive, assume_unique=True)
        self._tracked = alive
        return stale_block(gone, self._histogram_ids, at_ms)

    def _learned(self, found: Exposition) -> int:
        try:
            return self._learn(found.fresh)
        except SampleError as error:
            place = found.keys.index(error.key)  # Prometheus stops at the sample and counts it
            before = sum(self.rows.get(key, 0) != _DROPPED for key in found.keys[:place])
            error.counts = Counts(place + 1, before)
            raise

    def _learn(self, fresh: Mapping[bytes, Labels]) -> int:
        """Rows for series seen for the first time; how many are kept."""
        if not fresh:
            return 0
        texts: list[bytes] = []
        ids: list[int] = []
        rows: dict[bytes, int] = {}
        for key, labels in fresh.items():
            try:
                final = self._labels(labels)
            except SampleError as error:
                self.rows |= {known: row for known, row in rows.items() if row == _DROPPED}
                error.key = key
                raise
            if final is None:
                rows[key] = _DROPPED
                continue
            text = b"\xff".join(sorted(pair(name, value) for name, value in final.items()))
            rows[key] = len(self._texts) + len(texts)
            texts.append(text)
            ids.append(digest(text))
        self.rows |= rows
        self._texts += texts
        self._ids = np.append(self._ids, np.array(ids, np.uint64))
        self._until = np.append(self._until, np.full(len(ids), NO_TIME))
        self._last = np.append(self._last, np.full(len(ids), NO_TIME))
        return len(ids)

    def _labels(self, labels: Labels) -> Labels | None:
        """Final labels of a series; None when metric relabelling drops it."""
        merged: Labels | None = {name: value for name, value in labels.items() if value}
        assert merged is not None
        if self._config.honor_labels:
            for name, value in self._target_labels.items():
                if name not in labels:
                    merged[name] = value
        else:
            merged = self._unhonoured(merged)
        if self._relabel:
            merged = self._relabel(merged)
            if not merged:
                return None
        self._check(merged)
        return merged

    def _unhonoured(self, labels: Labels) -> Labels:
        """The target's labels win; what they replace is kept as `exported_<name>`."""
        merged = {**labels, **self._target_labels}
        for name in self._target_labels:
            if name in labels:
                renamed = "exported_" + name
                while renamed in merged:
                    renamed = "exported_" + renamed
                merged[renamed] = labels[name]
        return merged

    def _check(self, labels: Labels) -> None:
        config, name = self._config, labels.get(NAME, "")
        if not name:
            raise SampleError(f"missing metric name ({NAME} label)")
        if self._legacy and not all(map(is_classic_label, (*labels, name.replace(":", "_")))):
            raise SampleError(f"invalid metric name or label names: {_series_text(labels)}")
        if config.label_limit and len(labels) > config.label_limit:
            raise SampleError(
                f"label_limit exceeded (metric: {name[:50]}, number of labels: {len(labels)}, "
                f"limit: {config.label_limit})"
            )
        if config.label_name_length_limit or config.label_value_length_limit:
            self._check_lengths(labels, name)

    def _check_lengths(self, labels: Labels, metric: str) -> None:
        config = self._config
        for name, value in labels.items():
            for what, text, limit in (
                ("name", name, config.label_name_length_limit),
                ("value", value, config.label_value_length_limit),
            ):
                size = len(text.encode())
                if limit and size > limit:
                    raise SampleError(
                        f"label_{what}_length_limit exceeded (metric: {metric[:50]}, label name: {name[:50]}, "
                        f"{'' if what == 'name' else f'value: {value[:50]!r}, '}length: {size}, limit: {limit})"
                    )

    def _planned(self, keys: Sequence[bytes], *, distinct: bool) -> _Plan:
        """With `distinct`, a series counts once; else samples of a series may differ in time."""
        rows = np.fromiter(map(self.rows.__getitem__, keys), np.int64, len(keys))
        positions = np.flatnonzero(rows != _DROPPED)
        kept = len(positions)
        rows = rows[positions]
        ids = self._ids[rows]
        if distinct:
            _, first = np.unique(ids, return_index=True)
            if len(first) < len(ids):
                first.sort()
                positions, rows, ids = positions[first], rows[first], ids[first]
        return _Plan(keys, positions, rows, ids, kept, kept - len(positions), distinct)

    def _samples(self, found: Exposition, plan: _Plan, at_ms: int, counts: Counts) -> Block:
        values = found.values[plan.positions] if len(plan.positions) < len(found.values) else found.values
        values = np.where(np.isnan(values), np.nan, values)
        own = found.times_ms
        if own is None or not self._config.honor_timestamps:
            times = np.full(len(plan.ids), at_ms, np.int64)
            chosen, tracked = np.ones(len(times), bool), plan.ids
            if own is not None:
                chosen = _first_of_each(plan.ids)
                counts.duplicate += int(len(chosen) - chosen.sum())
        else:
            mine = own[plan.positions]
            times = np.where(mine == NO_TIME, at_ms, mine)
            chosen = self._in_order(plan, times, mine != NO_TIME, at_ms, counts)
            tracked = plan.ids if self._config.track_timestamps_staleness else plan.ids[mine == NO_TIME]
        histograms = self._histograms(found, plan, times, chosen)
        block = self._end(np.unique(tracked), at_ms)
        announce = self._announce(plan.rows[chosen], times[chosen])
        floats = chosen
        if found.histograms:
            floats = chosen & ~np.isin(plan.positions, np.fromiter(found.histograms, np.int64))
        every = bool(floats.all())
        stale = block.ids, block.times_ms, block.values
        fresh = (plan.ids, times, values) if every else (plan.ids[floats], times[floats], values[floats])
        if len(block.ids):
            fresh = tuple(np.concatenate(parts) for parts in zip(fresh, stale, strict=True))  # type: ignore[assignment]
        made = Block(*fresh, announce, histograms + block.histograms)
        self._add_exemplars(found, plan, times, made)
        return made

    def _in_order(
        self, plan: _Plan, times: Times, explicit: NDArray[np.bool_], at_ms: int, counts: Counts
    ) -> NDArray[np.bool_]:
        """Which samples are new: later than what was stored of the series, and near enough to now."""
        near = (times <= at_ms + FUTURE_MS) & (times >= at_ms - PAST_MS)
        counts.out_of_bounds += int(len(near) - near.sum())
        last = self._last[plan.rows]
        chosen = near & (~explicit | (times > last))
        counts.out_of_order += int((near & explicit & (times < last)).sum())
        unique, inverse, sizes = np.unique(plan.ids, return_inverse=True, return_counts=True)
        if len(unique) < len(plan.ids):
            newest: dict[int, int] = {}
            for place in np.flatnonzero((sizes[inverse] > 1) & chosen).tolist():
                series, time = int(plan.ids[place]), int(times[place])
                if time <= newest.get(series, NO_TIME):
                    chosen[place] = False
                    counts.duplicate += time == newest[series]
                    counts.out_of_order += time < newest[series]
                newest[series] = max(time, newest.get(series, NO_TIME))
        np.maximum.at(self._last, plan.rows[chosen & explicit], times[chosen & explicit])
        return chosen

    def _announce(self, rows: NDArray[np.int64], times: Times) -> list[tuple[Labels, int]]:
        due = np.flatnonzero(times > self._until[rows])
        announced = [
            (_labels_of(self._texts[row]), time)
            for row, time in zip(rows[due].tolist(), times[due].tolist(), strict=True)
        ]
        self._until[rows[due]] = times[due] + ANNOUNCE_EVERY_MS
        return announced

    def _histograms(
        self, found: Exposition, plan: _Plan, times: Times, chosen: NDArray[np.bool_]
    ) -> list[tuple[int, int, NativeHistogram]]:
        if not found.histograms:
            return []
        limit, factor = self._config.native_histogram_bucket_limit, self._config.native_histogram_min_bucket_factor
        out = []
        for place in np.flatnonzero(chosen & np.isin(plan.positions, np.fromiter(found.histograms, np.int64))).tolist():
            histogram = native.reduced(found.histograms[int(plan.positions[place])], limit, factor)
            if histogram is None:
                raise SampleError(f"histogram bucket limit exceeded (limit: {limit})")
            out.append((int(plan.ids[place]), int(times[place]), histogram))
        self._histogram_ids = {one[0] for one in out} | {
            one for one in self._histogram_ids if one in set(self._tracked.tolist())
        }
        return out

    def _add_exemplars(self, found: Exposition, plan: _Plan, times: Times, block: Block) -> None:
        if not found.exemplars:
            return
        place_of = {position: place for place, position in enumerate(plan.positions.tolist())}
        for one in found.exemplars:
            place = place_of.get(one.row)
            if place is None:
                continue
            series = int(plan.ids[place])
            mark = (one.value, one.time_ms, *sorted(one.labels.items()))
            if self._exemplars.get(series) != mark:
                self._exemplars[series] = mark
                time = int(times[place]) if one.time_ms == NO_TIME else one.time_ms
                block.exemplars.append((series, time, one.value, one.labels))

    def _evict(self, keys: Sequence[bytes]) -> None:
        """Forget texts that are not exposed any more once they outnumber those that are."""
        if len(self.rows) <= 2 * len(keys) + _SPARE_ROWS:
            return
        kept = {key: self.rows[key] for key in keys}
        used = sorted({row for row in kept.values() if row != _DROPPED})
        place = {row: new for new, row in enumerate(used)} | {_DROPPED: _DROPPED}
        self.rows.clear()
        self.rows.update((key, place[row]) for key, row in kept.items())
        self._texts = [self._texts[row] for row in used]
        self._ids, self._until, self._last = self._ids[used], self._until[used], self._last[used]
        self._exemplars.clear()
        self._plan = None


def stale_block(ids: Ids, histogram_ids: set[int], at_ms: int) -> Block:
    """Staleness markers for series at one time."""
    block = Block.empty()
    native_ids = [one for one in ids.tolist() if one in histogram_ids] if histogram_ids else []
    if native_ids:
        block.histograms = [(one, at_ms, _STALE_HISTOGRAM) for one in native_ids]
        ids = np.setdiff1d(ids, np.array(native_ids, np.uint64), assume_unique=True)
    block.add(ids, at_ms, np.full(len(ids), STALE))
    return block


def _first_of_each(ids: Ids) -> NDArray[np.bool_]:
    chosen = np.zeros(len(ids), bool)
    chosen[np.unique(ids, return_index=True)[1]] = True
    return chosen


def _labels_of(text: bytes) -> Labels:
    """Labels again from the text of an id."""
    parts = text.split(b"\xff")
    return {parts[place].decode(): parts[place + 1].decode() for place in range(0, len(parts), 2)}


def _series_text(labels: Labels) -> str:
    inside = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != NAME)
    return f"{labels.get(NAME, '')}{{{inside}}}"
