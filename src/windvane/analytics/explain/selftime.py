"""What traces say of a suspect: which of its operations grew by itself, or fails by itself, and a trace to look at.

A few hundred traces through the suspect since the onset are compared with as many from before, chosen by a hash of
their ids (so by chance, but the same each time). Self time is what a span ran while none of its children did; each
trace counts as often as its sampling says it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from windvane.analytics.mesh_series import Service, name_of
from windvane.kit.errors import LimitError, OverloadedError, UnavailableError
from windvane.store.api import Engine, Limits
from windvane.tracing.analysis.failures import origins
from windvane.tracing.analysis.load import read_spans
from windvane.tracing.analysis.spans import ERROR, KINDS, Floats, Ints, Mask, Spans
from windvane.tracing.analysis.statistics import brunner_munzel
from windvane.tracing.analysis.tree import Tree, durations, self_time
from windvane.tracing.sampling.kept import sampled

TRACES = 200
"""Traces of each side."""
ENOUGH = 60
"""Fewer than these and a longer time is taken."""
SPANS = (120, 600)
"""Seconds of each side that are looked through, the second where the first has too few."""
LEAST = 5
"""Spans of each side without which an operation is not judged."""
GROWN = 1.3
P_VALUE = 0.01
_LIMITS = Limits(seconds=3.0)
_CLIENT, _PRODUCER = KINDS.index("Client"), KINDS.index("Producer")
_IDS = """SELECT TraceId FROM otel_traces WHERE ServiceName IN {names:Array(String)}
 AND toStartOfMinute(Timestamp) BETWEEN toDateTime({first:Int64}) AND toDateTime({last:Int64})
 AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})
 GROUP BY TraceId ORDER BY sipHash64(TraceId) LIMIT {limit:UInt32}"""
_PEER = """SELECT any(Peer) AS Found FROM otel_traces WHERE TraceId IN {ids:Array(String)} AND SpanName = {name:String}
 AND SpanKind IN ('Client', 'Producer') AND Peer != ''"""


@dataclass(frozen=True, slots=True)
class Grown:
    """An operation, and how its own doing changed: milliseconds of self time a span, or the share that fails of itself.

    `call`: it is a call of something that has no spans here (`peer`, such as a database, where the span says what) or
    the way to another service. `trace` is a typical one of the time, `milliseconds` how long it took in all; `usual`
    one from before.
    """

    what: Literal["time", "failing"]
    service: str
    operation: str
    before: float
    now: float
    call: bool
    traces: int
    trace: str
    trace_ms: float
    at: float
    peer: str = ""
    usual: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """Spans of both sides with what is known of each row."""

    tree: Tree
    own: Ints
    now: Mask
    weight: Floats
    suspect: Mask


def grown(engine: Engine, suspect: Service, caller: Service | None, *, onset: float, end: float,
          signal: str) -> Grown | None:  # fmt: skip
    """The operation of a suspect (or of the caller's calls to it) that changed most; None where traces tell of none."""
    try:
        read = _read(engine, suspect, caller, onset, end)
        if read is None:
            return None
        found = _failing(read, suspect) if signal == "errors" else _slower(read, suspect)
        return None if found is None else _with_peer(engine, found)
    except (
        LimitError,
        OverloadedError,
        UnavailableError,
    ):  # too many spans, or a store that does not answer: the rest of the answer stands
        return None


def names_of(service: Service) -> list[str]:
    """How spans call a service: as Istio's proxies do, with its namespace, or as applications do."""
    return [name_of(service), service[1]]


def _read(engine: Engine, suspect: Service, caller: Service | None, onset: float, end: float) -> _Read | None:
    names = names_of(suspect if caller is None else caller)
    after = _ids(engine, names, onset, 1, end)
    before = _ids(engine, names, onset - 15, -1, end)
    if len(after) < LEAST or len(before) < LEAST:
        return None
    ids = list(dict.fromkeys([*after, *before]))
    spans = read_spans(engine, ids, (int((onset - SPANS[1]) * 1e9), int(end * 1e9)))
    if not len(spans):
        return None
    tree = Tree.of(spans)
    late = set(after)
    known = sampled(engine, ids)
    weights = np.array([known[one].weight if one in known else 1.0 for one in spans.trace_ids])
    now = np.array([one in late for one in spans.trace_ids], np.bool_)
    trace = spans.columns.trace
    return _Read(tree, self_time(tree), now[trace], weights[trace], _suspected(spans, suspect, caller))


def _ids(engine: Engine, names: list[str], onset: float, side: int, end: float) -> list[str]:
    found: list[str] = []
    for seconds in SPANS:
        low, high = (onset, min(end, onset + seconds)) if side > 0 else (onset - seconds, onset)
        params = {
            "names": names, "first": int(low) // 60 * 60, "last": int(high) // 60 * 60,
            "low": int(low * 1e9), "high": int(high * 1e9), "limit": TRACES,
        }  # fmt: skip
        found = engine.query(_IDS, params, limits=_LIMITS)["TraceId"].tolist()
        if len(found) >= ENOUGH:
            break
    return found


def _suspected(spans: Spans, suspect: Service, caller: Service | None) -> Mask:
    """Rows that are the suspect's; with a caller, its calls that lie above the suspect's spans, or above none."""
    of_name, services = spans.services()
    mine = set(names_of(suspect))
    is_suspect = np.array([one in mine for one in services], np.bool_)[of_name][spans.columns.name]
    if caller is None:
        return is_suspect
    theirs = set(names_of(caller))
    is_caller = np.array([one in theirs for one in services], np.bool_)[of_name][spans.columns.name]
    over, parent = np.zeros(len(spans), np.bool_), spans.parent
    over[parent[is_suspect & (parent >= 0)]] = True
    named = np.array([suspect[1] in one.operation for one in spans.names], np.bool_)[spans.columns.name]
    leaf = np.ones(len(spans), np.bool_)
    leaf[parent[parent >= 0]] = False
    return is_caller & np.isin(spans.columns.kind, (_CLIENT, _PRODUCER)) & (over | (named & leaf))


def _slower(read: _Read, suspect: Service) -> Grown | None:
    spans = read.tree.spans
    best: tuple[float, int, float, float, Ints] | None = None
    for name in np.unique(spans.columns.name[read.suspect]).tolist():
        rows = np.flatnonzero(read.suspect & (spans.columns.name == name))
        new, old = rows[read.now[rows]], rows[~read.now[rows]]
        if min(len(new), len(old)) < LEAST:
            continue
        present, past = _mean(read, new), _mean(read, old)
        excess = (present - past) * float(read.weight[new].sum())
        if present < GROWN * past or (best is not None and excess <= best[0]):
            continue
        if brunner_munzel(read.own[new].astype(float), read.own[old].astype(float)).p < P_VALUE:
            best = (excess, name, past, present, rows)
    if best is None:
        return None
    _, name, past, present, rows = best
    new = rows[read.now[rows]]
    example = int(new[np.argmin(np.abs(read.own[new] - present))])  # typical of what it takes now
    return _told(read, "time", name, example, values=(past / 1e6, present / 1e6), rows=rows)


def _failing(read: _Read, suspect: Service) -> Grown | None:
    spans = read.tree.spans
    first, _ = origins(read.tree)
    origin = np.zeros(len(spans), np.bool_)
    origin[first] = True
    if not (origin & read.suspect).any():  # a caller's call that failed, though it is not where it begins
        origin = spans.columns.status == ERROR
    best: tuple[float, int, float, float, Ints] | None = None
    for name in np.unique(spans.columns.name[read.suspect & origin]).tolist():
        rows = np.flatnonzero(read.suspect & (spans.columns.name == name))
        new, old = rows[read.now[rows]], rows[~read.now[rows]]
        if len(new) < LEAST:
            continue
        present, past = _share(read, new, origin), _share(read, old, origin)
        excess = (present - past) * float(read.weight[new].sum())
        if excess >= 2.0 and present > GROWN * past and (best is None or excess > best[0]):
            best = (excess, name, past, present, rows)
    if best is None:
        return None
    _, name, past, present, rows = best
    failed = rows[read.now[rows] & origin[rows]]
    example = int(failed[np.argmin(spans.columns.start[failed])])  # the first since the onset
    return _told(read, "failing", name, example, values=(past, present), rows=rows)


def _mean(read: _Read, rows: Ints) -> float:
    return float((read.weight[rows] * read.own[rows]).sum() / read.weight[rows].sum())


def _share(read: _Read, rows: Ints, origin: Mask) -> float:
    return float((read.weight[rows] * origin[rows]).sum() / read.weight[rows].sum()) if len(rows) else 0.0


def _told(read: _Read, what: Literal["time", "failing"], name: int, example: int, *, values: tuple[float, float],
          rows: npt.NDArray[np.int64]) -> Grown:  # fmt: skip
    spans = read.tree.spans
    trace = int(spans.columns.trace[example])
    old = rows[~read.now[rows]]
    usual = spans.trace_ids[int(spans.columns.trace[old[len(old) // 2]])] if len(old) else ""
    kinds = (_CLIENT, _PRODUCER)
    return Grown(
        what, spans.names[name].service, spans.names[name].operation, values[0], values[1],
        int(spans.columns.kind[example]) in kinds, len(np.unique(spans.columns.trace[rows])),
        spans.trace_ids[trace], float(durations(read.tree)[trace]) / 1e6, float(spans.columns.start[example]) / 1e9,
        usual=usual,
    )  # fmt: skip


def _with_peer(engine: Engine, found: Grown) -> Grown:
    """What a call without spans below is a call of, where the span says."""
    if not found.call:
        return found
    frame = engine.query(_PEER, {"ids": [found.trace], "name": found.operation}, limits=_LIMITS)
    peer = str(frame["Found"].iloc[0]) if len(frame) else ""
    return Grown(**{name: getattr(found, name) for name in Grown.__slots__} | {"peer": peer.partition(" ")[2]})
