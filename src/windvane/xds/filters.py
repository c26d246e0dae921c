"""The HTTP filters of a sidecar, each as one function; `http` puts them in order. Made once, then shared."""

from __future__ import annotations

from functools import lru_cache

import betterproto2
from envoy_data_plane.envoy.config.cluster.v3 import ClusterDnsLookupFamily as DnsLookupFamily
from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy.v3 import DnsCacheConfig
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state import v3 as filter_state
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import Cors
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy import v3 as forward
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import HttpFault
from envoy_data_plane.envoy.extensions.filters.http.grpc_stats.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation, Mutations
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state import v3 as set_filter_state
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter

from windvane.mesh.view import MeshWorkload
from windvane.xds.encoding import any_of

PEER_METADATA_HEADER = "x-envoy-peer-metadata"
PEER_METADATA_STATE = "windvane.peer_metadata"


def peer_metadata(workload: MeshWorkload, cluster_id: str) -> str:
    """What a client's proxy says of itself: `workload;namespace;canonical;revision;app;version;cluster`."""
    fields = (
        workload.name,
        workload.namespace,
        workload.canonical_name,
        workload.canonical_revision,
        workload.app,
        workload.version,
        cluster_id,
    )
    return ";".join(fields)


@lru_cache(maxsize=4096)
def say_who_we_are(metadata: str) -> HttpFilter:
    """Overwrite the peer header, whatever the application or the outside put there."""
    # A percent sign begins a command in Envoy's header values.
    value = metadata.replace("%", "%%")
    header = core.HeaderValueOption(
        header=core.HeaderValue(key=PEER_METADATA_HEADER, value=value),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return _mutation(mutation_rules.HeaderMutation(append=header))


@lru_cache(maxsize=4096)
def header_mutation(*, remove: str) -> HttpFilter:
    """Drop a request header."""
    return _mutation(mutation_rules.HeaderMutation(remove=remove))


@lru_cache(maxsize=4096)
def keep_peer_metadata() -> HttpFilter:
    """Keep the peer header's value for the access log, which runs after the header is gone."""
    value = filter_state.FilterStateValue(
        object_key=PEER_METADATA_STATE,
        factory_key="envoy.string",
        skip_if_empty=True,
        format_string=core.SubstitutionFormatString(
            text_format_source=core.DataSource(inline_string=f"%REQ({PEER_METADATA_HEADER})%"),
            omit_empty_values=True,
        ),
    )
    return _filter("envoy.filters.http.set_filter_state", set_filter_state.Config(on_request_headers=[value]))


@lru_cache(maxsize=4096)
def grpc_stats() -> HttpFilter:
    """Count gRPC messages into filter state, for the access log."""
    return _filter("envoy.filters.http.grpc_stats", FilterConfig(emit_filter_state=True))


@lru_cache(maxsize=4096)
def fault() -> HttpFilter:
    """Faults of a VirtualService; inert until a route configures it."""
    return _filter("envoy.filters.http.fault", HttpFault())


@lru_cache(maxsize=4096)
def cors() -> HttpFilter:
    """CORS of a VirtualService; inert until a route configures it."""
    return _filter("envoy.filters.http.cors", Cors())


@lru_cache(maxsize=4096)
def forward_proxy() -> HttpFilter:
    """Resolve the request's host when its cluster is one that has no endpoints of its own."""
    return _filter("envoy.filters.http.dynamic_forward_proxy", forward.FilterConfig(dns_cache_config=dns_cache()))


def dns_cache() -> DnsCacheConfig:
    """The one cache of names outside the mesh, shared by the filter and its clusters."""
    return DnsCacheConfig(name="outside", dns_lookup_family=DnsLookupFamily.V4_PREFERRED)


@lru_cache(maxsize=4096)
def router() -> HttpFilter:
    """The last filter: sends the request on."""
    return _filter("envoy.filters.http.router", Router())


@lru_cache(maxsize=4096)
def upstream_codec() -> HttpFilter:
    """The last filter of a cluster's own chain."""
    return _filter("envoy.filters.http.upstream_codec", UpstreamCodec())


def _mutation(mutation: mutation_rules.HeaderMutation) -> HttpFilter:
    mutations = Mutations(request_mutations=[mutation])
    return _filter("envoy.filters.http.header_mutation", HeaderMutation(mutations=mutations))


def _filter(name: str, config: betterproto2.Message) -> HttpFilter:
    return HttpFilter(name=name, typed_config=any_of(config))
