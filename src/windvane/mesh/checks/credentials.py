"""Secrets: what is wrong with one, and the Secrets that Gateways and DestinationRules name and nobody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from windvane.mesh.checks.common import Problem, doubtful
from windvane.mesh.checks.references import Registry
from windvane.mesh.credentials import BadCredentialError, ca_credential, credential_of, plain_name, problems
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import DestinationRule, Gateway, Secret, ServerTLSSettings, TrafficPolicy
from windvane.mesh.selectable import chosen
from windvane.mesh.yaml_source import Path

_WITH_CERTIFICATE = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


def check_secret(item: Secret) -> Iterator[Problem]:
    """What makes Kubernetes refuse a Secret. It is told and no more: encrypted ones lie beside configuration, too."""
    try:
        credential_of(item)
    except BadCredentialError as error:
        if item.sops is None:
            yield doubtful(("data",), str(error))


def credentials(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """IST0101 for Secrets that are named and not there, IST0161 for those a Gateway cannot serve with."""
    for item in loaded:
        if isinstance(item.resource, Gateway):
            yield from _of_gateway(item, item.resource, registry)
        elif isinstance(item.resource, DestinationRule):
            yield from _of_rule(item, item.resource, registry)


def _of_gateway(item: Loaded, gateway: Gateway, registry: Registry) -> Iterator[Finding]:
    """As `istioctl` in the namespace of the gateway's workloads; those that files leave to the cluster have none."""
    picked = chosen(registry.view, gateway.namespace, gateway.spec.selector, everywhere=True)
    if not picked or not gateway.spec.selector:
        return
    space = picked[0].namespace
    for index, server in enumerate(gateway.spec.servers):
        tls = server.tls
        if tls is None or tls.mode not in _WITH_CERTIFICATE:
            continue
        path: Path = ("spec", "servers", index, "tls")
        for place, name in _named(path, tls):
            yield from _certificate(item, place, name, registry.view.secrets.get(f"{space}/{plain_name(name)}"))
        ca = tls.ca_credential
        if tls.asks_for_certificates and ca and ca_credential(registry.view.secrets, space, ca) is None:
            field = "caCertCredentialName" if tls.ca_cert_credential_name else "credentialName"
            yield item.finding("IST0101", _missing(field, tls.ca_cert_credential_name or ca), (*path, field))


def _named(path: Path, tls: ServerTLSSettings) -> Iterator[tuple[Path, str]]:
    if tls.credential_name:
        yield (*path, "credentialName"), tls.credential_name
    for index, name in enumerate(tls.credential_names):
        yield (*path, "credentialNames", index), name


def _certificate(item: Loaded, path: Path, name: str, secret: Secret | None) -> Iterator[Finding]:
    if secret is None:
        yield item.finding("IST0101", _missing("credentialName", name), path)
        return
    wrong, gateway = next(problems(secret), ""), item.resource
    if wrong:
        words = f"The credential referenced by the Gateway {gateway.name} in namespace {gateway.namespace} is invalid, "
        words += f"which can cause the traffic not to work as expected. Of Secret {secret.namespace}/{secret.name}: "
        yield item.finding("IST0161", f"{words}{wrong}.", path)


def _of_rule(item: Loaded, rule: DestinationRule, registry: Registry) -> Iterator[Finding]:
    """A rule's credential is looked for where the proxies are that use it: gateways, or what its selector picks."""
    selector = rule.spec.workload_selector
    if selector is not None:
        spaces: set[str] = {rule.namespace}
    else:
        find = partial(chosen, registry.view, everywhere=True)
        found = (find(each.namespace, each.spec.selector) for each in registry.view.gateways if each.spec.selector)
        spaces = {workload.namespace for workloads in found for workload in workloads}
    for path, name in _rule_names(rule):
        if spaces and not _is_known(registry, spaces, name):
            yield item.finding("IST0101", _missing("credentialName", name), path)


def _rule_names(rule: DestinationRule) -> Iterator[tuple[Path, str]]:
    policies: list[tuple[Path, TrafficPolicy | None]] = [(("spec", "trafficPolicy"), rule.spec.traffic_policy)]
    for number, subset in enumerate(rule.spec.subsets):
        policies.append((("spec", "subsets", number, "trafficPolicy"), subset.traffic_policy))
    for path, policy in policies:
        if policy is not None and policy.tls is not None and policy.tls.credential_name:
            yield (*path, "tls", "credentialName"), policy.tls.credential_name
        for index, setting in enumerate(policy.port_level_settings if policy else ()):
            if setting.tls is not None and setting.tls.credential_name:
                place: Path = (*path, "portLevelSettings", index, "tls", "credentialName")
                yield place, setting.tls.credential_name


def _is_known(registry: Registry, spaces: Iterable[str], name: str) -> bool:
    secrets = registry.view.secrets
    return any(
        f"{space}/{plain_name(name)}" in secrets or ca_credential(secrets, space, f"{name}-cacert") for space in spaces
    )


def _missing(field: str, name: str) -> str:
    return f'Referenced {field} not found: "{name}"'
