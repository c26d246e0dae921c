"""Which traces are kept is what plain Python says of the same spans; weights add up to what there was."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampling_oracle import grouped, kept
from telemetry_rows import store_spans

from windvane.store.api import Engine
from windvane.tracing.filters.parse import parse
from windvane.tracing.model import Span
from windvane.tracing.sampling import policies as p
from windvane.tracing.sampling.decide import decide
from windvane.tracing.sampling.facts import Facts, Window, ask

MINUTE = 1_790_000_040
T0 = MINUTE * 10**9


def some_spans(chance: random.Random, traces: int) -> list[Span]:
    spans = []
    for _ in range(traces):
        trace_id = f"{chance.getrandbits(128):032x}"
        start = T0 + chance.randrange(60 * 10**9)
        for place in range(chance.randint(1, 5)):
            values = {"k": chance.choice(["a", "b", "ab", 7, 7.5, 12, True, False, "nan", "1e3"])}
            spans.append(
                Span(
                    trace_id, f"{chance.getrandbits(64):016x}", "" if not place else "1" * 16,
                    chance.choice(["GET", "PUT", "odd"] if chance.random() < 0.2 else ["GET"]), "Server",
                    chance.choice(["a", "b", "health.shop"]), start + place * 10**6,
                    chance.choice([10**6, 40 * 10**6, 700 * 10**6]), chance.choice(["Unset", "Unset", "Ok", "Error"]),
                    trace_state=chance.choice(["", "x=1, y=2", "y=3"]),
                    attributes=values if chance.random() < 0.5 else {},
                    resource={"k": "b"} if chance.random() < 0.2 else {},
                )
            )  # fmt: skip
    return spans


LEAVES = [
    p.Always(), p.Latency(40), p.Latency(30, 500), p.Status(("Error",)), p.Status(("Ok", "Unset")),
    p.Texts("k", ("a", "7")), p.Texts("k", ("^a", "z"), regex=True), p.Numbers("k", 7.2), p.Numbers("k", 7, 12),
    p.Numbers("k", None, 900), p.Truth("k", True), p.Truth("k", False), p.State("y", ("2", "9")), p.SpanCount(3),
    p.SpanCount(0, 2), p.Query(parse("service:health k>7")), p.Query(parse("error:true OR name:odd")),
    p.Probabilistic(0.3), p.Probabilistic(1.0), p.RateLimiting(0.4), p.RateLimiting(1e-3), p.Rare(1), p.Rare(4),
]  # fmt: skip


def some_policies(chance: random.Random) -> tuple[p.Policy, ...]:
    names = iter(f"p{i}" for i in range(1_000))

    def leaf(rules: list[p.Rule]) -> p.Policy:
        rule = chance.choice(rules)
        inverted = isinstance(rule, p.Texts | p.Numbers | p.Truth) and chance.random() < 0.3
        return p.Policy(next(names), rule, inverted)

    def some(rules: list[p.Rule], most: int = 3) -> tuple[p.Policy, ...]:
        return tuple(leaf(rules) for _ in range(chance.randint(1, most)))

    matching = [rule for rule in LEAVES if not isinstance(rule, p.RateLimiting | p.Rare)]
    found = list(some(LEAVES))
    if chance.random() < 0.5:
        found.append(p.Policy(next(names), p.Both(some(LEAVES))))
    if chance.random() < 0.3:
        found.append(p.Policy(next(names), p.Drop(some(matching))))
    if chance.random() < 0.5:
        inner = some(LEAVES)
        parts = tuple(chance.choice([0.1, 0.3, 1.0]) for _ in inner)
        found.append(p.Policy(next(names), p.Composite(sum(parts), inner, parts)))
    chance.shuffle(found)
    return tuple(found)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 32))
def test_the_engine_decides_as_plain_python_does(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    spans = some_spans(chance, chance.randint(1, 40))
    store_spans(engine, spans)
    try:
        for _ in range(3):
            sampling = p.TailSampling(some_policies(chance), salt=chance.choice(["", "s"]))
            facts = ask(engine, sampling, Window(MINUTE, MINUTE, MINUTE + 60))
            decisions = decide(facts, sampling)
            found = {
                i: name
                for i, weight, name in zip(facts.ids, decisions.weight, decisions.policy, strict=True)
                if weight > 0
            }
            assert found == kept(grouped(spans), sampling), sampling
            assert ((decisions.weight == 0) | (decisions.weight >= 1)).all()
    finally:
        engine.command("TRUNCATE TABLE otel_traces")


def facts_of(chance: np.random.Generator) -> Facts:
    """Facts of 60 traces in three combinations, one of them rare, whose hashes are drawn anew."""
    size = 60
    hashes = chance.random(size)
    combination = np.arange(size) % 20 // 9
    bounds = np.zeros(size)
    for one in range(3):
        members = np.sort(hashes[combination == one])
        bounds[combination == one] = members[4] if len(members) > 4 else 1.0
    return Facts(
        [str(i) for i in range(size)], np.zeros(size, np.int64), 1 + np.arange(size) % 7, np.arange(size) * 10,
        hashes, {0: np.arange(size) % 3 == 0, 1: np.arange(size) % 2 == 0}, {2: bounds},
    )  # fmt: skip


ERRORS, TEXTS, RARE = p.Policy("e", p.Status(("Error",))), p.Policy("t", p.Texts("k", ("a",))), p.Policy("r", p.Rare(4))
RATE, TENTH = p.Policy("rate", p.RateLimiting(0.5)), p.Policy("tenth", p.Probabilistic(0.1))


@pytest.mark.parametrize(
    "policies",
    [
        (ERRORS, TEXTS, RARE, TENTH),
        (ERRORS, TEXTS, RARE, RATE),
        (p.Policy("and", p.Both((ERRORS, TEXTS, RARE, replace(RATE, rule=p.RateLimiting(0.1))))), TENTH),
        (p.Policy("c", p.Composite(1, (ERRORS, TEXTS, RARE, p.Policy("all", p.Always())), (0.3, 0.2, 0.2, 0.3))),),
    ],
    ids=["share", "rate", "and", "composite"],
)
def test_weights_add_up_to_the_number_of_traces(policies: tuple[p.Policy, ...]) -> None:
    chance = np.random.default_rng(11)
    sampling = p.TailSampling(policies)
    totals, spans = [], []
    for _ in range(1_500):
        facts = facts_of(chance)
        weights = decide(facts, sampling).weight
        totals.append(weights.sum())
        spans.append((weights * facts.spans).sum())
    for found, expected in ((totals, 60), (spans, facts.spans.sum())):
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - expected) < max(4 * error, 0.01 * expected)


def test_what_is_certain_counts_once() -> None:
    facts = facts_of(np.random.default_rng(2))
    weights = decide(facts, p.TailSampling((ERRORS, TEXTS, RARE, TENTH))).weight
    assert (weights[facts.matches[0] | facts.matches[1] | (facts.rare[2] == 1)] == 1).all()
