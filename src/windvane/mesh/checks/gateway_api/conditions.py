"""Conditions that are false, as findings: WV0501 to WV0511; rules, grants and fields without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.gateway_api.conditions import Condition, Key, key_of
from windvane.mesh.models import gateway_api
from windvane.mesh.models.base import json_name
from windvane.mesh.yaml_source import Path

_OF_OTHERS = "WV0501"
"""Told of a Gateway that another controller serves."""


def conditions(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """What Istio's controller would write into the status of Gateways and routes.

    And IST0101, WV0302, WV0512 and WV0515.
    """
    by_resource: dict[Key, list[Condition]] = {}
    for condition in registry.view.gateway_api_conditions:
        by_resource.setdefault(condition.of, []).append(condition)
    for item in loaded:
        if isinstance(item.resource, gateway_api.Gateway | gateway_api.Route):
            found = by_resource.get(key_of(item.resource), [])
            yield from (item.finding(each.code, each.text, each.path) for each in found)
            if not any(each.code == _OF_OTHERS for each in found):
                yield from _nothing_sent(item)
                yield from _without_effect(item)
        elif isinstance(item.resource, gateway_api.ReferenceGrant) and registry.namespaces:
            yield from _unknown_namespaces(item, item.resource, registry)


def _without_effect(item: Loaded) -> Iterator[Finding]:
    """Fields that the API has and Istio's controller does not look at."""
    given: list[tuple[Path, object]] = [
        (("spec", json_name(name)), getattr(item.resource.spec, name, ""))
        for name in ("use_default_gateways", "default_scope")
        if isinstance(item.resource, gateway_api.Gateway | gateway_api.Route)
    ]
    for number, rule in enumerate(_rules(item)):
        given.append((("spec", "rules", number, "sessionPersistence"), getattr(rule, "session_persistence", None)))
    for path, value in given:
        if value:
            yield item.finding("WV0515", f"Istio does not act on {path[-1]}: it has no effect", path)


def _unknown_namespaces(item: Loaded, grant: gateway_api.ReferenceGrant, registry: Registry) -> Iterator[Finding]:
    """Namespaces that may refer and are not there; files without any Namespace leave them to the cluster."""
    for index, one in enumerate(grant.spec.from_):
        if one.namespace not in registry.namespaces:
            path = ("spec", "from", index, "namespace")
            yield item.finding("IST0101", f'Referenced namespace not found: "{one.namespace}"', path, "KIA1601")


def _rules(item: Loaded) -> Sequence[Any]:
    return getattr(item.resource.spec, "rules", ()) if isinstance(item.resource, gateway_api.Route) else ()


def _nothing_sent(item: Loaded) -> Iterator[Finding]:
    """Destinations of weight 0, and rules of which no destination gets anything."""
    what = "request" if isinstance(item.resource, gateway_api.HTTPRoute | gateway_api.GRPCRoute) else "connection"
    for number, rule in enumerate(_rules(item)):
        if any(getattr(one, "request_redirect", None) for one in getattr(rule, "filters", ())):
            continue
        weights = [ref.weight for ref in rule.backend_refs]
        if not any(weights):
            answer = "answers 500" if what == "request" else "closes its connections"
            words = f"no destination has a weight above 0: the rule {answer}"
            yield item.finding("WV0512", words, ("spec", "rules", number))
            continue
        for index, weight in enumerate(weights):
            if not weight:
                path = ("spec", "rules", number, "backendRefs", index, "weight")
                yield item.finding("WV0302", f"weight 0: no {what} goes to this destination", path)
