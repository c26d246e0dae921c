"""What metrics carry beside float samples, on its way into the store: native histograms, exemplars, metadata.

Rows become one Native block and one INSERT. A block can also be handed to the group commit: blocks
of one table may follow each other. The series of an id is announced by `windvane.store.series`
first. Tables: `schema/0004_metric_facts.sql`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError
from windvane.store import native
from windvane.store.api import Engine

_REPEAT_NS = 3_600 * 10**9
_KNOWN_LIMIT = 200_000

TYPES = frozenset({"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"})


class HistogramRow(Protocol):
    """One native histogram sample, as a row of table `native_histograms` has it.

    Bucket counts are absolute, one an index, indexes ascending; `hint` is Prometheus's counter reset
    hint (0 unknown, 1 reset, 2 no reset, 3 gauge); a `sum` with the staleness marker's bits ends the series.
    """

    @property
    def schema(self) -> int: ...
    @property
    def hint(self) -> int: ...
    @property
    def is_float(self) -> bool: ...
    @property
    def zero_threshold(self) -> float: ...
    @property
    def zero_count(self) -> float: ...
    @property
    def count(self) -> float: ...
    @property
    def sum(self) -> float: ...
    @property
    def positive_index(self) -> Sequence[int] | NDArray[np.int32]: ...
    @property
    def positive_count(self) -> Sequence[float] | NDArray[np.float64]: ...
    @property
    def negative_index(self) -> Sequence[int] | NDArray[np.int32]: ...
    @property
    def negative_count(self) -> Sequence[float] | NDArray[np.float64]: ...
    @property
    def custom_bounds(self) -> Sequence[float] | NDArray[np.float64]: ...


def histogram_block(ids: NDArray[np.uint64], times_ms: NDArray[np.int64], rows: Sequence[HistogramRow]) -> bytes:
    """Native histogram samples as a block of `HISTOGRAMS`."""
    return native.block(_histogram_columns(ids, times_ms, rows), len(rows))


def exemplar_block(
    ids: NDArray[np.uint64],
    times_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    labels: Sequence[Mapping[str, str]],
) -> bytes:
    """Exemplars (each with labels of its own) as a block of `EXEMPLARS`."""
    return native.block(_exemplar_columns(ids, times_ms, values, labels), len(labels))


def write_histograms(
    engine: Engine, ids: NDArray[np.uint64], times_ms: NDArray[np.int64], rows: Sequence[HistogramRow]
) -> int:
    """Store native histogram samples of announced series; the number stored."""
    _same_length(ids, times_ms, rows)
    return engine.insert_payload(HISTOGRAMS, histogram_block(ids, times_ms, rows)) if len(rows) else 0


def write_exemplars(
    engine: Engine,
    ids: NDArray[np.uint64],
    times_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    labels: Sequence[Mapping[str, str]],
) -> int:
    """Store exemplars of announced series; the number stored."""
    _same_length(ids, times_ms, values, labels)
    return engine.insert_payload(EXEMPLARS, exemplar_block(ids, times_ms, values, labels)) if len(labels) else 0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a metric family is; `type` is one of `TYPES`."""

    family: str
    type: str
    help: str = ""
    unit: str = ""


class MetadataWriter:
    """Writes metadata that is new, and what is still sent again every hour. Safe from any thread."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self._known: dict[Metadata, int] = {}
        self._lock = threading.Lock()

    def write(self, entries: Iterable[Metadata]) -> int:
        """Store entries; the number of rows written (0 when all are known). `BadInputError` for an unknown type."""
        now = self._clock.now_ns()
        with self._lock:
            news = [one for one in dict.fromkeys(entries) if self._known.get(one, 0) <= now - _REPEAT_NS]
            if not news:
                return 0
            stored = self._engine.insert_payload(METADATA, _metadata_block(news, now))
            if len(self._known) + len(news) > _KNOWN_LIMIT:
                self._known.clear()
            self._known.update(dict.fromkeys(news, now))
        return stored


def _metadata_block(entries: Sequence[Metadata], now_ns: int) -> bytes:
    for one in entries:
        if one.type not in TYPES:
            raise BadInputError(
                f"metadata of {one.family!r}: {one.type!r} is no metric type ({', '.join(sorted(TYPES))})"
            )
    columns = [
        native.texts("Family", (one.family for one in entries)),
        native.texts("Type", (one.type for one in entries)),
        native.texts("Help", (one.help for one in entries)),
        native.texts("Unit", (one.unit for one in entries)),
        native.moments("Seen", np.full(len(entries), now_ns // 1_000_000, np.int64)),
    ]
    return native.block(columns, len(entries))


def _histogram_columns(
    ids: NDArray[np.uint64], times_ms: NDArray[np.int64], rows: Sequence[HistogramRow]
) -> list[native.Column]:
    def floats(name: str, values: Iterable[float]) -> native.Column:
        return native.numbers(name, np.fromiter(values, np.float64, len(rows)))

    return [
        native.numbers("Id", ids.astype(np.uint64, copy=False)),
        native.moments("Time", times_ms),
        native.numbers("Schema", np.fromiter((row.schema for row in rows), np.int8, len(rows))),
        native.numbers("Hint", np.fromiter((row.hint for row in rows), np.uint8, len(rows))),
        native.numbers("IsFloat", np.fromiter((row.is_float for row in rows), np.uint8, len(rows))),
        floats("ZeroThreshold", (row.zero_threshold for row in rows)),
        floats("ZeroCount", (row.zero_count for row in rows)),
        floats("Count", (row.count for row in rows)),
        floats("Sum", (row.sum for row in rows)),
        _ragged("PositiveIndex", [row.positive_index for row in rows], np.int32),
        _ragged("PositiveCount", [row.positive_count for row in rows], np.float64),
        _ragged("NegativeIndex", [row.negative_index for row in rows], np.int32),
        _ragged("NegativeCount", [row.negative_count for row in rows], np.float64),
        _ragged("CustomBounds", [row.custom_bounds for row in rows], np.float64),
    ]


def _exemplar_columns(
    ids: NDArray[np.uint64],
    times_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    labels: Sequence[Mapping[str, str]],
) -> list[native.Column]:
    return [
        native.numbers("Id", ids.astype(np.uint64, copy=False)),
        native.moments("Time", times_ms),
        native.numbers("Value", values),
        native.maps("Labels", labels),
    ]


_Lists = Sequence[Sequence[float] | NDArray[np.float64] | NDArray[np.int32]]


def _ragged(name: str, rows: _Lists, kind: type[np.int32] | type[np.float64]) -> native.Column:
    values: NDArray[Any] = np.concatenate([np.asarray(row, kind) for row in rows]) if len(rows) else np.empty(0, kind)
    return native.lists(name, np.cumsum([len(row) for row in rows], dtype=np.uint64), values)


def _same_length(*columns: Sequence[object] | NDArray[np.generic]) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise BadInputError(f"columns of different lengths: {lengths}")


_IDS, _TIMES, _VALUES = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0)
HISTOGRAMS = native.insert_of("native_histograms", _histogram_columns(_IDS, _TIMES, []))
EXEMPLARS = native.insert_of("exemplars", _exemplar_columns(_IDS, _TIMES, _VALUES, []))
METADATA = native.insert_of(
    "metric_metadata",
    [*(native.texts(name, []) for name in ("Family", "Type", "Help", "Unit")), native.moments("Seen", _TIMES)],
)
