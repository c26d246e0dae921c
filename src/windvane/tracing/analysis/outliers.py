"""Operations that are slower than they were: against the spans of a baseline window, operation by operation.

A span is slow when it is longer than 99 % of the baseline's, and by its robust z-score too: the distance of its
length's logarithm from the baseline's median, in scaled median absolute deviations (Iglewicz and Hoaglin 1993: more
than 3.5). An operation is slower when more of its spans exceed the baseline's 99th percentile than would by chance
(precedence test, Benjamini and Hochberg over operations; spans of one trace are taken as independent).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from windvane.store.api import Engine, Limits
from windvane.tracing.analysis import statistics
from windvane.tracing.analysis.spans import Name, Spans

MIN_BASELINE = 100
"""Spans that an operation must have in the baseline; with fewer its 99th percentile is a guess."""

_Z = 3.5
_SCALE = 1.4826  # of the median absolute deviation, to be the standard deviation of a normal distribution
_LEAST_SPREAD = 0.05  # in logarithms, a twentieth: lengths that hardly vary make no outlier of a microsecond
_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30)


@dataclass(frozen=True, slots=True)
class Usual:
    """An operation's lengths in the baseline, in nanoseconds; `spread` is of their natural logarithms."""

    spans: int
    median_ns: float
    p99_ns: float
    spread: float


@dataclass(frozen=True, slots=True)
class Slow:
    """An operation with slow spans: `slow` of `spans`; `above` are beyond the baseline's 99th percentile.

    `p` is of that many being above by chance, `adjusted` for all operations that were tested. The example is
    the span that is the most times as long as usual, `times`.
    """

    name: Name
    spans: int
    slow: int
    above: int
    p: float
    adjusted: float
    usual: Usual
    median_ns: float
    times: float
    example_ns: int
    example_trace: str
    example_span: str


def baseline(engine: Engine, window_ns: tuple[int, int]) -> dict[Name, Usual]:
    """What is usual in a window for every operation with enough spans."""
    frame = engine.query(
        "WITH log(greatest(Duration, 1)) AS L SELECT toString(ServiceName) AS Service, toString(SpanName) AS Operation,"
        " count() AS Spans, quantileExact(0.99)(Duration) AS High,"
        " groupArraySample(4096, 1)(L) AS Some FROM otel_traces"
        " WHERE Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        " GROUP BY Service, Operation HAVING Spans >= {least:UInt64}",
        {"low": window_ns[0], "high": window_ns[1], "least": MIN_BASELINE},
        limits=_LIMITS,
    )
    usual = {}
    for service, operation, spans, high, some in zip(
        *(frame[name].tolist() for name in ("Service", "Operation", "Spans", "High", "Some")), strict=True
    ):
        logs = np.array(some)
        middle = float(np.median(logs))
        spread = _SCALE * float(np.median(np.abs(logs - middle)))
        usual[Name(service, operation)] = Usual(
            int(spans), float(np.exp(middle)), float(high), max(spread, _LEAST_SPREAD)
        )
    return usual


def slow(spans: Spans, usual: dict[Name, Usual], rate: float = 0.05) -> list[Slow]:
    """Operations that are slower than usual, the surest first."""
    found = [one for number, name in enumerate(spans.names) if name in usual and (one := _slow(spans, number, usual))]
    adjusted = statistics.benjamini_hochberg(np.array([one.p for one in found]))
    kept = [
        replace(one, adjusted=value)
        for one, value in zip(found, adjusted.tolist(), strict=True)
        if value <= rate and one.slow
    ]
    return sorted(kept, key=lambda one: (one.adjusted, -one.times, one.name))


def _slow(spans: Spans, number: int, usual: dict[Name, Usual]) -> Slow | None:
    name, columns = spans.names[number], spans.columns
    rows = np.flatnonzero(columns.name == number)
    if not len(rows):
        return None
    known, lengths = usual[name], columns.duration[rows]
    above = lengths > known.p99_ns
    scores = (np.log(np.maximum(lengths, 1)) - np.log(known.median_ns)) / known.spread
    longest = int(rows[np.argmax(lengths)])
    p = statistics.precedence(int(above.sum()), len(rows), known.spans - int(0.99 * known.spans), known.spans)
    return Slow(
        name, len(rows), int((above & (scores > _Z)).sum()), int(above.sum()), p, p, known, float(np.median(lengths)),
        float(columns.duration[longest]) / known.median_ns, int(columns.duration[longest]),
        spans.trace_ids[int(columns.trace[longest])], spans.span_id(longest),
    )  # fmt: skip
