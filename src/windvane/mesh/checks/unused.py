"""What a configuration holds and no request meets: subsets without a route, percentages of zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh.checks.references import Registry, is_empty
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import DestinationRule, HTTPRoute, VirtualService
from windvane.mesh.yaml_source import Path


def unused(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0403 and WV0404."""
    for item in loaded:
        if isinstance(item.resource, VirtualService):
            for number, route in enumerate(item.resource.spec.http):
                yield from _never(item, ("spec", "http", number), route)
        elif isinstance(item.resource, DestinationRule):
            yield from _unrouted(item, item.resource, registry)


def _unrouted(item: Loaded, rule: DestinationRule, registry: Registry) -> Iterator[Finding]:
    """WV0403: where other subsets have routes, or where there is nothing in the subset."""
    host = registry.full(rule.spec.host, rule.namespace)
    routed, known = registry.routed.get(host, frozenset()), registry.service_host(host)
    names = []
    for subset in (subset for subset in rule.spec.subsets if subset.name not in routed):
        empty = known is not None and is_empty(subset, registry.view.services[known], registry)
        if routed or empty:
            names.append(f"{subset.name} (which selects no workload)" if empty else subset.name)
    if names:
        words = f"no route leads to subset{'s' if len(names) > 1 else ''} {', '.join(names)}"
        yield item.finding("WV0403", words, ("spec", "subsets"))


def _never(item: Loaded, path: Path, route: HTTPRoute) -> Iterator[Finding]:
    shares = [
        ("mirror", (*path, "mirrorPercentage"), route.mirror_percentage if route.mirror else None),
        *(
            ("mirror", (*path, "mirrors", index, "percentage"), one.percentage)
            for index, one in enumerate(route.mirrors)
        ),
    ]
    if route.fault is not None and route.fault.delay is not None:
        shares.append(("delay", (*path, "fault", "delay", "percentage"), route.fault.delay.percentage))
    if route.fault is not None and route.fault.abort is not None:
        shares.append(("abort", (*path, "fault", "abort", "percentage"), route.fault.abort.percentage))
    for what, place, share in shares:
        if share is not None and share.value == 0:
            yield item.finding("WV0404", f"a percentage of 0: this {what} never happens", place)
