"""How long TraceQL takes over millions of spans: searches, structure, metrics, tags.

The spans are those of `bench/traces.py`. Run as `python bench/traceql.py [spans]`; prints medians, elapsed and of
all threads.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine, measured
from traces import END_NS, START_NS, fill

from windvane.kit.clock import SystemClock
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.traceql.metrics import MetricsRequest, TraceMetrics
from windvane.tracing.traceql.parse import parse, parse_reference
from windvane.tracing.traceql.search import Request, TraceSearch
from windvane.tracing.traceql.series import Slots
from windvane.tracing.traceql.syntax import Search
from windvane.tracing.traceql.tags import SCOPES, TagRequest, tag_names, tag_values

SERVICE = 'resource.service.name = "svc-7.shop"'
SEARCHES = {
    "status code of a service": f"{{ span.http.status_code >= 500 && {SERVICE} }}",
    "status code of all": "{ span.http.status_code = 503 }",
    "status code of all, >=": "{ span.http.status_code >= 500 }",
    "text of all": '{ span.response_flags = "UF" }',
    "two texts of all": '{ span.response_flags =~ "UF|UH" && status = error }',
    "newest of a service": f"{{ {SERVICE} }}",
    "Kiali's": '{ .service.name = "svc-7.shop" && .node_id =~ ".*" } && { } | select(status, .node_id)',
    "root spans": "{ nestedSetParent < 0 && status = error }",
    "structure, common >> rare": f"{{ {SERVICE} }} >> {{ status = error }}",
    "structure, none": '{ resource.service.name = "svc-7.shop" } > { resource.service.name = "svc-20.shop" }',
    "slow traces": f"{{ {SERVICE} }} | max(duration) > 199ms",
    "everything": "{ }",
}
METRICS = {
    "rate of all": "{ } | rate()",
    "rate by service": "{ } | rate() by (resource.service.name)",
    "errors by status code": "{ status = error } | count_over_time() by (span.http.status_code)",
    "quantiles of a service": f"{{ {SERVICE} }} | quantile_over_time(duration, .5, .9, .99)",
    "histogram of all": "{ } | histogram_over_time(duration)",
    "compare errors of a service": f"{{ {SERVICE} }} | compare({{ status = error }})",
    "structure, rate": f"{{ {SERVICE} }} >> {{ status = error }} | rate()",
}


def cases(engine: EmbeddedEngine) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    search = TraceSearch(engine, SystemClock())
    metrics = TraceMetrics(search)
    window = (START_NS, END_NS)

    def find(text: str) -> Any:
        query = parse(text)
        assert isinstance(query, Search)
        return search.search(query.pipeline, Request(window))

    def count(text: str) -> Any:
        query = parse(text)
        assert not isinstance(query, Search)
        return metrics.evaluate(query, MetricsRequest(Slots.of(*window, 60 * 10**9), exemplars=100))

    request = TagRequest(window)
    return {
        **{f"search: {name}": lambda text=text: find(text) for name, text in SEARCHES.items()},
        **{f"metrics: {name}": lambda text=text: count(text) for name, text in METRICS.items()},
        "tags": lambda: tag_names(engine, SCOPES, request),
        "values of a tag": lambda: tag_values(engine, parse_reference("span.response_flags"), request),
        "services": lambda: tag_values(engine, parse_reference("resource.service.name"), request),
    }


def main() -> None:
    """Fill a store and measure every case."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine.open(Path(folder) / "store")
        migrate(engine, Retention(default=None))
        fill(engine, spans)
        for name, run in cases(engine).items():
            print(f"{name:40} {measured(run)}", flush=True)
        engine.close()


if __name__ == "__main__":
    main()
