"""Key sets fetched from URIs: what is refused, what stays in force, and that requests without tokens pass meanwhile."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xds_mesh import SHOP, running_mesh, until, view_of

from windvane.app.control import MeshControl
from windvane.kit.clock import ManualClock, SystemClock
from windvane.kit.errors import WindvaneError
from windvane.local.trial.tokens import Issuer
from windvane.mesh.build import MeshIdentity
from windvane.mesh.checks.authorization import key_set_problems
from windvane.mesh.files import LoadResult
from windvane.xds.authentication import key_of_nobody
from windvane.xds.ca import CertificateAuthority
from windvane.xds.key_sets import REFRESH, KeySets, fetch

ISSUER = Issuer()
V1 = "reviews-v1.shop"
NOTHING = b'{"keys": []}'
Answer = Callable[[], tuple[int, bytes]]


def authentication(*uris: str) -> str:
    rules = "".join(f"\n    - {{issuer: i{number}, jwksUri: {uri}}}" for number, uri in enumerate(uris))
    return f"""
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: shop}}
spec:
  jwtRules:{rules}
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The key set of ISSUER."""
    view = view_of(SHOP + authentication("https://a.example/"), tmp_path_factory.mktemp("keys"))
    return ISSUER.trusted(view).request_authentications[0].spec.jwt_rules[0].jwks


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """An issuer's server on this machine; its URI."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, body = answer()
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nlocation: /\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/keys"
    finally:
        server.close()


