"""Which localities a client's requests go to: Istio's `localityLbSetting` as Envoy's priorities and weights. Pure.

A locality is `region/zone/sub-zone`. With outlier detection the nearest endpoints come first and farther ones
take over as they fail; `distribute` shares requests among localities by weight instead.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from windvane.mesh.models.destination_rule import LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting
from windvane.xds.endpoints import EndpointSpec
from windvane.xds.policy import Policy

_OTHER_REGION, _NOT_CHOSEN = 3, 4


def is_weighted(policy: Policy) -> bool:
    """Whether Envoy chooses a locality before an endpoint, by the locality's weight."""
    setting = _setting(policy)
    if setting is None:
        return False
    return bool(setting.distribute or (setting.failover and policy.outlier_detection is not None))


def placed(endpoints: Sequence[EndpointSpec], policy: Policy, locality: str) -> tuple[EndpointSpec, ...]:
    """The endpoints of a cluster as a client in `locality` uses them, with their priorities and localities' weights."""
    setting = _setting(policy)
    if setting is None:
        return tuple(endpoints)
    if setting.distribute:
        return _distributed(endpoints, setting.distribute, locality)
    # Without outlier detection nothing tells that an endpoint fails: nobody would ever take over.
    return _by_distance(endpoints, setting.failover, locality) if policy.outlier_detection else tuple(endpoints)


def _setting(policy: Policy) -> LocalityLoadBalancerSetting | None:
    """What a rule says, else Istio's default, which is enabled; None where it is switched off."""
    given = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    if given is None:
        return LocalityLoadBalancerSetting()
    return None if given.enabled is False else given


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


def _by_distance(
    endpoints: Sequence[EndpointSpec], failover: Sequence[LocalityFailover], locality: str
) -> tuple[EndpointSpec, ...]:
    """The nearest first; of other regions the one that takes over before the rest. Envoy wants no gaps."""
    distances = [_distance(locality, each.locality, failover) for each in endpoints]
    ranks = {distance: rank for rank, distance in enumerate(sorted(set(distances)))}
    return tuple(replace(each, priority=ranks[distance]) for each, distance in zip(endpoints, distances, strict=True))


def _distance(own: str, other: str, failover: Sequence[LocalityFailover]) -> int:
    """0 in the same sub-zone, then the same zone, region, a region that takes over, any other."""
    mine, theirs = _parts(own), _parts(other)
    if mine[0] == theirs[0]:
        return 2 if mine[1] != theirs[1] else 1 if mine[2] != theirs[2] else 0
    wanted = next((each.to for each in failover if each.from_ == mine[0]), None)
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
