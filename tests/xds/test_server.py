"""The ADS server as a proxy meets it: over gRPC, with mesh edits in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from ads_client import AdsClient, ads_client, names_of
from xds_mesh import SHOP, fixed_placement, split, until, view_of

from windvane.kit.clock import Clock, ManualClock, SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.placement import Placement
from windvane.xds.resources import CDS, EDS, LDS, RDS, SDS
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings

WEB = "sidecar~127.1.0.4~web-v1.shop~shop.svc.cluster.local"
TABLE = "reviews.shop.svc.cluster.local:9080"
ELSEWHERE = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: elsewhere, namespace: other}
spec: {mtls: {mode: DISABLE}}
"""


@asynccontextmanager
async def plane(
    folder: Path, text: str = SHOP, clock: Clock | None = None, token: str = ""
) -> AsyncIterator[ControlPlane]:
    metrics = Metrics()
    mesh = MeshSettings(ads_token=token)
    settings = ControlPlaneSettings(folder / "ca", mesh, Address("127.0.0.1", 0), debounce=0.01)
    made = ControlPlane(settings, clock or SystemClock(), metrics)
    edit(made, folder, text)
    serving = asyncio.create_task(made.serve())
    try:
        await asyncio.wait_for(made.started.wait(), 10)
        yield made
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def edit(made: ControlPlane, folder: Path, text: str) -> None:
    view = view_of(text, folder)
    made.update(view, fixed_placement(view))


async def sync(client: AdsClient) -> None:
    """Take everything a sidecar asks for, in Envoy's order, and acknowledge it."""
    await client.send(CDS)
    clusters = await client.expect(CDS)
    await client.ack(clusters)
    endpoints = sorted(name for name in names_of(clusters) if name.startswith("outbound"))
    await client.send(EDS, resource_names=endpoints)
    await client.ack(await client.expect(EDS), *endpoints)
    await client.send(LDS)
    await client.ack(await client.expect(LDS))
    await client.send(RDS, resource_names=[TABLE])
    await client.ack(await client.expect(RDS), TABLE)


async def synced(made: ControlPlane) -> None:
    await until(lambda: bool(made.proxies()) and all(each.synced for each in made.proxies()))


def test_a_proxy_gets_its_configuration_and_is_seen_in_sync(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            status = made.proxies()[0]
            assert (status.node_id, status.key, status.known) == (WEB, "web-v1.shop", True)
            assert {name: state.acked == state.sent != "" for name, state in status.types.items()} == {
                "cds": True,
                "eds": True,
                "lds": True,
                "rds": True,
                "sds": False,
            }

    asyncio.run(scenario())


def test_an_edit_of_weights_sends_routes_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(90, 10)) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            edit(made, tmp_path, SHOP + split(0, 100))
            routes = await client.expect(RDS)
            assert names_of(routes) == {TABLE}
            await client.ack(routes, TABLE)
            await synced(made)

    asyncio.run(scenario())


def test_nothing_is_sent_when_nothing_changed_for_a_proxy(tmp_path: Path) -> None:
    """A new gateway is nothing to a sidecar: the next thing it hears is the edit after it."""

    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(50, 50)) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            before = made.proxies()[0]
            edit(made, tmp_path, SHOP + split(50, 50) + "---\n" + ELSEWHERE)
            edit(made, tmp_path, SHOP + split(50, 50))
            await asyncio.sleep(0)
            edit(made, tmp_path, SHOP + split(40, 60))
            routes = await client.expect(RDS)
            await client.ack(routes, TABLE)
            await synced(made)
            after = made.proxies()[0]
            changed = {name for name in before.types if before.types[name].sent != after.types[name].sent}
            assert changed == {"rds"}

    asyncio.run(scenario())


def test_the_observer_is_told_of_edits_that_concern_a_proxy_and_of_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(50, 50)) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            told: list[bool] = []
            made.observer = lambda status: told.append(status.synced)
            edit(made, tmp_path, SHOP + split(50, 50) + "---\n" + ELSEWHERE)
            assert told == [True]
            edit(made, tmp_path, SHOP + split(40, 60) + "---\n" + ELSEWHERE)
            routes = await client.expect(RDS)
            assert True not in told[1:]
            await client.ack(routes, TABLE)
            await until(lambda: told[-1])

    asyncio.run(scenario())


def test_a_rejection_is_recorded_with_its_reason_and_mended_by_the_next_edit(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(90, 10)) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            accepted = made.proxies()[0].types["rds"].acked
            edit(made, tmp_path, SHOP + split(80, 20))
            bad = await client.expect(RDS)
            await client.nack(bad, "weights too odd", TABLE, version=accepted)
            await until(lambda: made.proxies()[0].types["rds"].reason != "")
            status = made.proxies()[0]
            rds = status.types["rds"]
            assert (rds.acked, rds.rejected, rds.reason) == (accepted, bad.version_info, "weights too odd")
            assert not status.synced
            edit(made, tmp_path, SHOP + split(70, 30))
            await client.ack(await client.expect(RDS), TABLE)
            await synced(made)
            assert made.proxies()[0].types["rds"].reason == ""

    asyncio.run(scenario())


