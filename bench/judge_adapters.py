"""Releases, A/B tests and capacity as the evaluation scripts call them: thin calls into `windvane.analytics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from windvane.analytics.ab import effects
from windvane.analytics.capacity.queue import History, fit
from windvane.analytics.grouped import group, slower
from windvane.analytics.sequential import first_alarm


def judge_latency(base: Sequence[float], canary: Sequence[float], meta: Mapping[str, Any]) -> dict[str, float]:
    """One look at two sets of times."""
    return {"p": slower(*group(np.asarray(base, float), np.asarray(canary, float))).p}


def judge_sequential(stream: Sequence[Sequence[int]], meta: Mapping[str, Any]) -> int:
    """The look (from 1) at which the canary's errors are proven to be more, or 0."""
    looks = [(int(one[0]), int(one[1]), int(one[2]), int(one[3])) for one in stream]
    return first_alarm(looks, float(meta["alpha"]))


def srm(counts: Sequence[int], weights: Sequence[float]) -> float:
    """P-value of the split."""
    return effects.sample_ratio(counts, weights)


def cuped(y_a: Any, y_b: Any, x_a: Any, x_b: Any) -> dict[str, float]:
    """The adjusted difference of means and its 95 % interval."""
    found = effects.cuped(*(np.asarray(one, float) for one in (y_a, y_b, x_a, x_b)))
    return {"effect": found.effect, "lo": found.low, "hi": found.high}


def predict_capacity(
    history: Sequence[Mapping[str, Any]], queries: Sequence[float], slo_ms: float, meta: Mapping[str, Any]
) -> dict[str, Any]:
    """Mean latency at other rates, and the rate that an objective allows."""
    model = fit(History.of([(one["rps"], one["mean_ms"] / 1e3, one.get("utilisation")) for one in history]))
    return {
        "latency_ms": [model.time(rate).value * 1e3 for rate in queries],
        "max_rps": model.limit(slo_ms / 1e3).value,
    }
