"""Servers that tests start: options for none of the listeners with well-known ports, which other processes may have."""

from __future__ import annotations

QUIET = [
    option
    for name in (
        "grpc", "otlp-http", "zipkin", "jaeger-query", "jaeger-grpc-query", "tempo", "sampling-http", "sampling-grpc",
    )
    for option in (f"--{name}", "none")
]  # fmt: skip
