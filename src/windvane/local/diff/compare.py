"""Two answers to one request, and how they differ.

Shares are compared as they are configured, where the routes say them: no number of requests tells 80 from 79 percent.
What was seen counts where chance has no part, or where it is past chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from windvane.kit.shares import wilson
from windvane.local.diff.run import Answer
from windvane.local.trial.outcome import Outcome

Kind = Literal[
    "answer", "denied", "destination", "route", "path", "headers", "mirror", "redirect", "timeout", "retries", "fault",
    "cors", "balancing", "connections", "outliers", "tls", "other",
]  # fmt: skip
BROKEN: frozenset[Kind] = frozenset(("answer", "denied"))
_Z = 4.5
"""Shares that are seen differ when less than one in a hundred thousand pairs of equal ones would."""
_OUTSIDE = "outside"

# Fields of Envoy's configuration by what people call them; the first that fits counts.
_ROUTE_KINDS: tuple[tuple[str, Kind], ...] = (
    ("typed_per_filter_config.envoy.filters.http.fault", "fault"),
    ("typed_per_filter_config.envoy.filters.http.cors", "cors"),
    ("request_headers_to", "headers"), ("response_headers_to", "headers"),
    ("redirect", "redirect"), ("direct_response", "answer"), ("route.request_mirror_policies", "mirror"),
    ("route.retry_policy", "retries"), ("route.timeout", "timeout"), ("route.max_stream_duration", "timeout"),
    ("route.idle_timeout", "timeout"), ("idle_timeout", "timeout"), ("route.hash_policy", "balancing"),
    ("hash_policy", "balancing"), ("route.prefix_rewrite", "path"), ("route.regex_rewrite", "path"),
    ("route.host_rewrite", "path"), ("route.weighted_clusters", "headers"),
)  # fmt: skip
_CLUSTER_KINDS: tuple[tuple[str, Kind], ...] = (
    ("outlier_detection", "outliers"), ("transport_socket", "tls"), ("circuit_breakers", "connections"),
    ("connect_timeout", "connections"), ("typed_extension_protocol_options", "connections"),
    ("upstream_connection_options", "connections"), ("lb_", "balancing"), ("load_balancing", "balancing"),
    ("ring_hash", "balancing"), ("maglev", "balancing"), ("common_lb", "balancing"), ("least_request", "balancing"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; `before` and `after` are for people, `field` is where Envoy's configuration has it.

    `seen` are the shares that were counted beside those that are configured, with their 95 % intervals.
    """

    kind: Kind
    before: str
    after: str
    field: str = ""
    seen: tuple[str, ...] = ()


def differences(old: Answer, new: Answer) -> list[Difference]:
    """All that differs; nothing where the request is treated the same."""
    if old.refused or new.refused:
        same = old.refused == new.refused
        return [] if same else [Difference("answer", old.refused or _statuses(old), new.refused or _statuses(new))]
    found = [*_answered(old, new), *_destinations(old, new), *_seen(old, new), *_settings(old, new)]
    return list(dict.fromkeys(found))


def _answered(old: Answer, new: Answer) -> Iterator[Difference]:
    if _differ(old, new, lambda each: (each.status, each.grpc_status, bool(each.failure))):
        yield Difference("answer", _statuses(old), _statuses(new))
    if _differ(old, new, lambda each: each.refused_by):
        yield Difference("denied", _refusals(old), _refusals(new))
    if _differ(old, new, lambda each: each.route):
        yield Difference("route", _names(old, _route), _names(new, _route))


def _route(each: Outcome) -> str:
    """A route's name; of one without, the VirtualService and place of its rule."""
    return each.route or each.rule


