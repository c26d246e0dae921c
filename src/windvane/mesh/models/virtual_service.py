"""networking.istio.io `VirtualService`: how requests for a host are routed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from windvane.mesh.models.base import (
    Int32,
    Items,
    Labels,
    Model,
    Percent,
    PortSelector,
    Seconds,
    StringMatch,
    UInt32,
)
from windvane.mesh.models.metadata import Resource


class Destination(Model):
    """Where requests go: a host of the registry, a subset of it, a port."""

    host: str = ""
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Model):
    """Header changes: `set` replaces, `add` appends, `remove` drops."""

    set: Labels = Field(default_factory=dict)
    add: Labels = Field(default_factory=dict)
    remove: Items[str] = ()


class Headers(Model):
    """Header changes of requests before, and of responses after, the destination."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPMatchRequest(Model):
    """Conditions that must all hold; several of these in a route are alternatives."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(default_factory=dict)
    port: UInt32 = 0
    source_labels: Labels = Field(default_factory=dict)
    gateways: Items[str] = ()
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = Field(default_factory=dict)
    source_namespace: str = ""
    stat_prefix: str = ""


class RouteDestination(Model):
    """A destination with its relative weight."""

    destination: Destination | None = None
    weight: Int32 = 0


class HTTPRouteDestination(RouteDestination):
    """A destination of requests with its relative weight and what it changes of headers."""

    headers: Headers | None = None


class HTTPRedirect(Model):
    """Answer with a redirect; parts not given are kept from the request."""

    one_of = (("port", "derive_port"),)

    uri: str = ""
    authority: str = ""
    port: UInt32 | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: UInt32 = 0
    prefix_rewrite: str = ""


class HTTPBody(Model):
    """The body of a direct response: text, or bytes in base64."""

    one_of = (("string", "bytes"),)

    string: str | None = None
    bytes: str | None = None


class HTTPDirectResponse(Model):
    """Answer without asking any destination."""

    status: UInt32 = 0
    body: HTTPBody | None = None


class RegexRewrite(Model):
    """Replace what an RE2 pattern matches in the path."""

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Model):
    """Change the path or the authority before the request is forwarded."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Model):
    """How failed requests are tried again; `attempts` counts retries, 0 switches them off."""

    attempts: Int32 = 0
    per_try_timeout: Seconds | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Seconds | None = None


class Delay(Model):
    """Hold a share of requests for a fixed time."""

    one_of = (("fixed_delay", "exponential_delay"),)

    fixed_delay: Seconds | None = None
    percentage: Percent | None = None
    percent: Int32 = 0
    exponential_delay: Seconds | None = None


class Abort(Model):
    """Answer a share of requests with an error at once."""

    one_of = (("http_status", "grpc_status", "http2_error"),)

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Model):
    """Faults injected at the client's proxy."""

    delay: Delay | None = None
    abort: Abort | None = None


class CorsPolicy(Model):
    """Cross-origin requests that browsers may make."""

    allow_origin: Items[str] = ()
    allow_origins: Items[StringMatch] = ()
    allow_methods: Items[str] = ()
    allow_headers: Items[str] = ()
    expose_headers: Items[str] = ()
    max_age: Seconds | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


class HTTPMirrorPolicy(Model):
    """A destination that gets a copy of a share of requests; its answers are dropped."""

    destination: Destination | None = None
    percentage: Percent | None = None


class Delegate(Model):
    """A VirtualService without hosts whose routes take this one's place; of the same namespace unless it says."""

    name: str = ""
    namespace: str = ""


class HTTPRoute(Model):
    """One rule: the first whose match holds decides."""

    one_of = (("redirect", "direct_response", "route", "delegate"),)

    name: str = ""
    match: Items[HTTPMatchRequest] = ()
    route: Items[HTTPRouteDestination] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Seconds | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: Items[HTTPMirrorPolicy] = ()
    mirror_percent: UInt32 | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class L4MatchAttributes(Model):
    """Conditions on a connection that must all hold; several of these in a route are alternatives."""

    destination_subnets: Items[str] = ()
    port: UInt32 = 0
    source_subnet: str = ""
    source_labels: Labels = Field(default_factory=dict)
    gateways: Items[str] = ()
    source_namespace: str = ""


class TCPRoute(Model):
    """Where connections go; the first whose match holds decides."""

    match: Items[L4MatchAttributes] = ()
    route: Items[RouteDestination] = ()


class TLSMatchAttributes(Model):
    """Conditions on a TLS connection: the server name it asks for (exact, or `*.` and a suffix), and who asks where."""

    sni_hosts: Items[str] = ()
    destination_subnets: Items[str] = ()
    port: UInt32 = 0
    source_labels: Labels = Field(default_factory=dict)
    gateways: Items[str] = ()
    source_namespace: str = ""


class TLSRoute(Model):
    """Where TLS connections go that are passed on unopened."""

    match: Items[TLSMatchAttributes] = ()
    route: Items[RouteDestination] = ()


class VirtualServiceSpec(Model):
    """Routes for hosts, in the mesh and at gateways."""

    hosts: Items[str] = ()
    gateways: Items[str] = ()
    http: Items[HTTPRoute] = ()
    tls: Items[TLSRoute] = ()
    tcp: Items[TCPRoute] = ()
    export_to: Items[str] = ()


class VirtualService(Resource):
    """networking.istio.io VirtualService. `semantics` is `gateway` for one made of Gateway API's routes."""

    semantics: ClassVar[str] = "istio"

    kind: Literal["VirtualService"] = "VirtualService"
    spec: VirtualServiceSpec = Field(default_factory=VirtualServiceSpec)
