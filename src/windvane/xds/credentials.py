"""The Secrets that a proxy's configuration names, as SDS resources. Pure.

As in Istio a Secret must stand in the namespace of the proxy that uses it; one that is missing or that no proxy
could use is not sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls

from windvane.mesh.credentials import CA_SUFFIX, Credential, ca_credential, server_credential
from windvane.mesh.models import ClientTLSSettings, DestinationRule
from windvane.xds.policy import Policy
from windvane.xds.proxy import Proxy, selects
from windvane.xds.resources import Resource, pack
from windvane.xds.secrets import credential_name
from windvane.xds.snapshot import Snapshot


def credentials(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    """SDS resources of a proxy beside its own certificate; none for names that mean nothing."""
    return snapshot.derive(("credentials", proxy.key), lambda: list(_credentials(proxy, snapshot)))


def names_credentials(rule: DestinationRule) -> bool:
    """Whether a rule names a Secret anywhere."""
    return any(settings.credential_name for settings in _client_settings(rule))


def with_usable_credential(policy: Policy, rule: DestinationRule | None, role: str) -> Policy:
    """A policy as a proxy heeds it: at sidecars a Secret counts only with a workloadSelector.

    Without one Istio leaves the connection as it is, so that not every sidecar waits for a Secret it may not see.
    """
    if policy.tls is None or not policy.tls.credential_name or rule is None or _heeds(rule, role):
        return policy
    return replace(policy, tls=ClientTLSSettings(mode="DISABLE"))


def _heeds(rule: DestinationRule, role: str) -> bool:
    return role == "router" or rule.spec.workload_selector is not None


def _credentials(proxy: Proxy, snapshot: Snapshot) -> Iterator[Resource]:
    secrets, namespace = snapshot.view.secrets, proxy.namespace
    for name in sorted(set(_server_names(proxy, snapshot)) | set(_client_names(proxy, snapshot))):
        # A name that ends in -cacert asks whom to believe, any other what to show.
        if name.endswith(CA_SUFFIX):
            trusted = ca_credential(secrets, namespace, name)
            if trusted is not None:
                yield _trusted(credential_name(name), trusted)
        elif (served := server_credential(secrets, namespace, name)) is not None:
            yield _served(credential_name(name), served)


def _served(name: str, found: Credential) -> Resource:
    own = tls.TlsCertificate(
        certificate_chain=core.DataSource(inline_bytes=found.certificate),
        private_key=core.DataSource(inline_bytes=found.key),
    )
    return pack(name, tls.Secret(name=name, tls_certificate=own))


def _trusted(name: str, found: Credential) -> Resource:
    validation = tls.CertificateValidationContext(
        trusted_ca=core.DataSource(inline_bytes=found.ca),
        crl=core.DataSource(inline_bytes=found.crl) if found.crl else None,
    )
    return pack(name, tls.Secret(name=name, validation_context=validation))


def _server_names(proxy: Proxy, snapshot: Snapshot) -> Iterator[str]:
    for gateway in snapshot.view.gateways if proxy.role == "router" else ():
        for server in gateway.spec.servers if selects(gateway, proxy.workload) else ():
            if server.tls is not None:
                yield from server.tls.credentials
                if server.tls.ca_credential:
                    yield server.tls.ca_credential


def _client_names(proxy: Proxy, snapshot: Snapshot) -> Iterator[str]:
    for rule in snapshot.view.destination_rules:
        if _heeds(rule, proxy.role):
            for settings in _client_settings(rule):
                if settings.credential_name:
                    yield settings.credential_name
                    yield f"{settings.credential_name}{CA_SUFFIX}"


def _client_settings(rule: DestinationRule) -> Iterator[ClientTLSSettings]:
    for policy in (rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)):
        if policy is None:
            continue
        for settings in (policy.tls, *(each.tls for each in policy.port_level_settings)):
            if settings is not None:
                yield settings
