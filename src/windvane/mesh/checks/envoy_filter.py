"""Istio's validation of EnvoyFilter, and what of it Envoy alone cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from windvane.mesh.checks.attachment import check_targets
from windvane.mesh.checks.common import Problem, check_labels, check_regex, doubtful, invalid, not_yet
from windvane.mesh.decode import Loaded
from windvane.mesh.envoy_values import ISTIO_ONLY, MESSAGES, message_of
from windvane.mesh.findings import Finding
from windvane.mesh.models import Targetable
from windvane.mesh.models.envoy_filter import (
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    FilterMatch,
    ListenerMatch,
)
from windvane.mesh.yaml_source import Path

_MANAGER = ("envoy.filters.network.http_connection_manager", "envoy.http_connection_manager")
_LISTENERS = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER")
_FILTERS = ("NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER")
_ROUTES = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_NOT_HERE = {
    "BOOTSTRAP": "applyTo BOOTSTRAP (what a proxy starts with)",
    "EXTENSION_CONFIG": "applyTo EXTENSION_CONFIG (filters that are fetched on their own)",
}
_OLD_NAME = re.compile(r"envoy\.(http_connection_manager|tcp_proxy|cors|fault|router|lua|ext_authz|ratelimit|grpc_web)")
_INTERNAL = (
    "EnvoyFilter exposes internal implementation details that may change at any time. Prefer other APIs if possible, "
    "and exercise extreme caution, especially around upgrades."
)


def check_envoy_filter(item: EnvoyFilter) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, an EnvoyFilter."""
    spec = item.spec
    yield doubtful(("spec",), _INTERNAL)
    if spec.workload_selector is not None:
        yield from check_labels(("spec", "workloadSelector", "labels"), spec.workload_selector.labels)
        if not spec.workload_selector.labels:
            words = "workload selector specified without labels, will be applied to all services in namespace"
            yield doubtful(("spec", "workloadSelector"), f"Envoy filter: {words}")
        if spec.target_refs:
            yield invalid(("spec",), "only one of targetRefs or workloadSelector can be set")
    yield from check_targets(Targetable(target_refs=spec.target_refs))
    for index, patch in enumerate(spec.config_patches):
        yield from _check_patch(("spec", "configPatches", index), patch)


def _check_patch(path: Path, item: EnvoyConfigObjectPatch) -> Iterator[Problem]:
    if item.apply_to == "INVALID":
        yield invalid((*path, "applyTo"), "Envoy filter: missing applyTo")
    elif item.patch is None:
        yield invalid((*path, "patch"), "Envoy filter: missing patch")
    elif item.patch.operation == "INVALID":
        yield invalid((*path, "patch", "operation"), "Envoy filter: missing patch operation")
    elif item.patch.operation != "REMOVE" and item.patch.value is None:
        yield invalid((*path, "patch", "value"), "Envoy filter: missing patch value for non-remove operation")
    elif item.apply_to not in MESSAGES:
        yield not_yet((*path, "applyTo"), _NOT_HERE[item.apply_to])
    else:
        if item.match is not None:
            yield from _check_match((*path, "match"), item.apply_to, item.match)
        if item.patch.filter_class != "UNSPECIFIED":
            yield doubtful((*path, "patch", "filterClass"), "filterClass has no effect, in Istio neither")
        yield from _check_value((*path, "patch", "value"), item)


def _check_match(path: Path, apply_to: str, match: EnvoyConfigObjectMatch) -> Iterator[Problem]:
    if match.proxy is not None and match.proxy.proxy_version:
        yield from check_regex((*path, "proxy", "proxyVersion"), match.proxy.proxy_version)
    given = [
        name for name in ("listener", "route_configuration", "cluster", "waypoint") if name in match.model_fields_set
    ]
    if apply_to in _LISTENERS and given and match.listener is None:
        yield invalid(path, "Envoy filter: applyTo for listener class objects cannot have non listener match")
    if apply_to in _ROUTES and given and match.route_configuration is None:
        words = "Envoy filter: applyTo for http route class objects cannot have non route configuration match"
        yield invalid(path, words)
    if apply_to == "CLUSTER" and given and match.cluster is None:
        yield invalid(path, "Envoy filter: applyTo for cluster class objects cannot have non cluster match")
    if match.listener is not None:
        yield from _check_listener((*path, "listener"), apply_to, match.listener)
    if match.route_configuration is not None and match.route_configuration.vhost is not None:
        vhost = match.route_configuration.vhost
        if vhost.name and vhost.domain_name:
            yield invalid((*path, "routeConfiguration", "vhost"), "only one of name, domainName may be set")


def _check_listener(path: Path, apply_to: str, match: ListenerMatch) -> Iterator[Problem]:
    if match.port_name:
        yield doubtful((*path, "portName"), "portName has no effect, in Istio neither")
    chain = match.filter_chain
    if chain is None or chain.filter is None:
        return
    place: Path = (*path, "filterChain", "filter")
    if apply_to in ("LISTENER", "FILTER_CHAIN"):
        yield doubtful(place, f"Envoy filter: filter match has no effect when used with {apply_to}")
    yield from _check_filter(place, apply_to, chain.filter)


