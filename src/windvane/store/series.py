"""The write path of samples: which 64-bit id a label set has, and one INSERT a write.

An id is the first half of the MD5 of the sorted labels, metric name included: the same in Python
and in the engine's SQL (`halfMD5`), stable over restarts and versions, so a series needs no
central register and nobody reads before writing. Labels are announced in `series` when a writer
sees an id for the first time and again every hour: `LastSeen` is a bound, no sample of the series
is later than that (until the next announcement), and none is earlier than the least `FirstSeen`.

Samples may come in any order. Of samples of one series at the same time all are stored, and readers
take one of them: nobody reads before writing, so a sender that repeats a request costs nothing but
space.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.store import native
from windvane.store.api import Engine, PayloadInsert

NAME = "__name__"

# Prometheus's staleness marker (model/value/value.go): a NaN of its own, "the series ends here".
STALE_BITS = 0x7FF0000000000002
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]

ANNOUNCE_EVERY_MS = 3_600_000

_KNOWN_LIMIT = 2_000_000


def id_sql(name: str, labels: str) -> str:
    """SQL for the id of a series, given expressions for its metric name and its Map of labels."""
    pairs = f"arrayMap((k, v) -> concat(k, '\\xff', v), mapKeys({labels}), mapValues({labels}))"
    return f"halfMD5(arrayStringConcat(arraySort(arrayPushBack({pairs}, concat('{NAME}\\xff', {name}))), '\\xff'))"


def series_id(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> int:
    """The id of a series; labels include `__name__`."""
    items = labels.items() if isinstance(labels, Mapping) else labels
    return digest(b"\xff".join(sorted(pair(key, value) for key, value in items)))


def pair(key: str, value: str) -> bytes:
    """One label as an id's text has it."""
    return key.encode() + b"\xff" + value.encode()


def digest(text: bytes) -> int:
    """The id of sorted `name \\xff value` pairs joined by `\\xff`."""
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big")


def sample_block(ids: NDArray[np.uint64], times_ms: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """Samples as a block of `SAMPLES`; blocks may follow each other."""
    return native.block(_sample_columns(ids, times_ms, values), len(ids))


def series_block(
    ids: NDArray[np.uint64],
    labels: Sequence[Mapping[str, str]],
    firsts_ms: NDArray[np.int64],
    untils_ms: NDArray[np.int64],
) -> bytes:
    """Announcements of series (labels with `__name__`) as a block of `SERIES`; blocks may follow each other."""
    return native.block(_series_columns(ids, labels, firsts_ms, untils_ms), len(ids))


def _sample_columns(
    ids: NDArray[np.uint64], times_ms: NDArray[np.int64], values: NDArray[np.float64]
) -> list[native.Column]:
    return [
        native.numbers("Id", ids.astype(np.uint64, copy=False)),
        native.moments("Time", times_ms),
        native.numbers("Value", values.astype(np.float64, copy=False)),
    ]


def _series_columns(
    ids: NDArray[np.uint64],
    labels: Sequence[Mapping[str, str]],
    firsts_ms: NDArray[np.int64],
    untils_ms: NDArray[np.int64],
) -> list[native.Column]:
    return [
        native.numbers("Id", ids.astype(np.uint64, copy=False)),
        native.texts("Name", (one[NAME] for one in labels)),
        native.maps("Labels", [_stored(one) for one in labels]),
        native.moments("FirstSeen", firsts_ms),
        native.moments("LastSeen", untils_ms),
    ]


class SampleWriter:
    """Writes samples and announces their series. Safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[tuple[str, str], ...], tuple[int, int, int]] = {}
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        """Where the samples go."""
        return self._engine

    def write(
        self, labels: Sequence[Mapping[str, str]], times_ms: NDArray[np.int64], values: NDArray[np.float64]
    ) -> int:
        """Store one sample a label set (`__name__` included, empty values dropped); the number stored.

        `times_ms` are milliseconds since the Unix epoch. A series is announced before its first sample.
        """
        if not len(labels) == len(times_ms) == len(values):
            raise BadInputError(f"{len(labels)} label sets, {len(times_ms)} times and {len(values)} values")
        return self.write_ids(self.ids(labels, times_ms), times_ms, values)

    def ids(self, labels: Sequence[Mapping[str, str]], times_ms: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Ids of label sets that have samples at these times; announces what is new."""
        with self._lock:
            return self._ids(labels, times_ms)

    def write_ids(self, ids: NDArray[np.uint64], times_ms: NDArray[np.int64], values: NDArray[np.float64]) -> int:
        """Store samples of series announced before, in one INSERT."""
        return self._engine.insert_payload(SAMPLES, sample_block(ids, times_ms, values)) if len(ids) else 0

    def _ids(self, labels: Sequence[Mapping[str, str]], times_ms: NDArray[np.int64]) -> NDArray[np.uint64]:
        ids = np.empty(len(labels), np.uint64)
        fresh: dict[int, tuple[Mapping[str, str], int, int]] = {}
        if len(self._known) > _KNOWN_LIMIT:
            self._known.clear()
        for row, (one, time) in enumerate(zip(labels, times_ms.tolist(), strict=True)):
            key = tuple(one.items())
            number, first, until = self._known.get(key) or (_checked_id(one), time + 1, 0)
            if not first <= time <= until:
                _, earliest, latest = fresh.get(number, (one, time, time))
                fresh[number] = (one, min(earliest, time), max(latest, time))
                self._known[key] = (number, min(first, time), max(until, time + ANNOUNCE_EVERY_MS))
            ids[row] = number
        if fresh:
            self._announce(fresh)
        return ids

    def _announce(self, fresh: Mapping[int, tuple[Mapping[str, str], int, int]]) -> None:
        ids = np.fromiter(fresh, np.uint64, len(fresh))
        firsts = np.array([first for _, first, _ in fresh.values()], np.int64)
        lasts = np.array([last for _, _, last in fresh.values()], np.int64)
        labels = [labels for labels, _, _ in fresh.values()]
        try:
            self._engine.insert_payload(SERIES, series_block(ids, labels, firsts, lasts + ANNOUNCE_EVERY_MS))
        except BaseException:
            self._known.clear()
            raise


def _checked_id(labels: Mapping[str, str]) -> int:
    if not labels.get(NAME):
        raise BadInputError(f"a series needs a label {NAME}: {dict(labels)}")
    return series_id((key, value) for key, value in labels.items() if value)


def _stored(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: labels[key] for key in sorted(labels) if key != NAME and labels[key]}


_NO_IDS, _NO_TIMES = np.zeros(0, np.uint64), np.zeros(0, np.int64)
SAMPLES: PayloadInsert = native.insert_of("samples", _sample_columns(_NO_IDS, _NO_TIMES, np.zeros(0)))
SERIES: PayloadInsert = native.insert_of("series", _series_columns(_NO_IDS, [], _NO_TIMES, _NO_TIMES))
