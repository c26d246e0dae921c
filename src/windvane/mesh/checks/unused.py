"""What a configuration holds and no request meets: subsets without a route, percentages of zero."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import Destination, DestinationRule, HTTPRoute, VirtualService
from windvane.mesh.yaml_source import Path


def unused(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0403 and WV0404."""
    used: dict[str, set[str]] = defaultdict(set)
    for item in loaded:
        if isinstance(item.resource, VirtualService):
            for number, route in enumerate(item.resource.spec.http):
                yield from _never(item, ("spec", "http", number), route)
                for destination in destinations(route):
                    if destination.subset:
                        used[registry.full(destination.host, item.resource.namespace)].add(destination.subset)
    for item in loaded:
        if isinstance(item.resource, DestinationRule):
            routed = used.get(registry.full(item.resource.spec.host, item.resource.namespace), set())
            names = [one.name for one in item.resource.spec.subsets if one.name not in routed]
            if routed and names:
                words = f"no route leads to subset{'s' if len(names) > 1 else ''} {', '.join(names)}"
                yield item.finding("WV0403", words, ("spec", "subsets"))


def destinations(route: HTTPRoute) -> list[Destination]:
    """Everywhere that a route sends requests or copies of them."""
    given = [*(one.destination for one in route.route), route.mirror, *(one.destination for one in route.mirrors)]
    return [one for one in given if one is not None]


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
