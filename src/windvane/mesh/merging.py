"""Resources of an intention joined with those that a mesh has: what nobody meant to change stays.

`mesh.authoring` makes resources as if there were none. Two VirtualServices for one host would clash, and a
second one would not have the routes of the first; so what is made goes into the resource that is there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from windvane.mesh.authoring import Resource
from windvane.mesh.written import Written

_MESH = "mesh"


def merged(made: Sequence[Resource], what: str, written: Sequence[Written]) -> list[Resource]:
    """What was made of an intention (`canary`, `ab`, `fault`, …), each as it would be in the mesh."""
    return [_merged(one, what, written) for one in made]


def _merged(made: Resource, what: str, written: Sequence[Written]) -> Resource:
    kind = made["kind"]
    if kind == "VirtualService":
        live = next((one for one in _same(made, written) if _routes_host(one.value, made)), None)
        if live is not None:
            return _with_routes(live.value, made, what)
    elif kind == "DestinationRule":
        live = next((one for one in _same(made, written) if _is_host(_spec(one.value).get("host"), made)), None)
        if live is not None:
            return _with_subsets(live.value, made)
    else:
        return made  # a policy is meant as it is written
    name, taken = made["metadata"]["name"], {one.name for one in _same(made, written)}
    return made if name not in taken else {**made, "metadata": {**made["metadata"], "name": f"{name}-{what}"}}


def live_shares(service: str, namespace: str, written: Sequence[Written], label: str = "version") -> dict[str, int]:
    """How requests that no other rule takes are split between versions now; empty where nothing splits them."""
    wanted = {"spec": {"host": service, "hosts": [service]}, "metadata": {"namespace": namespace}}
    inside = [one for one in written if one.namespace == namespace]
    routes = next((one.value for one in inside if one.kind == "VirtualService" and _routes_host(one.value, wanted)), {})
    rules = [one for one in inside if one.kind == "DestinationRule" and _is_host(_spec(one.value).get("host"), wanted)]
    versions = {
        subset.get("name"): (subset.get("labels") or {}).get(label)
        for rule in rules
        for subset in _mappings(_spec(rule.value).get("subsets"))
    }
    shares: dict[str, int] = {}
    rule = next((one for one in _mappings(_spec(routes).get("http")) if not one.get("match")), {})
    targets = _mappings(rule.get("route"))
    for target in targets:
        version = versions.get((target.get("destination") or {}).get("subset"))
        weight = target.get("weight", 0 if len(targets) > 1 else 100)
        if isinstance(version, str) and isinstance(weight, int):
            shares[version] = shares.get(version, 0) + weight
    return shares


def _mappings(value: Any) -> list[Resource]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _same(made: Resource, written: Sequence[Written]) -> Iterator[Written]:
    """Resources of the same kind and namespace."""
    for one in written:
        if (one.kind, one.namespace) == (made["kind"], made["metadata"]["namespace"]):
            yield one


def _spec(value: Resource) -> dict[str, Any]:
    spec = value.get("spec")
    return spec if isinstance(spec, dict) else {}


def _is_host(host: Any, made: Resource) -> bool:
    """Whether a host, as written in the namespace, is the one that was made for."""
    spec, namespace = made["spec"], made["metadata"]["namespace"]
    name = spec["host"] if "host" in spec else spec["hosts"][0]
    names = (name, f"{name}.{namespace}", f"{name}.{namespace}.svc")
    return host in names or str(host).startswith(f"{name}.{namespace}.svc.")


def _routes_host(live: Resource, made: Resource) -> bool:
    """Whether a VirtualService is for this host's requests inside of the mesh."""
    spec = _spec(live)
    inside = _MESH in (spec.get("gateways") or [_MESH])
    hosts, rules = spec.get("hosts"), spec.get("http", [])
    return inside and isinstance(hosts, list) and isinstance(rules, list) and any(_is_host(one, made) for one in hosts)


def _with_routes(live: Resource, made: Resource, what: str) -> Resource:
    changed = copy.deepcopy(live)
    rules: list[Resource] = changed["spec"].setdefault("http", [])
    news = copy.deepcopy(made["spec"]["http"])
    if what == "canary":
        _catch_all(rules)["route"] = news[0]["route"]
    elif what == "ab":
        _catch_all(rules)["route"] = news[1]["route"]
        _first(rules, news[0])
    elif what == "fault" and "match" in news[0]:
        split = _catch_all(rules, news[0]["route"])["route"]
        _first(rules, {**news[0], "route": copy.deepcopy(split)})
    else:
        settings = {name: value for name, value in news[0].items() if name != "route"}
        _catch_all(rules, news[0]["route"])
        for rule in rules:
            if "route" in rule:
                rule.update(copy.deepcopy(settings))
    return changed


def _catch_all(rules: list[Resource], route: Any = None) -> Resource:
    """The rule for requests that no other takes; made, with this route, where there is none."""
    for rule in rules:
        if not rule.get("match") and "redirect" not in rule and "directResponse" not in rule:
            return rule
    rules.append({"route": copy.deepcopy(route)})
    return rules[-1]


def _first(rules: list[Resource], news: Resource) -> None:
    """Put a rule before all others, in place of one for the same requests."""
    rules[:] = [news, *(rule for rule in rules if rule.get("match") != news["match"])]


def _with_subsets(live: Resource, made: Resource) -> Resource:
    changed = copy.deepcopy(live)
    subsets: list[Resource] = changed["spec"].setdefault("subsets", [])
    for wanted in made["spec"]["subsets"]:
        there = next((one for one in subsets if one.get("name") == wanted["name"]), None)
        if there is None:
            subsets.append(copy.deepcopy(wanted))
        else:
            there["labels"] = dict(wanted["labels"])
    return changed