def _destinations(old: Answer, new: Answer) -> Iterator[Difference]:
    before, after = old.configured.destinations, new.configured.destinations
    configured = any(not math.isclose(before.get(key, 0), after.get(key, 0), abs_tol=1e-6) for key in {*before, *after})
    clusters = set(old.configured.clusters) != set(new.configured.clusters)
    varies = old.configured.varies or new.configured.varies
    seen = (_shares(old), _shares(new)) if varies else ()
    if configured or clusters:
        yield Difference("destination", _where(old), _where(new), seen=seen)
    elif (_differ_past_chance if varies else _others_answer)(old, new, _workload) and _reaches(old) and _reaches(new):
        yield Difference("destination", _names(old, _workload), _names(new, _workload))


def _workload(each: Outcome) -> str:
    return each.workload


def _others_answer(old: Answer, new: Answer, key: Callable[[Outcome], Any]) -> bool:
    return {key(each) for each in old.ways} != {key(each) for each in new.ways}


def _reaches(answer: Answer) -> bool:
    """Whether it went to anybody: what a fault or redirect answers has no destination."""
    return any(each.workload for each in answer.ways)


def _seen(old: Answer, new: Answer) -> Iterator[Difference]:
    """What applications and callers got, of those that both configurations sent it to."""
    for before, after in _pairs(old.ways, new.ways):
        for name in ("path", "authority") if before.path and after.path else ():
            if getattr(before, name) != getattr(after, name):
                yield Difference("path", f"{name} {getattr(before, name)}", f"{name} {getattr(after, name)}")
        changes = _headers(before.request_headers), _headers(after.request_headers)
        if changes[0] != changes[1] and before.path and after.path:
            yield Difference("headers", f"request: {changes[0] or 'as sent'}", f"request: {changes[1] or 'as sent'}")
        if bool(before.mutual_tls) != bool(after.mutual_tls):
            told, other = ("mutual TLS" if each.mutual_tls else "plaintext" for each in (before, after))
            yield Difference("tls", told, other)
    for before, after in _pairs(old.ways, new.ways, answered=True):
        answers = [_response(each.response_headers) for each in (before, after)]
        if answers[0].pop("location", "") != answers[1].pop("location", ""):
            yield Difference("redirect", *_locations(before, after))
        if answers[0] != answers[1]:
            yield Difference("headers", f"response: {_listed(answers[0])}", f"response: {_listed(answers[1])}")
    mirrored = [sorted({name for each in answer.ways for name in each.mirrored_to}) for answer in (old, new)]
    if mirrored[0] != mirrored[1] and not (old.configured.varies or new.configured.varies):
        yield Difference("mirror", ", ".join(mirrored[0]) or "none", ", ".join(mirrored[1]) or "none")


def _settings(old: Answer, new: Answer) -> Iterator[Difference]:
    """What the routes and clusters say beyond what one request shows."""
    if old.configured.route and new.configured.route:
        yield from _fields(old.configured.route, new.configured.route, _ROUTE_KINDS, "")
    for name in sorted(set(old.configured.clusters) & set(new.configured.clusters)):
        yield from _fields(old.configured.clusters[name], new.configured.clusters[name], _CLUSTER_KINDS, f"{name}: ")


def _fields(
    before: Mapping[str, str], after: Mapping[str, str], kinds: Sequence[tuple[str, Kind]], of: str
) -> Iterator[Difference]:
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            kind: Kind = next((kind for start, kind in kinds if path.startswith(start)), "other")
            yield Difference(kind, before.get(path, "not set"), after.get(path, "not set"), f"{of}{path}")


def _pairs(
    old: Sequence[Outcome], new: Sequence[Outcome], *, answered: bool = False
) -> Iterator[tuple[Outcome, Outcome]]:
    """Ways to the same workload; the most frequent of each where they have none in common.

    Of those that reached an application; of all that were answered with `answered`.
    """
    sides = [
        [each for each in ways if (each.status if answered else each.path or each.mutual_tls)] for ways in (old, new)
    ]
    before, after = ({each.workload: each for each in reversed(side)} for side in sides)
    common = sorted(before.keys() & after.keys())
    if common:
        yield from ((before[name], after[name]) for name in common)
    elif sides[0] and sides[1]:
        yield sides[0][0], sides[1][0]


