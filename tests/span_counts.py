"""Spans of services that call each other, and what counting them must come to: plain sums over all of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from windvane.tracing.model import Span
from windvane.tracing.span_pairs import REACH_S
from windvane.tracing.weights import weight

T0 = 1_790_000_000 * 10**9
SECOND = 10**9
Totals = dict[tuple[str, tuple[tuple[str, str], ...]], float]

_STARTS = st.one_of(
    st.integers(0, 240).map(lambda s: s * SECOND),
    st.integers(240, 700).map(lambda s: s * SECOND),
    st.sampled_from([3_600 * SECOND, 86_400 * SECOND]),
)
_ATTRIBUTES = st.sampled_from([
    {}, {}, {}, {"peer.service": "bank"}, {"db.system": "redis"}, {"db.name": "orders", "peer.service": "pg"},
    {"db.system": "redis", "network.peer.address": "::1", "network.peer.port": "6379"},
])  # fmt: skip


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Spans of up to four traces: trees with gaps, some far apart in time, some of them in several copies."""
    made = []
    for trace in range(draw(st.integers(1, 4))):
        for number in range(1, draw(st.integers(2, 7))):
            parent = draw(st.one_of(st.integers(0, number - 1), st.integers(0, 9)))
            parent = 0 if parent == number else parent
            made.append(
                Span(
                    f"{trace:032x}", f"{number:016x}", f"{parent:016x}" if parent else "",
                    draw(st.sampled_from(["read", "write"])),
                    draw(st.sampled_from(["Server", "Server", "Client", "Client", "Producer", "Consumer", "Internal"])),
                    draw(st.sampled_from(["web.shop", "cart.shop", "pay.shop"])),
                    T0 + draw(_STARTS), draw(st.sampled_from([0, 1_000, 2_000_000, 150 * 10**6, 20 * SECOND])),
                    status=draw(st.sampled_from(["Unset", "Ok", "Error"])),
                    trace_state=draw(st.sampled_from(["", "", "ot=th:8", "ot=th:c"])), attributes=draw(_ATTRIBUTES),
                )
            )  # fmt: skip
    copies = draw(st.lists(st.sampled_from(made), max_size=3))
    return draw(st.permutations([*made, *copies]))


def distinct(given: Iterable[Span]) -> list[Span]:
    """Each span once."""
    return list({(s.trace_id, s.span_id, s.service, s.name, s.kind, s.start_ns): s for s in given}.values())


def span_weight(span: Span) -> float:
    return weight(span.trace_state)


def pairs(given: Sequence[Span]) -> list[tuple[Span, Span]]:
    """(parent, child) of spans that begin near each other."""
    known = {(s.trace_id, s.span_id): s for s in given}
    found = [(known.get((child.trace_id, child.parent_id)), child) for child in given]
    return [(p, c) for p, c in found if p is not None and abs(p.start_ns - c.start_ns) <= REACH_S * SECOND]


def database(span: Span) -> str:
    """The database that a span asks, or ''."""
    own = {key: str(value) for key, value in span.attributes.items()}
    if span.kind not in ("Client", "Producer") or not {"db.name", "db.system"} & set(own):
        return ""
    address = f"{own.get('network.peer.address')}:{own.get('network.peer.port')}" if "network.peer.port" in own else ""
    return own.get("peer.service") or address or own.get("db.name") or own["db.system"]


@dataclass
class Counts:
    """Totals by metric name and labels."""

    totals: Counter[tuple[str, tuple[tuple[str, str], ...]]]

    def add(self, name: str, amount: float, **labels: str) -> None:
        self.totals[name, tuple(sorted((key, value) for key, value in labels.items() if value))] += amount

    def observe(self, name: str, bounds: Sequence[float], value: float, times: float, **labels: str) -> None:
        for bound in (*bounds, math.inf):
            inside = times if value <= bound else 0
            self.add(f"{name}_bucket", inside, le="+Inf" if math.isinf(bound) else f"{bound:g}", **labels)
        self.add(f"{name}_sum", value * times, **labels)
        self.add(f"{name}_count", times, **labels)


GRAPH, CALLS = "traces_service_graph_request", "traces_spanmetrics"


def metrics(given: Sequence[Span], virtual: Iterable[Span] = ()) -> Totals:
    """Tempo's series of these spans; `virtual` are clients that nobody answered."""
    counts = Counts(Counter())
    for span in (once := distinct(given)):
        labels = {"service": span.service, "span_name": span.name, "span_kind": f"SPAN_KIND_{span.kind.upper()}"}
        labels["status_code"] = f"STATUS_CODE_{span.status.upper()}"
        counts.add(f"{CALLS}_calls_total", span_weight(span), **labels)
        bounds = [0.002 * 2**n for n in range(14)]
        counts.observe(f"{CALLS}_latency", bounds, span.duration_ns / 1e9, span_weight(span), **labels)
        if database(span):
            _edge(counts, span.service, database(span), "database", span.duration_ns, span.duration_ns, [span])
        if not span.parent_id and span.kind in ("Server", "Consumer"):
            _edge(counts, "user", span.service, "virtual_node", span.duration_ns, 0, [span])
    for parent, child in pairs(once):
        if parent.kind in ("Client", "Producer") and child.kind in ("Server", "Consumer") and not database(parent):
            kind = "messaging_system" if parent.kind == "Producer" or child.kind == "Consumer" else ""
            _edge(counts, parent.service, child.service, kind, child.duration_ns, parent.duration_ns, [child, parent])
    for span in virtual:
        _edge(counts, span.service, "bank", "virtual_node", 0, span.duration_ns, [span])
    return dict(counts.totals)


def _edge(counts: Counts, client: str, server: str, kind: str, ours: int, theirs: int, told: list[Span]) -> None:
    labels, times = {"client": client, "server": server, "connection_type": kind}, span_weight(told[0])
    counts.add(f"{GRAPH}_total", times, **labels)
    counts.add(f"{GRAPH}_failed_total", times if any(s.status == "Error" for s in told) else 0, **labels)
    bounds = [0.1 * 2**n for n in range(8)]
    counts.observe(f"{GRAPH}_server_seconds", bounds, ours / 1e9, times, **labels)
    counts.observe(f"{GRAPH}_client_seconds", bounds, theirs / 1e9, times, **labels)
