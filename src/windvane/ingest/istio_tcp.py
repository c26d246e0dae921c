"""What TCP connections added since the last tick.

A proxy reports a connection several times, each time with its bytes so far: when connected, every
few seconds, and at its end. Counters of open connections are held here; those of a connection met
for the first time that may have been reported before this process began are looked up in the log.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from windvane.ingest import istio_sql as sql
from windvane.ingest.running_totals import PATIENT
from windvane.store.api import Engine

_DAY_MS = 86_400_000
# How far a proxy's clock may be off, and how long an open connection is remembered in silence.
_SKEW_MS = 60_000
_SILENCE_MS = _DAY_MS


class Connections:
    """Open connections and their counters at the last tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open = _frame()
        self._since_ms: int | None = None

    def advance(self, span: Mapping[str, int], now_ms: int) -> pd.DataFrame:
        """Traffic columns plus opened, closed, sent, received: what each connection added in a range
        of commits (`after`, `upto`]. Call once for every range, in order."""
        if self._since_ms is None:
            self._since_ms = now_ms
        heard = self._engine.query(sql.connections(), span, limits=PATIENT)
        if heard.empty:
            return heard
        heard = heard.set_index("stream")
        before = self._before(heard, span["after"], now_ms)
        known = before.reindex(heard.index)
        first = known["sent"].isna().to_numpy(bool)
        was_ended = (known["ended"] == 1).to_numpy(bool)
        for counter in ("sent", "received"):
            then = known[counter].fillna(0).to_numpy(np.int64)
            now = heard[counter].to_numpy(np.int64)
            heard[f"{counter}_total"] = np.maximum(now, then)
            heard[counter] = np.maximum(now - then, 0)
        heard["opened"] = first.astype(np.int64)
        heard["closed"] = ((heard["ended"] == 1) & ~was_ended).astype(np.int64)
        self._remember(heard, now_ms)
        return heard

    def _before(self, heard: pd.DataFrame, upto: int, now_ms: int) -> pd.DataFrame:
        assert self._since_ms is not None
        covered_ms = max(self._since_ms, now_ms - _SILENCE_MS) + _SKEW_MS
        doubtful = heard[~heard.index.isin(self._open.index) & (heard["began_ms"] < covered_ms)]
        if doubtful.empty or not upto:
            return self._open
        earlier = self._engine.query(
            sql.earlier_connections(),
            {
                "upto": upto,
                "streams": doubtful["stream_id"].tolist(),
                "since": max(int(doubtful["began_ms"].min()) - _DAY_MS, 0),
            },
        ).set_index("stream")
        if earlier.empty:
            return self._open
        return pd.concat([self._open, earlier.assign(seen_ms=now_ms)[self._open.columns]])

    def _remember(self, heard: pd.DataFrame, now_ms: int) -> None:
        going_on = heard[heard["ended"] == 0]
        news = pd.DataFrame(
            {
                "sent": going_on["sent_total"],
                "received": going_on["received_total"],
                "ended": going_on["ended"],
                "seen_ms": now_ms,
            }
        )
        rest = self._open[~self._open.index.isin(heard.index) & (self._open["seen_ms"] > now_ms - _SILENCE_MS)]
        self._open = pd.concat([rest, news]) if len(rest) else news


def _frame() -> pd.DataFrame:
    columns = {name: pd.Series(dtype=np.int64) for name in ("sent", "received", "ended", "seen_ms")}
    return pd.DataFrame(columns, index=pd.Index([], dtype=np.uint64))
