"""From a trace to its lines and back, by trace id and by request id."""

from __future__ import annotations

import pytest
from telemetry_rows import store_entries, store_logs, store_spans

from windvane.store.api import Engine
from windvane.tracing.logs.search import LineQuery, find
from windvane.tracing.logs.traces import trace_lines, traces_of
from windvane.tracing.model import Span

NOW = 1_790_000_000 * 10**9
TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1" * 32
REQUESTS = [f"84961386-6d84-929d-98bd-c5aee93b5c8{n}" for n in range(3)]


@pytest.fixture
def engine(empty_logs: Engine) -> Engine:
    return empty_logs


def _stored(engine: Engine) -> None:
    span = Span(trace_id=TRACE, span_id="0" * 15 + "1", parent_id="", name="GET", service="a", kind="Server",
                start_ns=NOW, duration_ns=1, attributes={"guid:x-request-id": REQUESTS[0]})  # fmt: skip
    store_spans(engine, [span])
    store_entries(
        engine,
        [
            {"Timestamp": NOW + 1, "TraceId": TRACE, "RequestId": REQUESTS[1], "Path": "/own"},
            {"Timestamp": NOW + 2, "RequestId": REQUESTS[0], "Path": "/by-span"},  # as imported lines are
            {"Timestamp": NOW + 3, "RequestId": REQUESTS[1], "Path": "/by-entry"},
            {"Timestamp": NOW + 4, "RequestId": REQUESTS[2], "TraceId": OTHER, "Path": "/other"},
        ],
    )
    store_logs(
        engine,
        [
            {"Timestamp": NOW, "Body": "own", "TraceId": TRACE},
            {"Timestamp": NOW + 5, "Body": "by attribute", "LogAttributes": {"x-request-id": REQUESTS[0]}},
            {"Timestamp": NOW + 6, "Body": "other", "LogAttributes": {"x-request-id": REQUESTS[2]}},
            {"Timestamp": NOW + 7, "Body": "nobody's", "LogAttributes": {"x-request-id": REQUESTS[0][:-1] + "9"}},
        ],
    )


def test_lines_of_a_trace(engine: Engine) -> None:
    _stored(engine)
    found = trace_lines(engine, TRACE, 100)
    assert [line.entry["path"] if line.entry else line.body for line in found.lines] == [
        "own", "/own", "/by-span", "/by-entry", "by attribute",
    ]  # fmt: skip
    assert (found.request_ids, found.more) == (REQUESTS[:2], False)
    few = trace_lines(engine, TRACE, 2)
    assert (len(few.lines), few.more) == (2, True)
    assert trace_lines(engine, "f" * 32, 10).lines == []


def test_traces_of_lines(engine: Engine) -> None:
    _stored(engine)
    lines = find(engine, LineQuery(NOW, NOW + 10))
    assert traces_of(engine, lines) == {REQUESTS[0]: TRACE, REQUESTS[1]: TRACE, REQUESTS[2]: OTHER}
    assert traces_of(engine, []) == {}
