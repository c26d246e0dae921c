"""Istio resources for common intentions, as plain objects: to be written as YAML and checked as any other.

Nothing is validated here: `windvane new` lets the analysis judge what was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Resource = dict[str, Any]

_NETWORKING = "networking.istio.io/v1"
_SECURITY = "security.istio.io/v1"


def canary(service: str, namespace: str, shares: Mapping[str, int], *, label: str, port: int | None) -> list[Resource]:
    """A split of a service's requests between versions (the values of a label) by weight."""
    targets = [
        {"destination": _destination(service, port, version), "weight": share} for version, share in shares.items()
    ]
    return [_routes(service, namespace, [{"route": targets}]), _subsets(service, namespace, list(shares), label)]


def ab(
    service: str, namespace: str, match: Resource, variant: str, default: str, *, label: str, port: int | None
) -> list[Resource]:
    """One version for the requests that match, another for all others."""
    rules = [
        {"match": [match], "route": [{"destination": _destination(service, port, variant)}]},
        {"route": [{"destination": _destination(service, port, default)}]},
    ]
    return [_routes(service, namespace, rules), _subsets(service, namespace, [default, variant], label)]


def fault(service: str, namespace: str, faults: Resource, match: Resource, *, port: int | None) -> list[Resource]:
    """Delays or errors for a share of requests; for those that match only, when anything is asked of them."""
    route: list[Resource] = [{"destination": _destination(service, port)}]
    rules: list[Resource] = [{**({"match": [match]} if match else {}), "fault": faults, "route": route}]
    return [_routes(service, namespace, [*rules, {"route": route}] if match else rules)]


def patient(service: str, namespace: str, settings: Resource, *, port: int | None) -> list[Resource]:
    """A timeout or retries for all requests of a service."""
    return [_routes(service, namespace, [{**settings, "route": [{"destination": _destination(service, port)}]}])]


def header_match(headers: Mapping[str, str], cookies: Mapping[str, str]) -> Resource:
    """Requests that have all these headers and one of these cookies' values each."""
    wanted: Resource = {name: {"exact": value} for name, value in headers.items()}
    for name, value in cookies.items():
        wanted["cookie"] = {"regex": rf"(.*;\s*)?{_literal(name)}={_literal(value)}(;.*)?"}
    return {"headers": wanted} if wanted else {}


def mutual_tls(
    name: str, namespace: str, mode: str, labels: Mapping[str, str], ports: Mapping[int, str]
) -> list[Resource]:
    """The transport that workloads accept: of a namespace, or those with the labels; of single ports of theirs."""
    spec: Resource = {**_selector(labels), "mtls": {"mode": mode}}
    if ports:
        spec["portLevelMtls"] = {port: {"mode": each} for port, each in ports.items()}
    return [_resource(_SECURITY, "PeerAuthentication", name, namespace, spec)]


def access(
    name: str, namespace: str, action: str, labels: Mapping[str, str], *, source: Resource, operation: Resource
) -> list[Resource]:
    """What callers may or may not do at the workloads with the labels."""
    rule: Resource = {}
    if source:
        rule["from"] = [{"source": source}]
    if operation:
        rule["to"] = [{"operation": operation}]
    spec: Resource = {**_selector(labels), "action": action, "rules": [rule]}
    return [_resource(_SECURITY, "AuthorizationPolicy", name, namespace, spec)]


def principal(account: str, namespace: str, trust_domain: str) -> str:
    """The principal of a service account, written `name` (of the namespace) or `namespace/name`."""
    space, slash, own = account.rpartition("/")
    return f"{trust_domain}/ns/{space if slash else namespace}/sa/{own}"


def _resource(api_version: str, kind: str, name: str, namespace: str, spec: Resource) -> Resource:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _routes(service: str, namespace: str, rules: Sequence[Resource]) -> Resource:
    return _resource(_NETWORKING, "VirtualService", service, namespace, {"hosts": [service], "http": list(rules)})


def _subsets(service: str, namespace: str, versions: Sequence[str], label: str) -> Resource:
    subsets = [{"name": subset_name(version), "labels": {label: version}} for version in versions]
    return _resource(_NETWORKING, "DestinationRule", service, namespace, {"host": service, "subsets": subsets})


def subset_name(version: str) -> str:
    """A subset's name for a label's value: what a DNS label may not have becomes a hyphen."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in version.lower())


def _destination(service: str, port: int | None, version: str = "") -> Resource:
    made: Resource = {"host": service}
    if version:
        made["subset"] = subset_name(version)
    return {**made, "port": {"number": port}} if port is not None else made


def _selector(labels: Mapping[str, str]) -> Resource:
    return {"selector": {"matchLabels": dict(labels)}} if labels else {}


def _literal(text: str) -> str:
    """Text as a pattern of RE2 that matches it alone."""
    return "".join(f"\\{char}" if char in r".+*?()[]{}|^$\\" else char for char in text)
