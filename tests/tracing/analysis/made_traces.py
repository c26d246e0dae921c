"""Traces made by hand for tests: a line a span, times in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Iterable

from windvane.tracing.model import Span

T0 = 1_790_000_000 * 10**9
MS = 10**6


def span(
    number: int,
    parent: int,
    start: float,
    length: float,
    name: str = "op",
    *,
    service: str = "svc",
    trace: int = 1,
    **given: object,
) -> Span:
    """Span `number` (from 1; parent 0 for a root) that starts `start` ms after T0."""
    values: dict[str, object] = {"kind": "Internal", **given}
    return Span(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=name,
        service=service,
        start_ns=T0 + round(start * MS),
        duration_ns=round(length * MS),
        **values,  # type: ignore[arg-type]
    )


def random_trace(rng: random.Random, trace: int, size: int) -> list[Span]:
    """A trace with everything that happens: overflow, detached children, ties, lost parents, asynchrony, copies."""
    spans = []
    for number in range(1, size + 1):
        parent = 0 if number == 1 else rng.choice([rng.randrange(1, number), rng.randrange(1, number), 9_999, number])
        start, length = rng.randrange(40), rng.choice([0, 1, 5, rng.randrange(60)])
        spans.append(
            span(
                number,
                parent,
                start,
                length if number > 1 else rng.randrange(1, 80),
                rng.choice("abc"),
                service=rng.choice(["x", "y", "z"]),
                trace=trace,
                kind=rng.choice(["Internal", "Server", "Client", "Producer", "Consumer"]),
                status=rng.choice(["Unset", "Unset", "Ok", "Error"]),
            )
        )
    spans += rng.choices(spans, k=2)
    rng.shuffle(spans)
    return spans


def random_traces(seed: int, traces: int = 6) -> list[Span]:
    """Several of them, mixed."""
    rng = random.Random(seed)
    spans = [one for trace in range(1, traces + 1) for one in random_trace(rng, trace, rng.randrange(1, 30))]
    rng.shuffle(spans)
    return spans


def chained(lengths: Iterable[float], **given: object) -> list[Span]:
    """A root with children one after the other, a millisecond between them."""
    spans, at = [], 1.0
    for number, length in enumerate(lengths, start=2):
        spans.append(span(number, 1, at, length, "call", service="db", **given))
        at += length + 1
    return [span(1, 0, 0, at, "root", service="web"), *spans]
