"""Results of trace analyses as what the API answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from windvane.api.windvane import analysis_models as shown
from windvane.api.windvane.analysis_models import fields_of, milliseconds
from windvane.tracing.analysis import cohorts, compare, critical, failures, flame, outliers, repeats, storms, whatif
from windvane.tracing.analysis.spans import Name
from windvane.tracing.analysis.statistics import Interval
from windvane.tracing.analysis.tree import Tree, self_time, sums


def moment(nanoseconds: int) -> str:
    """A time as ISO 8601 with all its digits, in UTC."""
    return f"{np.datetime_as_string(np.datetime64(nanoseconds, 'ns'))}Z"


def named(name: Name) -> dict[str, Any]:
    """A name's fields."""
    return name._asdict()


def trace_path(tree: Tree) -> shown.TracePath:
    """The path of the only trace."""
    path, spans, root = critical.walk(tree), tree.spans, int(tree.roots[0])
    start = int(tree.low[root])
    sections = [
        shown.PathSection(
            **named(spans.names[int(spans.columns.name[one.row])]), span_id=spans.span_id(one.row),
            start_ms=milliseconds(one.start_ns - start), duration_ms=milliseconds(one.end_ns - one.start_ns),
        )
        for one in critical.sections(tree, path)
    ]  # fmt: skip
    length = int(tree.length[root])
    size = len(spans.names)
    counts = np.bincount(spans.columns.name, minlength=size)
    own, alone = sums(spans.columns.name, path.own, size), sums(spans.columns.name, self_time(tree), size)
    order = np.lexsort((-alone, -own)).tolist()
    return shown.TracePath(
        trace_id=spans.trace_ids[0], **named(spans.names[int(spans.columns.name[root])]), start=moment(start),
        duration_ms=milliseconds(length), spans=len(spans), roots=int((spans.parent < 0).sum()), sections=sections,
        operations=[
            shown.PathOperation(
                **named(spans.names[i]), spans=int(counts[i]), path_ms=milliseconds(int(own[i])),
                share=float(own[i] / max(1, length)), self_ms=milliseconds(int(alone[i])),
            )
            for i in order
        ],
    )  # fmt: skip


def quantiles(values: Mapping[str, float]) -> shown.Quantiles:
    """Quantiles in milliseconds."""
    return shown.Quantiles(**{name: milliseconds(value) for name, value in values.items()})


def owned(owner: critical.Owner) -> dict[str, Any]:
    """What every owner has."""
    bands = {
        name: shown.BandShare(mean_ms=milliseconds(one.mean_ns), share=one.share) for name, one in owner.at.items()
    }
    return {
        **fields_of(owner, "traces", "share"), "path_ms": milliseconds(owner.path_ns),
        "self_ms": milliseconds(owner.self_ns), "at": shown.Bands(**bands),
    }  # fmt: skip


def what_if(one: whatif.Projection) -> shown.WhatIf:
    """A projection."""
    return shown.WhatIf(
        **fields_of(one, "service", "operation", "faster", "affected"),
        before_ms=quantiles(one.before_ns), after_ms=quantiles(one.after_ns),
    )  # fmt: skip


def flame_nodes(tree: Tree, graph: flame.Flame, least: float) -> tuple[list[shown.FlameNode], int]:
    """The nodes that are large enough, their parents renumbered, and how many are not."""
    kept = flame.large(graph, least)
    number = np.cumsum(kept) - 1
    nodes = [
        shown.FlameNode(
            **named(tree.spans.names[int(graph.name[i])]),
            parent=int(number[graph.parent[i]]) if graph.parent[i] >= 0 else -1,
            depth=int(graph.depth[i]), spans=int(graph.spans[i]), traces=int(graph.traces[i]),
            errors=int(graph.errors[i]), total_ms=milliseconds(int(graph.total[i])),
            self_ms=milliseconds(int(graph.own[i])), path_ms=milliseconds(int(graph.path[i])),
        )
        for i in np.flatnonzero(kept).tolist()
    ]  # fmt: skip
    return nodes, int((~kept).sum())


