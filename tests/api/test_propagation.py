"""Lost trace context over HTTP: the report, a trace made whole, and the same for Jaeger's clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from asgi_client import AsgiClient
from propagation_mesh import SECOND, T0, Request, Workload, spans, traffic
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.api.windvane import propagation
from windvane.kit.clock import ManualClock
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

PATH = "/api/windvane/v1/traces"
NOW = T0 + 60 * SECOND


def made() -> list[Request]:
    forgets, keeps = Workload("cart-v1.shop", rate=5, keeps_trace=0), Workload("page-v1.shop", rate=5)
    return [*traffic(forgets, 1, 20), *traffic(keeps, 2, 20)]


@pytest.fixture(scope="module")
def client(data_directory: Path) -> Iterator[AsgiClient]:
    engine = EmbeddedEngine.open(data_directory, database="propagation_api")
    migrate(engine, Retention(default=None))
    store_spans(engine, spans(made()))
    clock = ManualClock(NOW)
    yield AsgiClient([*propagation.routes(engine, clock), *jaeger.shared_routes(jaeger.JaegerQueries(engine, clock))])
    engine.command("DROP DATABASE propagation_api")
    engine.close()


def test_the_report(client: AsgiClient) -> None:
    body = client.get(f"{PATH}/propagation").json()
    cart, page = body["workloads"]
    assert (cart["workload"], cart["status"], cart["certainty"]) == ("cart-v1", "loses", "seen")
    assert cart["counts"]["lost"] == cart["counts"]["calls"] == cart["request_id_kept"]
    assert cart["counts"]["share"]["low"] > 0.9
    assert cart["dropped"] == [{"header": "traceparent", "certainty": "seen"}]
    assert cart["edges"][0]["destination"] == "reviews.shop:9080"
    assert (page["status"], page["advice"], page["counts"]["lost"]) == ("keeps", None, 0)
    assert body["formats"][0]["headers"] == ["traceparent", "tracestate"]
    assert not body["truncated"]


def test_it_can_be_of_one_workload_and_of_another_time(client: AsgiClient) -> None:
    def names(**params: str) -> list[str]:
        return [one["workload"] for one in client.get(f"{PATH}/propagation", params).json()["workloads"]]

    assert names(workload="page-v1") == ["page-v1"]
    assert names(namespace="other") == []
    assert names(end=str(T0 // SECOND - 5)) == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/propagation?start=soon", "start 'soon'"),
        ("/propagation?start=9&end=1", "start is after end"),
        ("/xyz", "not a trace id: 'xyz'"),
        (f"/{made()[0].trace}?inferred=maybe", "inferred 'maybe'"),
        (f"/{made()[0].trace}?inferred=1&depth=99", "depth '99'"),
    ],
)
def test_bad_parameters_are_named(client: AsgiClient, path: str, told: str) -> None:
    answer = client.get(PATH + path)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_a_trace_is_made_whole_when_asked(client: AsgiClient) -> None:
    call = next(one for one in made() if one.lost)
    origin = next(one for one in made() if one.inbound and one.request == call.request)
    plain = client.get(f"{PATH}/{origin.trace}").json()
    assert (len(plain["spans"]), plain["inferred"]) == (1, [])
    whole = client.get(f"{PATH}/{origin.trace}", {"inferred": "1"}).json()
    [link] = whole["inferred"]
    assert (link["parent_span"], link["span"], link["trace"]) == (origin.span_id, call.span_id, call.trace)
    assert (link["by"], link["confidence"], link["destination"]) == ("request id", 1, "reviews.shop:9080")
    added = next(span for span in whole["spans"] if span["span_id"] == call.span_id)
    assert (added["parent_id"], added["original_trace_id"]) == (origin.span_id, call.trace)
    assert len(added["warnings"]) == 1
    assert client.get(f"{PATH}/abc").status_code == 404


def test_jaegers_clients_get_it_only_when_they_ask(client: AsgiClient) -> None:
    call = next(one for one in made() if one.lost)
    origin = next(one for one in made() if one.inbound and one.request == call.request)
    [plain] = client.get(f"/api/traces/{origin.trace}").json()["data"]
    assert [span["spanID"] for span in plain["spans"]] == [origin.span_id]
    [whole] = client.get(f"/api/traces/{origin.trace}", {"inferred": "1"}).json()["data"]
    assert {span["traceID"] for span in whole["spans"]} == {origin.trace}
    added = next(span for span in whole["spans"] if span["spanID"] == call.span_id)
    tags = {tag["key"]: tag["value"] for tag in added["tags"]}
    assert (tags["windvane.inferred"], tags["windvane.inferred.confidence"]) == (True, 1)
    assert tags["windvane.inferred.trace_id"] == call.trace
    assert added["references"] == [{"refType": "CHILD_OF", "traceID": origin.trace, "spanID": origin.span_id}]
    assert "inferred by request id" in added["warnings"][0]
    assert client.get("/api/traces/abc", {"inferred": "1"}).status_code == 404
