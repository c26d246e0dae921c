"""AuthorizationPolicies with action CUSTOM: Envoy's ext_authz filter, which asks a service whether a request may pass.

As in Istio an RBAC filter in front of it only notes which rule matches (shadow rules), and ext_authz asks where the
note names the provider. What cannot be asked, because there is no such provider or a workload's policies name several,
is refused for whatever the rules match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.config.rbac import v3 as rbac
from envoy_data_plane.envoy.extensions.filters.http.ext_authz import v3 as http_ext
from envoy_data_plane.envoy.extensions.filters.http.rbac import v3 as http_rbac
from envoy_data_plane.envoy.extensions.filters.network.ext_authz import v3 as network_ext
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.filters.network.rbac import v3 as network_rbac
from envoy_data_plane.envoy.type import v3 as types
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from windvane.mesh.authorizers import Located, located
from windvane.mesh.models.mesh_config import EnvoyExtAuthzGrpc, EnvoyExtAuthzHttp, ExtAuthzRequestBody
from windvane.xds.authorization import HTTP_FILTER, NETWORK_FILTER, Guard, policy_of, text_matcher
from windvane.xds.encoding import any_of
from windvane.xds.endpoints import cluster_name
from windvane.xds.proxy import Proxy
from windvane.xds.scope import outbound_scope
from windvane.xds.snapshot import Snapshot

NOTE = "istio_ext_authz_"
"""What Envoy puts before the names of what the RBAC filter notes."""
REFUSING = "-deny-due-to-bad-CUSTOM-action"
_POLICY_ID = f"{NOTE}shadow_effective_policy_id"
_HTTP_NAME, _NETWORK_NAME = "envoy.filters.http.ext_authz", "envoy.filters.network.ext_authz"
_NO_LIMIT = timedelta(seconds=600)
"""Where a provider has no timeout, what its DestinationRule says counts; Envoy wants a number here."""


@dataclass(frozen=True, slots=True)
class Authorizer:
    """How a provider is asked. `headers_to_add` are pairs of header and value; the rest is as in Istio's MeshConfig."""

    provider: str
    cluster: str
    hostname: str
    grpc: bool
    timeout: float | None
    fail_open: bool
    clear_route_cache: bool
    status_on_error: int
    body: tuple[int, bool, bool] | None
    path_prefix: str = ""
    asked_headers: tuple[str, ...] = ()
    headers_to_add: tuple[tuple[str, str], ...] = ()
    upstream_headers: tuple[str, ...] = ()
    denied_headers: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ()


def authorizer(proxy: Proxy, snapshot: Snapshot, guards: Sequence[Guard]) -> Authorizer | None:
    """Whom the CUSTOM policies of a proxy ask; None where there are none, or where what they match is refused."""
    names = {guard.provider for guard in guards if guard.action == "CUSTOM"}
    if len(names) != 1:
        return None
    known = outbound_scope(proxy, snapshot).view.services
    found = located(snapshot.view, next(iter(names)), known)
    return _authorizer(found) if isinstance(found, Located) else None


def _authorizer(found: Located) -> Authorizer:
    given = found.provider.authorizer
    assert given is not None
    made = Authorizer(
        provider=found.provider.name,
        cluster=cluster_name(found.port.number, "", found.service.hostname),
        hostname=found.service.hostname,
        grpc=isinstance(given, EnvoyExtAuthzGrpc),
        timeout=given.timeout,
        fail_open=given.fail_open,
        clear_route_cache=given.clear_route_cache,
        status_on_error=int(given.status_on_error or 0),
        body=_body(given.include_request_body_in_check),
    )
    return made if isinstance(given, EnvoyExtAuthzGrpc) else _over_http(made, given)


def _over_http(made: Authorizer, given: EnvoyExtAuthzHttp) -> Authorizer:
    return replace(
        made,
        path_prefix=given.path_prefix,
        asked_headers=given.include_request_headers_in_check or given.include_headers_in_check,
        headers_to_add=tuple(sorted(given.include_additional_headers_in_check.items())),
        upstream_headers=given.headers_to_upstream_on_allow,
        denied_headers=given.headers_to_downstream_on_deny,
        allowed_headers=given.headers_to_downstream_on_allow,
    )


def _body(given: ExtAuthzRequestBody | None) -> tuple[int, bool, bool] | None:
    return (given.max_request_bytes, given.allow_partial_message, given.pack_as_bytes) if given else None


@lru_cache(maxsize=4096)
def http_filters(
    guards: tuple[Guard, ...], asked: Authorizer | None, ports: tuple[tuple[int, int], ...] = ()
) -> tuple[HttpFilter, ...]:
    """The filters of requests; none where no policy has action CUSTOM."""
    rules = _rules(guards, asked, ports, tcp=False)
    if rules is None:
        return ()
    if asked is None:
        return (HttpFilter(name=HTTP_FILTER, typed_config=any_of(http_rbac.Rbac(rules=rules))),)
    noting = http_rbac.Rbac(shadow_rules=rules, shadow_rules_stat_prefix=NOTE)
    return (
        HttpFilter(name=HTTP_FILTER, typed_config=any_of(noting)),
        HttpFilter(name=_HTTP_NAME, typed_config=any_of(_http(asked))),
    )


