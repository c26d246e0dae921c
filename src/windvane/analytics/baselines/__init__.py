"""Baselines that a server keeps: every scope's usual rate, errors and latency, learnt once and judged every minute.

    watcher = Watcher(ask, WatchSettings(slo=0.999))
    try:
        watcher.restore(kept)
    except StateError:
        watcher.learn(now)
    judgement = watcher.advance(now)  # each minute

Nothing here knows a store, a clock or a thread: PromQL range queries in, judgements out. SciPy is loaded by the first
judgement.
"""

from windvane.analytics.baselines.changepoints import Changepoint, changepoints
from windvane.analytics.baselines.contract import (
    ALARM,
    KINDS,
    Found,
    Judgement,
    Kind,
    Reading,
    Scope,
    StateError,
    Watched,
    WatchSettings,
)
from windvane.analytics.baselines.watcher import Watcher

__all__ = [
    "ALARM", "KINDS", "Changepoint", "Found", "Judgement", "Kind", "Reading", "Scope", "StateError", "WatchSettings",
    "Watched", "Watcher", "changepoints",
]  # fmt: skip
