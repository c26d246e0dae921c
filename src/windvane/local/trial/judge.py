"""Whether what became of requests is what a test expects, and which routes of the configuration were taken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.local.trial.cases import Expectation, Placed
from windvane.local.trial.outcome import Followed
from windvane.mesh.gateway_api.semantics import TranslatedRoutes
from windvane.mesh.models import VirtualService
from windvane.mesh.view import MeshView

_Z = 3.290526731491
"""Shares are held against a 99.9 % interval: of a thousand right tests one fails by chance."""


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
    status = each.response.status if each.response else 0
    common = each.client.common_properties if each.client else None
    if wanted.status is not None and status not in wanted.status:
        yield f"status: expected {_either(map(str, wanted.status))}, got {status or each.failure}"
    if isinstance(wanted.workload, tuple) and each.workload_name not in wanted.workload:
        yield f"workload: expected {_either(wanted.workload)}, got {each.workload_name or 'none'}"
    route = common.route_name if common else ""
    if wanted.route is not None and route not in wanted.route:
        yield f"route: expected {_either(wanted.route)}, got {route or 'none'}"
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
    refused = each.refused_by
    if wanted.refused_by is not None and wanted.refused_by not in (refused or each.details):
        yield f"refusedBy: expected {wanted.refused_by}, got {refused or each.details or 'nothing'}"
    if wanted.identity is not None and each.identity != wanted.identity:
        yield f"identity: expected {wanted.identity or 'plaintext'}, got {each.identity or 'plaintext'}"
    if wanted.audited is not None and each.is_audited != wanted.audited:
        yield f"audited: expected {str(wanted.audited).lower()}, got {str(each.is_audited).lower()}"
    flags = common.custom_tags.get("response_flags", "").strip("-") if common else ""
    if wanted.flags is not None and flags != wanted.flags:
        yield f"flags: expected {wanted.flags}, got {flags or 'none'}"
    if wanted.at_least is not None and each.seconds < wanted.at_least:
        yield f"atLeast: expected {wanted.at_least * 1e3:g} ms, got {each.seconds * 1e3:.0f} ms"


def _headers(field: str, wanted: Mapping[str, str | None], got: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        seen = got.get(name.lower())
        if seen != value:
            yield f"{field} {name}: expected {_or_none(value)}, got {_or_none(seen)}"


def _or_none(value: str | None) -> str:
    return "none" if value is None else value


def _either(values: Iterable[str]) -> str:
    return " or ".join(values)


@dataclass(frozen=True, slots=True)
class RouteCoverage:
    """An HTTP route of a VirtualService or of Gateway API, and how many requests took it."""

    resource: str
    route: str
    file: str
    line: int
    requests: int


def coverage(view: MeshView, taken: Mapping[str, int]) -> list[RouteCoverage]:
    """The named routes of the configuration; `taken` counts requests by route name."""
    found = (
        RouteCoverage(*_origin(item, index), taken.get(route.name, 0))
        for item in view.virtual_services
        for index, route in enumerate(item.spec.http)
        if route.name
    )
    return list(dict.fromkeys(found))


def _origin(item: VirtualService, index: int) -> tuple[str, str, str, int]:
    """Resource, name and place of a rule. Those of Gateway API stand in one for each host and listener."""
    name = item.spec.http[index].name
    if isinstance(item, TranslatedRoutes):
        origin = item.origins[index]
        return origin.reference, name, origin.file, origin.line
    return item.reference, name, item.file, item.line
