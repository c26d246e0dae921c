"""What the mesh's configuration adds to the graph: badges of services and workloads."""

from __future__ import annotations

from windvane.mesh.models import DestinationRule
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.topology.model import MeshInfo, ServiceBadges, WorkloadBadges
from windvane.xds.proxy import selects


def mesh_info(view: MeshView | None) -> MeshInfo | None:
    """Badges of a view, made once for each; None where there is no mesh of our own."""
    return None if view is None else view.derive("badges", lambda: _badges(view))


def _badges(view: MeshView) -> MeshInfo:
    return MeshInfo(
        cluster=view.cluster_id,
        namespaces=tuple(sorted({service.namespace for service in view.services.values()})),
        services={(each.namespace, each.name): _service(view, each) for each in view.services.values()},
        workloads={(each.namespace, each.name): _workload(view, each) for each in view.workloads.values()},
    )


def _service(view: MeshView, service: MeshService) -> ServiceBadges:
    services = [each for each in view.virtual_services if service.hostname in each.spec.hosts]
    rules = [each for each in view.destination_rules if each.spec.host == service.hostname]
    http = [route for each in services for route in each.spec.http]
    return ServiceBadges(
        hosts=tuple(host for each in services for host in each.spec.hosts) if services else None,
        circuit_breaker=any(_breaks(rule) for rule in rules),
        fault_injection=any(route.fault is not None for route in http),
        mirroring=any(route.mirror is not None or route.mirrors for route in http),
        request_routing=any(route.match for route in http),
        request_timeout=any(route.timeout is not None for route in http),
        traffic_shifting=any(len(route.route) > 1 for route in http),
        service_entry_hosts=(service.hostname,) if service.location == "external" else (),
        location="MESH_EXTERNAL" if service.location == "external" else "",
    )


def _breaks(rule: DestinationRule) -> bool:
    policies = [rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)]
    return any(policy and (policy.connection_pool or policy.outlier_detection) for policy in policies)


def _workload(view: MeshView, workload: MeshWorkload) -> WorkloadBadges:
    gateways = [gateway for gateway in view.gateways if selects(gateway, workload)]
    hosts = tuple(host for gateway in gateways for server in gateway.spec.servers for host in server.hosts)
    return WorkloadBadges(labels=workload.labels, gateway_hosts=hosts if gateways else None, workload_entry=True)
