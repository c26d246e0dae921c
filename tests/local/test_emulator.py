"""Emulated applications over real sockets: answers, failures, calls and the headers they carry."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from local_helpers import until

from windvane.kit.clock import SystemClock
from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.grpc_face import GrpcFace
from windvane.local.emulator.headers import Header, forwarded
from windvane.local.emulator.host import EmulatorHost
from windvane.local.emulator.http_face import HttpFace
from windvane.local.emulator.plan import EmulatedWorkload, EmulatorPlan
from windvane.local.http1 import HttpClient, Response, SendError, encode_request

A = "127.0.0.1"
Free = Callable[[], int]

W3C = [
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ("baggage", "userId=alice,serverNode=DF%2028"),
]
B3_MULTI = [
    ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
    ("x-b3-spanid", "e457b5a2e4d86bd1"),
    ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
    ("x-b3-sampled", "1"),
    ("x-b3-flags", "0"),
]
B3_SINGLE = [("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90")]
REQUEST_ID = [("x-request-id", "5f0c1c1e-8a3f-9c1e-a7a1-0d9a9f3c2b10")]
FORMATS = {"w3c": W3C, "b3-multi": B3_MULTI, "b3-single": B3_SINGLE, "request-id": REQUEST_ID}


def workload(
    ports: Mapping[int, str],
    emulate: str,
    *,
    name: str = "app",
    proxy: int = 1,
    outbound: Mapping[str, int] | None = None,
) -> EmulatedWorkload:
    return EmulatedWorkload(name, "d", A, proxy, dict(ports), dict(outbound or {}), emulate)


@asynccontextmanager
async def running(*workloads: EmulatedWorkload) -> AsyncIterator[EmulatorHost]:
    host = EmulatorHost(SystemClock(), random.Random(1))
    try:
        assert await host.apply(EmulatorPlan({w.key: w for w in workloads})) == []
        yield host
    finally:
        await host.close()


@asynccontextmanager
async def recording(make: type[HttpFace] | type[GrpcFace], port: int) -> AsyncIterator[list[tuple[str, list[Header]]]]:
    """A listener in the place of a sidecar that writes down what arrives."""
    seen: list[tuple[str, list[Header]]] = []

    async def respond(path: str, headers: list[Header]) -> Answer:
        seen.append((path, headers))
        return Answer(1)

    face = make(A, port, respond)
    await face.start()
    try:
        yield seen
    finally:
        await face.stop()


async def get(port: int, path: str = "/", headers: Sequence[Header] = ()) -> Response:
    client = HttpClient(A, port)
    try:
        return await client.request(encode_request("GET", path, "app", headers))
    finally:
        client.close()


def trace_part(headers: Sequence[Header], sent: Sequence[Header]) -> list[Header]:
    names = {name for name, _ in sent}
    return [(name, value) for name, value in headers if name in names]


@pytest.mark.parametrize("name", FORMATS)
def test_http_calls_carry_each_format_exactly_as_received(name: str, free_port: Free) -> None:
    sent = FORMATS[name]

    async def scenario() -> None:
        port, proxy = free_port(), free_port()
        app = workload({port: "http"}, "latency: 0s\ncalls: [{to: 'http://other.d:80/x?y=1'}]", proxy=proxy)
        async with recording(HttpFace, proxy) as seen, running(app):
            assert (await get(port, "/", sent)).status == 200
        path, headers = seen[0]
        assert path == "http://other.d:80/x?y=1"
        assert ("host", "other.d:80") in headers
        assert trace_part(headers, sent) == sent
        others = {key for format_, pairs in FORMATS.items() if format_ != name for key, _ in pairs}
        assert not others & {key for key, _ in headers}, "nothing may be invented"

    asyncio.run(scenario())


@pytest.mark.parametrize("name", FORMATS)
def test_grpc_calls_carry_each_format_and_so_do_calls_made_for_grpc(name: str, free_port: Free) -> None:
    sent = FORMATS[name]

    async def scenario() -> None:
        front, middle, beyond = free_port(), free_port(), free_port()
        call = "latency: 0s\ncalls: [{to: 'grpc://next:70/s.S/M'}]"
        first = workload({front: "http"}, call, name="first", outbound={"next.d.svc.cluster.local:70": middle})
        second = workload({middle: "grpc"}, call, name="second", outbound={"next.d.svc.cluster.local:70": beyond})
        async with recording(GrpcFace, beyond) as seen, running(first, second):
            assert (await get(front, "/", sent)).status == 200
        path, headers = seen[0]
        assert path == "/s.S/M"
        assert trace_part(headers, sent) == sent

    asyncio.run(scenario())


def test_headers_of_the_application_are_forwarded_only_when_named() -> None:
    received = [("End-User", "jo"), ("cookie", "secret"), ("X-Tenant", "a"), *W3C]
    assert forwarded(received) == tuple(W3C)
    assert forwarded(received, ["end-user", "X-Tenant"]) == (("end-user", "jo"), ("x-tenant", "a"), *W3C)


@pytest.mark.parametrize(
    ("forgetting", "kept"), [("none", []), ("[x-request-id]", ["x-request-id"]), ("0%", []), ("all", None)]
)
def test_an_application_can_forget_headers(forgetting: str, kept: list[str] | None, free_port: Free) -> None:
    sent = [("x-request-id", "r-1"), *W3C]
    expected = [pair for pair in sent if kept is None or pair[0] in kept]

    async def scenario() -> None:
        port, proxy = free_port(), free_port()
        call = f"latency: 0s\ntrace_headers: {forgetting}\ncalls: [{{to: 'http://other.d:80/'}}]"
        async with recording(HttpFace, proxy) as seen, running(workload({port: "http"}, call, proxy=proxy)):
            assert (await get(port, "/", [*sent, ("end-user", "jo")])).status == 200
        assert trace_part(seen[0][1], sent) == expected
        assert ("end-user", "jo") in seen[0][1]

    asyncio.run(scenario())


def test_repeated_headers_stay_repeated_and_in_order() -> None:
    received = [("baggage", "a=1"), ("tracestate", "x=1"), ("baggage", "b=2")]
    assert forwarded(received) == tuple(received)


def test_a_body_has_the_size_asked_for(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s\nresponse: {bytes: 3KiB}")):
            assert len((await get(port)).body) == 3072

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("failure", "expected"), [("{rate: 100%, status: 503}", 503), ("{rate: 100%, grpc_status: NOT_FOUND}", 500)]
)
def test_http_fails_as_told(failure: str, expected: int, free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, f"latency: 0s\nerrors: [{failure}]")):
            assert (await get(port)).status == expected

    asyncio.run(scenario())


def test_a_reset_breaks_the_connection(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s\nerrors: [{rate: 100%, reset: true}]")):
            with pytest.raises(SendError) as error:
                await get(port)
            assert error.value.sent

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ("{rate: 100%, grpc_status: NOT_FOUND}", grpc.StatusCode.NOT_FOUND),
        ("{rate: 100%, status: 503}", grpc.StatusCode.UNAVAILABLE),
        ("{rate: 100%, reset: true}", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_grpc_fails_as_told(failure: str, code: grpc.StatusCode, free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with (
            running(workload({port: "grpc"}, f"latency: 0s\nerrors: [{failure}]")),
            grpc.aio.insecure_channel(f"{A}:{port}", [("grpc.enable_http_proxy", 0)]) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await channel.unary_unary("/s.S/M")(b"x")
            assert error.value.code() == code

    asyncio.run(scenario())


def test_a_share_of_errors_is_that_share(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s\nerrors: [{rate: 20%, status: 500}]")):
            client = HttpClient(A, port)
            request = encode_request("GET", "/", "app", [])
            statuses = [(await client.request(request)).status for _ in range(1500)]
            client.close()
        assert statuses.count(500) / 1500 == pytest.approx(0.2, abs=0.04)

    asyncio.run(scenario())


@pytest.mark.parametrize(("required", "status"), [("true", 500), ("false", 200)])
def test_a_failed_call_fails_the_request_if_it_is_required(required: str, status: int, free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        call = f"{{to: 'http://other:80/', required: {required}}}"
        async with running(workload({port: "http"}, f"latency: 0s\ncalls: [{call}]", proxy=free_port())):
            assert (await get(port)).status == status

    asyncio.run(scenario())


def test_parallel_calls_run_together_and_sequences_one_by_one(free_port: Free) -> None:
    async def scenario(group: str) -> int:
        together, most = 0, 0

        async def respond(_: str, __: list[Header]) -> Answer:
            nonlocal together, most
            together += 1
            most = max(most, together)
            await asyncio.sleep(0.05)  # the time in which the others would arrive
            together -= 1
            return Answer(1)

        port, proxy = free_port(), free_port()
        calls = ", ".join("{to: 'http://o:80/'}" for _ in range(3))
        face = HttpFace(A, proxy, respond)
        await face.start()
        async with running(workload({port: "http"}, f"latency: 0s\ncalls: [{{{group}: [{calls}]}}]", proxy=proxy)):
            await get(port)
        await face.stop()
        return most

    assert asyncio.run(scenario("parallel")) == 3
    assert asyncio.run(scenario("sequence")) == 1


def test_a_database_is_queried_over_kept_connections(free_port: Free) -> None:
    async def scenario() -> None:
        port, db = free_port(), free_port()
        app = workload(
            {port: "http"},
            "latency: 0s\ncalls: [{to: 'tcp://db.d:5432', bytes: 100, response_bytes: 2KiB, times: 5}]",
            outbound={"db.d.svc.cluster.local:5432": db},
        )
        async with running(app, workload({db: "tcp"}, "latency: 0s", name="db")):
            assert (await get(port)).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("line", [b"SELECT 1\n", b"GET x y\n", b"GET 1\n", b"GET 99999999999 0\n", b"\n"])
def test_a_database_answers_nonsense_with_an_error(line: bytes, free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "tcp"}, "latency: 0s")):
            reader, writer = await asyncio.open_connection(A, port)
            writer.write(line)
            assert await reader.read() == b"ERR 0\n"
            writer.close()

    asyncio.run(scenario())


def test_nonsense_on_the_http_port_ends_that_connection_alone(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s")):
            reader, writer = await asyncio.open_connection(A, port)
            writer.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
            assert (await get(port)).status == 200

    asyncio.run(scenario())


def test_an_edit_takes_effect_without_closing_the_port(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s")) as host:
            client = HttpClient(A, port)
            request = encode_request("GET", "/", "app", [])
            assert (await client.request(request)).status == 200
            connection = await client.connect()
            edited = workload({port: "http"}, "latency: 0s\nerrors: [{rate: 100%, status: 500}]")
            assert await host.apply(EmulatorPlan({edited.key: edited})) == []
            assert (await client.request(request, connection)).status == 500
            wrong = workload({port: "http"}, "latncy: 0s")
            assert await host.apply(EmulatorPlan({wrong.key: wrong})) == [
                "app.d: windvane.dev/emulate: latncy: unknown field"
            ]
            assert (await client.request(request)).status == 500, "the last good annotation stays"
            client.close()
            await host.apply(EmulatorPlan())
            with pytest.raises(SendError):
                await get(port)

    asyncio.run(scenario())


def test_an_outage_refuses_connections_and_passes(free_port: Free) -> None:
    async def refused(port: int) -> bool:
        try:
            await get(port)
        except SendError:
            return True
        return False

    async def scenario() -> None:
        port = free_port()
        async with running(workload({port: "http"}, "latency: 0s\noutages: {every: 200ms, for: 200ms}")):
            await until(lambda: refused(port))

            async def answered() -> bool:
                return not await refused(port)

            await until(answered)

    asyncio.run(scenario())


def test_background_calls_are_made_without_any_request(free_port: Free) -> None:
    async def scenario() -> None:
        port, proxy = free_port(), free_port()
        text = "background: [{every: 10ms, calls: [{to: 'http://o:80/tick'}]}]"
        async with recording(HttpFace, proxy) as seen, running(workload({port: "http"}, text, proxy=proxy)):
            await until(lambda: len(seen) >= 3)
        assert {path for path, _ in seen} == {"http://o:80/tick"}

    asyncio.run(scenario())


def test_a_taken_port_leaves_the_rest_running_and_is_told(free_port: Free) -> None:
    async def scenario() -> None:
        good = free_port()
        with socket.create_server((A, 0)) as other:
            bad = other.getsockname()[1]
            host = EmulatorHost(SystemClock(), random.Random(1))
            workloads = [workload({bad: "http"}, "", name="bad"), workload({good: "http"}, "", name="good")]
            problems = await host.apply(EmulatorPlan({w.key: w for w in workloads}))
            assert len(problems) == 1
            assert problems[0].startswith("bad.d: ")
            assert (await get(good)).status == 200
            await host.close()

    asyncio.run(scenario())


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    app = workload({80: "http", 90: "grpc"}, "latency: 1ms", outbound={"a.d.svc.cluster.local:80": 1})
    plan = EmulatorPlan({app.key: app})
    file = tmp_path / "plan.json"
    file.write_bytes(plan.to_json())
    assert EmulatorPlan.load(file) == plan


@pytest.mark.parametrize("host", ["a", "a.d", "a.d.svc.cluster.local"])
def test_services_are_found_by_every_form_of_their_name(host: str) -> None:
    app = workload({}, "", outbound={"a.d.svc.cluster.local:80": 15100})
    assert app.listener(host, 80) == 15100
    assert app.listener(host, 81) is None
