"""gateway.networking.k8s.io: Kubernetes Gateway API's resources as typed, strictly validated models.

Names are the API's own, so several are also those of Istio's models (`Gateway`, `HTTPRoute`, …): import this package
by its name. What the API asks of values beyond their form is checked by `windvane.mesh.checks.gateway_api`.
"""

from windvane.mesh.models.gateway_api.gateway import (
    AllowedRoutes,
    Gateway,
    GatewayAddress,
    GatewayClass,
    Listener,
    ListenerTLSConfig,
    RouteGroupKind,
)
from windvane.mesh.models.gateway_api.grants import ReferenceGrant
from windvane.mesh.models.gateway_api.grpc_route import GRPCMethodMatch, GRPCRoute, GRPCRouteFilter, GRPCRouteMatch
from windvane.mesh.models.gateway_api.grpc_route import GRPCRouteRule as GRPCRouteRule
from windvane.mesh.models.gateway_api.http_route import (
    HTTPCORSFilter,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRoute,
    HTTPRouteFilter,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPURLRewriteFilter,
)
from windvane.mesh.models.gateway_api.references import BackendObjectReference, BackendRef, ParentReference, Route
from windvane.mesh.models.gateway_api.stream_routes import TCPRoute, TLSRoute
from windvane.mesh.models.metadata import Resource

GROUP = "gateway.networking.k8s.io"

KINDS: dict[str, tuple[type[Resource], tuple[str, ...]]] = {
    "GatewayClass": (GatewayClass, (f"{GROUP}/v1", f"{GROUP}/v1beta1")),
    "Gateway": (Gateway, (f"{GROUP}/v1", f"{GROUP}/v1beta1")),
    "HTTPRoute": (HTTPRoute, (f"{GROUP}/v1", f"{GROUP}/v1beta1")),
    "GRPCRoute": (GRPCRoute, (f"{GROUP}/v1", f"{GROUP}/v1alpha2")),
    "TLSRoute": (TLSRoute, (f"{GROUP}/v1", f"{GROUP}/v1alpha3", f"{GROUP}/v1alpha2")),
    "TCPRoute": (TCPRoute, (f"{GROUP}/v1alpha2",)),
    "ReferenceGrant": (ReferenceGrant, (f"{GROUP}/v1", f"{GROUP}/v1beta1", f"{GROUP}/v1alpha2")),
}
"""Every kind of the group that has a model: the class and the API versions it is read from."""

__all__ = [
    "GROUP",
    "KINDS",
    "AllowedRoutes",
    "BackendObjectReference",
    "BackendRef",
    "GRPCMethodMatch",
    "GRPCRoute",
    "GRPCRouteFilter",
    "GRPCRouteMatch",
    "GRPCRouteRule",
    "Gateway",
    "GatewayAddress",
    "GatewayClass",
    "HTTPCORSFilter",
    "HTTPHeaderFilter",
    "HTTPPathModifier",
    "HTTPRequestMirrorFilter",
    "HTTPRequestRedirectFilter",
    "HTTPRoute",
    "HTTPRouteFilter",
    "HTTPRouteMatch",
    "HTTPRouteRule",
    "HTTPURLRewriteFilter",
    "Listener",
    "ListenerTLSConfig",
    "ParentReference",
    "ReferenceGrant",
    "Route",
    "RouteGroupKind",
    "TCPRoute",
    "TLSRoute",
]
