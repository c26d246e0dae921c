"""Real Envoys under a real control plane: what passes, what is refused, and that edits lose nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from envoy_data_plane.envoy.data.accesslog.v3 import HttpAccessLogEntry
from tls_secrets import Made, made, tls_secret
from xds_mesh import GATEWAY, SHOP, Mesh, running_mesh, split, until, view_of

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")]

WEB, V1, V2, LEDGER = "web-v1.shop", "reviews-v1.shop", "reviews-v2.shop", "ledger-v1.shop"
INGRESS = "ingress.istio-system"
REVIEWS = "reviews.shop.svc.cluster.local:9080"
IDENTITY = "spiffe://cluster.local/ns/{}/sa/{}"


def peer_authentication(mode: str) -> str:
    return f"""
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: shop}}
spec: {{mtls: {{mode: {mode}}}}}
"""


def url(mesh: Mesh) -> str:
    """Where the web workload's application calls reviews by address."""
    place = mesh.place(WEB)
    return f"http://{place.address}:{place.outbound[REVIEWS]}/"


def run(scenario: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 90))


async def answered(client: httpx.AsyncClient, address: str) -> None:
    """Wait for a 200: Envoy's workers take up a listener a moment after it is acknowledged."""
    for _ in range(500):
        try:
            if (await client.get(address)).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.01)
    raise AssertionError(f"no answer from {address}")


@asynccontextmanager
async def load(address: str) -> AsyncIterator[Counter[str]]:
    """Requests without pause from four clients; the counter tells what they got."""
    results: Counter[str] = Counter()
    going = True

    async def one() -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            while going:
                try:
                    answer = await client.get(address)
                    results[answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}"] += 1
                except httpx.HTTPError as error:
                    results[repr(error)] += 1

    clients = [asyncio.create_task(one()) for _ in range(4)]
    try:
        yield results
    finally:
        going = False
        await asyncio.gather(*clients)


def test_a_request_passes_over_mutual_tls_and_both_sides_report_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        view = view_of(SHOP, tmp_path)
        async with running_mesh(view, tmp_path, WEB, V1, V2) as mesh:
            proxy = f"http://{mesh.place(WEB).address}:{mesh.place(WEB).http_proxy}"
            async with httpx.AsyncClient(proxy=proxy) as client:
                answer = await client.get("http://reviews:9080/a", headers={"x-envoy-peer-metadata": "forged"})
            assert answer.status_code == 200
            seen = mesh.seen[-1]
            assert "x-envoy-peer-metadata" not in seen
            assert f"uri={IDENTITY.format('shop', 'web')}" in seen["x-forwarded-client-cert"]
            assert {"x-request-id", "traceparent"} <= seen.keys()

            logs = mesh.collected.http
            await until(lambda: logs.keys() == {"http_outbound", "http_inbound"})
            client_side, server_side = logs["http_outbound"][0], logs["http_inbound"][0]
            tags = client_side.common_properties.custom_tags
            assert tags["upstream_peer_san"] == IDENTITY.format("shop", "reviews")
            assert tags["upstream_local_san"] == IDENTITY.format("shop", "web")
            assert tags["upstream_cluster"] == "outbound|9080||reviews.shop.svc.cluster.local"
            tags = server_side.common_properties.custom_tags
            assert tags["peer_metadata"] == "web-v1;shop;web;v1;web;v1;Kubernetes"
            peer = server_side.common_properties.tls_properties.peer_certificate_properties
            assert peer.subject_alt_name[0].uri == IDENTITY.format("shop", "web")
            assert tags["trace_id"] == client_side.common_properties.custom_tags["trace_id"]
            assert client_side.request.request_id == server_side.request.request_id == seen["x-request-id"]

            spans = mesh.collected.spans
            await until(lambda: spans.keys() == {"web.shop", "reviews.shop"})
            attributes = {each.key: each.value.string_value for each in spans["reviews.shop"][0].attributes}
            assert attributes["istio.canonical_service"] == "reviews"
            assert attributes["istio.canonical_revision"] in ("v1", "v2")
            assert attributes["istio.namespace"] == "shop"
            assert spans["reviews.shop"][0].parent_span_id == spans["web.shop"][0].span_id
            assert spans["web.shop"][0].name == f"{REVIEWS}/*"

    run(scenario())


