"""The pass over a store: what is decided when, what is taken out, and that interruptions change nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from sampling_oracle import grouped, hash_of, kept
from telemetry_rows import store_spans

from windvane.kit.clock import ManualClock
from windvane.kit.errors import UnavailableError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span
from windvane.tracing.sampling import policies as p
from windvane.tracing.sampling.kept import Sampled, sampled
from windvane.tracing.sampling.tail import TailSampler
from windvane.tracing.search import NAMES

MINUTE = 1_790_000_040
SOME = p.TailSampling(
    (
        p.Policy("errors", p.Status(("Error",))), p.Policy("rate", p.RateLimiting(0.4)),
        p.Policy("some", p.Probabilistic(0.2)), p.Policy("drop", p.Drop((p.Policy("x", p.Texts("k", ("x",))),))),
    ),
    remove_every=60, late=300,
)  # fmt: skip


def span(trace_id: str, number: int, at: float, **given: object) -> Span:
    start = int((MINUTE + at) * 10**9)
    return Span(trace_id, f"{number:016x}", "", "GET", "Server", "a", start, 10**6, **given)  # type: ignore[arg-type]


def traffic(chance: random.Random, traces: int, begin: float, end: float) -> list[Span]:
    """Traces of one to four spans that begin within some seconds of the first minute; some reach into the next."""
    spans = []
    for _ in range(traces):
        trace_id, start = f"{chance.getrandbits(128):032x}", chance.uniform(begin, end)
        for place in range(chance.randint(1, 4)):
            status = "Error" if chance.random() < 0.05 else "Unset"
            attributes = {"k": "x"} if chance.random() < 0.05 else {}
            at = start + place * chance.choice([0, 0, 20])
            spans.append(span(trace_id, chance.getrandbits(63), at, status=status, attributes=attributes))
    return spans


def sampler(engine: Engine, clock: ManualClock, sampling: p.TailSampling = SOME, counted: str = "1") -> TailSampler:
    return TailSampler(engine, sampling, clock=clock, metrics=Metrics(), counted=lambda: counted)


def clock_at(seconds: float) -> ManualClock:
    return ManualClock(int((MINUTE + seconds) * 10**9))


def stored(engine: Engine) -> set[tuple[str, str]]:
    frame = engine.query("SELECT TraceId, SpanId FROM otel_traces")
    return set(zip(frame["TraceId"].tolist(), frame["SpanId"].tolist(), strict=True))


def pairs(spans: Iterable[Span]) -> set[tuple[str, str]]:
    return {(one.trace_id, one.span_id) for one in spans}


def decisions(engine: Engine) -> dict[str, tuple[float, str]]:
    frame = engine.query("SELECT TraceId, Weight, Policy FROM trace_decisions")
    assert frame["TraceId"].is_unique
    return {i: (w, q) for i, w, q in frame.itertuples(index=False, name=None)}


def test_a_minute_is_decided_when_it_is_over_and_what_is_not_kept_goes(engine: Engine) -> None:
    spans = traffic(random.Random(1), 60, 0, 59)
    clock = clock_at(1)
    passes = sampler(engine, clock)
    passes.tick()
    store_spans(engine, spans)
    clock.advance(88)
    passes.tick()
    assert not decisions(engine)
    assert stored(engine) == pairs(spans)
    clock.advance(2)
    passes.tick()
    expected = kept(grouped(spans), SOME)
    assert {i: q for i, (w, q) in decisions(engine).items() if w} == expected
    clock.advance(180)  # spans of these traces that began in the next minute go with that minute
    passes.tick()
    assert stored(engine) == pairs(one for one in spans if one.trace_id in expected)
    names = engine.query(f"SELECT sum(Spans) AS Spans FROM ({NAMES})")["Spans"].tolist()
    assert names == [len(stored(engine))]


def test_traces_of_before_are_left_alone(engine: Engine) -> None:
    before, after = traffic(random.Random(2), 30, -200, -90), traffic(random.Random(3), 30, 1, 50)
    store_spans(engine, before)
    clock = clock_at(0)
    passes = sampler(engine, clock)
    passes.tick()
    store_spans(engine, after)
    clock.advance(400)
    passes.tick()
    assert pairs(before) < stored(engine)
    assert set(decisions(engine)) == set(grouped(after))


def test_late_spans_follow_the_decision_and_late_traces_get_one(engine: Engine) -> None:
    clock = clock_at(1)
    nothing = p.TailSampling((p.Policy("errors", p.Status(("Error",))),), remove_every=60, late=300)
    passes = sampler(engine, clock, nothing)
    passes.tick()
    good, bad = "a" * 32, "b" * 32
    store_spans(engine, [span(good, 1, 5, status="Error"), span(bad, 2, 5)])
    clock.advance(95)
    passes.tick()
    assert stored(engine) == {(good, f"{1:016x}")}
    other, wrong = "c" * 32, "d" * 32
    late = [span(good, 3, 6), span(bad, 4, 6, status="Error"), span(other, 5, 7), span(wrong, 6, 7, status="Error")]
    store_spans(engine, late)
    clock.advance(60)
    passes.tick()
    assert stored(engine) == {(good, f"{1:016x}"), (good, f"{3:016x}"), (wrong, f"{6:016x}")}


class _Failing:
    """An engine that fails at the n-th statement that changes something."""

    def __init__(self, engine: Engine, after: int) -> None:
        self._engine, self._left = engine, after

    def __getattr__(self, name: str) -> object:
        found = getattr(self._engine, name)
        if name not in ("command", "insert_frame"):
            return found

        def change(*given: object) -> object:
            self._left -= 1
            if self._left < 0:
                raise UnavailableError("gone")
            return found(*given)

        return change


@pytest.mark.parametrize("after", [0, 1])
def test_a_restart_between_decision_and_removal_changes_nothing(engine: Engine, after: int) -> None:
    spans = traffic(random.Random(4), 60, 0, 40)
    clock = clock_at(1)
    broken = sampler(_Failing(engine, after), clock)  # type: ignore[arg-type]
    broken.tick()
    store_spans(engine, spans)
    clock.advance(180)
    with pytest.raises(UnavailableError):
        broken.tick()
    assert stored(engine) == pairs(spans)
    between = decisions(engine)
    again = sampler(engine, clock)
    if after:  # decided, not removed
        assert set(between) == set(grouped(spans))
        clock.advance(60)
    else:  # nothing of it was stored: the same process repeats it, a new one begins anew
        again._start, again._decided, again._removed = MINUTE, MINUTE - 60, MINUTE - 60
    again.tick()
    expected = kept(grouped(spans), SOME)
    assert {i: q for i, (w, q) in decisions(engine).items() if w} == expected
    assert between.items() <= decisions(engine).items()
    assert stored(engine) == pairs(one for one in spans if one.trace_id in expected)


def test_spans_that_others_have_not_counted_stay(engine: Engine) -> None:
    spans = traffic(random.Random(5), 40, 0, 59)
    clock = clock_at(1)
    passes = sampler(engine, clock, counted="SpanId < '4'")
    passes.tick()
    store_spans(engine, spans)
    clock.advance(300)
    passes.tick()
    keep = kept(grouped(spans), SOME)
    assert stored(engine) == pairs(one for one in spans if one.trace_id in keep or one.span_id >= "4")
    passes._counted = lambda: "1"
    clock.advance(60)
    passes.tick()
    assert stored(engine) == pairs(one for one in spans if one.trace_id in keep)


def test_weights_are_those_of_head_and_tail(engine: Engine) -> None:
    clock = clock_at(1)
    passes = sampler(engine, clock, p.TailSampling((p.Policy("half", p.Probabilistic(0.5)),), remove_every=60))
    passes.tick()
    ids = sorted((f"{i:032x}" for i in range(12)), key=hash_of)
    plain, headed = ids[0], ids[1]
    store_spans(engine, [span(plain, 1, 5), span(headed, 2, 5, trace_state="ot=th:8"), span(ids[-1], 3, 5)])
    clock.advance(95)
    passes.tick()
    assert sampled(engine, ids) == {plain: Sampled(2.0, "half"), headed: Sampled(4.0, "half")}
    assert stored(engine) == {(plain, f"{1:016x}"), (headed, f"{2:016x}")}


def test_what_was_dropped_is_forgotten_and_retention_takes_the_rest(engine: Engine) -> None:
    clock = clock_at(1)
    passes = sampler(engine, clock)
    passes.tick()
    spans = traffic(random.Random(6), 40, 0, 59)
    store_spans(engine, spans)
    clock.advance(180)
    passes.tick()
    assert len(decisions(engine)) == len(grouped(spans))
    clock.advance(3 * 86_400)
    store_spans(engine, [span("f" * 32, 1, 3 * 86_400 + 60)])
    passes.tick()
    clock.advance(120)
    passes.tick()
    left = {i: q for i, (w, q) in decisions(engine).items() if i != "f" * 32}
    assert left == kept(grouped(spans), SOME)
    migrate(engine, Retention.parse("1h"))
    table = engine.query("SELECT engine_full FROM system.tables WHERE database = currentDatabase()"
                         " AND name = 'trace_decisions'")  # fmt: skip
    assert "TTL" in table["engine_full"][0]
