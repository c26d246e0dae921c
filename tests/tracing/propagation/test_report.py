"""What is told of a mesh in a store: guilty workloads, headers, languages, examples; the same from either source."""

from __future__ import annotations

import dataclasses

import propagation_mesh
import pytest
from propagation_mesh import HOUR, LOGGED, SPANNED, Request, lost_share, requests
from telemetry_rows import store_entries, store_spans

from windvane.store.embedded import EmbeddedEngine
from windvane.tracing.propagation import calls
from windvane.tracing.propagation.lookup import destination_of, workload_of
from windvane.tracing.propagation.report import Workload, propagation


def by_name(engine: EmbeddedEngine, window: tuple[int, int]) -> dict[str, Workload]:
    return {one.name: one for one in propagation(engine, window).workloads}


@pytest.mark.parametrize("window", [LOGGED, SPANNED])
def test_either_source_names_who_loses_and_what(mesh: EmbeddedEngine, window: tuple[int, int]) -> None:
    found = by_name(mesh, window)
    assert {name: one.verdict.status for name, one in found.items()} == {
        "none": "loses", "half-v1": "loses", "keeps-v1": "keeps"
    }  # fmt: skip
    assert list(found) == ["none", "half-v1", "keeps-v1"], "the largest share first"
    assert [(one.header, one.certainty) for one in found["half-v1"].dropped] == [("traceparent", "seen")]
    assert [(one.header, one.certainty) for one in found["none"].dropped] == [
        ("traceparent", "likely"), ("x-request-id", "likely")
    ]  # fmt: skip
    assert found["none"].proxies == 2, "two pods of one workload"
    assert (found["half-v1"].certainty, found["keeps-v1"].advice) == ("seen", None)
    made = requests(0 if window == LOGGED else HOUR)
    share = lost_share(made, propagation_mesh.node_of("half-v1.shop"))
    assert found["half-v1"].verdict.share().value == pytest.approx(share, abs=0.02)


def test_examples_lead_to_spans_on_both_sides(mesh: EmbeddedEngine) -> None:
    made = {one.trace: one for one in requests()}
    for workload in by_name(mesh, LOGGED).values():
        for one in workload.examples:
            origin, call = made[one.inbound_trace], made[one.outbound_trace]
            assert (one.inbound_span, one.outbound_span) == (origin.span_id, call.span_id)
            assert origin.node == call.node
            if one.by == "request id":
                assert origin.request == call.request
            else:
                assert origin.start <= call.start <= origin.start + origin.length
    assert all(len(one.examples) == 3 for one in by_name(mesh, LOGGED).values() if one.advice)


def test_languages_and_formats(mesh: EmbeddedEngine) -> None:
    spanned, logged = by_name(mesh, SPANNED)["half-v1"], by_name(mesh, LOGGED)["none"]
    assert (spanned.language.name, spanned.language.certainty) == ("go", "seen")
    assert (logged.language.name, logged.language.certainty) == ("python", "likely")
    assert [(one.format.name, one.certainty) for one in logged.formats] == [("W3C Trace Context", "seen")]
    assert logged.advice is not None
    assert logged.advice.headers == ("x-request-id", "traceparent", "tracestate")
    assert logged.advice.language == "Python"
    assert spanned.advice is not None
    assert "hands on x-request-id alone" in spanned.advice.text


def test_an_empty_window_tells_nothing(mesh: EmbeddedEngine) -> None:
    found = propagation(mesh, (10**18, 10**18 + 1))
    assert (found.calls, found.served, found.workloads, found.formats) == (0, 0, [], [])


def test_of_more_than_can_be_read_the_newest_count(mesh: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_ROWS", 100)
    found = propagation(mesh, (LOGGED[0], SPANNED[1]))
    assert found.truncated
    assert found.start_ns > LOGGED[1]
    assert found.calls < 1_000


def test_logs_without_trace_ids_tell_when_spans_tell_which(engine: EmbeddedEngine) -> None:
    """Only some requests are sampled; the log of the others shows that the workload was serving."""
    made = [one for one in requests() if "none" in one.node]
    store_entries(engine, propagation_mesh.entries([dataclasses.replace(one, trace="") for one in made]))
    calls_made = [one for one in made if not one.inbound]
    store_spans(engine, propagation_mesh.spans(calls_made[::4]))
    found = by_name(engine, LOGGED)["none"]
    assert found.verdict.status == "loses"
    assert found.verdict.calls <= len(calls_made) // 4 + 1


def test_an_application_that_begins_traces_of_its_own(engine: EmbeddedEngine) -> None:
    """Its tracer does not read the sidecar's header: calls have a parent, in a trace that was never served."""
    made = [
        one if one.inbound else dataclasses.replace(one, parent="f" * 16) for one in requests() if "none" in one.node
    ]
    store_spans(engine, propagation_mesh.spans(made))
    found = by_name(engine, LOGGED)["none"]
    assert found.own_traces
    assert found.advice is not None
    assert "begins traces of its own" in found.advice.text


def test_gateways_and_broken_ids_are_left_out(engine: EmbeddedEngine) -> None:
    call = Request("router~10.0.0.9~gw.edge~edge.svc", False, LOGGED[0] + 1, 5, "zz", "r", "outbound|1||x.y.svc")
    store_entries(engine, propagation_mesh.entries([call, dataclasses.replace(call, node="sidecar~~odd~"), call]))
    assert propagation(engine, LOGGED).calls <= 1


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("sidecar~10.0.0.1~reviews-v1-7d9c7bcf9d-x2k4z.shop~shop.svc.cluster.local", ("reviews-v1", "shop")),
        ("sidecar~10.0.0.1~agent-x2k4z.kube~kube.svc.cluster.local", ("agent", "kube")),
        ("sidecar~10.0.0.1~db-0.shop~shop.svc.cluster.local", ("db-0", "shop")),
        ("sidecar~10.0.0.1~shop-front.shop~x", ("shop-front", "shop")),
        ("sidecar~10.0.0.1~x2k4z.shop~x", ("x2k4z", "shop")),
        ("nonsense", ("nonsense", "")),
        ("", ("", "")),
    ],
)
def test_the_workload_of_a_proxy(node: str, name: tuple[str, str]) -> None:
    assert workload_of(node) == name


def test_what_a_cluster_is_called() -> None:
    assert destination_of("outbound|9080|v1|reviews.shop.svc.cluster.local") == "reviews.shop:9080"
    assert destination_of("outbound|443||api.example.org") == "api.example.org:443"
    assert destination_of("PassthroughCluster") == "PassthroughCluster"
