"""What a configuration says of the route that a request took: where it sends, with which shares and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from windvane.local.trial.asking import OUTSIDE, Asked, covering, listener_name, plain, whole
from windvane.local.trial.sending import Followed
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, Resource
from windvane.xds.snapshot import Snapshot

Node = Mapping[str, Any]

# What says where a request goes is told as destinations, what names or finds a route is none of its settings.
_ROUTE_IDENTITY = {"name", "match", "metadata", "decorator", "stat_prefix"}
_WHOLE = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_GRPC_DEADLINE = "route.max_stream_duration.grpc_timeout_header_max"
_CLUSTER_IDENTITY = {"name", "alt_stat_name", "metadata", "load_assignment", "eds_cluster_config", "@type", "type"}


@dataclass(frozen=True, slots=True)
class Configured:
    """`destinations` maps workloads (clusters that have none stand for themselves) to their shares of 1; `route` and
    `clusters` are settings by field path; `varies` is whether one request alone does not show what happens,
    `by_chance` whether even requests to one workload differ."""

    destinations: Mapping[str, float] = field(default_factory=dict)
    route: Mapping[str, str] = field(default_factory=dict)
    clusters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    varies: bool = False
    by_chance: bool = False
    subsets: Mapping[str, str] = field(default_factory=dict)
    """The subset that a workload is reached by, where one is named."""


def configured(proxy: Proxy, snapshot: Snapshot, asked: Asked, followed: Followed) -> Configured:
    """Of the route that one request was told to take; nothing where it took none."""
    action = _connection(proxy, snapshot, asked) if asked.kind == "tcp" else _route(proxy, snapshot, asked, followed)
    weights = _weights(action)
    total = sum(weights.values()) or 1
    destinations: dict[str, float] = {}
    subsets: dict[str, str] = {}
    for cluster, weight in weights.items():
        for workload, share in _workloads(proxy, snapshot, cluster).items():
            subsets[workload] = cluster.split("|")[2] if cluster.count("|") == 3 else ""
            destinations[workload] = destinations.get(workload, 0.0) + share * weight / total
    route = {path: value for path, value in flat(action) if path.partition(".")[0] not in _ROUTE_IDENTITY}
    if route.get(_GRPC_DEADLINE) == route.get("route.timeout"):
        route.pop(_GRPC_DEADLINE, None)  # the timeout once more
    known = whole(proxy, snapshot)[CDS]
    clusters = {name: _settings(made) for name in weights if (made := known.get(name)) is not None}
    by_chance = any(map(_is_part, route.values()))
    return Configured(
        destinations,
        {path: value for path, value in route.items() if not _is_target(path)},
        clusters,
        by_chance or len(destinations) > 1 or len(weights) > 1,
        by_chance,
        {workload: subset for workload, subset in subsets.items() if subset},
    )


def _is_part(value: str) -> bool:
    """Whether a setting is a share that is neither none nor all."""
    return value.endswith(" %") and 0 < float(value.removesuffix(" %")) < 100


def _is_target(path: str) -> bool:
    """Whether a field says where requests go, which destinations tell."""
    return path in ("route.cluster", "cluster") or (".clusters[" in path and path.endswith((".name", ".weight")))


def _route(proxy: Proxy, snapshot: Snapshot, asked: Asked, followed: Followed) -> Node:
    """The Envoy route that was told by its name."""
    told = followed.client.common.route_name if followed.client else ""
    routes = (route for host in covering(proxy, snapshot, asked.authority) for route in host.get("routes", ()))
    return next((route for route in routes if told and route.get("name") == told), {})


def _connection(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> Node:
    """The TCP proxy of the first chain that has one."""
    name = listener_name(proxy, snapshot, asked)
    found = whole(proxy, snapshot)[LDS].get(name)
    chains = plain(found).get("filter_chains", ()) if found else ()
    filters = (each for chain in chains for each in chain.get("filters", ()) if "tcp_proxy" in each.get("name", ""))
    config: Node = next((each.get("typed_config", {}) for each in filters), {})
    return {key: value for key, value in config.items() if key not in ("access_log", "access_log_options", "@type")}


def _weights(action: Node) -> dict[str, float]:
    """Clusters with their weights, of a route or a TCP proxy."""
    target = action.get("route", action)
    weighted = target.get("weighted_clusters", {}).get("clusters", ())
    if weighted:
        return {str(each["name"]): float(each.get("weight", 0)) for each in weighted}
    return {str(target["cluster"]): 1.0} if target.get("cluster") else {}


def _workloads(proxy: Proxy, snapshot: Snapshot, cluster: str) -> dict[str, float]:
    """The workloads that answer for a cluster, each with its share; the cluster itself where none is known."""
    endpoints = whole(proxy, snapshot)[EDS].get(cluster)
    return (_shares(endpoints) if endpoints is not None else {}) or {cluster: 1.0}


@lru_cache(maxsize=16_384)
def _shares(endpoints: Resource) -> dict[str, float]:
    """Workloads behind a cluster, each with its share of the weight."""
    weights: dict[str, float] = {}
    for locality in endpoints.to_dict().get("endpoints", ()):
        for endpoint in locality.get("lb_endpoints", ()) if not locality.get("priority") else ():
            identity = endpoint.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("workload", "")
            name, _, rest = str(identity).partition(";")
            key = name if name in ("", OUTSIDE) else f"{name}.{rest.partition(';')[0]}"
            if key:
                weights[key] = weights.get(key, 0.0) + float(endpoint.get("load_balancing_weight", 1))
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()} if total else {}


@lru_cache(maxsize=16_384)
def _settings(cluster: Resource) -> dict[str, str]:
    """The settings of a cluster, addresses and identities apart."""
    return dict(flat({key: value for key, value in cluster.to_dict().items() if key not in _CLUSTER_IDENTITY}))


def flat(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf by its path, as `retry_policy.num_retries` or `clusters[reviews].weight`; the types of extensions are
    left out. Elements of lists go by their names where these tell them apart, so that one more moves no other.
    Fractions are percentages."""
    if isinstance(node, Mapping) and "numerator" in node:
        yield path, f"{100 * float(node['numerator']) / _WHOLE[str(node.get('denominator', 'HUNDRED'))]:g} %"
    elif isinstance(node, Mapping):
        for key, value in node.items():
            if key != "@type":
                yield from flat(value, f"{path}.{key}" if path else str(key))
        if not node and path:
            yield path, "{}"
    elif isinstance(node, list):
        for name, value in zip(_element_names(node), node, strict=True):
            yield from flat(value, f"{path}[{name}]")
    else:
        yield path, str(node)


def _element_names(elements: list[Any]) -> list[str]:
    names = [str(each.get("name") or "") if isinstance(each, Mapping) else "" for each in elements]
    return [name if name and names.count(name) == 1 else str(index) for index, name in enumerate(names)]
