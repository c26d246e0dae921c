"""Which service calls which, as far as configuration says it.

Told by `windvane.dev/emulate` (what an emulated application calls), by routes for requests of certain workloads
(`sourceLabels`), and by AuthorizationPolicies that allow a service account. What nothing says is not guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from windvane.mesh import hosts
from windvane.mesh.models import AuthorizationPolicy, VirtualService
from windvane.mesh.selectable import chosen
from windvane.mesh.view import MeshView, MeshWorkload
from windvane.mesh.yaml_source import read_documents

_EMULATE = "windvane.dev/emulate"


def calls(view: MeshView) -> Mapping[str, frozenset[str]]:
    """Host names of services to those of the services that their workloads call."""
    return view.derive("calls", lambda: _calls(view))


def _calls(view: MeshView) -> Mapping[str, frozenset[str]]:
    hosts_of: dict[str, list[str]] = defaultdict(list)
    for hostname, service in view.services.items():
        for key in service.workloads:
            hosts_of[key].append(hostname)
    found: dict[str, set[str]] = defaultdict(set)
    for caller, called in (*_emulated(view), *_by_source_labels(view), *_by_allowed_accounts(view, hosts_of)):
        for host in hosts_of[caller.key]:
            found[host].add(called)
    return {host: frozenset(called) for host, called in found.items()}


def _emulated(view: MeshView) -> Iterator[tuple[MeshWorkload, str]]:
    for workload in view.workloads.values():
        text = workload.annotations.get(_EMULATE, "")
        if "calls" not in text:
            continue
        documents, _ = read_documents(text, "")  # what is wrong with it whoever runs the workload says
        for target in (target for document in documents for target in _targets(document.value)):
            host = _hostname(target, workload.namespace, view)
            if host:
                yield workload, host


def _targets(value: Any) -> Iterator[str]:
    """Every `to` below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("to"), str):
            yield value["to"]
        for item in value.values():
            yield from _targets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _targets(item)


def _hostname(url: str, namespace: str, view: MeshView) -> str:
    """The service that a URL leads to from a namespace; empty for none."""
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    known = view.derive(("names of services", namespace), lambda: _names(view, namespace))
    return known.get(name, "")


def _names(view: MeshView, namespace: str) -> dict[str, str]:
    return {
        name: service.hostname
        for service in view.services.values()
        for name in hosts.short_names(service.hostname, namespace)
    }


def _by_source_labels(view: MeshView) -> Iterator[tuple[MeshWorkload, str]]:
    for item in view.virtual_services:
        for match in (match for route in item.spec.http for match in route.match if match.source_labels):
            space = match.source_namespace
            for workload in chosen(view, space, match.source_labels, everywhere=not space):
                yield from ((workload, host) for host in _known_hosts(item, view))


def _known_hosts(item: VirtualService, view: MeshView) -> Iterable[str]:
    return (host for host in item.spec.hosts if host in view.services)


def _by_allowed_accounts(view: MeshView, hosts_of: Mapping[str, list[str]]) -> Iterator[tuple[MeshWorkload, str]]:
    by_account: dict[tuple[str, str], list[MeshWorkload]] = defaultdict(list)
    for workload in view.workloads.values():
        by_account[workload.namespace, workload.service_account].append(workload)
    for policy in view.authorization_policies:
        # One for all of a namespace says who may call, not who does.
        if policy.spec.action != "ALLOW" or not (policy.spec.selector and policy.spec.selector.match_labels):
            continue
        callers = [caller for account in _accounts(policy) for caller in by_account.get(account, ())]
        for workload in chosen(view, policy.namespace, policy.spec.selector.match_labels):
            for host in hosts_of.get(workload.key, ()):
                yield from ((caller, host) for caller in callers if caller.key != workload.key)


def _accounts(policy: AuthorizationPolicy) -> Iterator[tuple[str, str]]:
    """Namespace and name of every service account that the rules name in full."""
    sources = [each.source for rule in policy.spec.rules for each in rule.from_ if each.source]
    for principal in (principal for source in sources for principal in source.principals):
        parts = principal.split("/")
        if len(parts) == 5 and (parts[1], parts[3]) == ("ns", "sa") and "*" not in principal:
            yield parts[2], parts[4]
