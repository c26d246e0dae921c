"""The annotation `windvane.dev/emulate`: what is accepted, and what each mistake is told."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.local.emulator.spec import EmulateSpec, Target, parse_emulate

FULL = """
latency: {distribution: lognormal, p50: 8ms, p99: 60ms}
response: {bytes: [1KiB, 2KiB]}
errors:
  - {rate: 2%, status: 503}
  - {rate: 0.5%, grpc_status: UNAVAILABLE}
  - {rate: 1%, reset: true}
calls:
  - to: http://catalog.shop:8080/products?q=1
    probability: 0.5
    times: 2
  - parallel:
      - to: grpc://cart.shop:7070/shop.Cart/GetItems
      - sequence: [{to: "tcp://db.shop:5432", bytes: 10, response_bytes: 1KiB}]
endpoints:
  - {path: /checkout, latency: 30ms}
  - {path: /checkout/fast, calls: []}
background: [{every: 2s, calls: [{to: "http://catalog:8080/"}]}]
outages: {every: 60s, for: 500ms}
forward_headers: [end-user, x-tenant]
"""


def test_a_full_annotation_is_read() -> None:
    spec = parse_emulate(FULL, "w")
    assert spec.response.bytes == (1024, 2048)
    assert [failure.rate for failure in spec.errors] == [0.02, 0.005, 0.01]
    assert spec.calls[0].target == Target(scheme="http", host="catalog.shop", port=8080, path="/products?q=1")
    assert spec.outages is not None
    assert spec.outages.duration == 0.5


def test_an_endpoint_is_the_longest_prefix_and_inherits_the_rest() -> None:
    spec = parse_emulate(FULL, "w")
    slow, fast, other = (spec.endpoint(path) for path in ("/checkout/42", "/checkout/fast?x", "/other"))
    assert slow.latency == fast.latency != other.latency or fast.latency == spec.latency
    assert slow.calls == spec.calls
    assert fast.calls == ()
    assert other.latency == spec.latency


@pytest.mark.parametrize(
    ("text", "names", "share"),
    [("all", 10, 1), ("none", 10, 0), ("90%", 10, 0.9), ("0.25", 10, 0.25), ("[X-Request-Id]", 1, 1), ("[]", 0, 1)],
)
def test_headers_of_a_trace_can_be_forgotten(text: str, names: int, share: float) -> None:
    handed_on = parse_emulate(f"trace_headers: {text}", "w").trace_headers
    assert (len(handed_on.names), handed_on.share) == (names, share)


def test_nothing_given_is_a_plain_service() -> None:
    assert parse_emulate("", "w") == EmulateSpec()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("latency: 5", "latency.constant.value: a duration needs a unit, for example 5ms"),
        ("latency: fast", "latency.constant.value: not a duration: 'fast'"),
        ("latency: {distribution: zipf}", "latency: Input tag 'zipf'"),
        ("latency: {distribution: normal, mean: 5ms}", "latency.normal.stddev: Field required"),
        ("latency: {distribution: lognormal, p50: 9ms, p99: 3ms}", "latency.lognormal: p99 is less than p50"),
        ("latncy: 5ms", "latncy: unknown field"),
        ("errors: [{rate: 2%}]", "errors[0]: give exactly one of status, grpc_status, reset"),
        ("errors: [{rate: 2%, status: 503, reset: true}]", "errors[0]: give exactly one of"),
        ("errors: [{rate: 200%, status: 503}]", "errors[0].rate: not a share: '200%'"),
        ("errors: [{rate: 60%, status: 503}, {rate: 60%, status: 500}]", "errors: the rates add up to more than 100%"),
        ("errors: [{rate: 1%, status: 200}]", "errors[0].status: Input should be greater than or equal to 400"),
        ("errors: [{rate: 1%, grpc_status: OOPS}]", "errors[0].grpc_status: not a gRPC status: 'OOPS'"),
        ("calls: [{to: catalog}]", "calls[0].to: cannot call 'catalog' (expected http://, grpc:// or tcp://"),
        ("calls: [{to: 'tcp://db'}]", "calls[0].to: 'tcp://db' needs a port"),
        ("calls: [{to: 'grpc://cart:7070/x'}]", "needs a method, for example grpc://cart.shop:7070/shop.Cart/GetItems"),
        ("calls: [{to: 'http://a:99999/'}]", "calls[0].to: not a URL"),
        ("calls: [{parallel: [{too: x}]}]", "calls[0].parallel[0].too: unknown field"),
        ("calls: [{}]", "calls[0]: give exactly one of to, parallel, sequence"),
        ("response: {bytes: much}", "response.bytes[0]: not a size: 'much'"),
        ("endpoints: [{path: checkout}]", "endpoints[0].path: String should match pattern"),
        ("trace_headers: some", "trace_headers.share: not a share: 'some'"),
        ("trace_headers: 140%", "trace_headers.share: not a share: '140%'"),
        ("trace_headers: [cookie]", "trace_headers.names: no header of a trace: cookie (expected b3, baggage,"),
        ("- a", "expected a mapping, found list"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_names_the_workload_and_the_field(text: str, told: str) -> None:
    with pytest.raises(BadInputError) as error:
        parse_emulate(text, "mesh.yaml:7: cart-v1.shop")
    assert error.value.message.startswith("mesh.yaml:7: cart-v1.shop: windvane.dev/emulate")
    assert told in error.value.message
    assert "\n" not in error.value.message


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadInputError, match=r"latency\..*; .*nope: unknown field"):
        parse_emulate("latency: fast\nnope: 1", "w")


def refusal(text: str) -> str:
    """What is told of an annotation; "" when it is accepted. Any other error fails the test."""
    try:
        parse_emulate(text, "w")
    except BadInputError as error:
        return error.message
    return ""


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    told = refusal(text)
    assert not told or told.startswith("w: ")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["5ms", "2%", "http://a:1/", "", "-1s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["latency", "errors", "rate", "calls", "to", "parallel", "bytes", "distribution", "p50", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_VALUES)
def test_any_structure_is_read_or_refused(value: object) -> None:
    told = refusal(json.dumps(value))
    assert not told or told.startswith("w: ")


def samples(text: str, count: int = 20_000) -> list[float]:
    latency, rng = parse_emulate(f"latency: {text}", "w").latency, random.Random(7)
    return sorted(latency.sample(rng) for _ in range(count))


def test_lognormal_has_the_percentiles_it_is_given() -> None:
    drawn = samples("{distribution: lognormal, p50: 8ms, p99: 60ms}")
    assert drawn[len(drawn) // 2] == pytest.approx(0.008, rel=0.05)
    assert drawn[len(drawn) * 99 // 100] == pytest.approx(0.060, rel=0.1)


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("7ms", 0.007),
        ("{distribution: constant, value: 7ms}", 0.007),
        ("{distribution: uniform, min: 2ms, max: 6ms}", 0.004),
        ("{distribution: normal, mean: 20ms, stddev: 2ms}", 0.020),
        ("{distribution: exponential, mean: 9ms}", 0.009),
        ("{distribution: exponential, mean: 0}", 0.0),
    ],
)
def test_means_are_what_they_say(text: str, mean: float) -> None:
    assert statistics.fmean(samples(text)) == pytest.approx(mean, rel=0.03)


def test_no_latency_is_negative() -> None:
    assert samples("{distribution: normal, mean: 1ms, stddev: 10ms}")[0] == 0.0