def test_a_proxy_that_reconnects_is_told_only_what_it_missed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(90, 10)) as made:
            async with ads_client(made.port, WEB) as client:
                await sync(client)
                await synced(made)
                held = {name: state.acked for name, state in made.proxies()[0].types.items()}
            await until(lambda: not made.proxies())
            edit(made, tmp_path, SHOP + split(0, 100))
            async with ads_client(made.port, WEB) as client:
                await client.send(CDS, version_info=held["cds"])
                await client.send(LDS, version_info=held["lds"])
                await client.send(RDS, version_info=held["rds"], resource_names=[TABLE])
                routes = await client.expect(RDS)
                await client.ack(routes, TABLE)
                await synced(made)

    asyncio.run(scenario())


def test_a_restarted_control_plane_has_nothing_to_say_to_a_proxy_in_sync(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            held = made.proxies()[0].types["cds"].acked
        async with plane(tmp_path) as made, ads_client(made.port, WEB) as client:
            await client.send(CDS, version_info=held)
            await synced(made)
            await client.send(SDS, resource_names=["ROOTCA"])
            assert names_of(await client.expect(SDS)) == {"ROOTCA"}

    asyncio.run(scenario())


def test_a_certificate_is_replaced_before_it_expires(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        async with plane(tmp_path, clock=clock) as made, ads_client(made.port, WEB) as client:
            await client.send(SDS, resource_names=["default", "ROOTCA"])
            first = await client.expect(SDS)
            assert names_of(first) == {"default", "ROOTCA"}
            await client.ack(first, "default", "ROOTCA")
            await until(lambda: made.proxies()[0].types["sds"].acked != "")
            clock.advance(15 * 3600)
            second = await client.expect(SDS)
            assert names_of(second) == {"default"}

    asyncio.run(scenario())


def test_a_workload_the_mesh_does_not_know_yet_gets_its_configuration_when_it_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path) as made, ads_client(made.port, WEB) as client:
            view = view_of(SHOP, tmp_path)
            made.update(view, Placement())
            await client.send(CDS)
            await until(lambda: len(made.proxies()) == 1)
            assert not made.proxies()[0].known
            made.update(view, fixed_placement(view))
            await client.expect(CDS)
            assert made.proxies()[0].known

    asyncio.run(scenario())


@pytest.mark.parametrize("node_id", ["", "web-v1.shop", "sidecar~a~b~c~d", "pod~1~web-v1.shop~x"])
def test_a_node_id_that_is_none_is_refused(tmp_path: Path, node_id: str) -> None:
    async def scenario() -> None:
        async with plane(tmp_path) as made, ads_client(made.port, node_id) as client:
            await client.send(CDS)
            assert await client.code() == grpc.StatusCode.INVALID_ARGUMENT

    asyncio.run(scenario())


@pytest.mark.parametrize("shown", ["", "another"])
def test_who_does_not_know_the_token_gets_no_keys(tmp_path: Path, shown: str) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, token="secret") as made:
            async with ads_client(made.port, WEB, token=shown) as stranger:
                with suppress(grpc.aio.AioRpcError):  # may have been told already
                    await stranger.send(SDS, resource_names=["default"])
                assert await stranger.code() == grpc.StatusCode.UNAUTHENTICATED
            async with ads_client(made.port, WEB, token="secret") as client:
                await client.send(SDS, resource_names=["default"])
                assert names_of(await client.expect(SDS)) == {"default"}

    asyncio.run(scenario())


def test_bytes_that_are_no_request_end_their_stream_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plane(tmp_path) as made, ads_client(made.port, WEB) as good:
            await sync(good)
            for garbage in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x03\x0a\x01\xff"):
                async with ads_client(made.port, WEB) as bad:
                    await bad.raw(garbage)
                    assert await bad.code() == grpc.StatusCode.INVALID_ARGUMENT
            await until(lambda: len(made.proxies()) == 1)
            await synced(made)

    asyncio.run(scenario())


def test_a_generator_that_fails_leaves_the_proxy_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with plane(tmp_path, SHOP + split(90, 10)) as made, ads_client(made.port, WEB) as client:
            await sync(client)
            await synced(made)
            with monkeypatch.context() as patch:
                patch.setattr("windvane.xds.server.configuration", _broken)
                edit(made, tmp_path, SHOP + split(10, 90))
                await until(lambda: made.proxies()[0].failure != "")
            assert made.proxies()[0].failure == "RuntimeError: a defect"
            edit(made, tmp_path, SHOP + split(20, 80))
            await client.ack(await client.expect(RDS), TABLE)
            await synced(made)
            assert made.proxies()[0].failure == ""

    asyncio.run(scenario())


def _broken(*_: object) -> None:
    raise RuntimeError("a defect")
