"""Which request headers an application must hand on so that a trace stays one tree.

Istio's sidecars start and end spans, but only the application knows which incoming request an
outgoing one belongs to. The three formats in use are forwarded exactly as received: W3C
(traceparent, tracestate, baggage), B3 multi (x-b3-*) and single (b3), plus x-request-id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

Header = tuple[str, str]

TRACE_HEADERS = frozenset(
    {
        "x-request-id", "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid",
        "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
    }
)  # fmt: skip


def forwarded(
    headers: Iterable[Header], extra: Sequence[str] = (), of_trace: Collection[str] = TRACE_HEADERS
) -> tuple[Header, ...]:
    """The headers to send with calls made for a request, in their order, repeated ones included."""
    wanted = {*of_trace, *(name.lower() for name in extra)}
    return tuple((name.lower(), value) for name, value in headers if name.lower() in wanted)
