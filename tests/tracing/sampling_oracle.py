"""Tail sampling in plain Python over spans: which traces a file of policies keeps, and by which policy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from filter_oracle import holds
from telemetry_rows import text_of

from windvane.tracing.model import Span
from windvane.tracing.sampling import policies as p

Traces = Mapping[str, list[Span]]


def grouped(spans: Iterable[Span]) -> dict[str, list[Span]]:
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return traces


def hash_of(trace_id: str, salt: str = "") -> float:
    return (int.from_bytes(hashlib.md5((salt + trace_id).encode()).digest()[:8], "little") >> 11) * 2.0**-53


def kept(traces: Traces, sampling: p.TailSampling) -> dict[str, str]:
    """By kept trace, the first policy that keeps it."""
    order = sorted(traces, key=lambda trace_id: hash_of(trace_id, sampling.salt))
    oracle = _Oracle(traces, order, sampling.salt)
    dropped: set[str] = set()
    found: dict[str, str] = {}
    for policy in sampling.policies:
        if isinstance(policy.rule, p.Drop):
            dropped |= oracle.all_of(policy.rule.policies)
            continue
        for trace_id in oracle.keeps(policy, order):
            found.setdefault(trace_id, policy.name)
    return {trace_id: name for trace_id, name in found.items() if trace_id not in dropped}


class _Oracle:
    def __init__(self, traces: Traces, order: list[str], salt: str) -> None:
        self.traces = traces
        self.order = order
        self.salt = salt

    def keeps(self, policy: p.Policy, offered: Iterable[str]) -> set[str]:
        """Which of the traces offered a policy keeps."""
        match policy.rule:
            case p.RateLimiting(spans):
                return self.until_full(offered, spans)
            case p.Both(inner):
                return self.all_of(inner)
            case p.Composite(_, inner, parts):
                taken: set[str] = set()
                for one, part in zip(inner, parts, strict=True):
                    matching = self.keeps(one, self.order)
                    taken |= self.until_full([i for i in self.order if i in matching and i not in taken], part)
                return taken
            case p.Rare(most):
                return self.first_of_each(most)
        return {i for i in offered if self.matches(policy, i) != policy.inverted}

    def until_full(self, offered: Iterable[str], rate: float) -> set[str]:
        found, spans = set(), 0
        for trace_id in sorted(offered, key=lambda i: hash_of(i, self.salt)):
            spans += len(self.traces[trace_id])
            if spans > rate * 60:
                break
            found.add(trace_id)
        return found

    def all_of(self, policies: Iterable[p.Policy]) -> set[str]:
        found = set(self.order)
        for policy in sorted(policies, key=lambda one: isinstance(one.rule, p.RateLimiting)):
            found &= self.keeps(policy, found)
        return found

    def first_of_each(self, most: int) -> set[str]:
        seen: dict[tuple[str, str, str], list[str]] = {}
        for trace_id in self.order:
            for key in {(span.service, span.name, span.status) for span in self.traces[trace_id]}:
                seen.setdefault(key, []).append(trace_id)
        return {trace_id for ids in seen.values() for trace_id in ids[:most]}

    def matches(self, policy: p.Policy, trace_id: str) -> bool:
        spans = self.traces[trace_id]
        match policy.rule:
            case p.Always():
                return True
            case p.Probabilistic(share):
                return hash_of(trace_id, self.salt) < share
            case p.Latency(least, most):
                took = (max(one.end_ns for one in spans) - min(one.start_ns for one in spans)) // 1_000_000
                return least < took <= most if most else took >= least
            case p.SpanCount(least, most):
                return least <= len(spans) and (not most or len(spans) <= most)
        return any(_span(policy.rule, span) for span in spans)


def _span(rule: p.Rule, span: Span) -> bool:
    match rule:
        case p.Status(codes):
            return span.status in codes
        case p.Texts(key, values, regex):
            return any(
                re.search(v, text) is not None if regex else text == v for text in _texts(key, span) for v in values
            )
        case p.Numbers(key, low, high):
            numbers = [number for text in _texts(key, span) if (number := _number(text)) is not None]
            return any((low is None or low <= n) and (high is None or n <= high) for n in numbers)
        case p.Truth(key, value):
            return any(text.lower() == str(value).lower() for text in _texts(key, span))
        case p.State(key, values):
            members = [member.strip() for member in span.trace_state.split(",")]
            return any(f"{key}={value}" in members for value in values)
        case p.Query(where):
            return holds(where, span)
    raise AssertionError(rule)


def _texts(key: str, span: Span) -> list[str]:
    return [text_of(place[key])[0] for place in (span.attributes, span.resource) if key in place]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
