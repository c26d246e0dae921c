"""TLS contexts: mutual TLS inside the mesh by SDS, TLS towards and from the outside by files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import betterproto2
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol.v3 import ProxyProtocolUpstreamTransport
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from windvane.mesh.checks.gateway import CIPHER_SUITES
from windvane.mesh.models import ClientTLSSettings, ServerTLSSettings
from windvane.mesh.models.destination_rule import ProxyProtocol
from windvane.xds.encoding import any_of
from windvane.xds.secrets import CERTIFICATE, ROOT, credential, reference

_MOST = 2
"""Certificates that one server may have."""

_VERSIONS = {
    "TLS_AUTO": tls.TlsParametersTlsProtocol.TLS_AUTO,
    "TLSV1_0": tls.TlsParametersTlsProtocol.TLSv1_0,
    "TLSV1_1": tls.TlsParametersTlsProtocol.TLSv1_1,
    "TLSV1_2": tls.TlsParametersTlsProtocol.TLSv1_2,
    "TLSV1_3": tls.TlsParametersTlsProtocol.TLSv1_3,
}


def mesh_client(sni: str, identities: Sequence[str], alpn: Sequence[str]) -> core.TransportSocket:
    """Mutual TLS to a mesh service: our certificate, and only its service accounts are believed."""
    expected = [_uri(matcher.StringMatcher(exact=identity)) for identity in identities]
    return socket(tls.UpstreamTlsContext(common_tls_context=_mesh_context(expected, alpn), sni=sni))


def mesh_server(trust_domain: str, *, http: bool) -> core.TransportSocket:
    """Mutual TLS from the mesh: a client certificate of the trust domain is required."""
    expected = [_uri(matcher.StringMatcher(prefix=f"spiffe://{trust_domain}/"))]
    context = _mesh_context(expected, ["h2", "http/1.1"] if http else [])
    return socket(tls.DownstreamTlsContext(common_tls_context=context, require_client_certificate=True))


def client(settings: ClientTLSSettings, hostname: str, alpn: Sequence[str]) -> core.TransportSocket:
    """A DestinationRule's SIMPLE or MUTUAL, with certificates from files or a Secret.

    Without CA certificates of its own the system's are used; a Secret brings them or no server is believed.
    """
    common = tls.CommonTlsContext(alpn_protocols=list(alpn))
    if settings.credential_name and settings.mode == "MUTUAL":
        common.tls_certificate_sds_secret_configs = [credential(settings.credential_name)]
    elif not settings.credential_name:
        common.tls_certificates = _certificate(settings.client_certificate, settings.private_key)
    if not settings.insecure_skip_verify:
        _check_server(common, settings)
    return socket(tls.UpstreamTlsContext(common_tls_context=common, sni=settings.sni or hostname))


def _check_server(common: tls.CommonTlsContext, settings: ClientTLSSettings) -> None:
    """What a server's certificate must be."""
    validation = tls.CertificateValidationContext(
        match_typed_subject_alt_names=[_dns_or_uri(name) for name in settings.subject_alt_names],
        crl=_file(settings.ca_crl) if settings.ca_crl else None,
    )
    if settings.credential_name:
        common.combined_validation_context = tls.CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=validation,
            validation_context_sds_secret_config=credential(f"{settings.credential_name}-cacert"),
        )
        return
    if settings.ca_certificates:
        validation.trusted_ca = _file(settings.ca_certificates)
    else:
        validation.system_root_certs = tls.CertificateValidationContextSystemRootCerts()
    common.validation_context = validation


