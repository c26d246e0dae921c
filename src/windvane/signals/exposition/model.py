"""What every exposition format is read into: columns of samples, and what rides beside them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError

NO_TIME = np.iinfo(np.int64).min
"""In a column of times: this sample has no timestamp of its own."""

Labels = dict[str, str]


class ExpositionError(BadInputError):
    """The body is not of its format; `line` is where (0: unknown)."""

    def __init__(self, message: str, line: int = 0, samples: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line
        self.samples = samples  # how many samples stand before the error


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An exemplar of the sample at `row`; `time_ms` is `NO_TIME` when it has none."""

    row: int
    labels: Labels
    value: float
    time_ms: int


@dataclass(frozen=True, slots=True)
class FamilyMetadata:
    """Type (counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown), help and unit."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of buckets: `offset` from the end of the run before it, `length` of it."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """One native histogram; counts are absolute, indices are Prometheus's (upper bound 2^(i * 2^-schema)).

    `hint` is 0 unknown, 3 gauge. With schema -53, `custom_bounds` are the upper bounds of the buckets.
    """

    schema: int
    count: float
    sum: float
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive_index: Sequence[int] = ()
    positive_count: Sequence[float] = ()
    negative_index: Sequence[int] = ()
    negative_count: Sequence[float] = ()
    custom_bounds: Sequence[float] = ()
    hint: int = 0
    is_float: bool = False


@dataclass(slots=True)
class Exposition:
    """A body as columns.

    `keys` are the series as the body writes them, `values` their values. `fresh` has the labels
    (`__name__` included) of every key that was not known. `times_ms` is None when no sample has a
    timestamp. At the rows in `histograms` the value is the histogram (`values` has its count).
    `metadata` is None when it is what the reader gave the last time.
    """

    keys: Sequence[bytes]
    values: NDArray[np.float64]
    times_ms: NDArray[np.int64] | None = None
    fresh: Mapping[bytes, Labels] = field(default_factory=dict)
    exemplars: Sequence[Exemplar] = ()
    metadata: Mapping[str, FamilyMetadata] | None = None
    histograms: Mapping[int, NativeHistogram] = field(default_factory=dict)


class Reader(Protocol):
    """Reads the bodies of one target, one after the other."""

    def read(self, body: bytes, known: Container[bytes]) -> Exposition:
        """`known` are the keys whose labels the caller remembers. `ExpositionError` when the body is bad."""
