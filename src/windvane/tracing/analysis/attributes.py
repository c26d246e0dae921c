"""How many traces of two sets have each attribute = value: counted by the engine, named only where it matters.

The engine hashes every attribute of every span, keeps the different hashes of a trace, and counts traces by hash. What
is asked for by its name afterwards are the few that differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from windvane.kit.errors import LimitError
from windvane.store.api import Engine, Limits
from windvane.tracing.analysis.cohorts import Candidates, Property
from windvane.tracing.analysis.load import TRACE, Window, among, trace_keys

MAX_PAIRS = 1_000_000
"""Attributes with enough traces; more is a `LimitError` that asks for more support."""

_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30)
_SCOPES = {"span.": "SpanAttributes", "resource.": "ResourceAttributes"}
_HASHES = "arrayConcat(" + ", ".join(
    f"arrayMap((k, v) -> sipHash64('{scope}', CAST(k AS String), v), mapKeys({column}), mapValues({column}))"
    for scope, column in _SCOPES.items()
) + ")"  # fmt: skip
_NAMES = "arrayConcat(" + ", ".join(
    f"arrayMap((k, v) -> tuple('{scope}', CAST(k AS String), v), mapKeys({column}), mapValues({column}))"
    for scope, column in _SCOPES.items()
) + ")"  # fmt: skip


def count(
    engine: Engine, selection: Sequence[str], baseline: Sequence[str], support: int, window_ns: Window | None = None
) -> Candidates:
    """Attributes of spans and resources that at least `support` of the traces have.

    The sets have no trace in common; `example` counts through the selection, then the baseline.
    """
    traces = [*selection, *baseline]
    keys, mixer = trace_keys(traces)
    where, params = among(traces, window_ns)
    key = TRACE.format(mixer=mixer)
    sql = (
        "SELECT H, countIf(Chosen) AS A, count() - A AS B, sum(sipHash64(Key)) AS Mark,"
        " minIf(Key, Chosen) AS First, min(Key) AS Any FROM ("
        f"SELECT {key} AS Key, TraceId IN {{selection:Array(String)}} AS Chosen,"
        f" arrayJoin(groupUniqArrayArray({_HASHES})) AS H FROM otel_traces WHERE {where} GROUP BY TraceId)"
        f" GROUP BY H HAVING count() >= {support:d} ORDER BY H"
    )
    parts: list[list[np.ndarray[tuple[int], np.dtype[np.uint64]]]] = []
    for block in engine.stream(sql, {**params, "selection": list(selection)}, limits=_LIMITS):
        parts.append([block.column(name).astype(np.uint64) for name in ("H", "A", "B", "Mark", "First", "Any")])
        if sum(len(part[0]) for part in parts) > MAX_PAIRS:
            raise LimitError(f"more than {MAX_PAIRS:,} attributes have a support of {support} traces; ask for more")
    empty = np.empty(0, np.uint64)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [empty] * 6
    hashes, a, b, mark, first, some = columns
    order = np.argsort(keys)
    example = order[np.searchsorted(keys[order], np.where(a > 0, first, some))]

    def label(rows: Sequence[int]) -> list[Property]:
        wanted = hashes[list(rows)].tolist()
        shown = sorted({traces[number] for number in example[list(rows)].tolist()})
        return _named(engine, wanted, shown, window_ns)

    return Candidates(a.astype(np.int64), b.astype(np.int64), mark, example, label)


def _named(engine: Engine, hashes: Sequence[int], trace_ids: Sequence[str], window_ns: Window | None) -> list[Property]:
    where, params = among(trace_ids, window_ns)
    frame = engine.query(
        "SELECT DISTINCT H, P.1 AS Scope, P.2 AS Name, P.3 AS Value FROM ("
        f"SELECT arrayJoin(arrayZip({_HASHES}, {_NAMES})) AS Pair, Pair.1 AS H, Pair.2 AS P"
        f" FROM otel_traces WHERE {where}) WHERE H IN {{hashes:Array(UInt64)}}",
        {**params, "hashes": list(hashes)},
        limits=_LIMITS,
    )
    rows = zip(*(frame[name].tolist() for name in ("H", "Scope", "Name", "Value")), strict=True)
    known = {number: Property("attribute", scope + name, value) for number, scope, name, value in rows}
    return [known[number] for number in hashes]
