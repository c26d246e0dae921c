"""Patches of clusters."""

from __future__ import annotations

from collections.abc import Sequence

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import TransportSocket

from windvane.xds.envoy_filters.merge import merge, merge_any
from windvane.xds.envoy_filters.select import Context, Patch


def patched_cluster(
    message: Cluster, context: Context, patches: Sequence[Patch], services: Sequence[str], hits: set[Patch]
) -> Cluster | None:
    """A cluster after its patches; None when one removes it. `services` are the hosts of an inbound cluster."""
    for patch in patches:
        if patch.operation not in ("MERGE", "REMOVE") or not patch.is_for(context):
            continue
        if not _matches(message, patch, services):
            continue
        hits.add(patch)
        if patch.operation == "REMOVE":
            return None
        assert isinstance(patch.value, Cluster)
        if not _merge_transport(message, patch.value):
            merge(message, patch.value)
    return message


def _matches(message: Cluster, patch: Patch, services: Sequence[str]) -> bool:
    match = patch.cluster
    if match is None:
        return True
    if match.name:
        return match.name == message.name
    direction, port, subset, host = [*message.name.split("|"), "", "", ""][:4]
    hosts = tuple(services) if direction == "inbound" else (host,)
    return (
        match.subset in ("", subset)
        and (not match.service or match.service in hosts)
        and (not match.port_number or str(match.port_number) == port)
    )


def _merge_transport(message: Cluster, patch: Cluster) -> bool:
    """Merge the transport socket of a patch; whether there is one, for then nothing else of the patch counts."""
    wanted = patch.transport_socket
    if wanted is None:
        return False
    choices = [match.transport_socket for match in message.transport_socket_matches if match.transport_socket]
    if choices:
        merge_socket(next((each for each in choices if each.name == wanted.name), None), wanted)
        return True
    if not merge_socket(message.transport_socket, wanted):
        message.transport_socket = wanted
    return True


def merge_socket(socket: TransportSocket | None, patch: TransportSocket) -> bool:
    """Merge into a transport socket of the same name; whether there is such a one."""
    if socket is None or socket.name != patch.name:
        return False
    if socket.typed_config is not None and patch.typed_config is not None:
        merged = merge_any(socket.typed_config, patch.typed_config)
        socket.typed_config = merged or socket.typed_config
    return True
