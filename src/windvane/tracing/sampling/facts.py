"""What policies need to know of traces, asked of the engine: a row a trace, never a span.

A condition on spans becomes `max(condition)` by trace; the hash of a trace's id is the same number in
every query and on every server with the same salt, so every choice by hash is consistent.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.store.api import Engine, Limits
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.spans import span_fields
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.sampling.policies import (
    Numbers,
    Policy,
    Query,
    Rare,
    State,
    Status,
    TailSampling,
    Texts,
    Truth,
    leaves,
)

PATIENT = Limits(seconds=300)
SPREAD = 3_600
"""Seconds around a minute in which the decision of a trace with spans in it is looked for."""
_CERTAIN = (1 << 64) - 1
_PLACES = ("SpanAttributes", "ResourceAttributes")
_HASH = "reinterpretAsUInt64(substring(MD5(concat({salt:String}, TraceId)), 1, 8))"

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes, by their beginnings in seconds since the epoch, both included; of their traces, spans up to `until`.

    `decided` asks for traces that were decided already as well.
    """

    low: int
    high: int
    until: int
    decided: bool = False

    def traces(self) -> str:
        """SQL of the ids of traces with a span in these minutes."""
        but = (
            ""
            if self.decided
            else " AND TraceId NOT IN (SELECT TraceId FROM trace_decisions WHERE Minute BETWEEN "
            f"toDateTime({self.low - SPREAD}) AND toDateTime({self.high + SPREAD}))"
        )
        return f"SELECT TraceId FROM otel_traces WHERE {minutes(self.low, self.high)}{but}"

    def spans(self) -> str:
        """SQL of the condition that rows are spans of these traces."""
        return f"{minutes(self.low, self.until)} AND TraceId IN ({self.traces()})"


def minutes(low: int, high: int) -> str:
    """SQL: the span began in these minutes."""
    return f"toStartOfMinute(Timestamp) BETWEEN toDateTime({low}) AND toDateTime({high})"


@dataclass(frozen=True, slots=True)
class Facts:
    """Traces in the order of their ids: `hash` is in [0, 1); `matches` and `rare` are by number of the leaf policy.

    `rare` says below which hash a trace is one of the wanted few of some combination.
    """

    ids: list[str]
    minute: NDArray[np.int64]
    spans: NDArray[np.int64]
    milliseconds: NDArray[np.int64]
    hash: Shares
    matches: dict[int, NDArray[np.bool_]]
    rare: dict[int, Shares]

    def but(self, others: Set[str]) -> Facts:
        """Those of other traces than these."""
        rows = np.array([place for place, i in enumerate(self.ids) if i not in others], np.int64)
        return Facts(
            [self.ids[row] for row in rows],
            self.minute[rows],
            self.spans[rows],
            self.milliseconds[rows],
            self.hash[rows],
            {place: matches[rows] for place, matches in self.matches.items()},
            {place: bounds[rows] for place, bounds in self.rare.items()},
        )


def ask(engine: Engine, sampling: TailSampling, window: Window) -> Facts:
    """The facts of a window's traces."""
    where = Conditions()
    where.params["salt"] = sampling.salt
    inner = list(enumerate(leaves(sampling.policies)))
    tests = [(place, sql) for place, leaf in inner if (sql := _test(leaf, where))]
    columns = "".join(f", max({sql}) AS M{place}" for place, sql in tests)
    frame = engine.query(
        f"SELECT TraceId, toUnixTimestamp(min(toStartOfMinute(Timestamp))) AS Minute, count() AS Spans,"
        " intDiv(max(toUnixTimestamp64Nano(Timestamp) + toInt64(Duration)) - min(toUnixTimestamp64Nano(Timestamp)),"
        f" 1000000) AS Ms, {_HASH} AS Hash{columns}"
        f" FROM otel_traces WHERE {window.spans()} GROUP BY TraceId ORDER BY TraceId",
        where.params,
        limits=PATIENT,
    )
    ids = frame["TraceId"].tolist()
    rare = {place: leaf.rule.traces for place, leaf in inner if isinstance(leaf.rule, Rare)}
    return Facts(
        ids=ids,
        minute=frame["Minute"].to_numpy(np.int64),
        spans=frame["Spans"].to_numpy(np.int64),
        milliseconds=frame["Ms"].to_numpy(np.int64),
        hash=_share(frame["Hash"].to_numpy(np.uint64)),
        matches={place: frame[f"M{place}"].to_numpy(bool) for place, _ in tests},
        rare={place: _few(engine, sampling, window, most, ids) for place, most in rare.items()},
    )


