"""Requests of the discovery protocol, as the library writes them, and bytes that are none."""

from __future__ import annotations

import contextlib

import pytest
from envoy_data_plane.envoy.config.core.v3 import Locality, Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest, DiscoveryResponse
from envoy_data_plane.google.protobuf import StringValue, Struct
from envoy_data_plane.google.rpc import Status
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.xds.discovery import Request, parse_request, response
from windvane.xds.resources import CDS, pack

texts = st.text(max_size=20)
requests = st.builds(
    DiscoveryRequest,
    version_info=texts,
    type_url=texts,
    response_nonce=texts,
    resource_names=st.lists(texts, max_size=5, unique=True),
    node=st.none()
    | st.builds(
        Node,
        id=texts,
        cluster=texts,
        metadata=st.just(Struct.from_dict({"LABELS": {"app": "web"}, "number": 1.5})),
        locality=st.builds(Locality, region=texts),
    ),
    error_detail=st.none() | st.builds(Status, code=st.integers(0, 20), message=texts),
)


@settings(max_examples=60, deadline=None)
@given(requests)
def test_a_request_is_read_as_it_was_written(request: DiscoveryRequest) -> None:
    assert parse_request(bytes(request)) == Request(
        type_url=request.type_url,
        version=request.version_info,
        nonce=request.response_nonce,
        names=tuple(request.resource_names),
        node_id=request.node.id if request.node is not None else "",
        rejection=request.error_detail.message if request.error_detail is not None else None,
    )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_a_clear_error(raw: bytes) -> None:
    with contextlib.suppress(BadInputError):
        parse_request(raw)


@pytest.mark.parametrize(
    "raw", [b"\x0a", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\xff" * 12, b"\x0b", b"\x09\x00", b"\x80"]
)
def test_broken_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(BadInputError, match="not a DiscoveryRequest"):
        parse_request(raw)


def test_a_response_is_what_the_library_reads() -> None:
    made = [pack(name, StringValue(value=name * 100)) for name in "ab"]
    read = DiscoveryResponse.parse(response(CDS, made, "v1", "7"))
    assert (read.version_info, read.type_url, read.nonce) == ("v1", CDS, "7")
    assert [each.unpack().value for each in read.resources] == ["a" * 100, "b" * 100]
