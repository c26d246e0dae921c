"""One store for all tests of reading: a mesh told by access logs and spans in one hour, by spans alone in another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from propagation_mesh import HOUR, Request, entries, requests, spans
from telemetry_rows import store_entries, store_spans

from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span


@pytest.fixture(scope="module")
def mesh(data_directory: Path) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine.open(data_directory, database="propagation")
    migrate(engine, Retention(default=None))
    logged, spanned = requests(), requests(HOUR)
    store_entries(engine, entries(logged, UserAgent="python-requests/2.31"))
    store_spans(engine, [*spans([*logged, *spanned]), _of_application(spanned)])
    yield engine
    engine.command("DROP DATABASE propagation")
    engine.close()


def _of_application(spanned: list[Request]) -> Span:
    """A span that the application of `half` sent itself, within a request."""
    inside = next(one for one in spanned if "half" in one.node and one.inbound)
    return Span(
        trace_id=inside.trace, span_id="a" * 16, parent_id=inside.span_id, name="work", kind="Internal", service="half",
        start_ns=inside.start, duration_ns=1_000, resource={"telemetry.sdk.language": "go"},
    )  # fmt: skip