async def failure(uri: str, seconds: float = 5.0, verify: ssl.SSLContext | bool = True) -> str:
    """Why a fetch fails; "" when it does not."""
    async with httpx.AsyncClient(verify=verify, follow_redirects=True, max_redirects=3) as client:
        try:
            await fetch(client, uri, seconds)
        except WindvaneError as error:
            return error.message
    return ""


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"", "answered with status 500"),
        (404, NOTHING, "answered with status 404"),
        (302, b"", "TooManyRedirects"),
        (200, b"<html>", "parse jwks error"),
        (200, NOTHING, "with at least one key"),
        (200, b"\xff\xfe", "parse jwks error"),
        (200, b" " * (1024 * 1024 + 1), "more than 1048576 bytes"),
    ],
)
def test_what_is_no_key_set_is_told(status: int, body: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with serving(lambda: (status, body)) as uri:
            assert reason in await failure(uri)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"jwks_uri": "{keys}"}', ""),
        (b"{", "the discovery document is not JSON"),
        (b'["jwks_uri"]', "the discovery document has no jwks_uri"),
        (b'{"jwks_uri": 1}', "the discovery document has no jwks_uri"),
        (b'{"jwks_uri": "file:///etc/passwd"}', "URI scheme 'file' is not supported"),
    ],
)
def test_keys_are_found_by_the_issuers_discovery_document(keys: str, document: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with (
            serving(lambda: (200, keys.encode())) as uri,
            serving(lambda: (200, document.replace(b"{keys}", uri.encode()))) as issuer,
        ):
            found = await failure(f"{issuer}/.well-known/openid-configuration")
            assert (reason in found) if reason else (found == "")

    asyncio.run(scenario())


def test_a_server_that_is_away_or_silent_is_told() -> None:
    async def scenario() -> None:
        assert "ConnectError" in await failure("http://127.0.0.1:1/keys")
        silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        assert await failure(f"http://127.0.0.1:{port}/", 0.05) == "no answer within 0.05 s"
        silent.close()

    asyncio.run(scenario())


def test_https_is_believed_by_the_trust_store_alone(tmp_path: Path, keys: str) -> None:
    made = CertificateAuthority(tmp_path, SystemClock()).issue("spiffe://td/ns/a/sa/b")
    (tmp_path / "cert.pem").write_bytes(made.chain_pem)
    (tmp_path / "key.pem").write_bytes(made.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    trusting = ssl.create_default_context(cadata=CertificateAuthority(tmp_path, SystemClock()).root_pem.decode())
    trusting.check_hostname = False  # our authority names workloads, not hosts

    async def scenario() -> None:
        async with serving(lambda: (200, keys.encode()), context) as uri:
            assert "CERTIFICATE_VERIFY_FAILED" in await failure(uri)
            assert await failure(uri, verify=trusting) == ""

    asyncio.run(scenario())


@settings(max_examples=100, deadline=None)
@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(lambda value: f'{{"keys": {value!r}}}'))
def test_any_text_is_judged(text: str) -> None:
    assert all(isinstance(problem, str) for problem in key_set_problems(text))


def test_keys_are_kept_while_fetches_fail_and_retried_after_growing_pauses(tmp_path: Path, keys: str) -> None:
    async def scenario() -> None:
        clock, changes, answers = ManualClock(), [], [(503, b"")]
        asked: list[float] = []

        def answer() -> tuple[int, bytes]:
            asked.append(clock.monotonic())
            return answers[0]

        async with serving(answer) as uri:
            view = view_of(SHOP + authentication(uri), tmp_path)
            sets = KeySets(clock, lambda: changes.append(1))
            sets.want(view)
            running = asyncio.create_task(sets.run())
            try:
                for seconds in (0, 1, 2, 4):
                    clock.advance(seconds)
                    await until(lambda: sets.statuses()[0].failure != "" and not _busy(asked, clock))
                assert asked == [0, 1, 3, 7]
                assert not changes
                assert sets.filled(view).request_authentications[0].spec.jwt_rules[0].jwks == ""
                answers[0] = (200, keys.encode())
                clock.advance(8)
                await until(lambda: sets.statuses()[0].failure == "")
                assert changes == [1]
                answers[0] = (200, b"nonsense")
                await until(lambda: _sleeps(clock))
                clock.advance(REFRESH)
                await until(lambda: "parse jwks error" in sets.statuses()[0].failure)
                assert changes == [1]
                held = json.loads(sets.filled(view).request_authentications[0].spec.jwt_rules[0].jwks)["keys"]
                assert held == [*json.loads(keys)["keys"], key_of_nobody()]
                assert sets.statuses()[0].fetched_ns > 0
                sets.want(view_of(SHOP, tmp_path))
                assert sets.statuses() == []
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    def _busy(asked: list[float], clock: ManualClock) -> bool:
        return not asked or asked[-1] != clock.monotonic() or not _sleeps(clock)

    def _sleeps(clock: ManualClock) -> bool:
        return any(not woken.done() for _, _, woken in clock._sleepers)

    asyncio.run(asyncio.wait_for(scenario(), 30))


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_a_real_envoy_serves_while_keys_are_missing_and_takes_them_when_they_come(tmp_path: Path, keys: str) -> None:
    async def scenario() -> None:
        answers: list[tuple[int, bytes]] = [(503, b"")]
        async with serving(lambda: answers[0]) as uri:
            view = view_of(SHOP + authentication(uri), tmp_path)
            async with running_mesh(view, tmp_path, "web-v1.shop", V1) as mesh, httpx.AsyncClient() as client:
                place = mesh.place("web-v1.shop")
                address = f"http://{place.address}:{place.outbound['reviews.shop.svc.cluster.local:9080']}/"
                token = {"authorization": f"Bearer {ISSUER.token(view, {})}"}

                async def status(headers: dict[str, str]) -> int:
                    return (await client.get(address, headers=headers)).status_code

                assert await status({}) == 200
                assert await status(token) == 401
                [problem] = mesh.plane.key_sets()
                assert (problem.failure, problem.fetched_ns) == ("answered with status 503", 0)
                control = MeshControl((), None, MeshIdentity(), SystemClock(), mesh.plane)
                control.result = LoadResult(view)
                [found] = control.findings()
                assert (found.code, found.path) == ("WV0304", "spec.jwtRules[0].jwksUri")
                assert "its tokens are refused" in found.message

                # What looks like keys and is none takes no listener away either.
                answers[0] = (200, b'{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]}')
                await until(lambda: mesh.plane.key_sets()[0].failure == "")
                await mesh.synced("web-v1.shop", V1)
                assert await status({}) == 200
                assert await status(token) == 401
                assert control.findings() == []

                answers[0] = (200, keys.encode())
                mesh.plane.update(view_of(SHOP + authentication(f"{uri}?2"), tmp_path), mesh.placement)
                await until(lambda: mesh.plane.key_sets()[0].fetched_ns > 0)
                await mesh.synced("web-v1.shop", V1)
                while await status(token) != 200:  # Envoy takes a listener over after it said that it has it
                    await asyncio.sleep(0.01)
                assert await status({"authorization": f"{token['authorization']}x"}) == 401
                assert control.findings() == []

    asyncio.run(asyncio.wait_for(scenario(), 90))
