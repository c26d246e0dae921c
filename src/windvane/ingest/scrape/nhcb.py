"""Classic histograms as native ones with custom buckets (`convert_classic_histograms_to_nhcb`).

The `_bucket`, `_sum` and `_count` series of one histogram become one sample under the family's name:
schema -53, the finite bounds, and the buckets' own counts instead of cumulative ones.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import numpy as np

from windvane.signals.exposition import Exposition, FamilyMetadata, NativeHistogram
from windvane.signals.exposition.model import Exemplar, Labels

_NAME, _SCHEMA = "__name__", -53
_KEY_MARK = b"\xffnhcb\xff"


@dataclass(slots=True)
class _Parts:
    """What was seen of one histogram."""

    labels: Labels
    rows: list[int] = field(default_factory=list)
    buckets: dict[float, float] = field(default_factory=dict)
    sum: float = 0.0
    count: float | None = None


class Converter:
    """Remembers the labels of the series of one target, so that later scrapes need not parse them."""

    def __init__(self, *, keep_classic: bool) -> None:
        self._keep_classic = keep_classic
        self.known: dict[bytes, Labels] = {}

    def convert(self, found: Exposition, families: Mapping[str, FamilyMetadata], known: Container[bytes]) -> Exposition:
        """The same body with histograms in the place of their classic series; `known` as a reader has it."""
        self.known.update(found.fresh)
        if len(self.known) > 2 * len(found.keys) + 1000:
            self.known = {key: self.known[key] for key in found.keys}
        groups = self._groups(found, families)
        taken = {row for parts in groups.values() for row in parts.rows} if not self._keep_classic else set()
        kept = [row for row in range(len(found.keys)) if row not in taken]
        place = {row: new for new, row in enumerate(kept)}
        histograms = {place[row]: one for row, one in found.histograms.items() if row in place}
        keys = [found.keys[row] for row in kept]
        values = found.values[kept].tolist()
        fresh = {key: self.known[key] for key in keys if key not in known}
        exemplars = [_moved(one, place[one.row]) for one in found.exemplars if one.row in place]
        times = None if found.times_ms is None else found.times_ms[kept].tolist()
        for key, parts in groups.items():
            if times is not None and found.times_ms is not None:
                times.append(int(found.times_ms[parts.rows[0]]))
            histograms[len(keys)] = made = _histogram(parts)
            exemplars += [_moved(one, len(keys)) for one in found.exemplars if one.row in set(parts.rows)]
            keys.append(key)
            values.append(made.count)
            if key not in known:
                fresh[key] = parts.labels
        return Exposition(
            tuple(keys),
            np.array(values, np.float64),
            None if times is None else np.array(times, np.int64),
            fresh,
            exemplars,
            found.metadata,
            histograms,
        )

    def _groups(self, found: Exposition, families: Mapping[str, FamilyMetadata]) -> dict[bytes, _Parts]:
        groups: dict[bytes, _Parts] = {}
        for row, key in enumerate(found.keys):
            labels = self.known[key]
            name, _, part = labels[_NAME].rpartition("_")
            facts = families.get(name)
            if facts is None or facts.type != "histogram" or part not in {"bucket", "sum", "count"}:
                continue
            if row in found.histograms:
                continue
            own = {**labels, _NAME: name}
            bound = own.pop("le", "")
            parts = groups.setdefault(_key(own), _Parts(own))
            if part == "bucket":
                _bucket(parts, bound, float(found.values[row]))
            elif part == "sum":
                parts.sum = float(found.values[row])
            else:
                parts.count = float(found.values[row])
            parts.rows.append(row)
        return groups


def _moved(one: Exemplar, row: int) -> Exemplar:
    return Exemplar(row, one.labels, one.value, one.time_ms)


def _key(labels: Labels) -> bytes:
    return _KEY_MARK + b"\xff".join(f"{name}\xff{value}".encode() for name, value in sorted(labels.items()))


def _bucket(parts: _Parts, bound: str, count: float) -> None:
    try:
        parts.buckets[float(bound)] = count
    except ValueError:
        return


def _histogram(parts: _Parts) -> NativeHistogram:
    bounds = sorted(bound for bound in parts.buckets if not math.isinf(bound))
    total = parts.buckets.get(math.inf, parts.count)
    cumulative = [parts.buckets[bound] for bound in bounds]
    if total is None:
        total = cumulative[-1] if cumulative else 0.0
    counts = [after - before for before, after in zip([0.0, *cumulative], [*cumulative, total], strict=True)]
    filled = [(index, count) for index, count in enumerate(counts) if count]
    return NativeHistogram(
        _SCHEMA,
        total,
        parts.sum,
        positive_index=[index for index, _ in filled],
        positive_count=[count for _, count in filled],
        custom_bounds=bounds,
        is_float=any(count != int(count) for count in counts if math.isfinite(count)),
    )