def _check_filter(path: Path, apply_to: str, match: FilterMatch) -> Iterator[Problem]:
    sub = match.sub_filter
    if not match.name:
        yield invalid((*path, "name"), "Envoy filter: filter match has no name to match on")
    elif sub is not None and apply_to != "HTTP_FILTER":
        yield invalid((*path, "subFilter"), "Envoy filter: subfilter match can be used with applyTo HTTP_FILTER only")
    elif sub is not None and match.name not in _MANAGER:
        yield invalid((*path, "name"), f"Envoy filter: subfilter match requires filter match with {_MANAGER[0]}")
    elif sub is not None and not sub.name:
        yield invalid((*path, "subFilter", "name"), "Envoy filter: subfilter match has no name to match on")
    for place, name in (((*path, "name"), match.name), ((*path, "subFilter", "name"), sub.name if sub else "")):
        if _OLD_NAME.fullmatch(name):
            yield doubtful(place, f"using deprecated filter name {name!r}")
        if name in ISTIO_ONLY:
            yield Problem("WV0611", place, f"filter {name} is of Istio's own build of Envoy: here nothing has it")


def _check_value(path: Path, item: EnvoyConfigObjectPatch) -> Iterator[Problem]:
    assert item.patch is not None
    _, mistakes = message_of(item.apply_to, item.patch.value)
    if item.apply_to in _FILTERS and item.patch.operation != "REMOVE" and item.patch.value is not None:
        value = item.patch.value
        if not any(name in value for name in ("typed_config", "typedConfig", "config_discovery", "configDiscovery")):
            yield doubtful(path, f"using deprecated types by name without typed_config; {value.get('name', '')}")
    for mistake in mistakes:
        place: Path = (*path, *mistake.path)
        if mistake.kind == "unknown field":
            yield doubtful(place, f"{mistake.message}: it is left out")
        elif mistake.kind == "unknown type":
            yield Problem("WV0611", place, f"{mistake.message}. Envoy alone has none such: the patch is not applied")
        else:
            yield invalid(place, mistake.message)


def relative_patches(loaded: Sequence[Loaded], _: object) -> Iterator[Finding]:
    """IST0151 to IST0155: operations that depend on what others patch, or that do nothing.

    As in Istio's analysis the order of objects decides between IST0151 and IST0155.
    """
    versioned: set[str] = set()
    for item in loaded:
        if isinstance(item.resource, EnvoyFilter):
            for index, patch in enumerate(item.resource.spec.config_patches):
                yield from _relative(item, item.resource, index, patch, versioned)


def _relative(
    item: Loaded, resource: EnvoyFilter, index: int, one: EnvoyConfigObjectPatch, versioned: set[str]
) -> Iterator[Finding]:
    if one.patch is None:
        return
    path: Path = ("spec", "configPatches", index)
    name, operation = _patched_name(one), one.patch.operation
    of_routes = one.apply_to in ("ROUTE_CONFIGURATION", "HTTP_ROUTE")
    if operation in ("ADD", "REMOVE") and of_routes:
        code = "IST0153" if operation == "ADD" else "IST0154"
        words = f"The {operation} operation will be ignored when applyTo is set to ROUTE_CONFIGURATION, or HTTP_ROUTE."
        yield item.finding(code, words, path)
    elif operation == "REPLACE" and one.apply_to not in ("NETWORK_FILTER", "HTTP_FILTER"):
        words = "The REPLACE operation is only valid for HTTP_FILTER and NETWORK_FILTER."
        yield item.finding("IST0152", words, path)
    elif operation in ("REMOVE", "REPLACE", "INSERT_BEFORE", "INSERT_AFTER") and resource.spec.priority == 0:
        yield item.finding(*_not_certain(with_version=name in versioned), path)
    if one.match is not None and one.match.proxy is not None and one.match.proxy.proxy_version:
        versioned.add(name)


def _not_certain(*, with_version: bool) -> tuple[str, str]:
    what = "operation (INSERT_BEFORE/AFTER, REPLACE, MERGE, DELETE) and proxyVersion set" if with_version else ""
    words = f"This EnvoyFilter does not have a priority and has a relative patch {what or 'operation set'} which can "
    words += f"cause the EnvoyFilter not to be applied{' during an upgrade' if with_version else ''}. Using the "
    words += (
        "INSERT_FIRST or ADD option or setting the priority may help in ensuring the EnvoyFilter is applied correctly."
    )
    return ("IST0155" if with_version else "IST0151"), words


def _patched_name(one: EnvoyConfigObjectPatch) -> str:
    """The name of what is put in, or of the filter that is looked for."""
    value = one.patch.value if one.patch is not None else None
    if not value:
        return ""
    if value.get("name") is not None:
        return str(value["name"])
    listener = one.match.listener if one.match is not None else None
    chain = listener.filter_chain if listener is not None else None
    return chain.filter.name if chain is not None and chain.filter is not None else ""
