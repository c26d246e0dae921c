"""Traces that Jaeger's faces show in tests: three services, an error, an orphan, links, events, every kind of value."""

from __future__ import annotations

from windvane.tracing.model import Event, Link, Span

NOW = 1_790_000_000 * 10**9
SECOND = 10**9
SHOP, SHORT = "5" * 32, "0" * 16 + "00000000000000ab"


def span(trace_id: str, number: int, parent: int, service: str, name: str, kind: str, **more: object) -> Span:
    """A span that began `number` milliseconds after its trace, 10 seconds ago."""
    given = {"start_ns": NOW - 10 * SECOND + number * 10**6, "duration_ns": 20 * 10**6, **more}
    parent_id = f"{parent:016x}" if parent else ""
    return Span(
        trace_id, f"{number:016x}", parent_id, name, kind, service,
        resource={"service.name": service, "host.name": "h1"}, **given,  # type: ignore[arg-type]
    )  # fmt: skip


TRACES = [
    span(SHOP, 1, 0, "gateway.shop", "GET /", "Server", status="Ok", scope_name="envoy", scope_version="1.36",
         scope={"build": 7}, trace_state="k=v", duration_ns=90 * 10**6,
         attributes={"http.status_code": 200, "ratio": 0.25, "cached": False, "big": 2**60, "blob": b"\x01\x02",
                     "list": ["a", 1], "map": {"k": True}, "empty": ""}),
    span(SHOP, 2, 1, "gateway.shop", "call reviews", "Client", status="Error", status_message="upstream reset"),
    span(SHOP, 3, 2, "reviews.shop", "GET /reviews", "Server", status="Error",
         events=(Event(NOW - 9 * SECOND, "retry", {"attempt": 1}), Event(NOW - 9 * SECOND, "", {"event": "own"})),
         links=(Link("c" * 32, "d" * 16, "l=1", {"why": "batch"}),)),
    span(SHOP, 4, 3, "ratings", "query", "Client"),
    span(SHOP, 5, 3, "ratings", "query", "Client"),
    span(SHOP, 6, 99, "ratings", "late", "Internal"),
    span(SHORT, 7, 0, "reviews.shop", "GET /reviews", "Server", start_ns=NOW - 5 * SECOND),
]  # fmt: skip
