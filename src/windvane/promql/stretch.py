"""Two hours of many series, packed (`pack`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from windvane.promql import pack
from windvane.promql.cache import Flat, known, merge
from windvane.promql.pack import STRETCH_MS, Places, Words
from windvane.promql.value import Floats, Ids, Times

_BEGINNING, _END = -(1 << 62), 1 << 62


def rows_of(own: Ids, ids: Ids) -> Times:
    """Where ids stand among ascending ones, -1 where they do not."""
    if own is ids:
        return np.arange(len(own))
    found: Times = np.where(known(own, ids), np.searchsorted(own, ids), -1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The samples of the series `ids` (ascending) in the stretch `number`; `counts` of each. Never altered.

    `starts`, `first`, `place` and `data` are what `pack.encoded` gives.
    """

    number: int
    ids: Ids
    counts: Times
    starts: Times
    first: Places
    place: Places
    data: Words
    stale: bool

    @classmethod
    def of(cls, number: int, flat: Flat) -> Packed:
        """Flat samples, all of this stretch."""
        return cls(
            number,
            flat.ids,
            np.diff(flat.offsets),
            *pack.encoded(flat.offsets, flat.times, flat.values, number * STRETCH_MS),
        )

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.ids, self.counts, self.starts, self.first, self.place, self.data)
        return sum(array.nbytes for array in arrays)

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def begin(self) -> int:
        """Its first time (ms)."""
        return self.number * STRETCH_MS

    @property
    def end(self) -> int:
        """Its last time (ms)."""
        return self.begin + STRETCH_MS - 1

    def sharing(self, ids: Ids) -> Packed:
        """The same, with the very `ids` of others, which are equal."""
        return Packed(self.number, ids, self.counts, self.starts, self.first, self.place, self.data, self.stale)

    def add_counts(self, rows: Times, after: int, until: int, total: Times) -> None:
        """Add to `total` how many samples in (after, until] the series `rows` (-1: none) have."""
        if after < self.begin and self.end <= until:
            total += np.where(rows >= 0, self.counts[rows], 0)
        else:
            arrays = (self.starts, self.first, self.place, self.data, self.begin)
            pack.counted(*arrays, rows, after, until, total)

    def pour(  # noqa: PLR0917 - as the kernel takes them
        self, rows: Times, after: int, until: int, times: Times, values: Floats, at: Times
    ) -> None:
        """Unpack the samples in (after, until] of the series `rows` (-1: none) to their places, which move on."""
        arrays = (self.starts, self.first, self.place, self.data, self.begin)
        pack.decoded(*arrays, rows, after, until, times, values, at)

    def flat(self, rows: Times) -> Flat:
        """All samples of some of its series (ascending rows)."""
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts[rows])])
        times, values = np.empty(offsets[-1], np.int64), np.empty(offsets[-1])
        self.pour(rows, _BEGINNING, _END, times, values, offsets[:-1].copy())
        return Flat(self.ids[rows], offsets, times, values, self.stale)

    def plus(self, more: Flat, after: int) -> Packed:
        """With more samples of its stretch; only the series that get some are unpacked. See `cache.merge`."""
        if not len(more.ids):
            return self
        rows = rows_of(self.ids, more.ids)
        rows = rows[rows >= 0]
        new = Packed.of(self.number, merge(self.flat(rows), more, after) if len(rows) else more)
        if len(rows) == len(self.ids):
            return new
        ids = self.ids if len(rows) == len(new.ids) else np.union1d(self.ids, new.ids)
        both = (rows_of(self.ids, ids), rows_of(new.ids, ids))
        arrays = pack.spliced(
            *both, self.starts, self.first, self.place, self.data, new.starts, new.first, new.place, new.data
        )
        counts = np.where(both[1] >= 0, new.counts[both[1]], self.counts[both[0]])  # -1 is some row, and not taken
        return Packed(self.number, ids, counts, *arrays, self.stale or new.stale)
