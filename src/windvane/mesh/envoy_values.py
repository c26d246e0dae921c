"""What an EnvoyFilter's patch puts into a proxy's configuration: Envoy's message for what it is applied to.

Envoy's API is large: it is imported when there is a patch to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import betterproto2

    from windvane.kit.protojson import Mistake

_LISTENER, _ROUTE = "envoy.config.listener.v3", "envoy.config.route.v3"
MESSAGES: dict[str, str] = {
    "LISTENER": f"{_LISTENER}.Listener",
    "FILTER_CHAIN": f"{_LISTENER}.FilterChain",
    "LISTENER_FILTER": f"{_LISTENER}.ListenerFilter",
    "NETWORK_FILTER": f"{_LISTENER}.Filter",
    "HTTP_FILTER": "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    "ROUTE_CONFIGURATION": f"{_ROUTE}.RouteConfiguration",
    "VIRTUAL_HOST": f"{_ROUTE}.VirtualHost",
    "HTTP_ROUTE": f"{_ROUTE}.Route",
    "CLUSTER": "envoy.config.cluster.v3.Cluster",
}
"""What can be patched: the message of each `applyTo`."""

ISTIO_ONLY = frozenset(
    (
        "envoy.filters.http.alpn",
        "envoy.filters.http.peer_metadata",
        "envoy.filters.network.metadata_exchange",
        "istio.alpn",
        "istio.metadata_exchange",
        "istio.peer_metadata",
        "istio.stats",
        "istio_authn",
        "istio_stats",
    )
)
"""Names of filters that Istio's own build of Envoy has, and no other."""


def message_of(apply_to: str, value: dict[str, Any] | None) -> tuple[betterproto2.Message | None, list[Mistake]]:
    """The message of a patch's value, and what is wrong with it; None where it cannot be used."""
    from windvane.kit.protojson import message_type, read  # noqa: PLC0415  see above

    name = MESSAGES.get(apply_to)
    if name is None or value is None:
        return None, []
    kind = message_type(f"type.googleapis.com/{name}")
    assert kind is not None, name
    return read(kind, value)
