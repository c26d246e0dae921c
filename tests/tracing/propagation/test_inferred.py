"""Traces joined where headers were forgotten: by request id, by time, level by level, within limits."""

from __future__ import annotations

import dataclasses

import pytest
from propagation_mesh import MS, SECOND, T0, Request, entries, node_of, spans
from telemetry_rows import store_entries, store_spans

from windvane.store.embedded import EmbeddedEngine
from windvane.tracing.assembly import read_traces
from windvane.tracing.inferred import Inferred, infer
from windvane.tracing.model import Span

A, B, C = (node_of(f"{name}-v1.shop") for name in "abc")
IDS = {name: f"{number:032x}" for number, name in enumerate(("first", "second", "third", "other"), (1 << 100) + 7)}


def request(node: str, trace: str, start: float, length: float, to: str = "", guid: str = "") -> Request:
    """`start` and `length` in milliseconds; `to` makes it a call."""
    cluster = f"outbound|80||{to}.shop.svc.cluster.local" if to else "inbound|80||"
    return Request(node, not to, T0 + round(start * MS), round(length * MS), IDS[trace], guid or trace, cluster)


# a serves `first` and calls b in a new trace; b serves that and calls c in a third one, with b's request id.
CHAIN = [
    request(A, "first", 0, 100),
    request(A, "second", 10, 80, "b"),
    request(B, "second", 11, 78),
    request(B, "third", 20, 50, "c", "second"),
    request(C, "third", 21, 48),
]
CHAIN = [
    dataclasses.replace(one, parent=CHAIN[number - 1].span_id) if one.inbound and number else one
    for number, one in enumerate(CHAIN)
]
# Others like it, at times when a does nothing else, so that calls are seen to be made for requests.
QUIET = [
    dataclasses.replace(one, start=one.start + number * SECOND, trace=f"{one.trace[:16]}{number:08x}{one.trace[24:]}",
                        request=f"{one.request}-{number}")
    for number in range(1, 20) for one in CHAIN[:3]
]  # fmt: skip


def made_whole(engine: EmbeddedEngine, **limits: int) -> Inferred:
    return infer(engine, read_traces(engine, [IDS["first"]])[0], **limits)


@pytest.fixture(params=["access logs", "spans"])
def store(engine: EmbeddedEngine, request: pytest.FixtureRequest) -> EmbeddedEngine:
    store_spans(engine, spans([*CHAIN, *QUIET]))
    if request.param == "access logs":
        store_entries(engine, entries([*CHAIN, *QUIET]))
    return engine


def tell(engine: EmbeddedEngine, one: Request) -> None:
    """One more request, from the sources that the store has."""
    store_spans(engine, spans([one]))
    if len(engine.query("SELECT 1 FROM envoy_access_logs LIMIT 1")):
        store_entries(engine, entries([one]))


def test_subtraces_are_attached_level_by_level(store: EmbeddedEngine) -> None:
    found = made_whole(store)
    assert [(one.by, one.candidates, one.trace) for one in found.links] == [
        ("timing", 1, IDS["second"]), ("request id", 1, IDS["third"])
    ]  # fmt: skip
    assert found.links[0].confidence > 0.9
    assert found.links[1].confidence == 1
    tree = {span.span_id: span for span in found.trace.spans}
    way = [found.trace.spans[-1]]
    while way[-1].parent_id:
        way.append(tree[way[-1].parent_id])
    assert [span.service for span in reversed(way)] == ["a.shop", "a.shop", "b.shop", "b.shop", "c.shop"]
    assert {span.trace_id for span in found.trace.spans} == {IDS["first"]}
    assert not found.truncated


def test_what_was_inferred_is_marked(store: EmbeddedEngine) -> None:
    found = made_whole(store)
    marked = [span for span in found.trace.spans if span.attributes.get("windvane.inferred")]
    assert [span.span_id for span in marked] == [link.span for link in found.links]
    assert marked[0].attributes["windvane.inferred.trace_id"] == IDS["second"]
    assert 0.9 < float(str(marked[0].attributes["windvane.inferred.confidence"])) <= 1
    assert marked[1].attributes["windvane.inferred.by"] == "request id"
    assert all(len(span.warnings) == 1 and "inferred by" in span.warnings[0] for span in marked)
    moved = [span for span in found.trace.spans if "windvane.inferred.trace_id" in span.attributes]
    assert len(moved) == 4, "every span of a subtrace says where it came from"


def test_limits_hold_and_are_told(store: EmbeddedEngine) -> None:
    assert len(made_whole(store, depth=1).links) == 1
    short = made_whole(store, spans=4)
    assert (len(short.links), len(short.trace.spans), short.truncated) == (1, 3, True)


def test_two_requests_at_once_share_the_confidence(store: EmbeddedEngine) -> None:
    tell(store, request(A, "other", 5, 200))
    first = made_whole(store).links[0]
    assert first.candidates == 2
    assert 0.4 < first.confidence <= 0.5


def test_a_request_that_ended_before_its_call_did_is_less_likely_meant(store: EmbeddedEngine) -> None:
    tell(store, request(A, "other", 5, 20))
    assert made_whole(store).links[0].candidates == 1


def test_a_trace_begun_by_the_application_hangs_by_its_first_span(engine: EmbeddedEngine) -> None:
    first = Span(IDS["second"], "c" * 16, "", "work", "Internal", "a", T0 + 9 * MS, 85 * MS)
    call = dataclasses.replace(CHAIN[1], parent="c" * 16)
    store_spans(engine, [*spans([CHAIN[0], call, *QUIET]), first])
    [link] = made_whole(engine).links
    assert link.span == "c" * 16


def test_whole_traces_stay_as_they_are(engine: EmbeddedEngine) -> None:
    child = dataclasses.replace(CHAIN[1], trace=IDS["first"], parent=CHAIN[0].span_id)
    store_spans(engine, spans([CHAIN[0], child]))
    found = made_whole(engine)
    assert (found.links, found.truncated, len(found.trace.spans)) == ([], False, 2)
    application = [Span(IDS["other"], "c" * 16, "", "work", "Internal", "a", T0, MS)]
    store_spans(engine, application)
    assert infer(engine, read_traces(engine, [IDS["other"]])[0]).links == []
