"""The encoder writes what the library writes, for every kind of field."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.v3 import Int64Range, Percent
from envoy_data_plane.google import protobuf
from hypothesis import given
from hypothesis import strategies as st
from xds_mesh import GATEWAY, SHOP, snapshot_of, split

from windvane.xds.configuration import configuration
from windvane.xds.encoding import any_of, encode, varint


@pytest.mark.parametrize(
    "message",
    [
        cluster.Cluster(),
        cluster.Cluster(
            name="ä" * 200,
            connect_timeout=timedelta(milliseconds=1500),
            track_timeout_budgets=False,
            wait_for_warm_on_init=True,
        ),
        cluster.Cluster(per_connection_buffer_limit_bytes=0, type=cluster.ClusterDiscoveryType.EDS),
        core.Metadata(
            filter_metadata={"a": protobuf.Struct.from_dict({"x": [1, None, True, {"y": "z"}]}), "b": protobuf.Struct()}
        ),
        core.DataSource(inline_bytes=b"\x00\xff" * 100),
        core.DataSource(inline_string=""),
        core.GrpcProtocolOptions(),
        route.RouteActionHashPolicy(terminal=True),
        route.RouteConfiguration(request_headers_to_remove=["a", "", "b"], validate_clusters=False),
        route.RetryPolicy(retriable_status_codes=[1, 300, 70_000], num_retries=0),
        Percent(value=0.25),
        Int64Range(start=-1, end=1 << 40),
        core.HeaderValueOption(append_action=core.HeaderValueOptionHeaderAppendAction.ADD_IF_ABSENT),
    ],
)
def test_messages_of_every_kind_of_field(message: cluster.Cluster) -> None:
    assert encode(message) == bytes(message)
    assert any_of(message) == protobuf.Any.pack(message)


def test_everything_a_mesh_is_given_reads_back_the_same(tmp_path: Path) -> None:
    snapshot = snapshot_of(SHOP + GATEWAY + split(90, 10), tmp_path)
    for key in snapshot.view.workloads:
        proxy = snapshot.proxy(key)
        assert proxy is not None
        for bundle in configuration(proxy, snapshot).values():
            for resource in bundle:
                assert bytes(protobuf.Any.parse(resource.body)) == resource.body
                message = protobuf.Any.parse(resource.body).unpack()
                assert message is not None
                assert encode(message) == bytes(message)
                assert encode(any_of(message)) == resource.body


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 64) - 1))
def test_integers(number: int) -> None:
    written = varint(number)
    value = sum((byte & 0x7F) << (7 * position) for position, byte in enumerate(written))
    assert value == number % (1 << 64)
    assert all(byte & 0x80 for byte in written[:-1])
    assert not written[-1] & 0x80
