"""Timeouts and retries of routes, by themselves and along the calls that services make."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.mesh.build import MESH_GATEWAY
from windvane.mesh.calls import calls
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import HTTPRoute, VirtualService

_TOO_MANY_TRIES = 9
"""Tries of the last service for one request at the first: two hops of Istio's default of two retries."""
_LONGEST = 12


@dataclass(frozen=True, slots=True, eq=False)
class _Rule:
    """A route with the services that it leads to."""

    item: Loaded
    number: int
    route: HTTPRoute
    targets: frozenset[str]

    @property
    def tries(self) -> int:
        """How often a request can be sent; Istio's own retries, of what never reached a service, do not count."""
        return 1 + (self.route.retries.attempts if self.route.retries else 0)

    @property
    def name(self) -> str:
        return f"{self.item.resource.reference} spec.http[{self.number}]"


def timing(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0405, WV0406 and WV0407."""
    rules = list(_rules(loaded, registry))
    for rule in rules:
        yield from _cut_retries(rule)
    if any(rule.route.timeout or rule.tries > 1 for rule in rules):
        inner = _inside(rules, registry)
        known = calls(registry.view)
        onwards = _most_tries(inner, known)
        for rule in rules:
            yield from _cut_calls(rule, inner, known)
            yield from _multiplied(rule, onwards)


def _rules(loaded: Sequence[Loaded], registry: Registry) -> Iterator[_Rule]:
    for item in loaded:
        if isinstance(item.resource, VirtualService):
            namespace = item.resource.namespace
            for number, route in enumerate(item.resource.spec.http):
                given = (target.destination for target in route.route if target.destination)
                targets = frozenset(registry.full(one.host, namespace) for one in given)
                yield _Rule(item, number, route, targets)


def _inside(rules: Sequence[_Rule], registry: Registry) -> Mapping[str, list[_Rule]]:
    """The rules that hold for calls inside the mesh, by the host that is called."""
    found: dict[str, list[_Rule]] = defaultdict(list)
    for rule in rules:
        service = rule.item.resource
        assert isinstance(service, VirtualService)
        if MESH_GATEWAY in (service.spec.gateways or (MESH_GATEWAY,)):
            for host in service.spec.hosts:
                found[registry.full(host, service.namespace)].append(rule)
    return found


def _cut_retries(rule: _Rule) -> Iterator[Finding]:
    """WV0406."""
    timeout, retries = rule.route.timeout, rule.route.retries
    if not timeout or retries is None or not retries.per_try_timeout or retries.attempts <= 0:
        return
    needed = retries.per_try_timeout * retries.attempts
    if timeout < needed:
        words = f"the timeout of {timeout:g}s ends before {retries.attempts} retries of {retries.per_try_timeout:g}s "
        yield rule.item.finding("WV0406", f"{words}each ({needed:g}s) can", ("spec", "http", rule.number, "timeout"))


def _cut_calls(rule: _Rule, inner: Mapping[str, list[_Rule]], known: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """WV0407: every timed rule of a service that is called waits longer than the caller's client does."""
    timeout = rule.route.timeout
    for host in sorted(rule.targets) if timeout else ():
        for called in sorted(known.get(host, ())):
            timed = [one for one in inner.get(called, ()) if one.route.timeout and one.item is not rule.item]
            shortest = min(timed, key=lambda one: one.route.timeout or 0, default=None)
            if shortest is not None and timeout is not None and timeout < (shortest.route.timeout or 0):
                words = f"the timeout of {timeout:g}s is shorter than the {shortest.route.timeout:g}s that {host} "
                words += f"waits for {called} ({shortest.name}): its clients give up first"
                yield rule.item.finding("WV0407", words, ("spec", "http", rule.number, "timeout"))


def _multiplied(rule: _Rule, onwards: Mapping[str, tuple[_Rule, ...]]) -> Iterator[Finding]:
    """WV0405: at each rule of a path from which on it comes to so many."""
    if rule.tries < 2:
        return
    paths = [(rule, *_before(rule, onwards.get(host, ()))) for host in sorted(rule.targets)]
    path = max(paths, key=_tries, default=(rule,))
    if len(path) > 1 and _tries(path) >= _TOO_MANY_TRIES:
        steps = " × ".join(f"{one.tries} ({one.item.resource.reference})" for one in path)
        words = f"a request can become {_tries(path)} where it ends: {steps}"
        yield rule.item.finding("WV0405", words, ("spec", "http", rule.number, "retries"))


def _before(rule: _Rule, path: tuple[_Rule, ...]) -> tuple[_Rule, ...]:
    """A path until it comes back to a rule."""
    return path[: path.index(rule)] if rule in path else path


def _most_tries(
    inner: Mapping[str, list[_Rule]], known: Mapping[str, frozenset[str]]
) -> Mapping[str, tuple[_Rule, ...]]:
    """For each service the path of retrying rules that goes on from it with the most tries, of a bounded length.

    Paths grow by a call at a time: rings of calls end, and the work is that of the calls times the length.
    """
    most = {
        host: max(rules, key=lambda one: one.tries)
        for host, rules in inner.items()
        if any(one.tries > 1 for one in rules)
    }
    best: dict[str, tuple[_Rule, ...]] = {}
    for _ in range(_LONGEST):
        longer = {host: _longest(called, most, best) for host, called in known.items()}
        if longer == best:
            break
        best = longer
    return best


def _longest(
    called: Iterable[str], most: Mapping[str, _Rule], best: Mapping[str, tuple[_Rule, ...]]
) -> tuple[_Rule, ...]:
    """The path with the most tries that begins with one of these calls; what does not retry is passed through."""
    paths = []
    for host in sorted(called):
        onward, own = best.get(host, ()), most.get(host)
        paths.append(onward if own is None else (own, *_before(own, onward)))
    return max(paths, key=_tries, default=())


def _tries(path: Sequence[_Rule]) -> int:
    return math.prod(rule.tries for rule in path)
