"""How many traces each of some stands for, as far as it was sampled: at its head by its client, or here at its tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing import weights


@dataclass(frozen=True, slots=True)
class Sampled:
    """`weight` is the product of both ways of sampling; `policy` kept the trace, '' where none decided it (yet)."""

    weight: float = 1.0
    policy: str = ""


_HEADS = f"""
SELECT TraceId, max({weights.SQL}) AS Weight FROM otel_traces WHERE TraceId IN {{ids:Array(String)}}
GROUP BY TraceId HAVING Weight != 1"""
_TAILS = """
SELECT TraceId, any(Weight) AS Kept, any(Policy) AS Policy FROM trace_decisions
WHERE TraceId IN {ids:Array(String)} AND Weight > 0 GROUP BY TraceId"""


def sampled(engine: Engine, trace_ids: Sequence[str]) -> dict[str, Sampled]:
    """By id, what is known of the sampling of traces; without those that stand for themselves and were not decided.

    A trace that was not to be kept, but is still there, stands for itself.
    """
    if not trace_ids:
        return {}
    params = {"ids": list(trace_ids)}
    heads = engine.query(_HEADS, params)
    tails = engine.query(_TAILS, params)
    found = {i: Sampled(float(w)) for i, w in zip(heads["TraceId"].tolist(), heads["Weight"].tolist(), strict=True)}
    for trace_id, weight, policy in tails.itertuples(index=False, name=None):
        found[trace_id] = Sampled(found.get(trace_id, Sampled()).weight * float(weight), policy)
    return found
