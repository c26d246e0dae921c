"""What policies would have kept of what is stored, and what those in force did: nothing is changed here."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.sampling.decide import SECONDS, decide
from windvane.tracing.sampling.facts import PATIENT, Window, ask, minutes
from windvane.tracing.sampling.policies import TailSampling
from windvane.tracing.sampling.tail import tally

MAX_SECONDS = 86_400
_REMEMBERED = 10  # minutes: longer traces count again


@dataclass(frozen=True, slots=True)
class PolicyCount:
    """Traces that one policy keeps or drops; `name` is '' for traces that no policy keeps."""

    name: str
    kept: bool
    traces: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Decisions taken together; `estimate` is the sum of weights: about `traces`, if all is well.

    `bytes_saved` is what the spans that are not kept take on average, not what they take themselves.
    """

    traces: int = 0
    traces_kept: int = 0
    spans: int = 0
    spans_kept: int = 0
    estimate: float = 0.0
    bytes_saved: int = 0
    policies: tuple[PolicyCount, ...] = ()


def attempt(engine: Engine, sampling: TailSampling, start: int, end: int) -> Outcome:
    """The outcome of policies for the traces that begin in a time (seconds since the epoch).

    Each minute is decided as it would have been, with spans that came later counted as in time. Traces that were
    taken out already cannot be counted.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    traces = spans = traces_kept = spans_kept = 0
    estimate = 0.0
    frame = engine.query(
        "SELECT DISTINCT toUnixTimestamp(toStartOfMinute(Timestamp)) AS Minute FROM otel_traces"
        f" WHERE {minutes(start // SECONDS * SECONDS, end)} ORDER BY Minute",
        limits=PATIENT,
    )
    before: deque[list[str]] = deque(maxlen=_REMEMBERED)
    for minute in map(int, frame["Minute"].tolist()):
        facts = ask(engine, sampling, Window(minute, minute, minute + 2 * SECONDS, decided=True))
        new = facts.but(set().union(*before))
        before.append(facts.ids)
        decisions = decide(new, sampling)
        kept = decisions.weight > 0
        counts.update(tally(decisions))
        traces, traces_kept = traces + len(new.ids), traces_kept + int(kept.sum())
        spans, spans_kept = spans + int(new.spans.sum()), spans_kept + int(new.spans[kept].sum())
        estimate += float(decisions.weight.sum())
    saved = round((spans - spans_kept) * bytes_a_span(engine))
    return Outcome(traces, traces_kept, spans, spans_kept, estimate, saved, _by_policy(counts))


def outcome(engine: Engine, since: int) -> Outcome:
    """What was decided since a moment (seconds since the epoch); dropped traces are known for a day at least."""
    frame = engine.query(
        "SELECT Policy, Weight > 0 AS Kept, count() AS Traces, sum(Spans) AS Sum, sum(Weight) AS Estimate"
        f" FROM trace_decisions WHERE Minute >= toDateTime({since}) GROUP BY Policy, Kept"
    )
    rows = list(frame.itertuples(index=False, name=None))
    counts = Counter({(str(policy), bool(kept)): int(traces) for policy, kept, traces, _, _ in rows})
    spans, spans_kept = (sum(int(row[3]) for row in rows if row[1] or not only) for only in (False, True))
    return Outcome(
        counts.total(),
        sum(count for (_, kept), count in counts.items() if kept),
        spans,
        spans_kept,
        sum(float(row[4]) for row in rows),
        round((spans - spans_kept) * bytes_a_span(engine)) if spans > spans_kept else 0,
        _by_policy(counts),
    )


def bytes_a_span(engine: Engine) -> float:
    """What a stored span takes on disk, on average."""
    frame = engine.query(
        "SELECT sum(bytes_on_disk) / greatest(sum(rows), 1) AS Bytes FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = 'otel_traces'"
    )
    return float(frame["Bytes"][0])


def _by_policy(counts: Counter[tuple[str, bool]]) -> tuple[PolicyCount, ...]:
    ordered = sorted(counts.items(), key=lambda item: (not item[0][1], -item[1], item[0][0]))
    return tuple(PolicyCount(name, kept, traces) for (name, kept), traces in ordered)
