"""Assembly is independent of order and repetition; types survive; adjusters do what Jaeger's do."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_rows import store_spans

from windvane.store.api import Engine
from windvane.tracing.adjust import adjust
from windvane.tracing.assembly import assemble, read_traces
from windvane.tracing.duration import format_go_duration, parse_go_duration
from windvane.tracing.model import Event, Link, Span, Trace

MS = 10**6
T0 = 1_790_000_000 * 10**9
BASE = Span("a" * 32, "0" * 15 + "1", "", "op", "Server", "s", T0, 100 * MS)

_values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=3),
                    st.binary(max_size=3), st.lists(st.integers(0, 3), max_size=2))  # fmt: skip
_spans = st.builds(
    Span,
    trace_id=st.sampled_from(["a" * 32, "b" * 32]),
    span_id=st.sampled_from([f"{n:016x}" for n in range(1, 7)]),
    parent_id=st.sampled_from(["", *(f"{n:016x}" for n in range(1, 9))]),
    name=st.sampled_from(["x", "y"]),
    kind=st.sampled_from(["Server", "Client", "Internal"]),
    service=st.sampled_from(["s", "t"]),
    start_ns=st.integers(T0, T0 + 3),
    duration_ns=st.integers(0, 5),
    resource=st.dictionaries(st.sampled_from(["host.name", "z"]), st.sampled_from(["h1", "h2"])),
    attributes=st.dictionaries(st.sampled_from(["b", "a", "ip"]), _values),
    events=st.lists(st.builds(Event, st.integers(T0, T0 + 2), st.sampled_from("pq")), max_size=2).map(tuple),
    links=st.lists(st.builds(Link, st.sampled_from(["", "c" * 32]), st.just("d" * 16)), max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_spans, min_size=1, max_size=8), st.randoms(use_true_random=False), st.sampled_from([0, 2, 10**9]))
def test_any_order_and_repetition_of_spans_is_the_same_trace(spans, rng: random.Random, max_skew: int) -> None:
    shuffled = spans + rng.choices(spans, k=3)
    rng.shuffle(shuffled)
    once = {trace.trace_id: trace for trace in assemble(spans)}
    again = {trace.trace_id: trace for trace in assemble(shuffled)}
    assert once == again
    for trace_id, trace in once.items():
        assert adjust(trace, max_skew) == adjust(again[trace_id], max_skew)
        assert all(root in trace.spans for root in trace.roots())
        assert sum(map(len, trace.children().values())) == len(trace.spans)


def test_every_type_of_attribute_survives_the_store(engine: Engine) -> None:
    attributes = {
        "text": "500", "yes": True, "no": False, "whole": -(2**63), "half": 0.5, "three": 3.0, "bytes": b"\x00\xff",
        "list": [1, "a", True], "map": {"k": [1.5]}, "quote": "a'b\\c\n", "empty": "",
    }  # fmt: skip
    span = replace(
        BASE, attributes=attributes, resource={"pid": 7, "name": "x"}, scope={"beta": True}, scope_name="lib",
        scope_version="1", trace_state="a=b", status="Error", status_message="broken",
        events=(Event(T0 + 1, "e", {"n": "1"}), Event(T0 + 2, "f")),
        links=(Link("c" * 32, "d" * 16, "s=1", {"w": "x"}),),
    )  # fmt: skip
    store_spans(engine, [span])
    [trace] = read_traces(engine, [span.trace_id, "b" * 32])
    assert trace == Trace(span.trace_id, (span,))
    [read] = trace.spans
    assert {key: type(value) for key, value in read.attributes.items()} == {k: type(v) for k, v in attributes.items()}


def test_a_window_bounds_the_spans_read(engine: Engine) -> None:
    later = replace(BASE, span_id="0" * 15 + "2", start_ns=T0 + 10**9)
    store_spans(engine, [BASE, later])
    assert read_traces(engine, [BASE.trace_id], (T0 + 1, T0 + 10**9)) == [Trace(BASE.trace_id, (later,))]
    assert read_traces(engine, []) == []


def _adjusted(*spans: Span, max_skew: int = 0) -> dict[str, Span]:
    [trace] = assemble(spans)
    return {span.name: span for span in adjust(trace, max_skew).spans}


def test_a_server_span_sharing_its_clients_id_becomes_its_child() -> None:
    client = replace(BASE, name="client", kind="Client", span_id="f" * 16)
    server = replace(client, name="server", kind="Server", start_ns=T0 + MS, duration_ns=MS)
    below = replace(BASE, name="below", span_id="e" * 16, parent_id="f" * 16, start_ns=T0 + MS, duration_ns=MS)
    spans = _adjusted(client, server, below)
    assert spans["client"].span_id == "f" * 16
    assert spans["server"].parent_id == "f" * 16
    assert spans["server"].span_id == "0" * 15 + "1"
    assert spans["below"].parent_id == spans["server"].span_id


CHILD = replace(
    BASE, name="child", span_id="0" * 15 + "2", parent_id=BASE.span_id, start_ns=T0 - 40 * MS, duration_ns=60 * MS
)


def test_skew_is_only_reported_unless_allowed() -> None:
    text = "clock skew adjustment disabled; not applying calculated delta of 60ms"
    assert _adjusted(BASE, CHILD)["child"].warnings == (text,)
    text = "max clock skew adjustment delta of 1ms exceeded; not applying calculated delta of 60ms"
    assert _adjusted(BASE, CHILD, max_skew=MS)["child"].warnings == (text,)


def test_a_skewed_child_is_centred_and_takes_its_descendants_along() -> None:
    on_host = replace(CHILD, resource={"host.name": "h"}, events=(Event(T0 - 40 * MS, "e"),))
    below = replace(on_host, name="below", span_id="0" * 15 + "3", parent_id=CHILD.span_id, events=())
    spans = _adjusted(BASE, on_host, below, max_skew=10**9)
    assert spans["child"].start_ns == T0 + 20 * MS
    assert spans["child"].events[0].time_ns == T0 + 20 * MS
    assert spans["below"].start_ns == T0 + 20 * MS
    assert spans["below"].warnings == ("This span's timestamps were adjusted by 60ms",)


def test_a_child_longer_than_its_parent_only_starts_no_sooner() -> None:
    longer = replace(CHILD, duration_ns=200 * MS)
    assert _adjusted(BASE, longer, max_skew=10**9)["child"].start_ns == T0
    assert _adjusted(BASE, replace(longer, start_ns=T0 + MS), max_skew=10**9)["child"].warnings == ()


def test_missing_parents_and_repeated_ids_are_told() -> None:
    orphan = replace(CHILD, name="orphan", parent_id="9" * 16)
    twin = replace(BASE, name="twin", start_ns=T0 + 1)
    spans = _adjusted(BASE, orphan, twin)
    told = f"parent span ID={'9' * 16} is not in the trace; skipping clock skew adjustment"
    assert spans["orphan"].warnings == (told,)
    assert spans["twin"].warnings == ("duplicate span IDs; skipping clock skew adjustment",)


def test_the_small_adjusters() -> None:
    span = replace(
        BASE,
        attributes={"z": 1, "ip": 0x7F000001, "telemetry.sdk.name": "otel", "@jaeger@warnings": ["from before"]},
        links=(Link("", "d" * 16), Link("c" * 32, "d" * 16)),
        events=(Event(T0, "b"), Event(T0 + 1, "a")),
    )
    read = _adjusted(span)["op"]
    assert read.attributes == {"ip": "127.0.0.1", "z": 1}
    assert list(read.attributes) == ["ip", "z"]
    assert read.resource == {"telemetry.sdk.name": "otel"}
    assert [event.name for event in read.events] == ["a", "b"]
    assert read.links == (Link("c" * 32, "d" * 16),)
    assert read.warnings == ("from before", "Invalid span link removed")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), True])
def test_an_address_that_is_no_number_stays(value: float) -> None:
    span = Span("1" * 32, "1" * 16, "", "a", "Server", "s", 0, 1, attributes={"ip": value})
    assert adjust(Trace(span.trace_id, (span,))).spans[0].attributes["ip"] is value


def test_a_chain_of_50_000_spans_is_no_recursion() -> None:
    spans = [
        replace(BASE, span_id=f"{n + 1:016x}", parent_id=f"{n:016x}" if n else "", start_ns=T0 - n, duration_ns=1)
        for n in range(50_000)
    ]
    assert len(adjust(assemble(spans)[0]).spans) == 50_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1.2s", 1_200_000_000), ("100ms", 10**8), ("500us", 500_000), ("5µs", 5_000), ("7ns", 7),
     ("1h2m3.5s", 3_723_500_000_000), ("0", 0), ("-1.5h", -5400 * 10**9), ("+.5s", 5 * 10**8)],
)  # fmt: skip
def test_go_durations_are_read(text: str, nanoseconds: int) -> None:
    assert parse_go_duration(text) == nanoseconds


@given(st.integers(-(2**62), 2**62))
def test_a_printed_duration_reads_back(nanoseconds: int) -> None:
    assert parse_go_duration(format_go_duration(nanoseconds)) == nanoseconds
