"""How many traces each of some stands for, as far as it was sampled: at its head by its client, or here at its tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.sampling.decide import SECONDS
from windvane.tracing.sampling.facts import SPREAD, minutes

_LAST = (1 << 32) - 1  # the last second that the engine's DateTime has


@dataclass(frozen=True, slots=True)
class Sampled:
    """`weight` is the product of both ways of sampling; `policy` kept the trace, '' where none decided it (yet)."""

    weight: float = 1.0
    policy: str = ""


_IDS = "TraceId IN {ids:Array(String)}"
_HEADS = f"SELECT TraceId, max(Weight) AS Head FROM otel_traces WHERE {_IDS}"
_TAILS = f"SELECT TraceId, any(Weight) AS Kept, any(Policy) AS By FROM trace_decisions WHERE {_IDS} AND Weight > 0"


def sampled(engine: Engine, trace_ids: Sequence[str], window_ns: tuple[int, int] | None = None) -> dict[str, Sampled]:
    """By id, what is known of the sampling of traces; without those that stand for themselves and were not decided.

    A trace that was not to be kept, but is still there, stands for itself. `window_ns`: when its spans began.
    """
    if not trace_ids:
        return {}
    params: dict[str, object] = {"ids": list(trace_ids)}
    spans = decided = ""
    if window_ns is not None:
        low, high = window_ns[0] // 10**9, window_ns[1] // 10**9
        spans = f" AND {minutes(max(0, low - SECONDS), min(high, _LAST))}"
        decided = f" AND Minute BETWEEN toDateTime({max(0, low - SPREAD)}) AND toDateTime({min(high + SPREAD, _LAST)})"
    heads = engine.query(f"{_HEADS}{spans} GROUP BY TraceId HAVING Head != 1", params)
    tails = engine.query(f"{_TAILS}{decided} GROUP BY TraceId", params)
    found = {i: Sampled(float(w)) for i, w in zip(heads["TraceId"].tolist(), heads["Head"].tolist(), strict=True)}
    for trace_id, weight, policy in tails.itertuples(index=False, name=None):
        found[trace_id] = Sampled(found.get(trace_id, Sampled()).weight * float(weight), policy)
    return found


def estimate(engine: Engine, trace_ids: Sequence[str], window_ns: tuple[int, int] | None = None) -> float:
    """How many traces these stand for: their number, where none was sampled."""
    known = sampled(engine, trace_ids, window_ns)
    return len(trace_ids) + sum(one.weight - 1 for one in known.values())
