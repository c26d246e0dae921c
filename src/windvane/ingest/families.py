"""Families of cumulative series: all metrics that share one label set, as rows of a matrix.

A row is a label set, a column one of its series (a counter, or a histogram's bucket, sum or
count). A column's scale turns totals into the sample's value: totals that are whole numbers do not
depend on the order in which they came together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.store.api import Engine, PayloadInsert
from windvane.store.native import encode
from windvane.store.series import ANNOUNCE_EVERY_MS, NAME, digest, pair

# How far ahead LastSeen is put: announced every hour, it stays a bound also when a tick is late.
_SEEN_AHEAD_MS = 2 * ANNOUNCE_EVERY_MS

OVERFLOW = "otel_metric_overflow"
"""Label of the one label set that takes what a full family has no row for, as OpenTelemetry's SDKs name it."""


@dataclass(frozen=True)
class Layout:
    """What a family's columns are: metric name, `le` label ('' for none) and scale of each.

    Totals are `whole` numbers or not. More than `most` label sets become one, with the label `OVERFLOW` alone.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    bounds: tuple[str, ...]
    scales: NDArray[np.float64]
    whole: bool = True
    most: int | None = None

    @classmethod
    def of(
        cls,
        labels: tuple[str, ...],
        columns: Iterable[tuple[str, str, float]],
        *,
        whole: bool = True,
        most: int | None = None,
    ) -> Layout:
        names, bounds, scales = zip(*columns, strict=True)
        return cls(labels, names, bounds, np.array(scales), whole, most)

    @property
    def kind(self) -> type[np.int64] | type[np.float64]:
        """What totals are kept as."""
        return np.int64 if self.whole else np.float64

    @property
    def anchor(self) -> str:
        """The metric that every label set of this family has once."""
        return self.names[0]


def histogram(name: str, bounds: Sequence[str], scale: float = 1.0) -> list[tuple[str, str, float]]:
    """Columns of a histogram: its buckets by `le`, then sum (with its scale) and count."""
    buckets = [(f"{name}_bucket", bound, 1.0) for bound in (*bounds, "+Inf")]
    return [*buckets, (f"{name}_sum", "", scale), (f"{name}_count", "", 1.0)]


class Family:
    """The running totals of one family."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        width = len(layout.names)
        self.sets: list[tuple[str, ...]] = []
        self.ids = np.empty((0, width), np.uint64)
        self.totals: NDArray[Any] = np.empty((0, width), layout.kind)
        self.changed = np.empty(0, np.int64)
        self.announced = np.empty(0, np.int64)
        self._rows: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self.sets)

    def row(self, labels: Mapping[str, str], *, known: bool = False) -> int:
        """The row of a label set, made when it is new (`grow` then sizes the matrices).

        A set that is `known` from before gets its row even in a full family.
        """
        key = tuple(labels[name] for name in self.layout.labels)
        if key not in self._rows and not known and self._full:
            key = self._overflow
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = len(self.sets)
            self.sets.append(key)
        return found

    @property
    def _full(self) -> bool:
        return self.layout.most is not None and len(self.sets) - (self._overflow in self._rows) >= self.layout.most

    @property
    def _overflow(self) -> tuple[str, ...]:
        return tuple("true" if name == OVERFLOW else "" for name in self.layout.labels)

    def grow(self, now_ms: int) -> None:
        """Make room for the rows that `row` added since."""
        old, new = len(self.ids), len(self.sets)
        if old == new:
            return
        width = len(self.layout.names)
        added = np.array([_ids(self.layout, key) for key in self.sets[old:]], np.uint64).reshape(new - old, width)
        self.ids = np.concatenate([self.ids, added])
        self.totals = np.concatenate([self.totals, np.zeros((new - old, width), self.layout.kind)])
        self.changed = np.concatenate([self.changed, np.full(new - old, now_ms)])
        self.announced = np.concatenate([self.announced, np.zeros(new - old, np.int64)])

    def add(self, rows: NDArray[np.int64], amounts: NDArray[Any], now_ms: int) -> None:
        """Add a line of amounts to each of the rows (a row may come several times)."""
        np.add.at(self.totals, rows, amounts)
        self.changed[rows] = now_ms

    def values(self) -> NDArray[np.float64]:
        """Sample values, one a series, in the shape of `ids`."""
        return self.totals * self.layout.scales

    def restore(self, values: NDArray[np.float64], last_seen_ms: NDArray[np.int64]) -> None:
        """Set totals from sample values in the shape of `ids`, and when each row was announced."""
        totals = values / self.layout.scales
        self.totals = np.rint(totals).astype(np.int64) if self.layout.whole else totals
        self.announced = last_seen_ms - _SEEN_AHEAD_MS

    def drop(self, rows: NDArray[np.int64]) -> None:
        """Forget label sets; row numbers of others change."""
        self.sets = [key for row, key in enumerate(self.sets) if row not in set(rows.tolist())]
        self._rows = {key: row for row, key in enumerate(self.sets)}
        self.ids, self.totals = np.delete(self.ids, rows, axis=0), np.delete(self.totals, rows, axis=0)
        self.changed, self.announced = np.delete(self.changed, rows), np.delete(self.announced, rows)

    def announce(self, engine: Engine, now_ms: int) -> None:
        """Write the series of rows that are new or were announced long ago."""
        due = np.flatnonzero(self.announced < now_ms - ANNOUNCE_EVERY_MS)
        if not len(due):
            return
        labels = [_stored(self.layout.labels, self.sets[row]) for row in due.tolist()]
        frame = pd.DataFrame(
            {
                "Labels": labels,
                "Ids": [ids.tobytes() for ids in self.ids[due].astype("<u8")],
                "First": np.full(len(due), now_ms).astype("<M8[ms]"),
                "Last": np.full(len(due), now_ms + _SEEN_AHEAD_MS).astype("<M8[ms]"),
            }
        )
        payload, structure = encode(frame)
        engine.insert_payload(_announcement(self.layout, structure), payload)
        self.announced[due] = now_ms


def _announcement(layout: Layout, structure: str) -> PayloadInsert:
    """One label set in, all its series out: the engine multiplies, Python sends each label once."""
    columns = ", ".join(
        f"('{name}', '{bound}', {1 + 8 * place})"
        for place, (name, bound) in enumerate(zip(layout.names, layout.bounds, strict=True))
    )
    bounded = "mapFromArrays(arrayPushBack(mapKeys(Labels), 'le'), arrayPushBack(mapValues(Labels), column.2))"
    return PayloadInsert(
        "series",
        ("Id", "Name", "Labels", "FirstSeen", "LastSeen"),
        "SELECT reinterpretAsUInt64(substring(Ids, column.3, 8)), column.1, "
        f"if(column.2 = '', Labels, {bounded}), First, Last FROM {{source}} ARRAY JOIN [{columns}] AS column",
        "Native",
        structure,
    )


def _stored(names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value}


def _ids(layout: Layout, values: Sequence[str]) -> list[int]:
    """Ids of a label set's series; `__name__` sorts first and `le` where it falls."""
    pairs = sorted(pair(name, value) for name, value in zip(layout.labels, values, strict=True) if value)
    before = b"".join(b"\xff" + text for text in pairs if text < b"le")
    after = b"".join(b"\xff" + text for text in pairs if text > b"le")
    return [
        digest(pair(NAME, name) + before + (b"\xff" + pair("le", bound) if bound else b"") + after)
        for name, bound in zip(layout.names, layout.bounds, strict=True)
    ]
