"""What Gateway API asks of its resources beyond their form, and what Istio's controller finds wrong with them.

The first is what the API's own definitions (CRDs and their rules) make a cluster refuse; the second are conditions of
a resource's status that are false: they are told, and take effect as they would in a cluster.
"""

from collections.abc import Callable, Iterator
from typing import Any

from windvane.mesh.checks.common import Problem
from windvane.mesh.checks.gateway_api.conditions import conditions as conditions
from windvane.mesh.checks.gateway_api.conflicts import conflicts as conflicts
from windvane.mesh.checks.gateway_api.gateways import check_gateway, check_gateway_class
from windvane.mesh.checks.gateway_api.routes import (
    check_grpc_route,
    check_http_route,
    check_reference_grant,
    check_tcp_route,
    check_tls_route,
)
from windvane.mesh.checks.gateway_api.shadowing import shadowing as shadowing

CHECKS: dict[str, Callable[[Any], Iterator[Problem]]] = {
    "GatewayClass": check_gateway_class,
    "Gateway": check_gateway,
    "HTTPRoute": check_http_route,
    "GRPCRoute": check_grpc_route,
    "TLSRoute": check_tls_route,
    "TCPRoute": check_tcp_route,
    "ReferenceGrant": check_reference_grant,
}
"""By kind, of this API's group."""