def compared(one: compare.Place) -> shown.ComparedPlace:
    """A place in both traces."""
    a, b = (
        shown.ComparedSide(
            **fields_of(side, "spans", "errors"), total_ms=milliseconds(side.total_ns),
            self_ms=milliseconds(side.self_ns), path_ms=milliseconds(side.path_ns),
        )
        for side in (one.a, one.b)
    )  # fmt: skip
    return shown.ComparedPlace(**named(one.name), **fields_of(one, "parent", "depth", "change"), a=a, b=b)


def estimate(interval: Interval) -> shown.Estimate:
    """A value and its interval."""
    return shown.Estimate(**fields_of(interval, "value", "low", "high"))


def difference(one: cohorts.Difference, selection: int, baseline: int) -> shown.CohortDifference:
    """A property that differs."""
    return shown.CohortDifference(
        **fields_of(one.property, "kind", "key", "value"),
        also=[shown.CohortProperty(**fields_of(other, "kind", "key", "value")) for other in one.also],
        selection=shown.CohortCount(traces=one.selection, share=one.selection / selection),
        baseline=shown.CohortCount(traces=one.baseline, share=one.baseline / baseline),
        difference=estimate(one.difference), ratio=estimate(one.ratio), **fields_of(one, "p", "adjusted", "example"),
    )  # fmt: skip


def latency(one: cohorts.LatencyDifference) -> shown.CohortLatency:
    """An operation whose latency differs."""
    selection, baseline = (
        shown.LatencyCount(traces=traces, p50_ms=milliseconds(at["p50"]), p95_ms=milliseconds(at["p95"]))
        for traces, at in ((one.selection, one.selection_ns), (one.baseline, one.baseline_ns))
    )
    return shown.CohortLatency(
        **fields_of(one, "service", "operation", "p", "adjusted"), selection=selection, baseline=baseline,
        chance=estimate(one.chance),
    )  # fmt: skip


def error_root(one: failures.ErrorRoot) -> shown.ErrorRootFound:
    """An operation in which failures begin."""
    return shown.ErrorRootFound(
        **named(one.name), **fields_of(one, "spans", "traces", "reached"),
        chain=[shown.Named(**named(name)) for name in one.chain],
        trace_id=one.example_trace, span_id=one.example_span,
    )  # fmt: skip


def repeat(one: repeats.Repeat) -> shown.RepeatFound:
    """Calls that repeat."""
    return shown.RepeatFound(
        caller=shown.Named(**named(one.caller)), called=shown.Named(**named(one.called)),
        **fields_of(one, "traces", "parents", "calls", "most"), time_ms=milliseconds(one.time_ns),
        path_ms=milliseconds(one.path_ns), trace_id=one.example_trace, span_id=one.example_span,
    )  # fmt: skip


def storm(one: storms.Storm) -> shown.StormFound:
    """A retry storm."""
    plain = [name for name in storms.Storm.__slots__ if name != "way"]
    way = [shown.StormHop(**fields_of(hop, *storms.Hop.__slots__)) for hop in one.way]
    return shown.StormFound(**fields_of(one, *plain), way=way)


def slow(one: outliers.Slow) -> shown.SlowFound:
    """An operation that became slower."""
    return shown.SlowFound(
        **named(one.name), **fields_of(one, "spans", "slow", "above", "p", "adjusted", "times"),
        baseline_spans=one.usual.spans, baseline_p50_ms=milliseconds(one.usual.median_ns),
        baseline_p99_ms=milliseconds(one.usual.p99_ns), p50_ms=milliseconds(one.median_ns),
        example_ms=milliseconds(one.example_ns), trace_id=one.example_trace, span_id=one.example_span,
    )  # fmt: skip