def server(settings: ServerTLSSettings, *, http: bool = True) -> core.TransportSocket:
    """A Gateway server's SIMPLE, MUTUAL or OPTIONAL_MUTUAL, with certificates from files or Secrets."""
    pairs = settings.tls_certificates or (settings,)
    common = tls.CommonTlsContext(
        tls_params=tls.TlsParameters(
            tls_minimum_protocol_version=_VERSIONS[settings.min_protocol_version],
            tls_maximum_protocol_version=_VERSIONS[settings.max_protocol_version],
            cipher_suites=list(dict.fromkeys(name for name in settings.cipher_suites if name in CIPHER_SUITES)),
        ),
        alpn_protocols=["h2", "http/1.1"] if http else [],
    )
    if settings.credentials:
        common.tls_certificate_sds_secret_configs = [credential(name) for name in settings.credentials[:_MOST]]
    else:
        common.tls_certificates = [
            made for each in pairs[:_MOST] for made in _certificate(each.server_certificate, each.private_key)
        ]
    _check_clients(common, settings)
    required = settings.mode == "MUTUAL"
    return socket(tls.DownstreamTlsContext(common_tls_context=common, require_client_certificate=required))


def _check_clients(common: tls.CommonTlsContext, settings: ServerTLSSettings) -> None:
    """What a client's certificate must be, where clients are asked for one."""
    if not settings.asks_for_certificates:
        return
    validation = tls.CertificateValidationContext(
        match_typed_subject_alt_names=[_dns_or_uri(name) for name in settings.subject_alt_names],
        verify_certificate_spki=list(settings.verify_certificate_spki),
        verify_certificate_hash=list(settings.verify_certificate_hash),
        crl=_file(settings.ca_crl) if settings.ca_crl else None,
    )
    if settings.insecure_skip_verify:
        validation.trust_chain_verification = tls.CertificateValidationContextTrustChainVerification.ACCEPT_UNTRUSTED
    name = settings.ca_credential
    if not name:
        validation.trusted_ca = _file(settings.ca_certificates)
        common.validation_context = validation
        return
    common.combined_validation_context = tls.CommonTlsContextCombinedCertificateValidationContext(
        default_validation_context=validation, validation_context_sds_secret_config=credential(name)
    )


def plaintext() -> core.TransportSocket:
    """No TLS, said aloud: what a cluster falls back to when an endpoint does not speak mutual TLS."""
    return core.TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=any_of(RawBuffer()))


def with_proxy_header(inner: core.TransportSocket, wanted: ProxyProtocol) -> core.TransportSocket:
    """A transport socket that tells the client's address first."""
    versions = core.ProxyProtocolConfigVersion
    config = core.ProxyProtocolConfig(version=versions.V2 if wanted.version == "V2" else versions.V1)
    made = ProxyProtocolUpstreamTransport(config=config, transport_socket=inner)
    return core.TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=any_of(made))


def socket(context: betterproto2.Message) -> core.TransportSocket:
    """A TLS context as a transport socket."""
    return core.TransportSocket(name="envoy.transport_sockets.tls", typed_config=any_of(context))


def _mesh_context(expected: list[tls.SubjectAltNameMatcher], alpn: Sequence[str]) -> tls.CommonTlsContext:
    return tls.CommonTlsContext(
        tls_params=tls.TlsParameters(
            tls_minimum_protocol_version=tls.TlsParametersTlsProtocol.TLSv1_2,
            tls_maximum_protocol_version=tls.TlsParametersTlsProtocol.TLSv1_3,
        ),
        tls_certificate_sds_secret_configs=[reference(CERTIFICATE)],
        combined_validation_context=tls.CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=tls.CertificateValidationContext(match_typed_subject_alt_names=expected),
            validation_context_sds_secret_config=reference(ROOT),
        ),
        alpn_protocols=list(alpn),
    )


def _uri(match: matcher.StringMatcher) -> tls.SubjectAltNameMatcher:
    return tls.SubjectAltNameMatcher(san_type=tls.SubjectAltNameMatcherSanType.URI, matcher=match)


def _dns_or_uri(name: str) -> tls.SubjectAltNameMatcher:
    kinds = tls.SubjectAltNameMatcherSanType
    kind: Any = kinds.URI if "://" in name else kinds.DNS
    return tls.SubjectAltNameMatcher(san_type=kind, matcher=matcher.StringMatcher(exact=name))


def _certificate(chain: str, key: str) -> list[tls.TlsCertificate]:
    return [tls.TlsCertificate(certificate_chain=_file(chain), private_key=_file(key))] if chain and key else []


def _file(path: str) -> core.DataSource:
    return core.DataSource(filename=path)
