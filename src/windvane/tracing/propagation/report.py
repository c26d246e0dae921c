"""The health of context propagation, workload by workload: what is lost, how sure that is, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.analysis.spans import Ints, Mask
from windvane.tracing.propagation.advice import Advice, advise
from windvane.tracing.propagation.calls import Calls, Window, read_calls
from windvane.tracing.propagation.evidence import (
    Language,
    Told,
    language_of_calls,
    merged,
    signs_of_mesh,
    signs_of_services,
)
from windvane.tracing.propagation.formats import REQUEST_ID, Certainty, Recognised, recognise
from windvane.tracing.propagation.judge import NOTHING, Judged, Verdict, judge_calls, verdict
from windvane.tracing.propagation.keys import grouped, numbered
from windvane.tracing.propagation.lookup import (
    Fact,
    Key,
    ServedByNode,
    SidecarSpan,
    destination_of,
    facts,
    key,
    sidecar_spans,
    workload_of,
)

EXAMPLES = 3
_SIGNS_NS = 600 * 10**9  # around the latest call, so much time is searched for signs of formats and languages
_LOOKED_AT = 50  # lost calls of a workload whose spans and user agents are looked at


@dataclass(frozen=True, slots=True)
class Example:
    """A call that lost its trace, and the request it was made for: one of `candidates` (by timing) or told by its id.

    A span id is "" where the span was not sampled or has not come.
    """

    inbound_trace: str
    inbound_span: str
    outbound_trace: str
    outbound_span: str
    destination: str
    start_ns: int
    by: Literal["request id", "timing"]
    candidates: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls of a workload to one destination."""

    destination: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Dropped:
    """A header that the workload does not hand on."""

    header: str
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload that makes calls: the sum over its `edges`, those that lose most first.

    `proxies` are its sidecars. Lost calls came with the request id of a request it served (`request_id_kept`) or
    with another. `own_traces`: its own tracer began the traces of lost calls.
    """

    name: str
    namespace: str
    proxies: int
    served: int
    verdict: Verdict
    edges: list[Edge]
    certainty: Certainty
    request_id_kept: int
    own_traces: bool
    formats: list[Recognised]
    dropped: list[Dropped]
    language: Language
    advice: Advice | None
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Propagation:
    """Of a window: workloads that make calls, the largest share lost first, and the formats of the whole mesh."""

    start_ns: int
    end_ns: int
    truncated: bool
    served: int
    calls: int
    workloads: list[Workload]
    formats: list[Recognised]


def propagation(engine: Engine, window_ns: Window) -> Propagation:
    """What became of the trace context of requests in a window (nanoseconds, both ends included)."""
    calls = read_calls(engine, window_ns)
    judged = judge_calls(calls)
    names = _Names.of(engine, calls, judged)
    last = int(judged.made.start.max(initial=calls.start_ns))
    window = (max(calls.start_ns, last - _SIGNS_NS), last + _SIGNS_NS)
    formats = recognise(signs_of_mesh(engine, window))
    found = _Joiner(engine, calls, judged, names).workloads(window, formats)
    found.sort(key=lambda one: (-one.verdict.share().value, -one.verdict.lost, one.namespace, one.name))
    return Propagation(
        calls.start_ns, window_ns[1], calls.truncated, len(calls.served), len(judged.made), found, formats
    )


@dataclass(frozen=True, slots=True)
class _Names:
    """Workload and destination of every call, by number, and how many sidecars and served requests a workload has."""

    workloads: list[tuple[str, str]]
    destinations: list[str]
    workload: Ints
    destination: Ints
    nodes: Mapping[int, str]

    @classmethod
    def of(cls, engine: Engine, calls: Calls, judged: Judged) -> _Names:
        made = judged.made
        (_, node), (clusters, cluster) = numbered(made.node), numbered(made.cluster)
        pairs, group = numbered(node.astype(np.int64) * max(1, len(clusters)) + cluster)
        order, begins = grouped(group, len(pairs))
        examples = order[begins[1:] - 1]
        told = facts(engine, [(made, examples.tolist())])
        found = [told.get(key(made, row), Fact("", "", "", "", "")) for row in examples.tolist()]
        workloads, workload = _numbered([workload_of(one.node) for one in found])
        destinations, destination = _numbered([destination_of(one.cluster) for one in found])
        nodes = {int(made.node[row]): one.node for row, one in zip(examples.tolist(), found, strict=True)}
        return cls(workloads, destinations, workload[group], destination[group], nodes)


Value = TypeVar("Value", str, tuple[str, str])


def _numbered(values: Sequence[Value]) -> tuple[list[Value], Ints]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return list(numbers), np.array([numbers[value] for value in values], np.int64)


class _Joiner:
    """Makes the workloads of a report."""

    def __init__(self, engine: Engine, calls: Calls, judged: Judged, names: _Names) -> None:
        self._engine, self._calls, self._judged, self._names = engine, calls, judged, names
        self._served = ServedByNode(calls.served)
        self._edges = self._judge_edges()

    def workloads(self, window: Window, of_mesh: list[Recognised]) -> list[Workload]:
        lost = {number: self._lost_rows(number) for number in self._edges}
        seen = _Seen.of(self._engine, self._calls, self._judged, self._served, lost)
        services = {number: self._services(number, lost[number], seen) for number in lost if len(lost[number])}
        told = signs_of_services(self._engine, window, {name for names in services.values() for name in names})
        return [
            self._workload(number, rows, seen, [told[one] for one in services.get(number, ()) if one in told], of_mesh)
            for number, rows in lost.items()
        ]

    def _judge_edges(self) -> dict[int, list[tuple[Edge, Ints]]]:
        """The edges of each workload, and the rows of their calls."""
        names, judged = self._names, self._judged
        pairs, group = numbered(names.workload * max(1, len(names.destinations)) + names.destination)
        order, begins = grouped(group, len(pairs))
        groups = [order[begins[one] : begins[one + 1]] for one in range(len(pairs))]
        tests = sum(bool(judged.open(rows).any()) for rows in groups)
        edges: dict[int, list[tuple[Edge, Ints]]] = {}
        for rows in groups:
            edge = Edge(names.destinations[names.destination[rows[0]]], verdict(judged, rows, tests))
            edges.setdefault(int(names.workload[rows[0]]), []).append((edge, rows))
        for own in edges.values():
            own.sort(key=lambda one: (-one[0].verdict.lost, -one[0].verdict.calls, one[0].destination))
        return edges

    def _lost_rows(self, number: int) -> Ints:
        """Calls that lost their trace, as far as single ones can be named; proven ones first, then the latest."""
        judged = self._judged
        rows = []
        for edge, own in self._edges[number]:
            by_timing = judged.open(own) & (judged.served[own] > 0) & bool(edge.verdict.likely)
            rows.append(own[judged.proven[own] | by_timing])
        found = np.concatenate(rows)
        return found[np.lexsort((-judged.made.start[found], ~judged.proven[found]))]

    def _services(self, number: int, rows: Ints, seen: _Seen) -> list[str]:
        """Service names under which a workload's proxy and application may send spans."""
        name, namespace = self._names.workloads[number]
        own = {one.service for row in rows[:_LOOKED_AT].tolist() if (one := seen.outbound(row))}
        short = {one.removesuffix(f".{namespace}") for one in own}
        return sorted({*own, *short, name, f"{name}.{namespace}"})

    def _workload(
        self, number: int, rows: Ints, seen: _Seen, told: Sequence[Told], of_mesh: list[Recognised]
    ) -> Workload:
        edges = [edge for edge, _ in self._edges[number]]
        total = sum((edge.verdict for edge in edges), NOTHING)
        certainty = _certainty(total)
        nodes = {int(one) for _, own in self._edges[number] for one in np.unique(self._judged.made.node[own])}
        formats = recognise(merged([one.signs for one in told])) or of_mesh if len(rows) else []
        looked_at = rows[:_LOOKED_AT].tolist()
        kept = int(self._keeps_request_id(rows).sum())
        spans = [span for row in looked_at if (span := seen.outbound(row))]
        own_traces = sum(bool(span.parent_id) for span in spans) * 2 > len(spans)
        language = next((one.language for one in told if one.language.name), None) or language_of_calls(
            fact.user_agent for row in looked_at if (fact := seen.fact(row))
        )
        name, namespace = self._names.workloads[number]
        return Workload(
            name, namespace, len(nodes), sum(len(self._served.rows(node)) for node in nodes), total, edges, certainty,
            kept, own_traces, formats, _dropped(certainty, formats, kept, len(rows)), language,
            advise(
                [one.format for one in _of_proxies(formats)], language.name, keeps_request_id=kept * 2 > len(rows),
                own_traces=own_traces, shortened=total.shortened * 2 > len(rows),
            ) if len(rows) else None,
            [one for row in looked_at if (one := seen.example(row, self._names))][:EXAMPLES],
        )  # fmt: skip

    def _keeps_request_id(self, rows: Ints) -> Mask:
        """Which lost calls came with the id of a request: all proven ones that were not proven by a cut trace id."""
        return self._judged.proven[rows] & ~self._judged.shortened[rows]


