"""Any configuration of the right form: findings or a view; and what we accept, Envoy accepts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from envoy_data_plane.envoy.config.route import v3 as route
from hypothesis import HealthCheck, given, settings
from mesh_envoy import GATEWAY, caller, complaint
from mesh_strategies import configurations, messages
from mesh_support import resources
from pydantic import ValidationError

from windvane.mesh.build import build_view
from windvane.mesh.checks import virtual_service
from windvane.mesh.checks.common import Problem
from windvane.mesh.checks.gateway_api import CHECKS
from windvane.mesh.files import FileSource
from windvane.mesh.findings import CODES
from windvane.mesh.models import HTTPRoute, Resource, VirtualService, gateway_api
from windvane.mesh.resolve import mtls_mode, telemetry_for
from windvane.mesh.view import MeshView
from windvane.xds.route_actions import RouteScope, rule_routes
from windvane.xds.routes import virtual_hosts
from windvane.xds.tcp_routes import TcpRoute, gateway_routes, outbound_routes

R = TypeVar("R", bound=Resource)

ACTIONS = ("route", "redirect", "directResponse")
PREFIX = ("spec", "http", 0)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(configurations)
def test_any_configuration_is_judged(tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, Any]]) -> None:
    file = tmp_path_factory.mktemp("any") / "mesh.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
    result = FileSource([file]).load()
    assert all((item.file, item.line) == (str(file), 1) for item in result.findings)
    assert (result.view is None) == any(item.refuses for item in result.findings)
    if result.view is not None:
        for proxy, port in ((caller(), None), (GATEWAY, 80)):
            assert all(bytes(host) for host in virtual_hosts(proxy, result.view, port))
            telemetry_for(result.view, proxy.workload)
            mtls_mode(result.view, proxy.workload, 80)
        assert all(route.clusters for route in _connections(result.view))


def _connections(view: MeshView) -> Iterator[TcpRoute]:
    for service in view.services.values():
        for port in service.ports:
            yield from outbound_routes(caller(), view, service, port, allow_any=True)
    for gateway in view.gateways:
        for server in gateway.spec.servers:
            yield from gateway_routes(GATEWAY, view, gateway, server)


def accepted(rule: dict[str, Any]) -> VirtualService | None:
    """A VirtualService of one rule, less the parts of it that are refused; None where that leaves nothing."""
    action = next((name for name in ACTIONS if rule.get(name)), None)
    kept = {name: value for name, value in rule.items() if name not in ACTIONS or name == action}
    kept = kept if action else {**kept, "directResponse": {"status": 200}}
    item = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"hosts": ["a"], "http": [kept]},
    }
    return reduced(item, VirtualService, virtual_service.check, PREFIX)


def accepted_by_gateway_api(rule: dict[str, Any]) -> gateway_api.HTTPRoute | None:
    """An HTTPRoute for a service of the mesh, likewise."""
    item = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "reviews"}], "rules": [rule]},
    }
    return reduced(item, gateway_api.HTTPRoute, CHECKS["HTTPRoute"], ("spec", "rules", 0))


def reduced(
    item: dict[str, Any], model: type[R], check: Callable[[R], Iterator[Problem]], prefix: Sequence[str | int]
) -> R | None:
    """A resource less the parts that are refused; None where that leaves nothing below `prefix`."""
    for _ in range(40):
        try:
            made = model.model_validate(item)
        except ValidationError as error:
            path = error.errors()[0]["loc"]
        else:
            refusing = [problem.path for problem in check(made) if CODES[problem.code].refuses]
            if not refusing:
                return made
            path = refusing[0]
        if not taken_out(item, list(path), len(prefix)):
            return None
    return None


def taken_out(item: dict[str, Any], path: list[str | int], least: int) -> bool:
    """Drop the field at a path, or the nearest one around it; False where that is the rule itself."""
    while len(path) > least:
        place: Any = item
        try:
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            path.pop()
        else:
            return True
    return False


@pytest.mark.e2e
def test_envoy_accepts_the_routes_of_any_accepted_rule(tmp_path: Path) -> None:
    routes: list[route.Route] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(messages(HTTPRoute))
    def collect(rule: dict[str, Any]) -> None:
        item = accepted(rule)
        view = build_view([item] if item is not None else [])
        for made in view.virtual_services:
            routes.extend(rule_routes(made, RouteScope(view, "shop", {"a": "b", "v1": "v1"})))

    collect()
    assert len(routes) > 50
    assert complaint(tmp_path, [route.VirtualHost(name="a", domains=["*"], routes=routes)]) == ""


@pytest.mark.e2e
def test_envoy_accepts_the_routes_of_any_accepted_rule_of_gateway_api(tmp_path: Path) -> None:
    routes: list[route.Route] = []
    [service] = resources("""
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
""")

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(messages(gateway_api.HTTPRouteRule))
    def collect(rule: dict[str, Any]) -> None:
        item = accepted_by_gateway_api(rule)
        view = build_view([service, item] if item is not None else [])
        for made in view.virtual_services:
            routes.extend(rule_routes(made, RouteScope(view, "shop")))

    collect()
    assert len(routes) > 20
    assert complaint(tmp_path, [route.VirtualHost(name="a", domains=["*"], routes=routes)]) == ""
