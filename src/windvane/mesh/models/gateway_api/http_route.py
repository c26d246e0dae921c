"""gateway.networking.k8s.io `HTTPRoute`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from windvane.mesh.models.base import Int32, Items, Model, UInt32
from windvane.mesh.models.gateway_api.references import (
    BackendObjectReference,
    BackendRef,
    Duration,
    HostedRouteSpec,
    LocalObjectReference,
    Port,
    Route,
    SessionPersistence,
)

MatchType = Literal["Exact", "RegularExpression"]


class HTTPPathMatch(Model):
    """A path: exact, by whole segments (`PathPrefix`), or by an RE2 regex."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


class HTTPHeaderMatch(Model):
    """A header's value."""

    type: MatchType = "Exact"
    name: str
    value: str


class HTTPQueryParamMatch(Model):
    """A query parameter's value."""

    type: MatchType = "Exact"
    name: str
    value: str


class HTTPRouteMatch(Model):
    """Conditions that must all hold; several of these in a rule are alternatives."""

    path: HTTPPathMatch = Field(default_factory=HTTPPathMatch)
    headers: Items[HTTPHeaderMatch] = ()
    query_params: Items[HTTPQueryParamMatch] = ()
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] | None = None


class HTTPHeader(Model):
    """A header with its value."""

    name: str
    value: str


class HTTPHeaderFilter(Model):
    """Header changes: `set` replaces, `add` appends, `remove` drops."""

    set: Items[HTTPHeader] = ()
    add: Items[HTTPHeader] = ()
    remove: Items[str] = ()


class Fraction(Model):
    """A share as a fraction."""

    numerator: Int32
    denominator: Int32 = 100


class HTTPRequestMirrorFilter(Model):
    """A destination that gets a copy of a share of requests (all unless it says)."""

    backend_ref: BackendObjectReference
    percent: Int32 | None = None
    fraction: Fraction | None = None


class HTTPPathModifier(Model):
    """The whole path anew, or the prefix that was matched."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class HTTPRequestRedirectFilter(Model):
    """Answer with a redirect; parts not given are kept from the request, the port from the listener."""

    scheme: Literal["http", "https"] | None = None
    hostname: str | None = None
    path: HTTPPathModifier | None = None
    port: Port | None = None
    status_code: UInt32 = 302


class HTTPURLRewriteFilter(Model):
    """Change the authority or the path before the request is forwarded."""

    hostname: str | None = None
    path: HTTPPathModifier | None = None


class HTTPCORSFilter(Model):
    """Cross-origin requests that browsers may make; `max_age` in seconds."""

    allow_origins: Items[str] = ()
    allow_credentials: bool = False
    allow_methods: Items[str] = ()
    allow_headers: Items[str] = ()
    expose_headers: Items[str] = ()
    max_age: Int32 = 5


class HTTPRouteFilter(Model):
    """One step of a rule's processing; the field that `type` names says how."""

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "CORS",
        "ExtensionRef",
        "ExternalAuth",
    ]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    extension_ref: LocalObjectReference | None = None
    external_auth: Any = None


class HTTPBackendRef(BackendRef):
    """A destination of requests, its weight, and what is changed on the way to it alone."""

    filters: Items[HTTPRouteFilter] = ()


class HTTPRouteTimeouts(Model):
    """Of the whole request, and of each try; 0 is none."""

    request: Duration | None = None
    backend_request: Duration | None = None


class HTTPRouteRetry(Model):
    """How often, and after which status codes, a request is tried again."""

    codes: Items[UInt32] = ()
    attempts: Int32 | None = None
    backoff: Duration | None = None


class HTTPRouteRule(Model):
    """Matches, filters, and destinations by weight."""

    name: str | None = None
    matches: Items[HTTPRouteMatch] = ()
    filters: Items[HTTPRouteFilter] = ()
    backend_refs: Items[HTTPBackendRef] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(HostedRouteSpec):
    """Rules for hosts."""

    rules: Items[HTTPRouteRule] = (HTTPRouteRule(),)


class HTTPRoute(Route):
    """gateway.networking.k8s.io HTTPRoute."""

    kind: Literal["HTTPRoute"] = "HTTPRoute"
    spec: HTTPRouteSpec = Field(default_factory=HTTPRouteSpec)