@lru_cache(maxsize=4096)
def network_filters(
    guards: tuple[Guard, ...], asked: Authorizer | None, ports: tuple[tuple[int, int], ...] = ()
) -> tuple[Filter, ...]:
    """The filters of connections. A provider that is asked over HTTP is not asked of them, as in Istio."""
    rules = _rules(guards, asked, ports, tcp=True)
    if rules is None or (asked is not None and not asked.grpc):
        return ()
    if asked is None:
        return (_network_rbac(network_rbac.Rbac(rules=rules, stat_prefix="tcp.")),)
    asking = network_ext.ExtAuthz(
        stat_prefix="tcp.",
        grpc_service=_grpc(asked),
        failure_mode_allow=asked.fail_open,
        transport_api_version=core.ApiVersion.V3,
        filter_enabled_metadata=_noted(NETWORK_FILTER, asked.provider),
    )
    return (
        _network_rbac(network_rbac.Rbac(shadow_rules=rules, shadow_rules_stat_prefix=NOTE, stat_prefix="tcp.")),
        Filter(name=_NETWORK_NAME, typed_config=any_of(asking)),
    )


def _network_rbac(config: network_rbac.Rbac) -> Filter:
    return Filter(name=NETWORK_FILTER, typed_config=any_of(config))


def _rules(
    guards: Sequence[Guard], asked: Authorizer | None, ports: Sequence[tuple[int, int]], *, tcp: bool
) -> rbac.Rbac | None:
    custom = [guard for guard in guards if guard.action == "CUSTOM"]
    if not custom:
        return None
    made = {_name(guard, refusing=asked is None): policy_of(guard, dict(ports), tcp=tcp) for guard in custom}
    policies = {name: policy for name, policy in made.items() if policy is not None}
    return rbac.Rbac(action=rbac.RbacAction.DENY, policies=policies)


def _name(guard: Guard, *, refusing: bool) -> str:
    """A rule's name as in Istio, by which the ext_authz filter knows that it is to ask."""
    return f"{_prefix(guard.provider)}{guard.policy}{REFUSING if refusing else ''}"


def _prefix(provider: str) -> str:
    return f"istio-ext-authz-{provider}-"


def _noted(rbac_filter: str, provider: str) -> matcher.MetadataMatcher:
    named = matcher.ValueMatcher(string_match=matcher.StringMatcher(prefix=_prefix(provider)))
    return matcher.MetadataMatcher(
        filter=rbac_filter, path=[matcher.MetadataMatcherPathSegment(key=_POLICY_ID)], value=named
    )


def _http(asked: Authorizer) -> http_ext.ExtAuthz:
    return http_ext.ExtAuthz(
        grpc_service=_grpc(asked) if asked.grpc else None,
        http_service=None if asked.grpc else _service(asked),
        transport_api_version=core.ApiVersion.V3,
        failure_mode_allow=asked.fail_open,
        clear_route_cache=asked.clear_route_cache,
        status_on_error=types.HttpStatus(code=types.StatusCode(asked.status_on_error))
        if asked.status_on_error
        else None,
        with_request_body=http_ext.BufferSettings(
            max_request_bytes=asked.body[0], allow_partial_message=asked.body[1], pack_as_bytes=asked.body[2]
        )
        if asked.body
        else None,
        allowed_headers=_headers(asked.asked_headers),
        filter_enabled_metadata=_noted(HTTP_FILTER, asked.provider),
    )


def _service(asked: Authorizer) -> http_ext.HttpService:
    uri = core.HttpUri(uri=f"http://{asked.hostname}", cluster=asked.cluster, timeout=_timeout(asked))
    added = [core.HeaderValue(key=name, value=value) for name, value in asked.headers_to_add]
    answered = http_ext.AuthorizationResponse(
        allowed_upstream_headers=_headers(asked.upstream_headers),
        allowed_client_headers=_headers(asked.denied_headers),
        allowed_client_headers_on_success=_headers(asked.allowed_headers),
    )
    return http_ext.HttpService(
        server_uri=uri,
        path_prefix=asked.path_prefix,
        authorization_request=http_ext.AuthorizationRequest(headers_to_add=added) if added else None,
        authorization_response=answered,
    )


def _grpc(asked: Authorizer) -> core.GrpcService:
    # A cluster's name has characters that no authority may have; Istio writes them so.
    authority = asked.cluster.replace("|", "_.")
    envoy_grpc = core.GrpcServiceEnvoyGrpc(cluster_name=asked.cluster, authority=authority)
    return core.GrpcService(envoy_grpc=envoy_grpc, timeout=_timeout(asked))


def _timeout(asked: Authorizer) -> timedelta:
    return timedelta(seconds=asked.timeout) if asked.timeout else _NO_LIMIT


def _headers(names: Sequence[str]) -> matcher.ListStringMatcher | None:
    """Headers by name, `prefix*` or `*suffix`."""
    patterns = [text_matcher(name, ignore_case=True) for name in names]
    return matcher.ListStringMatcher(patterns=patterns) if patterns else None