def _differ(old: Answer, new: Answer, key: Callable[[Outcome], Any]) -> bool:
    """Whether what was seen differs, of those to the same workload; past chance where that has a part even there."""
    if old.configured.by_chance or new.configured.by_chance:
        return _differ_past_chance(old, new, key)
    before, after = _by_workload(old.ways, key), _by_workload(new.ways, key)
    common = before.keys() & after.keys()
    if common:
        return any(before[name] != after[name] for name in common)
    return set().union(*before.values()) != set().union(*after.values())


def _by_workload(ways: Sequence[Outcome], key: Callable[[Outcome], Any]) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {}
    for each in ways:
        found.setdefault(each.workload, set()).add(key(each))
    return found


def _differ_past_chance(old: Answer, new: Answer, key: Callable[[Outcome], Any]) -> bool:
    before, after = _counts(old.ways, key), _counts(new.ways, key)
    many, more = sum(before.values()), sum(after.values())
    return any(_is_past_chance(before[each], many, after[each], more) for each in before | after)


def _is_past_chance(some: int, many: int, others: int, more: int) -> bool:
    """The test of two proportions with their common estimate."""
    if not many or not more:
        return many != more
    together = (some + others) / (many + more)
    spread = math.sqrt(together * (1 - together) * (1 / many + 1 / more))
    return spread > 0 and abs(some / many - others / more) / spread > _Z


def _counts(ways: Sequence[Outcome], key: Callable[[Outcome], Any]) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for each in ways:
        found[key(each)] += each.count
    return found


def _statuses(answer: Answer) -> str:
    return _names(answer, _status)


def _status(each: Outcome) -> str:
    if each.failure:
        return "no answer"
    if not each.status:
        return "answered"
    flags = f" {each.flags}" if each.flags else ""
    return f"{each.status}, grpc {each.grpc_status}{flags}" if each.grpc_status else f"{each.status}{flags}"


def _refusals(answer: Answer) -> str:
    return _names(answer, lambda each: each.refused_by or "let through")


def _names(answer: Answer, name: Callable[[Outcome], str]) -> str:
    """Values with the shares they were seen with; a value alone needs none."""
    counted = _counts(answer.ways, name)
    total = sum(counted.values())
    if len(counted) == 1:
        return next(iter(counted)) or "none"
    return ", ".join(f"{value or 'none'} {count / total:.0%}" for value, count in counted.most_common())


def _where(answer: Answer) -> str:
    """Destinations with their configured shares."""
    destinations = answer.configured.destinations
    if not destinations:
        return _names(answer, lambda each: each.workload or each.cluster or "nowhere")
    parts = []
    for name, share in sorted(destinations.items(), key=lambda each: (-each[1], each[0])):
        subset = answer.configured.subsets.get(name, "")
        parts.append(f"{name}{f' (subset {subset})' if subset else ''} {100 * share:.4g} %")
    return parts[0].removesuffix(" 100 %") if len(parts) == 1 else ", ".join(parts)


def _shares(answer: Answer) -> str:
    """Workloads with the intervals of what was counted."""
    counted = _counts(answer.ways, lambda each: each.workload or "nowhere")
    total = sum(counted.values())
    intervals = ((name, wilson(count, total)) for name, count in counted.most_common())
    return ", ".join(f"{name} {low:.0%} to {high:.0%}" for name, (low, high) in intervals)


def _locations(one: Outcome, other: Outcome) -> tuple[str, str]:
    return str(one.response_headers.get("location", "none")), str(other.response_headers.get("location", "none"))


def _headers(changes: Mapping[str, Any]) -> str:
    parts = [f"{kind} {_listed(value)}" for kind, value in changes.items() if value]
    return "; ".join(parts)


def _response(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers of an answer; of a cookie only that there is one: its value may be new every time."""
    return {name: "" if name == "set-cookie" else str(value) for name, value in headers.items()}


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    return ", ".join(map(str, value)) or "none"
