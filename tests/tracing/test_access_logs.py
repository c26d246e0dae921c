"""Access-log entries of one request, of a service, of a time window."""

from __future__ import annotations

from typing import Any

import pytest
from telemetry_rows import store_entries

from windvane.store.api import Engine
from windvane.tracing.access_logs import EntryQuery, find_entries

T0 = 1_790_000_000 * 10**9
CLUSTER = "outbound|9080||reviews.shop.svc.cluster.local"
OUT = {"UpstreamCluster": CLUSTER}


def _entry(at: int, node: str, reporter: str, **columns: Any) -> dict[str, Any]:
    node_id = f"sidecar~127.0.0.9~{node}~shop.svc.cluster.local"
    if reporter == "destination":
        columns["UpstreamCluster"] = "inbound|9080||"
    return {"Timestamp": T0 + at, "NodeId": node_id, "Reporter": reporter, "Authority": "reviews:9080", **columns}


@pytest.fixture
def stored(engine: Engine) -> Engine:
    store_entries(
        engine,
        [
            _entry(3, "reviews-v1.shop", "destination", TraceId="a" * 32, RequestId="r1"),
            _entry(1, "page-v1.shop", "source", TraceId="a" * 32, RequestId="r1", **OUT),
            _entry(2, "gateway.edge", "source", TraceId="", RequestId="r1", Authority="page", ResponseCode=503),
            _entry(9, "page-v1.shop", "source", TraceId="b" * 32, RequestId="r2", Tags={"k": "v"}, **OUT),
            _entry(5, "ratings-v1.shop", "destination", RequestId="r3", Authority="ratings:9080"),
        ],
    )  # fmt: skip
    return engine


def _at(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["timestamp"][-2] for entry in entries]


def test_one_request_by_trace_id_or_request_id_in_order(stored: Engine) -> None:
    assert _at(find_entries(stored, EntryQuery(trace_id="a" * 32))) == ["1", "2", "3"]
    assert _at(find_entries(stored, EntryQuery(request_id="r1"))) == ["1", "2", "3"]
    assert find_entries(stored, EntryQuery(trace_id="c" * 32)) == []


def test_calls_to_a_service_by_either_side_newest_first(stored: Engine) -> None:
    assert _at(find_entries(stored, EntryQuery(service="reviews", namespace="shop"))) == ["9", "3", "1"]
    assert _at(find_entries(stored, EntryQuery(service="ratings"))) == ["5"]
    assert find_entries(stored, EntryQuery(service="reviews", namespace="other")) == []


def test_a_namespace_a_window_and_a_limit(stored: Engine) -> None:
    assert _at(find_entries(stored, EntryQuery(namespace="edge"))) == ["2"]
    assert _at(find_entries(stored, EntryQuery(namespace="shop"))) == ["9", "5", "3", "1"]
    assert _at(find_entries(stored, EntryQuery(start_ns=T0 + 2, end_ns=T0 + 5))) == ["5", "3", "2"]
    assert _at(find_entries(stored, EntryQuery(limit=1))) == ["9"]


def test_an_entrys_shape(stored: Engine) -> None:
    [entry] = find_entries(stored, EntryQuery(trace_id="b" * 32))
    assert entry["timestamp"] == "2026-09-21T14:13:20.000000009Z"
    assert entry["upstream_cluster"] == CLUSTER
    assert entry["tags"] == {"k": "v"}
    assert entry["response_code"] == 0
    assert "commit" not in entry
