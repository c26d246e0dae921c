"""Whether what became of requests is what a test expects, and which routes of the configuration were taken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.local.trial.cases import CODES, Expectation, Placed
from windvane.local.trial.route_names import Rule
from windvane.local.trial.rules import allowed_by, is_audited, refused
from windvane.local.trial.sending import Followed

_Z = 3.290526731491
"""Shares are held against a 99.9 % interval: of a thousand right tests one fails by chance."""
_TICK = 0.001
"""Envoy's timers count whole milliseconds: a delay of 100 ms may take 99.6."""


@dataclass(frozen=True, slots=True)
class Result:
    """A test with what was wrong; nothing when it passed. `seconds` is what it took."""

    placed: Placed
    failures: tuple[str, ...]
    seconds: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures and not self.error


def judged(wanted: Expectation, followed: Sequence[Followed]) -> tuple[str, ...]:
    """What is not as expected, each with what was seen instead."""
    failures = [*_shares(wanted, followed)]
    seen: Counter[str] = Counter(problem for each in followed for problem in _problems(wanted, each))
    total = len(followed)
    failures += [f"{text} ({count} of {total} requests)" if total > 1 else text for text, count in seen.items()]
    return tuple(failures)


def _shares(wanted: Expectation, followed: Sequence[Followed]) -> Iterator[str]:
    """Each workload's share within the score test's bound around what is expected."""
    if not isinstance(wanted.workload, dict):
        return
    total, counts = len(followed), Counter(each.workload_name for each in followed)
    for name, share in wanted.workload.items():
        got = counts[name] / total
        if abs(got - share) > _Z * math.sqrt(share * (1 - share) / total) + 1e-9:
            yield f"workload {name}: expected {share:.1%} of {total} requests, got {got:.1%}"
    unknown = sorted(counts.keys() - wanted.workload.keys())
    if unknown:
        also = ", ".join(name or "none" for name in unknown)
        yield f"workload: expected {', '.join(wanted.workload)}, got also {also}"


def _problems(wanted: Expectation, each: Followed) -> Iterator[str]:
    if wanted.status is not None and each.status not in wanted.status:
        yield f"status: expected {_either(map(str, wanted.status))}, got {each.status or each.failure}"
    if isinstance(wanted.workload, tuple) and each.workload_name not in wanted.workload:
        yield f"workload: expected {_either(wanted.workload)}, got {each.workload_name or 'none'}"
    if wanted.route is not None and each.route not in wanted.route:
        yield f"route: expected {_either(wanted.route)}, got {each.route or 'none'}"
    for name in ("path", "authority"):
        value, got = getattr(wanted, name), getattr(each.heard, name, "")
        if value is not None and got != value:
            yield f"{name}: expected {value}, got {got or 'no request'}"
    yield from _headers("requestHeaders", wanted.request_headers, dict(each.heard.headers) if each.heard else {})
    yield from _headers(
        "responseHeaders", wanted.response_headers, dict(each.response.headers) if each.response else {}
    )
    mirrored = {one.workload for one in each.mirrored}
    if wanted.mirrored_to is not None and mirrored != set(wanted.mirrored_to):
        yield f"mirroredTo: expected {', '.join(wanted.mirrored_to)}, got {', '.join(sorted(mirrored)) or 'none'}"
    yield from _verdicts(wanted, each)
    if wanted.flags is not None and each.flags != wanted.flags:
        yield f"flags: expected {wanted.flags}, got {each.flags or 'none'}"
    if wanted.at_least is not None and each.seconds + _TICK < wanted.at_least:
        yield f"atLeast: expected {wanted.at_least * 1e3:g} ms, got {each.seconds * 1e3:.0f} ms"


def _verdicts(wanted: Expectation, each: Followed) -> Iterator[str]:
    """Who refused or allowed it, and whether it was answered."""
    refusal = refused(each)
    if wanted.refused_by is not None and wanted.refused_by not in (refusal or each.details):
        yield f"refusedBy: expected {wanted.refused_by}, got {refusal or each.details or 'nothing'}"
    peer = each.server.peer if each.server else ""
    if wanted.identity is not None and peer != wanted.identity:
        yield f"identity: expected {wanted.identity or 'plaintext'}, got {peer or 'plaintext'}"
    if wanted.audited is not None and is_audited(each) != wanted.audited:
        yield f"audited: expected {str(wanted.audited).lower()}, got {str(not wanted.audited).lower()}"
    allowed = allowed_by(each)
    if wanted.allowed_by is not None and wanted.allowed_by not in (allowed or "none"):
        yield f"allowedBy: expected {wanted.allowed_by}, got {allowed or 'none'}"
    if wanted.grpc_status is not None and each.grpc_status not in wanted.grpc_status:
        expected = _either(f"{CODES[int(code)]} ({code})" for code in wanted.grpc_status)
        yield f"grpcStatus: expected {expected}, got {_code(each.grpc_status) or each.failure or 'none'}"
    if wanted.answered is not None and wanted.answered == bool(each.failure):
        yield f"answered: expected {str(wanted.answered).lower()}, got {each.failure or 'an answer'}"


def _headers(field: str, wanted: Mapping[str, str | None], got: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        seen = got.get(name.lower())
        if seen != value:
            yield f"{field} {name}: expected {_or_none(value)}, got {_or_none(seen)}"


def _or_none(value: str | None) -> str:
    return "none" if value is None else value


def _either(values: Iterable[str]) -> str:
    return " or ".join(values)


def _code(status: str) -> str:
    known = status.isdecimal() and int(status) < len(CODES)
    return f"{CODES[int(status)]} ({status})" if known else status


@dataclass(frozen=True, slots=True)
class RouteCoverage:
    """An HTTP rule of a VirtualService or of Gateway API, by its name or place, and how many requests took it."""

    resource: str
    route: str
    file: str
    line: int
    requests: int


def coverage(rules: Iterable[Rule], taken: Mapping[Rule, int]) -> list[RouteCoverage]:
    """All rules of the configuration; `taken` counts requests by rule."""
    return [
        RouteCoverage(rule.resource, rule.label, rule.file, rule.line, taken.get(rule, 0))
        for rule in dict.fromkeys(rules)
    ]