def test_strict_refuses_plaintext_and_strangers_permissive_takes_plaintext_without_believing_it(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with running_mesh(view_of(SHOP, tmp_path), tmp_path, WEB, V1, V2) as mesh:
            direct = f"127.0.0.1:{mesh.place(V1).inbound[9080]}/"
            stranger = ssl.create_default_context()
            stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
            async with httpx.AsyncClient(verify=stranger) as client:
                with pytest.raises(httpx.TransportError):
                    await client.get(f"http://{direct}")
                with pytest.raises((httpx.TransportError, ssl.SSLError)):
                    await client.get(f"https://{direct}")
                assert (await client.get(url(mesh))).status_code == 200

                mesh.plane.update(view_of(SHOP + peer_authentication("PERMISSIVE"), tmp_path), mesh.placement)
                await mesh.synced(WEB, V1, V2)
                await answered(client, f"http://{direct}")
                forged = {"x-envoy-peer-metadata": "a;b;c;d;e;f;g", "x-request-id": "the forged one"}
                assert (await client.get(f"http://{direct}", headers=forged)).status_code == 200

                def entries() -> list[HttpAccessLogEntry]:
                    logged = mesh.collected.http.get("http_inbound", [])
                    return [each for each in logged if each.request.request_id == "the forged one"]

                await until(lambda: bool(entries()))
                assert "peer_metadata" not in entries()[0].common_properties.custom_tags
                await answered(client, url(mesh))
                assert "x-forwarded-client-cert" in mesh.seen[-1]

                mesh.plane.update(view_of(SHOP + peer_authentication("DISABLE"), tmp_path), mesh.placement)
                await mesh.synced(WEB, V1, V2)
                await answered(client, f"http://{direct}")
                mesh.seen.clear()
                # Connections that are open stay as they are; requests side by side need new ones.
                answers = await asyncio.gather(*(client.get(url(mesh)) for _ in range(20)))
                assert {each.status_code for each in answers} == {200}
                assert any("x-forwarded-client-cert" not in each for each in mesh.seen)

    run(scenario())


EAST_WEST = """
  servers:
    - port: {number: 15443, name: between-networks, protocol: TLS}
      hosts: ["*.local"]
      tls: {mode: AUTO_PASSTHROUGH}
    - port: {number: 443, name: secured, protocol: HTTPS}
      hosts: [a.example.com]
      tls: {mode: SIMPLE, credentialName: edge}
"""


def edge_secret(certificate: Made) -> str:
    return f"\n---\n{json.dumps(tls_secret('istio-system/edge', certificate))}"


async def served_certificate(port: int) -> bytes:
    """The certificate (DER) that a gateway shows for a.example.com."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="a.example.com")
    session: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return session.getpeercert(binary_form=True) or b""


async def passed_on(mesh: Mesh, port: int, name: str) -> str:
    """What a workload elsewhere in the mesh gets that asks a gateway for a server name with its own certificate."""
    authority = CertificateAuthority(mesh.folder / "ca", SystemClock(), lifetime=3600.0)
    own = authority.issue(IDENTITY.format("far", "away"))
    file = mesh.folder / "away.pem"
    file.write_bytes(own.chain_pem + own.key_pem)
    context = ssl.create_default_context(cadata=authority.root_pem.decode())
    context.check_hostname = False
    context.load_cert_chain(file)
    opened = asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    reader, writer = await asyncio.wait_for(opened, 10)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.rpartition(b"\r\n\r\n")[2].decode()


def test_a_gateway_brings_requests_in_and_what_they_claim_to_be_is_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        text, old, new = SHOP + GATEWAY.replace("  servers:\n", EAST_WEST), made("old"), made("new")
        async with running_mesh(view_of(text + edge_secret(old), tmp_path), tmp_path, INGRESS, V1, V2) as mesh:
            forged = {
                "x-envoy-peer-metadata": "web-v1;shop;web;v1;web;v1;Kubernetes",
                "x-forwarded-client-cert": "By=spiffe://evil",
                "x-request-id": "6a0a5f8e-7a41-4d5a-9b3a-0f7e1c2d3b4a",
            }
            place = mesh.place(INGRESS)
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://{place.address}:{place.inbound[80]}/", headers=forged)
            assert answer.status_code == 200
            assert "evil" not in mesh.seen[-1]["x-forwarded-client-cert"]
            # Envoy writes its sampling decision into one digit of the id; the rest is the caller's.
            assert mesh.seen[-1]["x-request-id"][:14] == forged["x-request-id"][:14]
            await until(lambda: mesh.collected.http.keys() == {"http_gateway", "http_inbound"})
            entry = mesh.collected.http["http_inbound"][0]
            told = entry.common_properties.custom_tags["peer_metadata"]
            assert told.startswith("ingress;istio-system;ingress;latest;")
            await until(lambda: len(mesh.collected.spans.get("ingress.istio-system", [])) == 2)
            assert (
                await passed_on(mesh, place.inbound[15443], "outbound_.9080_.v2_.reviews.shop.svc.cluster.local") == V2
            )
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await passed_on(mesh, place.inbound[15443], "outbound_.9080_.v3_.reviews.shop.svc.cluster.local")
            assert await served_certificate(place.inbound[443]) == old.der
            mesh.plane.update(view_of(text + edge_secret(new), tmp_path), mesh.placement)
            for _ in range(500):
                if await served_certificate(place.inbound[443]) == new.der:
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("an edited Secret has not reached the gateway")
            assert mesh.seen[-1]["x-forwarded-client-cert"].endswith(f"uri={IDENTITY.format('far', 'away')}")

    run(scenario())


def test_tcp_passes_over_mutual_tls_and_reports_while_it_is_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_mesh(view_of(SHOP, tmp_path), tmp_path, WEB, LEDGER) as mesh:
            place = mesh.place(WEB)
            port = place.outbound["ledger.shop.svc.cluster.local:5432"]
            reader, writer = await asyncio.open_connection(place.address, port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert await reader.readuntil(b"ledger-v1.shop")
            logs = mesh.collected.tcp
            await until(lambda: len(logs.get("tcp_outbound", [])) >= 3 and len(logs.get("tcp_inbound", [])) >= 3)
            writer.close()
            peer = logs["tcp_inbound"][0].common_properties.tls_properties.peer_certificate_properties
            assert peer.subject_alt_name[0].uri == IDENTITY.format("shop", "web")
            tags = logs["tcp_outbound"][0].common_properties.custom_tags
            assert tags["upstream_peer_san"] == IDENTITY.format("shop", "ledger")

    run(scenario())


def test_an_edit_of_weights_under_load_moves_every_new_request_and_fails_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        view = view_of(SHOP + split(100, 0), tmp_path)
        async with running_mesh(view, tmp_path, WEB, V1, V2) as mesh, load(url(mesh)) as results:
            await until(lambda: results[V1] > 100)
            assert results.keys() == {V1}
            mesh.plane.update(view_of(SHOP + split(0, 100), tmp_path), mesh.placement)
            await until(lambda: not mesh.plane.proxies()[-1].synced or results[V2] > 0)
            await mesh.synced(WEB)
            before = results[V1]
            await until(lambda: results[V2] > 100)
            # Requests that were under way, one for each client, may still end at v1.
            assert results[V1] - before <= 4
            assert results.keys() == {V1, V2}

    run(scenario())


def test_a_renamed_subset_under_load_fails_no_request(tmp_path: Path) -> None:
    """Its cluster goes and another comes: routes switch only in between."""

    async def scenario() -> None:
        text = SHOP + split(50, 50)
        renamed = text.replace("name: v2, labels", "name: second, labels").replace("subset: v2", "subset: second")
        async with (
            running_mesh(view_of(text, tmp_path), tmp_path, WEB, V1, V2) as mesh,
            load(url(mesh)) as results,
        ):
            for number, version in enumerate((renamed, text, renamed), 1):
                await until(lambda wanted=number * 100: results.total() > wanted)
                mesh.plane.update(view_of(version, tmp_path), mesh.placement)
                await mesh.synced(WEB)
            so_far = results.total()
            await until(lambda: results.total() > so_far + 100)
        assert results.keys() == {V1, V2}

    run(scenario())


def test_certificates_rotated_under_load_fail_no_request(tmp_path: Path) -> None:
    """Half of the requests go over connections that stay, half over new ones, which shake hands with new keys."""
    anew = SHOP.replace(
        "subsets:", "trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 2}}}\n  subsets:"
    )

    async def scenario() -> None:
        async with (
            running_mesh(view_of(anew, tmp_path), tmp_path, WEB, V1, V2, lifetime=4.0) as mesh,
            load(url(mesh)) as results,
        ):
            versions: set[str] = set()

            def rotations() -> int:
                versions.update(each.types["sds"].acked for each in mesh.plane.proxies())
                return len(versions)

            await until(lambda: rotations() >= 12)
        assert results.keys() == {V1, V2}
        assert results.total() > 200
        shown = [each["x-forwarded-client-cert"] for each in mesh.seen]
        assert all(f"uri={IDENTITY.format('shop', 'web')}" in each for each in shown)
        assert len({each.partition("hash=")[2].partition(";")[0] for each in shown}) >= 4

    run(scenario())


def test_a_rejected_listener_leaves_the_old_configuration_working(tmp_path: Path) -> None:
    """A Telemetry filter that is no CEL expression passes our own checks; Envoy has the last word."""

    async def scenario() -> None:
        bad = """
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: default, namespace: shop}
spec:
  accessLogging:
    - providers: [{name: envoy}]
      filter: {expression: "response.code >="}
"""
        async with running_mesh(view_of(SHOP, tmp_path), tmp_path, WEB, V1, V2) as mesh:
            mesh.plane.update(view_of(SHOP + bad, tmp_path), mesh.placement)
            await until(lambda: all(each.types["lds"].rejected for each in mesh.plane.proxies()))
            assert "response.code" in mesh.plane.proxies()[0].types["lds"].reason
            async with httpx.AsyncClient() as client:
                assert (await client.get(url(mesh))).status_code == 200

    run(scenario())
