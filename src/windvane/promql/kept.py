"""What the head holds: the newest samples in segments of ten minutes, older ones packed by two hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from windvane.promql.cache import Flat, bounds, merge, sliced
from windvane.promql.jit import kernel
from windvane.promql.pack import STRETCH_MS
from windvane.promql.parts import Parts
from windvane.promql.pieces import Pieces, Rows, Slices
from windvane.promql.stretch import Packed, rows_of
from windvane.promql.value import Ids, Times

SEGMENT_MS = 600_000
_MOST_STRETCHES = 1024
_NEWEST_MS = 1_200_000
"""Time that stays unpacked: new samples come here, one after the other."""
_PACKED_AT_ONCE_MS = 1_800_000
_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Kept:
    """All samples later than `after`, as `parts` had them, oldest first. Never altered.

    Those before `border` are in `stretches`, packed; others are flat, by the number of their ten minutes.
    """

    parts: Parts
    after: int
    border: int = -_EVER
    stretches: tuple[Packed, ...] = ()
    segments: tuple[tuple[int, Flat], ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory of the samples."""
        return sum(one.nbytes for one in self.stretches) + self._unpacked

    @property
    def _unpacked(self) -> int:
        return sum(flat.nbytes for _, flat in self.segments)

    @property
    def sample_bytes(self) -> float:
        """Bytes of a packed sample; a careful guess where there are too few to tell."""
        samples = sum(one.samples for one in self.stretches)
        return sum(one.nbytes for one in self.stretches) / samples if samples > SEGMENT_MS else 2.0

    def cut(self, ids: Ids, after: int, until: int, most: int) -> Pieces | None:
        """The samples of some series (ascending) in (after, until]; None when they are more than `most`."""
        total, rows = np.zeros(len(ids), np.int64), _Rows(ids)
        pieces: list[Rows | Slices] = []
        stale = False
        for one in self.stretches:
            if one.end > after and one.begin <= until:
                own = rows.of(one.ids)
                pieces.append(Rows(one, own))
                one.add_counts(own, after, until, total)
                stale |= one.stale
        for number, flat in self.segments:
            if (number + 1) * SEGMENT_MS > after + 1 and number * SEGMENT_MS <= until:
                pieces.append(Slices(flat, *located(ids, flat.ids, flat.offsets, flat.times, after, until, total)))
                stale |= flat.stale
        some = total > 0
        if total.sum() > most:
            return None
        if not some.all():
            ids, total, pieces = ids[some], total[some], [_chosen(piece, some) for piece in pieces]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(total)])
        return Pieces(ids, offsets, tuple(pieces), after, until, stale)

    def plus(self, parts: Parts, more: Flat | None, most_bytes: int, now: int = _EVER) -> Kept:
        """With new samples, as `parts` have them; without the oldest when there is too much.

        What is later than `now` (ms) does not count as newest.
        """
        kept = replace(self, parts=parts)
        if more is not None and len(more.times):
            kept = kept._with(more, min(int(more.times.max()), now))
        return kept._packed(now, most_bytes)._within(most_bytes)

    def joined(self, older: Kept, most_bytes: int) -> Kept:
        """With what another holds of the time up to its `after`, all of it packed."""
        held = {one.number: one for one in self.stretches}
        for one in older.stretches:
            own = held.get(one.number)
            held[one.number] = one if own is None else own.plus(one.flat(np.arange(len(one.ids))), older.after)
        border = max(self.border, self.after + 1)
        stretches = tuple(held[number] for number in sorted(held))
        return Kept(self.parts, older.after, border, stretches, self.segments)._within(most_bytes)

    def _with(self, more: Flat, newest: int) -> Kept:
        empty = not self.stretches and not self.segments and self.border == -_EVER
        border = _start(newest - _NEWEST_MS) if empty else self.border
        held, segments = {one.number: one for one in self.stretches}, dict(self.segments)
        for number, flat in _divided(more, STRETCH_MS, self.after, border - 1):
            held[number] = held[number].plus(flat, self.after) if number in held else Packed.of(number, flat)
        for number, flat in _divided(more, SEGMENT_MS, max(self.after, border - 1), _EVER):
            segments[number] = _merged(segments[number], flat, self.after) if number in segments else flat
        stretches = _sharing([held[number] for number in sorted(held)])
        return Kept(self.parts, self.after, border, stretches, tuple(sorted(segments.items())))

    def _packed(self, now: int, most_bytes: int) -> Kept:
        """With segments that are no longer new packed, many at once, or more of them where they are large."""
        if not self.segments:
            return self
        newest = min(max(int(flat.times.max()) for _, flat in self.segments), now)
        border = _start(newest - _NEWEST_MS)
        if 4 * self._unpacked > most_bytes:
            border = _start(newest)
        elif border - self.border < _PACKED_AT_ONCE_MS:
            return self
        held = {one.number: one for one in self.stretches}
        old = [one for one in self.segments if (one[0] + 1) * SEGMENT_MS <= border]
        for number in sorted({number * SEGMENT_MS // STRETCH_MS for number, _ in old}):
            own = [flat for segment, flat in old if segment * SEGMENT_MS // STRETCH_MS == number]
            flat = own[0]
            for later in own[1:]:
                flat = merge(flat, later, self.after)
            held[number] = held[number].plus(flat, self.after) if number in held else Packed.of(number, flat)
        stretches = _sharing([held[number] for number in sorted(held)])
        return Kept(self.parts, self.after, max(border, self.border), stretches, self.segments[len(old) :])

    def _within(self, most_bytes: int) -> Kept:
        """Without the oldest, where there is more than may be."""
        size, after, dropped, flats = self.nbytes, self.after, 0, 0
        while dropped < len(self.stretches) and (size > most_bytes or len(self.stretches) - dropped > _MOST_STRETCHES):
            one = self.stretches[dropped]
            size, dropped, after = size - one.nbytes, dropped + 1, max(after, min(one.end, self.border - 1))
        while flats < len(self.segments) and size > most_bytes:
            number, flat = self.segments[flats]
            size, flats, after = size - flat.nbytes, flats + 1, max(after, (number + 1) * SEGMENT_MS - 1)
        if not dropped and not flats:
            return self
        return Kept(self.parts, after, self.border, self.stretches[dropped:], self.segments[flats:])


class _Rows:
    """Rows of the wanted series; stretches of the same series share them."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._found: list[tuple[Ids, Times]] = []

    def of(self, own: Ids) -> Times:
        """Where the wanted ids stand."""
        for ids, rows in self._found:
            if ids is own:
                return rows
        self._found.append((own, rows_of(own, self._ids)))
        return self._found[-1][1]


def _chosen(piece: Rows | Slices, some: np.ndarray) -> Rows | Slices:
    if isinstance(piece, Rows):
        return Rows(piece.packed, piece.rows[some])
    return Slices(piece.flat, piece.low[some], piece.high[some])


def _start(time: int) -> int:
    """Where the segment of a time begins."""
    return time // SEGMENT_MS * SEGMENT_MS


def _sharing(stretches: list[Packed]) -> tuple[Packed, ...]:
    """The stretches; those of the same series have the same ids."""
    shared: list[Packed] = []
    for one in stretches:
        last = shared[-1].ids if shared else one.ids
        same = last is not one.ids and len(last) == len(one.ids) and bool((last == one.ids).all())
        shared.append(one.sharing(last) if same else one)
    return tuple(shared)


def _divided(flat: Flat, length: int, after: int, until: int) -> Iterator[tuple[int, Flat]]:
    """The samples in (after, until] by the number of their stretch of time."""
    numbers = _numbers(flat.times, length, after, until)
    rows = np.arange(len(flat.ids))
    for number in np.unique(numbers).tolist():
        begin = max(after, number * length - 1)
        low, high = bounds(flat.offsets, flat.times, rows, begin, min(until, (number + 1) * length - 1))
        some = high > low
        if len(some) == int(some.sum()) and int((high - low).sum()) == len(flat.times):
            yield number, flat
        else:
            yield (
                number,
                Flat(
                    flat.ids if some.all() else flat.ids[some], *sliced(flat.times, flat.values, low[some], high[some])
                ),
            )


def _merged(old: Flat, new: Flat, after: int) -> Flat:
    """Both (see `merge`), without the memory that equal samples left over."""
    both = merge(old, new, after)
    if len(both.times) * 9 > (len(old.times) + len(new.times)) * 8:
        return both
    return Flat(both.ids, both.offsets, both.times.copy(), both.values.copy(), both.stale)


@kernel
def _numbers(times: Times, length: int, after: int, until: int) -> Times:
    """Numbers of the stretches of time that samples in (after, until] are in; neighbours differ."""
    numbers = np.empty(len(times), np.int64)
    count = 0
    for j in range(len(times)):
        if after < times[j] <= until:
            number = times[j] // length
            if count == 0 or numbers[count - 1] != number:
                numbers[count] = number
                count += 1
    return numbers[:count].copy()


@kernel
def located(  # noqa: PLR0917 - numba takes arrays by position
    ids: Ids, own: Ids, offsets: Times, times: Times, after: int, until: int, total: Times
) -> tuple[Times, Times]:
    """First and last (exclusive) sample in (after, until] of the wanted `ids` among a segment's `own`, both ascending.

    Their numbers are added to `total`.
    """
    low = np.zeros(len(ids), np.int64)
    high = np.zeros(len(ids), np.int64)
    row = 0
    for k in range(len(ids)):
        if row < len(own) and own[row] < ids[k]:
            row += 1
            if row < len(own) and own[row] < ids[k]:
                row += np.searchsorted(own[row:], ids[k])
        if row == len(own):
            break
        if own[row] != ids[k]:
            continue
        start, stop = offsets[row], offsets[row + 1]
        if start < stop and times[start] <= after:
            start += np.searchsorted(times[start:stop], after, side="right")
        if start < stop and times[stop - 1] > until:
            stop = start + np.searchsorted(times[start:stop], until, side="right")
        low[k], high[k] = start, stop
        total[k] += stop - start
    return low, high
