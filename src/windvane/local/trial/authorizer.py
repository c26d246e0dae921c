"""External authorizers of a mesh on trial: stood in for, or, where they listen on this machine, really asked.

A stand-in decides as the authorizer of Istio's samples does: what has the header `x-ext-authz: allow` may pass, and the
answer says so in `x-ext-authz-check-result`. Over HTTP it sees only the headers that the provider lets it see.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import grpc
import grpc.aio
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.service.auth.v3 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.rpc import Status

from windvane.kit.values import Address
from windvane.local.trial.echo import Header, Heard, Listener, listen
from windvane.mesh.authorizers import Located, located
from windvane.mesh.models.mesh_config import EnvoyExtAuthzGrpc
from windvane.mesh.resolve import endpoint_port
from windvane.mesh.view import MeshService, MeshView, MeshWorkload

NAME = "ext-authz"
"""The workload that stands in for an authorizer outside of the mesh."""
ASKS, ANSWERS = "x-ext-authz", "x-ext-authz-check-result"
_SERVICE = "envoy.service.auth.v3.Authorization"
_PERMISSION_DENIED = 7

Closing = Callable[[], Awaitable[None]]


def authorizers(view: MeshView) -> list[Located]:
    """The external authorizers that policies of a mesh ask, each once."""
    names = {item.spec.provider.name for item in view.authorization_policies if item.spec.provider is not None}
    found = (located(view, name) for name in sorted(names))
    return [each for each in found if isinstance(each, Located)]


def workloads_of(found: Iterable[Located]) -> frozenset[str]:
    """Keys of the workloads that are authorizers."""
    return frozenset(key for each in found for key in each.service.workloads)


def is_here(service: MeshService) -> bool:
    """Whether a service is nothing but addresses of this machine, at which it can be asked."""
    return bool(service.endpoints) and not service.workloads and all(map(_is_loopback, service.endpoints))


def _is_loopback(workload: MeshWorkload) -> bool:
    try:
        return ipaddress.ip_address(workload.address).is_loopback
    except ValueError:
        return False


def with_stand_ins(view: MeshView, addresses: Mapping[str, Address]) -> MeshView:
    """The view with authorizers outside of it, by provider, at the addresses of their stand-ins."""
    services = dict(view.services)
    for each in authorizers(view):
        address = addresses.get(each.provider.name)
        if address is not None:
            endpoint = MeshWorkload(
                name=NAME, namespace=each.service.namespace, labels={}, annotations={}, service_account="default",
                address=address.host, ports={port.name: address.port for port in each.service.ports},
            )  # fmt: skip
            services[each.service.hostname] = replace(each.service, endpoints=(endpoint,), resolution="static")
    return replace(view, services=services)


def ports_of(found: Iterable[Located], workload: MeshWorkload) -> dict[int, bool]:
    """The ports on which a workload is asked for authorization, and whether over gRPC."""
    return {
        endpoint_port(workload, each.port): isinstance(each.provider.authorizer, EnvoyExtAuthzGrpc)
        for each in found
        if workload.key in each.service.workloads
    }


async def stand_in(host: str, port: int, workload: str, heard: Listener, *, over_grpc: bool) -> tuple[int, Closing]:
    """Decide for an authorizer; the port that it listens on (a free one for 0), and what closes it."""
    if not over_grpc:
        server = await listen(host, port, workload, heard, verdict=_verdict)
        return int(server.sockets[0].getsockname()[1]), partial(_closed, server)
    asked = grpc.aio.server()
    check = grpc.unary_unary_rpc_method_handler(_check)
    asked.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Check": check}),))
    bound = asked.add_insecure_port(f"{host}:{port}")
    await asked.start()
    return bound, partial(asked.stop, 0)


async def _closed(server: asyncio.Server) -> None:
    server.close()


def _verdict(request: Heard) -> tuple[int, Header]:
    allowed = dict(request.headers).get(ASKS) == "allow"
    return (200, (ANSWERS, "allowed")) if allowed else (403, (ANSWERS, "denied"))


async def _check(raw: bytes, _context: object) -> bytes:
    return bytes(decided(CheckRequest.parse(raw)))


def decided(request: CheckRequest) -> CheckResponse:
    """The answer of gRPC's authorization service."""
    attributes = request.attributes
    asked = attributes.request.http if attributes is not None and attributes.request is not None else None
    allowed = asked is not None and asked.headers.get(ASKS) == "allow"
    said = [HeaderValueOption(header=HeaderValue(key=ANSWERS, value="allowed" if allowed else "denied"))]
    if allowed:
        return CheckResponse(status=Status(code=0), ok_response=OkHttpResponse(headers=said))
    denied = DeniedHttpResponse(status=HttpStatus(code=StatusCode(403)), headers=said)
    return CheckResponse(status=Status(code=_PERMISSION_DENIED), denied_response=denied)
