"""Which localities a client's requests go to: Istio's `localityLbSetting` as Envoy's priorities and weights. Pure.

A locality is `region/zone/sub-zone`. With outlier detection the nearest endpoints come first and farther ones
take over as they fail; `distribute` shares requests among localities by weight instead. `failoverPriority` ranks
endpoints by labels that they share with the client, a Service's `trafficDistribution` by where they are, and
`zoneAwareLbSetting` by region alone, so that Envoy prefers the zone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from windvane.mesh.models.destination_rule import (
    LocalityDistribute,
    LocalityFailover,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from windvane.mesh.view import MeshWorkload
from windvane.xds.endpoints import EndpointSpec
from windvane.xds.policy import Policy

_OTHER_REGION, _NOT_CHOSEN, _DISTANCES = 3, 4, 5
_NETWORK, _CLUSTER = "topology.istio.io/network", "topology.istio.io/cluster"
_PLACE = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_DISTRIBUTIONS = dict.fromkeys(("PreferClose", "PreferSameZone"), (_NETWORK, *_PLACE)) | {
    "PreferSameNode": (_NETWORK, *_PLACE, "kubernetes.io/hostname")
}
"""A Service's `trafficDistribution`, as labels to share with the client."""


@dataclass(frozen=True, slots=True)
class _Ranking:
    """How endpoints take over: by the `labels` they share with the client, then, if `by_place`, by distance.

    With `zones` all zones of a region are alike. `explicit` rankings come from a rule's own list.
    """

    labels: tuple[str, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    by_place: bool = True
    zones: bool = False
    explicit: bool = False


def topology_labels(workload: MeshWorkload, cluster_id: str) -> dict[str, str]:
    """A workload's labels with those that Istio derives from where it is."""
    derived = {_NETWORK: workload.network, _CLUSTER: cluster_id}
    derived |= dict(zip(_PLACE, _parts(workload.locality), strict=True))
    return {**{name: value for name, value in derived.items() if value}, **workload.labels}


def needs_labels(policy: Policy, distribution: str = "") -> bool:
    """Whether it matters which labels endpoints and the client have."""
    ranking = _ranking(policy, distribution)
    return ranking is not None and bool(ranking.labels)


def is_weighted(policy: Policy) -> bool:
    """Whether Envoy chooses a locality before an endpoint, by the locality's weight."""
    if _distribution(policy):
        return True
    ranking = _ranking(policy, "")
    return ranking is not None and ranking.explicit and not ranking.zones and policy.outlier_detection is not None


def placed(
    endpoints: Sequence[EndpointSpec],
    policy: Policy,
    locality: str,
    *,
    labels: Mapping[str, str] | None = None,
    distribution: str = "",
) -> tuple[EndpointSpec, ...]:
    """The endpoints of a cluster as a client uses them, with their priorities and localities' weights.

    The client is in `locality` and has `labels` (with those of its place); `distribution` is the Service's
    `trafficDistribution`.
    """
    shares = _distribution(policy)
    if shares:
        return _distributed(endpoints, shares, locality)
    ranking = _ranking(policy, distribution)
    return _ranked(endpoints, ranking, locality, labels or {}) if ranking is not None else tuple(endpoints)


def _distribution(policy: Policy) -> tuple[LocalityDistribute, ...]:
    given = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    return given.distribute if given is not None and given.enabled is not False and not _zone_aware(policy) else ()


def _zone_aware(policy: Policy) -> ZoneAwareLoadBalancerSetting | None:
    given = policy.load_balancer.zone_aware_lb_setting if policy.load_balancer else None
    return given if given is not None and given.enabled is not False else None


def _ranking(policy: Policy, distribution: str) -> _Ranking | None:
    """How endpoints take over; None where all are alike.

    Without outlier detection nothing tells that an endpoint fails, and Istio ranks only where a Service or
    `zoneAwareLbSetting` asks for it.
    """
    zones = _zone_aware(policy)
    if zones is not None:
        return _Ranking(zones.failover_priority, zones.failover, zones=True, explicit=True)
    given = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    if given is None and distribution in _DISTRIBUTIONS:
        return _Ranking(_DISTRIBUTIONS[distribution], by_place=False)
    if policy.outlier_detection is None or (given is not None and given.enabled is False):
        return None
    setting = given or LocalityLoadBalancerSetting()
    explicit = bool(setting.failover or setting.failover_priority)
    by_place = bool(setting.failover) or not setting.failover_priority
    return _Ranking(setting.failover_priority, setting.failover, by_place=by_place, explicit=explicit)


def _distributed(
    endpoints: Sequence[EndpointSpec], rules: Sequence[LocalityDistribute], locality: str
) -> tuple[EndpointSpec, ...]:
    """Shares by the first rule for the client's locality; endpoints in localities that it does not name get nothing."""
    rule = next((each for each in rules if matches(locality, each.from_)), None)
    if rule is None:
        return tuple(endpoints)
    chosen: dict[str, list[EndpointSpec]] = defaultdict(list)
    for each in endpoints:
        target = next((pattern for pattern in rule.to if matches(each.locality, pattern)), None)
        if target is not None:
            chosen[target].append(each)
    made = []
    for target, members in chosen.items():
        own: dict[str, int] = defaultdict(int)
        for each in members:
            own[each.locality] += each.weight
        total = sum(own.values())
        for each in members:
            share = math.ceil(own[each.locality] * rule.to[target] / total)
            made.append(replace(each, locality_weight=share))
    return tuple(made)


def _ranked(
    endpoints: Sequence[EndpointSpec], ranking: _Ranking, locality: str, labels: Mapping[str, str]
) -> tuple[EndpointSpec, ...]:
    """Those that share most labels first, among them the nearest. Envoy wants no gaps between priorities."""
    found = [
        _unlike(ranking.labels, labels, each.labels) * _DISTANCES + _distance(locality, each.locality, ranking)
        for each in endpoints
    ]
    ranks = {value: rank for rank, value in enumerate(sorted(set(found)))}
    return tuple(replace(each, priority=ranks[value]) for each, value in zip(endpoints, found, strict=True))


def _unlike(wanted: Sequence[str], own: Mapping[str, str], theirs: Mapping[str, str]) -> int:
    """0 where all labels are alike, else the more the earlier in the list the first is that differs.

    `name=value` asks the endpoint for a value, whatever the client's is.
    """
    for index, text in enumerate(wanted):
        name, given, value = text.partition("=")
        if theirs.get(name, "") != (value if given else own.get(name, "")):
            return len(wanted) - index
    return 0


def _distance(own: str, other: str, ranking: _Ranking) -> int:
    """0 in the same sub-zone, then the same zone, region, a region that takes over, any other."""
    mine, theirs = _parts(own), _parts(other)
    if not ranking.by_place or (ranking.zones and mine[0] == theirs[0]):
        return 0
    if mine[0] == theirs[0]:
        return 2 if mine[1] != theirs[1] else 1 if mine[2] != theirs[2] else 0
    wanted = next((each.to for each in ranking.failover if each.from_ == mine[0]), None)
    return _OTHER_REGION if wanted in (None, theirs[0]) else _NOT_CHOSEN


def matches(locality: str, pattern: str) -> bool:
    """Whether a locality is one of a pattern's: `*`, `region`, `region/zone/*` and the like."""
    region, *rest = _parts(pattern)
    own_region, *own_rest = _parts(locality)
    return region in ("*", own_region) and all(
        wanted in ("", "*", own) for wanted, own in zip(rest, own_rest, strict=True)
    )


def _parts(locality: str) -> tuple[str, str, str]:
    region, zone, sub_zone = [*locality.split("/", 2), "", ""][:3]
    return region, zone, sub_zone