def _certainty(found: Verdict) -> Certainty:
    if found.seen:
        return "seen"
    return "likely" if found.likely else "unknown"


def _of_proxies(formats: Sequence[Recognised]) -> list[Recognised]:
    """The formats to hand on: what is seen, or else what is likely."""
    return [one for one in formats if one.certainty == formats[0].certainty]


def _dropped(certainty: Certainty, formats: Sequence[Recognised], kept: int, lost: int) -> list[Dropped]:
    """Headers that lost calls came without: sure only if the loss and the format are."""
    if not lost:
        return []
    both: Certainty = "seen" if certainty == "seen" else "likely"
    found = [
        Dropped(one.format.headers[0], both if one.certainty == "seen" else one.certainty)
        for one in _of_proxies(formats)
    ]
    return [*found, Dropped(REQUEST_ID, both)] if kept * 2 <= lost else found


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is stored of lost calls that are looked at, and of the requests they may have been made for."""

    judged: Judged
    calls: Calls
    candidates: Mapping[int, tuple[Ints, bool]]
    facts: Mapping[Key, Fact]
    clients: Mapping[tuple[str, str], SidecarSpan]
    servers: Mapping[tuple[str, str], SidecarSpan]

    @classmethod
    def of(cls, engine: Engine, calls: Calls, judged: Judged, served: ServedByNode, lost: Mapping[int, Ints]) -> _Seen:
        made, rows = judged.made, [row for own in lost.values() for row in own[:_LOOKED_AT].tolist()]
        shown = [row for own in lost.values() for row in own[:EXAMPLES].tolist()]
        candidates = {row: served.candidates(judged.made, row) for row in shown}
        inbound = [int(found[0]) for found, _ in candidates.values() if len(found)]
        begins = calls.served.start[inbound].tolist()
        told = facts(engine, [(made, rows), (calls.served, inbound)])
        outbound = [told[at] for row in rows if (at := key(judged.made, row)) in told]
        origins = [told[at] for row in inbound if (at := key(calls.served, row)) in told]
        return cls(
            judged, calls, candidates, told,
            sidecar_spans(engine, [(one.trace_id, one.node) for one in outbound], "Client", made.start[rows].tolist()),
            sidecar_spans(engine, [(one.trace_id, one.node) for one in origins], "Server", begins),
        )  # fmt: skip

    def fact(self, row: int) -> Fact | None:
        return self.facts.get(key(self.judged.made, row))

    def outbound(self, row: int) -> SidecarSpan | None:
        fact = self.fact(row)
        return self.clients.get((fact.trace_id, fact.node)) if fact else None

    def example(self, row: int, names: _Names) -> Example | None:
        found, by_id = self.candidates.get(row, (np.empty(0, np.int64), False))
        fact = self.fact(row)
        origin = self.facts.get(key(self.calls.served, int(found[0]))) if len(found) else None
        if fact is None or origin is None:
            return None
        server, client = self.servers.get((origin.trace_id, origin.node)), self.outbound(row)
        return Example(
            origin.trace_id, server.span_id if server else "", fact.trace_id, client.span_id if client else "",
            names.destinations[names.destination[row]], int(self.judged.made.start[row]),
            "request id" if by_id else "timing", len(found),
        )  # fmt: skip
