"""Names for telemetry: a mesh view and its placement as the tables that Istio's metrics need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from windvane.ingest.istio_labels import Changes
from windvane.ingest.istio_metrics import Directory
from windvane.mesh.models.telemetry import MetricsOverrides
from windvane.mesh.placement import Placement
from windvane.mesh.resolve import endpoint_port, telemetry_for
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.xds.endpoints import cluster_name
from windvane.xds.snapshot import MeshSettings, Snapshot
from windvane.xds.sni_dnat import is_passing_on, passed_on_name

_LABELS = ("workload", "namespace", "app", "version", "canonical_service", "canonical_revision", "cluster", "principal")


def directory_of(view: MeshView, placement: Placement) -> Directory:
    """Who is behind every address, node and cluster of the mesh at this moment."""
    snapshot = Snapshot(view, placement, MeshSettings())
    return Directory(
        endpoints=_frame(("address", *_LABELS), _endpoints(snapshot)),
        nodes=_frame(("node_id", *_LABELS), _nodes(snapshot)),
        services=_frame(("upstream_cluster", "host", "name", "namespace", "node_id"), _services(snapshot)),
        changes=dict(_changes(snapshot)),
    )


def _changes(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Changes]]:
    """What Telemetries leave out of metrics, by proxy and side."""
    for key, workload in snapshot.view.workloads.items() if snapshot.view.telemetries else ():
        proxy, effective = snapshot.proxy(key), telemetry_for(snapshot.view, workload)
        for reporter, side in (("source", effective.client), ("destination", effective.server)):
            made = _side_changes(side.metrics_overrides)
            if proxy is not None and made != Changes():
                yield (proxy.node_id, reporter), made


def _side_changes(overrides: Sequence[MetricsOverrides]) -> Changes:
    """Overrides of all metrics, the later over the earlier ones."""
    silent, left_out = False, set[str]()
    for override in overrides:
        if override.is_for_all:
            silent = silent if override.disabled is None else override.disabled
            for name, tag in override.tag_overrides.items():
                left_out.add(name) if tag.operation == "REMOVE" else left_out.discard(name)
    return Changes(silent, frozenset(left_out))


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
    passes_on = any(map(is_passing_on, snapshot.view.gateways))
    for service in snapshot.view.services.values():
        names = (service.hostname, service.name, service.namespace)
        for port in service.ports:
            for subset in ("", *subsets.get(service.hostname, ())):
                yield (cluster_name(port.number, subset, service.hostname), *names, "")
                if passes_on:
                    yield (passed_on_name(port.number, subset, service.hostname), *names, "")
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
