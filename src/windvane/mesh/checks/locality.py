"""Istio's validation of a DestinationRule's locality load balancing and warm-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh.checks.common import Problem, check_duration, doubtful, idle, invalid
from windvane.mesh.models.destination_rule import (
    LocalityFailover,
    LocalityLoadBalancerSetting,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)
from windvane.mesh.yaml_source import Path

_PLACE = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def check_locality(
    path: Path, setting: LocalityLoadBalancerSetting | None, *, detects_outliers: bool
) -> Iterator[Problem]:
    """Weights and failovers between localities."""
    if setting is None:
        return
    if setting.distribute and setting.failover:
        yield invalid(path, "can not simultaneously specify 'distribute' and 'failover'")
    for index, rule in enumerate(setting.distribute):
        place: Path = (*path, "distribute", index)
        if any(not 1 <= weight <= 100 for weight in rule.to.values()):
            yield invalid((*place, "to"), "locality weight must be in range [1, 100]")
        elif sum(rule.to.values()) != 100:
            yield invalid((*place, "to"), f"total locality weight {sum(rule.to.values())} != 100")
        yield from _check_localities((*place, "to"), list(rule.to))
    yield from _check_localities((*path, "distribute"), [rule.from_ for rule in setting.distribute])
    if setting.failover and not detects_outliers:
        yield doubtful((*path, "failover"), "outlier detection policy must be provided for failover")
    yield from _check_failover((*path, "failover"), setting.failover)
    for index, text in enumerate(setting.failover_priority):
        if setting.failover and text.partition("=")[0] in _PLACE:
            words = f"can not simultaneously set 'failover' and topology label '{text}' in 'failover_priority'"
            yield invalid((*path, "failoverPriority", index), words)
    if setting.failover_priority and not detects_outliers:
        yield idle((*path, "failoverPriority"), "without outlierDetection no endpoint takes over for another")


def check_zone_aware(path: Path, setting: ZoneAwareLoadBalancerSetting | None) -> Iterator[Problem]:
    """Regions and labels that rank endpoints; zones are Envoy's own affair."""
    if setting is None:
        return
    yield from _check_failover((*path, "failover"), setting.failover)
    for index, text in enumerate(setting.failover_priority):
        if text.partition("=")[0] in _PLACE:
            words = f"failoverPriority must not include {text}: zone-aware load balancing looks at places by itself"
            yield invalid((*path, "failoverPriority", index), words)


def _check_failover(path: Path, failover: Sequence[LocalityFailover]) -> Iterator[Problem]:
    for index, each in enumerate(failover):
        place = (*path, index)
        if each.from_ == each.to:
            yield invalid(place, "locality lb failover settings must specify different regions")
        if "/" in each.from_ + each.to:
            yield invalid(place, "locality lb failover only specify region")
        if "*" in each.from_ + each.to:
            yield invalid(place, "locality lb failover region should not contain '*' wildcard")


def _check_localities(path: Path, localities: Sequence[str]) -> Iterator[Problem]:
    """Each is well-formed, and none lies within one that stands before it or has one within it."""
    seen: list[list[str]] = []
    for locality in localities:
        parts = locality.split("/", 2)
        if locality.count("*") > 1 or ("*" in locality and not locality.endswith("*")):
            words = f"locality {locality} wildcard '*' number can not exceed 1 and must be in the end"
            yield invalid(path, words)
        elif not all(parts):
            yield invalid(path, f"locality {locality} must not contain empty region/zone/subzone info")
        else:
            place = parts[:-1] if parts[-1] == "*" else parts
            if any(one == place[: len(one)] or place == one[: len(place)] for one in seen):
                yield invalid(path, f"locality {locality} overlap with previous specified ones")
            seen.append(place)


def check_warmup(path: Path, warmup: WarmupConfiguration | None) -> Iterator[Problem]:
    """How new endpoints are warmed up."""
    if warmup is None:
        return
    if warmup.duration is None:
        yield invalid((*path, "duration"), "duration is required")
    yield from check_duration((*path, "duration"), warmup.duration)
    if not 0 <= (warmup.minimum_percent or 0) <= 100:
        yield invalid((*path, "minimumPercent"), "minimumPercent value should be less than or equal to 100")
    if warmup.aggression is not None and warmup.aggression < 1:
        yield invalid((*path, "aggression"), "aggression should be greater than or equal to 1")