def _share(hashes: NDArray[np.uint64]) -> Shares:
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _few(engine: Engine, sampling: TailSampling, window: Window, most: int, ids: list[str]) -> Shares:
    """Below which hash each trace is among the first `most` of one of its combinations; 1: all of one are."""
    of = (
        "SELECT DISTINCT TraceId, cityHash64(ServiceName, SpanName, StatusCode) AS Combination, "
        f"{_HASH} AS Hash FROM otel_traces WHERE {window.spans()}"
    )
    frame = engine.query(
        f"WITH spans AS ({of}) SELECT TraceId, max(Bound) AS Bound FROM spans INNER JOIN"
        f" (SELECT Combination, groupArraySorted({most + 1})(Hash) AS First,"
        f" if(length(First) > {most}, First[{most + 1}], {_CERTAIN}) AS Bound FROM spans GROUP BY Combination)"
        " AS few USING (Combination) GROUP BY TraceId",
        {"salt": sampling.salt},
        limits=PATIENT,
    )
    bounds = pd.Series(frame["Bound"].to_numpy(np.uint64), index=frame["TraceId"]).reindex(ids, fill_value=0)
    found = bounds.to_numpy(np.uint64)
    return np.where(found == np.uint64(_CERTAIN), 1.0, _share(found))


def _test(leaf: Policy, where: Conditions) -> str:  # noqa: PLR0911 - a kind of policy each
    """SQL of what a span must be for its trace to match; '' for policies that do not look at spans."""
    match leaf.rule:
        case Status(codes):
            return f"StatusCode IN {where.bind(list(codes), 'Array(String)')}"
        case Texts(key, values, regex):
            return _anywhere(key, where, _text_test(values, regex, where))
        case Numbers(key, low, high):
            bounds = [(">=", low), ("<=", high)]
            asked = [(sign, where.bind(end, "Float64")) for sign, end in bounds if end is not None]
            return _anywhere(
                key, where,
                lambda text: " AND ".join(f"ifNull(toFloat64OrNull({text}) {sign} {end}, 0)" for sign, end in asked),
            )  # fmt: skip
        case Truth(key, value):
            return _anywhere(key, where, lambda text: f"lower({text}) = '{str(value).lower()}'")
        case State(key, values):
            members = where.bind([f"{key}={value}" for value in values], "Array(String)")
            return f"hasAny(arrayMap(member -> trimBoth(member), splitByChar(',', TraceState)), {members})"
        case Query(expression):
            return condition(expression, span_fields(), where)
    return ""


def _text_test(values: tuple[str, ...], regex: bool, where: Conditions) -> Callable[[str], str]:
    if not regex:
        wanted = where.bind(list(values), "Array(String)")
        return lambda text: f"has({wanted}, {text})"
    patterns = [where.bind(value) for value in values]
    return lambda text: "(" + " OR ".join(f"match({text}, {pattern})" for pattern in patterns) + ")"


def _anywhere(key: str, where: Conditions, test: Callable[[str], str]) -> str:
    name = where.bind(key)
    return (
        "(" + " OR ".join(f"(mapContains({place}, {name}) AND {test(f'{place}[{name}]')})" for place in _PLACES) + ")"
    )
