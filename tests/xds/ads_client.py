"""A proxy without an Envoy: speaks ADS to a control plane, acknowledging as Envoy does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest, DiscoveryResponse
from envoy_data_plane.google.rpc import Status

from windvane.xds.bootstrap import ADMISSION_HEADER

PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


class AdsClient:
    """One stream; `expect` and `silent` are the assertions."""

    def __init__(self, call: grpc.aio.StreamStreamCall, node_id: str) -> None:
        self._call, self._node = call, Node(id=node_id)

    async def send(self, type_url: str, **fields: object) -> None:
        await self._call.write(bytes(DiscoveryRequest(type_url=type_url, node=self._node, **fields)))

    async def raw(self, body: bytes) -> None:
        await self._call.write(body)

    async def expect(self, type_url: str) -> DiscoveryResponse:
        """The next response, which must be of this type."""
        body = await asyncio.wait_for(self._call.read(), timeout=10)
        assert body is not grpc.aio.EOF, await self._call.details()
        response = DiscoveryResponse.parse(body)
        assert response.type_url == type_url
        return response

    async def ack(self, response: DiscoveryResponse, *names: str) -> None:
        await self.send(
            response.type_url,
            version_info=response.version_info,
            response_nonce=response.nonce,
            resource_names=list(names),
        )

    async def nack(self, response: DiscoveryResponse, reason: str, *names: str, version: str = "") -> None:
        await self.send(
            response.type_url,
            version_info=version,
            response_nonce=response.nonce,
            resource_names=list(names),
            error_detail=Status(code=13, message=reason),
        )

    async def code(self) -> grpc.StatusCode:
        return await asyncio.wait_for(self._call.code(), timeout=10)


@asynccontextmanager
async def ads_client(port: int, node_id: str, token: str = "") -> AsyncIterator[AdsClient]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(PATH)(metadata=[(ADMISSION_HEADER, token)] if token else [])
        try:
            yield AdsClient(call, node_id)
        finally:
            call.cancel()


def names_of(response: DiscoveryResponse) -> set[str]:
    """The names of a response's resources."""
    found = set()
    for resource in response.resources:
        message = resource.unpack()
        found.add(getattr(message, "name", "") or message.cluster_name)
    return found
