"""Names for telemetry: a mesh view and its placement as the tables that Istio's metrics need."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from windvane.ingest.istio_metrics import Directory
from windvane.mesh.placement import Placement
from windvane.mesh.resolve import endpoint_port
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.xds.endpoints import cluster_name
from windvane.xds.snapshot import MeshSettings, Snapshot

_LABELS = ("workload", "namespace", "app", "version", "canonical_service", "canonical_revision", "cluster", "principal")


def directory_of(view: MeshView, placement: Placement) -> Directory:
    """Who is behind every address, node and cluster of the mesh at this moment."""
    snapshot = Snapshot(view, placement, MeshSettings())
    return Directory(
        endpoints=_frame(("address", *_LABELS), _endpoints(snapshot)),
        nodes=_frame(("node_id", *_LABELS), _nodes(snapshot)),
        services=_frame(("upstream_cluster", "host", "name", "namespace", "node_id"), _services(snapshot)),
    )


def _frame(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> pd.DataFrame:
    return pd.DataFrame(list(dict.fromkeys(rows)), columns=list(columns), dtype="str")


def _labels(view: MeshView, workload: MeshWorkload) -> tuple[str, ...]:
    principal = f"spiffe://{view.trust_domain}/ns/{workload.namespace}/sa/{workload.service_account or 'default'}"
    return (
        workload.name,
        workload.namespace,
        workload.app,
        workload.version,
        workload.canonical_name,
        workload.canonical_revision,
        view.cluster_id,
        principal,
    )


def _endpoints(snapshot: Snapshot) -> Iterator[tuple[str, ...]]:
    """A workload is reached at every port its sidecar listens on, or at the address it states itself."""
    for key, workload in snapshot.view.workloads.items():
        labels = _labels(snapshot.view, workload)
        place = snapshot.placement.places.get(key)
        if place is not None:
            for port in (*place.inbound.values(), *place.relays.values()):
                yield (f"{place.address}:{port}", *labels)
    for service in snapshot.view.services.values():
        yield from _own_addresses(snapshot, service)


def _own_addresses(snapshot: Snapshot, service: MeshService) -> Iterator[tuple[str, ...]]:
    members = [snapshot.view.workloads[key] for key in service.workloads if key in snapshot.view.workloads]
    for workload in (*members, *service.endpoints):
        if workload.address and workload.key not in snapshot.placement.places:
            for port in service.ports:
                address = f"{workload.address}:{endpoint_port(workload, port)}"
                yield (address, *_labels(snapshot.view, workload))


def _nodes(snapshot: Snapshot) -> Iterator[tuple[str, ...]]:
    for key, workload in snapshot.view.workloads.items():
        proxy = snapshot.proxy(key)
        if proxy is not None:
            yield (proxy.node_id, *_labels(snapshot.view, workload))


def _services(snapshot: Snapshot) -> Iterator[tuple[str, ...]]:
    """Outbound clusters are named alike at every proxy; an inbound one means its own workload's service."""
    subsets = _subsets(snapshot.view)
    for service in snapshot.view.services.values():
        names = (service.hostname, service.name, service.namespace)
        for port in service.ports:
            for subset in ("", *subsets.get(service.hostname, ())):
                yield (cluster_name(port.number, subset, service.hostname), *names, "")
            for key in service.workloads:
                proxy = snapshot.proxy(key)
                if proxy is not None:
                    inbound = endpoint_port(proxy.workload, port)
                    yield (f"inbound|{inbound}||", *names, proxy.node_id)


def _subsets(view: MeshView) -> dict[str, list[str]]:
    """Names of subsets by the host that their rules are for."""
    found: dict[str, list[str]] = {}
    for rule in view.destination_rules:
        found.setdefault(rule.spec.host, []).extend(subset.name for subset in rule.spec.subsets)
    return found
