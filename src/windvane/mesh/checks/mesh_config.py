"""Istio's validation of its own mesh configuration, as far as it is acted on here."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from windvane.mesh.checks.common import (
    Problem,
    check_duration,
    check_header_name,
    check_host,
    check_port,
    invalid,
    is_dns_label,
    repeated,
)
from windvane.mesh.models import ConfigMap, ExtensionProvider, IstioOperator, MeshConfig
from windvane.mesh.models.mesh_config import EnvoyExtAuthzGrpc, EnvoyExtAuthzHttp
from windvane.mesh.yaml_source import Path

_NOT_OF_ENVOY = frozenset((101, 102, 103, 418, 425, 451))
_STATUSES = frozenset(map(int, HTTPStatus)) - _NOT_OF_ENVOY
"""What Envoy's `type.v3.StatusCode` has."""


def check_istio_operator(item: IstioOperator) -> Iterator[Problem]:
    """What is wrong with an IstioOperator's `meshConfig`."""
    yield from _check(item.mesh_config, ("spec", "meshConfig"))


def check_config_map(item: ConfigMap) -> Iterator[Problem]:
    """What is wrong with the ConfigMap `istio`."""
    yield from _check(item.mesh_config, ("data", "mesh"))


def _check(config: MeshConfig | None, path: Path) -> Iterator[Problem]:
    if config is None:
        return
    if config.passed_over:
        yield Problem("WV0603", path, f"not acted on: {', '.join(sorted(config.passed_over))}")
    place: Path = (*path, "extensionProviders")
    for index, provider in enumerate(config.extension_providers):
        yield from _check_provider((*place, index), provider)
    for index, name in repeated(provider.name for provider in config.extension_providers):
        if name:
            words = f"extension provider name must be unique, found duplicate: {name}"
            yield invalid((*place, index, "name"), words)


def _check_provider(path: Path, provider: ExtensionProvider) -> Iterator[Problem]:
    if not provider.name:
        yield invalid((*path, "name"), "extension provider name must not be empty")
    if provider.authorizer is None and not provider.passed_over:
        yield invalid(path, "a provider needs a kind, such as envoyExtAuthzHttp")
    if provider.envoy_ext_authz_http is not None:
        yield from _check_http((*path, "envoyExtAuthzHttp"), provider.envoy_ext_authz_http)
    if provider.envoy_ext_authz_grpc is not None:
        yield from _check_authorizer((*path, "envoyExtAuthzGrpc"), provider.envoy_ext_authz_grpc)


def _check_http(path: Path, given: EnvoyExtAuthzHttp) -> Iterator[Problem]:
    yield from _check_authorizer(path, given)
    if given.path_prefix and not given.path_prefix.startswith("/"):
        yield invalid((*path, "pathPrefix"), f"pathPrefix should begin with `/` but found {given.path_prefix!r}")
    for name in given.include_additional_headers_in_check:
        yield from check_header_name((*path, "includeAdditionalHeadersInCheck", name), name)


def _check_authorizer(path: Path, given: EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc) -> Iterator[Problem]:
    namespace, slash, host = given.service.rpartition("/")
    if not given.service:
        yield invalid((*path, "service"), "service must not be empty")
    else:
        yield from check_host((*path, "service"), host, wildcard=False)
        if slash and not is_dns_label(namespace):
            yield invalid((*path, "service"), f"{namespace!r} is not a namespace")
    yield from check_port((*path, "port"), given.port)
    yield from check_duration((*path, "timeout"), given.timeout)
    yield from _check_status((*path, "statusOnError"), given.status_on_error)
    body = given.include_request_body_in_check
    if body is not None and not body.max_request_bytes:
        yield invalid((*path, "includeRequestBodyInCheck", "maxRequestBytes"), "maxRequestBytes must be more than 0")


def _check_status(path: Path, text: str) -> Iterator[Problem]:
    if text and not (text.isascii() and text.isdecimal() and int(text) in _STATUSES):
        yield invalid(path, f"invalid statusOnError value {text!r}: expected the number of an HTTP status")
