"""Strategies for clients: Jaeger's file means what Jaeger makes of it, and probabilities follow traffic."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaeger_messages import V2
from telemetry_rows import store_spans

from windvane.api.jaeger.sampling import strategy_json, strategy_protobuf
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.tracing.model import Span
from windvane.tracing.sampling.adaptive import (
    AdaptiveSampling,
    AdaptiveSettings,
    Throughput,
    advance,
    step,
    weighted_rate,
)
from windvane.tracing.sampling.strategies import PerOperation, Strategy, parse_strategies

FILE: dict[str, Any] = {
    "default_strategy": {
        "type": "probabilistic", "param": 0.5,
        "operation_strategies": [
            {"operation": "/health", "type": "probabilistic", "param": 0.0},
            {"operation": "/b", "type": "ratelimiting", "param": 3},
        ],
    },
    "service_strategies": [
        {"service": "foo", "type": "probabilistic", "param": 0.8, "operation_strategies": [
            {"operation": "op1", "type": "probabilistic", "param": 0.2},
            {"operation": "/health", "type": "probabilistic", "param": 1e-7}]},
        {"service": "bar", "type": "ratelimiting", "param": 5.9},
    ],
}  # fmt: skip
TAIL = '"defaultUpperBoundTracesPerSecond":0}}'


def operations(default: str, *each: str) -> str:
    return (f'"operationSampling":{{"defaultSamplingProbability":{default},"defaultLowerBoundTracesPerSecond":0,'
            f'"perOperationStrategies":[{",".join(each)}],{TAIL}')  # fmt: skip


def one(name: str, rate: str) -> str:
    return f'{{"operation":"{name}","probabilisticSampling":{{"samplingRate":{rate}}}}}'


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("foo", '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.8},'
                + operations("0.8", one("op1", "0.2"), one("/health", "1e-7"))),
        ("bar", '{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":5},'
                + operations("0.5", one("/health", "0"))),
        ("other", '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5},'
                  + operations("0.5", one("/health", "0"))),
    ],
)  # fmt: skip
def test_jaegers_file_gives_jaegers_answers(service: str, expected: str) -> None:
    found = parse_strategies(json.dumps(FILE))
    assert strategy_json(found.of(service)) == expected
    assert strategy_json(found.of(service), numeric=True) == expected.replace('"PROBABILISTIC"', "0").replace(
        '"RATE_LIMITING"', "1"
    )
    assert [warning.split(":")[0] for warning in found.warnings] == ["default_strategy.operation_strategies[1]"]


def test_what_the_file_does_not_say_is_one_in_a_thousand() -> None:
    assert strategy_json(parse_strategies("{}").of("a")) == (
        '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.001}}'
    )
    adaptive = Strategy(operations=PerOperation(0.001, 1 / 60))
    assert strategy_json(adaptive).startswith('{"strategyType":"PROBABILISTIC","operationSampling":{"default')


def test_the_message_is_that_of_sampling_proto() -> None:
    strategy = Strategy(probability=0.5, operations=PerOperation(0.25, 0.125, (("é", 0.5), ("b", 0.0))))
    expected = V2.SamplingStrategyResponse()
    expected.probabilisticSampling.samplingRate = 0.5
    expected.operationSampling.defaultSamplingProbability = 0.25
    expected.operationSampling.defaultLowerBoundTracesPerSecond = 0.125
    for name, probability in strategy.operations.probabilities if strategy.operations else ():
        added = expected.operationSampling.perOperationStrategies.add(operation=name)
        added.probabilisticSampling.SetInParent()
        added.probabilisticSampling.samplingRate = probability
    assert strategy_protobuf(strategy) == expected.SerializeToString()
    limited = V2.SamplingStrategyResponse(strategyType=1)
    limited.rateLimitingSampling.maxTracesPerSecond = 300
    assert strategy_protobuf(Strategy("ratelimiting", rate=300)) == limited.SerializeToString()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2: not JSON"),
        ("[]", "the file: must be an object"),
        ('{"default_strategy": {"type": "probabilistic", "param": 2}}', "default_strategy.param: a probability"),
        ('{"default_strategy": {"type": "const"}}', "default_strategy.type: must be probabilistic or ratelimiting"),
        ('{"service_strategies": [{"type": "probabilistic"}]}', "service_strategies[0].service: must be text"),
        ('{"service_strategies": {}}', "service_strategies: must be a list"),
        ('{"default_strategy": {"type": "ratelimiting", "param": NaN}}', "default_strategy.param: must be a number"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, said: str) -> None:
    with pytest.raises(BadInputError) as error:
        parse_strategies(text)
    assert said in error.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["probabilistic", "ratelimiting", "x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "param", "service", "operation", "operation_strategies", "default_strategy",
                         "service_strategies"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(JSON | st.text(max_size=30))
def test_any_file_is_read_or_refused(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        found = parse_strategies(text)
    except BadInputError:
        return
    for strategy in (found.default, *found.services.values()):
        assert json.loads(strategy_json(strategy))["strategyType"]
        strategy_protobuf(strategy)


# Adaptive

SETTINGS = AdaptiveSettings()


@pytest.mark.parametrize(
    ("probability", "rate", "expected"),
    [
        (0.1, 1.0, 0.1), (0.1, 1.29, 0.1), (0.1, 1.31, 0.1 / 1.31), (0.1, 10, 0.01), (0.1, 0.8, 0.1),
        (0.1, 0.625, 0.16), (0.1, 0.1, 0.2), (0.1, 0, 0.2), (0.8, 0, 1.0), (1e-5, 100, 1e-5),
    ],
)  # fmt: skip
def test_a_step_falls_at_once_and_rises_slowly(probability: float, rate: float, expected: float) -> None:
    assert step(SETTINGS, probability, rate) == pytest.approx(expected)


def test_newer_rates_weigh_more() -> None:
    assert weighted_rate([3.0]) == 3.0
    assert weighted_rate([2.0, 1.0]) == pytest.approx((16 * 2 + 1) / 17)
    assert weighted_rate([]) == 0


@settings(max_examples=50, deadline=None)
@given(st.floats(5, 3_000), st.floats(1e-5, 1))
def test_steady_traffic_ends_near_the_target(traffic: float, begin: float) -> None:
    probabilities = {("a", "b"): begin}
    for _ in range(40):
        seen = {("a", "b"): Throughput(round(60 * traffic * probabilities["a", "b"]))}
        probabilities = advance(SETTINGS, probabilities, [seen])
    assert traffic * probabilities["a", "b"] == pytest.approx(1, abs=0.35)


def test_operations_come_rise_in_silence_and_go() -> None:
    seen, other = {("a", "b"): Throughput(6_000)}, {("x", "y"): Throughput(60)}
    first = advance(SETTINGS, {}, [seen])
    assert first == {("a", "b"): pytest.approx(1e-5)}
    silent = advance(SETTINGS, {("a", "b"): 0.01}, [other, seen])
    assert silent == {("x", "y"): 0.001, ("a", "b"): pytest.approx(0.02)}
    assert ("a", "b") not in advance(SETTINGS, silent, [other])
    unmoved = {("a", "b"): Throughput(6_000, followed=False)}
    assert advance(SETTINGS, {("a", "b"): 0.01}, [unmoved]) == {("a", "b"): 0.01}


def test_probabilities_come_from_stored_roots_and_survive_a_restart(engine: Engine) -> None:
    chance, clock = random.Random(1), ManualClock(1_790_000_000 * 10**9)
    spans = []
    for i in range(600):
        at, trace_id = clock.now_ns() + i * 10**8, f"{chance.getrandbits(128):032x}"
        spans += [Span(trace_id, f"{n:016x}", parent, name, "Server", "a", at, 1, attributes=attributes)
                  for n, parent, name, attributes in ((1, "", "busy", {}), (2, "1" * 16, "child", {}),)]  # fmt: skip
        if i % 10 == 0:
            told = {"sampler.type": "probabilistic", "sampler.param": 0.5}
            spans.append(Span(f"{i:032x}", "f" * 16, "", "stubborn", "Server", "a", at, 1, attributes=told))
    store_spans(engine, spans)
    adaptive = AdaptiveSampling(engine, AdaptiveSettings(initial=0.5), clock, Metrics())
    assert adaptive.counted() == "Timestamp < fromUnixTimestamp64Nano(0)"
    clock.advance(60 + SETTINGS.delay)
    adaptive.tick()
    assert adaptive.probabilities == {("a", "busy"): pytest.approx(0.05), ("a", "stubborn"): 0.5}
    assert engine.query(f"SELECT count() AS n FROM otel_traces WHERE {adaptive.counted()}")["n"][0] == len(spans)
    adaptive.tick()
    assert adaptive.probabilities["a", "busy"] == pytest.approx(0.05), "the same interval is not counted twice"
    again = AdaptiveSampling(engine, AdaptiveSettings(), clock, Metrics())
    assert again.probabilities == adaptive.probabilities
    assert again.of("a").operations == PerOperation(0.001, 1 / 60, (("busy", again.probabilities["a", "busy"]), ("stubborn", 0.5)))  # fmt: skip # noqa: E501
    assert again.of("b").operations == PerOperation(0.001, 1 / 60)


def test_settings_are_read() -> None:
    assert AdaptiveSettings.parse("on") == AdaptiveSettings()
    assert AdaptiveSettings.parse("target=2,interval=30s,buckets=3") == AdaptiveSettings(2.0, interval=30, buckets=3)
    for wrong in ("target", "target=x", "speed=2", "target=0", "initial=2", "interval=5"):
        with pytest.raises(BadInputError):
            AdaptiveSettings.parse(wrong)
