"""Own search of traces: pages of summaries with the spans that matched, completion, mistakes told with their place."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from asgi_client import AsgiClient
from telemetry_rows import store_spans

from windvane.api.windvane import traces
from windvane.api.windvane.docs import operations
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.tracing.model import Event, Span

NOW = 1_790_000_000 * 10**9
PATH = "/api/windvane/v1/traces"


def _span(trace: int, number: int, parent: int = 0, **given: Any) -> Span:
    fields = {"name": "GET /", "kind": "Server", "service": "reviews.shop", "start_ns": NOW - trace * 10**9 + number,
              "duration_ns": 10**6 * trace, **given}  # fmt: skip
    return Span(
        trace_id=f"{trace:032x}", span_id=f"{trace:08x}{number:08x}",
        parent_id=f"{trace:08x}{parent:08x}" if parent else "",
        **fields,
    )  # fmt: skip


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    for trace in range(1, 8):
        root = _span(trace, 1, attributes={"code": 200, "path": "/a"}, resource={"zone": "a"})
        child = _span(
            trace, 2, 1, service="ratings.shop", name="rate", kind="Client", status="Error", attributes={"code": 500}
        )
        lost = _span(trace, 3, 9, events=(Event(NOW, "e", {"level": "warn"}),))
        store_spans(engine, [root, child, lost, root])
    return AsgiClient(traces.routes(engine, ManualClock(NOW)))


def test_a_page_tells_traces_and_what_matched(client: AsgiClient) -> None:
    body = client.get(PATH, {"q": "code>=500", "limit": "1"}).json()
    [trace] = body["traces"]
    assert trace == {
        "trace_id": f"{1:032x}",
        "root_service": "reviews.shop",
        "root_name": "GET /",
        "start": "2026-09-21T14:13:19.000000001Z",
        "duration_ms": 1.000002,
        "spans": 3,
        "errors": 1,
        "orphans": 1,
        "services": [
            {"name": "ratings.shop", "spans": 1, "errors": 1},
            {"name": "reviews.shop", "spans": 2, "errors": 0},
        ],
        "matched": 1,
        "matches": [
            {
                "span_id": "0000000100000002",
                "service": "ratings.shop",
                "name": "rate",
                "kind": "client",
                "status": "error",
                "start": "2026-09-21T14:13:19.000000002Z",
                "duration_ms": 1.0,
            }
        ],
        "sampled": False,
        "weight": 1.0,
    }


@pytest.mark.parametrize(("sort", "first"), [("newest", 1), ("oldest", 7), ("slowest", 7), ("most", 1)])
def test_pages_follow_each_other(client: AsgiClient, sort: str, first: int) -> None:
    whole = client.get(PATH, {"sort": sort, "limit": "100"}).json()
    assert whole["next"] is None
    assert whole["traces"][0]["trace_id"] == f"{first:032x}"
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(PATH, {"sort": sort, "limit": "3", "cursor": cursor}).json()
        found += page["traces"]
        cursor = page["next"]
    assert found == whole["traces"]
    assert len(found) == 7


def test_fields_and_their_values(client: AsgiClient) -> None:
    body = client.get(f"{PATH}/fields", {"q": "service:reviews OR service:ratings"}).json()
    assert body["spans"] == 28
    fields = {(field["scope"], field["name"]): field for field in body["fields"]}
    assert fields["", "service"]["values"] == [
        {"value": "reviews.shop", "spans": 21},
        {"value": "ratings.shop", "spans": 7},
    ]
    assert fields["span", "code"]["spans"] == 21
    assert fields["resource", "zone"]["different"] == 1
    assert fields["event", "level"]["values"] == [{"value": "warn", "spans": 7}]
    [code] = client.get(f"{PATH}/fields", {"name": "code", "limit": "1"}).json()["fields"]
    assert code["values"] == [{"value": "200", "spans": 14}]


def test_an_empty_store_answers(engine: Engine) -> None:
    client = AsgiClient(traces.routes(engine, ManualClock(NOW)))
    assert client.get(PATH).json() == {"traces": [], "next": None}
    assert client.get(f"{PATH}/fields").json() == {"spans": 0, "fields": []}
    assert client.get(f"{PATH}/heatmap").json()["cells"] == []


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"q": "a AND"}, "query, character 6: a condition is missing here, after AND"),
        ({"q": "duration>5"}, "query, character 10: '5' is no duration"),
        ({"sort": "best"}, "sort 'best': expected one of newest, oldest, slowest, most"),
        ({"limit": "0"}, "limit '0': expected a whole number"),
        ({"start": "5", "end": "4"}, "start is after end"),
        ({"start": "x"}, "start 'x': expected seconds"),
        ({"cursor": "eA"}, "this is no cursor"),
        ({"cursor": "%"}, "this is no cursor"),
    ],
)
def test_mistakes_are_told(client: AsgiClient, params: dict[str, str], reason: str) -> None:
    answer = client.get(PATH, params)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


def test_a_cursor_belongs_to_its_query(client: AsgiClient) -> None:
    cursor = client.get(PATH, {"limit": "1"}).json()["next"]
    answer = client.get(PATH, {"limit": "1", "cursor": cursor, "q": "code:200"})
    assert answer.status_code == 400
    assert "another query" in answer.json()["error"]["message"]


def test_a_heat_map_counts_every_matching_span_where_it_lies(client: AsgiClient) -> None:
    start, end = NOW // 10**9 - 10, NOW // 10**9
    asked = {"q": "service:reviews", "start": str(start), "end": str(end), "columns": "4"}
    body = client.get(f"{PATH}/heatmap", asked).json()
    assert (body["start"], body["step_seconds"], body["columns"], body["bands_per_decade"]) == (start, 2.5, 4, 8)
    expected = Counter(
        ((10 * 10**9 - trace * 10**9 + number) // 2_500_000_000, math.floor(math.log10(10**6 * trace) * 8))
        for trace in range(1, 8)
        for number in (1, 1, 3)
    )
    assert {(one["column"], one["band"]): one["spans"] for one in body["cells"]} == expected
    failed = client.get(f"{PATH}/heatmap", {"start": str(start), "end": str(end)}).json()["cells"]
    assert sum(one["errors"] for one in failed) == 7
    assert client.get(f"{PATH}/heatmap", {"columns": "501"}).status_code == 400


def test_the_routes_are_described(engine: Engine) -> None:
    paths, _ = operations(traces.routes(engine, ManualClock(NOW)))
    assert set(paths) == {PATH, f"{PATH}/fields", f"{PATH}/heatmap"}
