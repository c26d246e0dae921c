"""Requests sent through a running mesh, each followed from who asked to who answered.

Requests and calls are known again by their request id, connections by the addresses of their two ends.
"""

from __future__ import annotations

import asyncio
import struct
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from envoy_data_plane.envoy.config.core.v3 import Address as EnvoyAddress
from envoy_data_plane.envoy.data.accesslog.v3 import (
    AccessLogCommon,
    AccessLogType,
    HttpAccessLogEntry,
    TcpAccessLogEntry,
)

from windvane.kit.values import Address
from windvane.local.http1 import HttpClient, Response, SendError, encode_request
from windvane.local.trial.asking import Asked, Header
from windvane.local.trial.client_tls import client_context
from windvane.local.trial.echo import CONNECTION, Heard
from windvane.local.trial.http2 import Http2Client
from windvane.local.trial.mesh import Reported, TrialMesh
from windvane.local.trial.route_names import Rule
from windvane.xds.authorization import guards
from windvane.xds.proxy import Proxy, workload_key

REQUEST_ID = "x-request-id"
AT_ONCE = 16
_LOGS_WAIT = 5.0
_CONNECTION_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class Errand:
    """A request, who makes it (the key of a workload), and how often."""

    client: str
    asked: Asked
    times: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """What one proxy's access log told: its common part, and Envoy's word for what became of the request."""

    common: AccessLogCommon
    details: str

    def tag(self, name: str) -> str:
        """One of the values that proxies are made to tell beside."""
        return self.common.custom_tags.get(name, "")

    @property
    def flags(self) -> str:
        """Envoy's response flags; empty for none."""
        return self.tag("response_flags").strip("-")

    @property
    def peer(self) -> str:
        """The identity of who connected as mutual TLS proved it; empty for plaintext."""
        properties = self.common.tls_properties
        peer = properties.peer_certificate_properties if properties else None
        return next((name.uri for name in peer.subject_alt_name if name.uri), "") if peer else ""


@dataclass(frozen=True, slots=True)
class Followed:
    """One request: the answer or why there was none, seconds it took, what each side told of it.

    `workload` is whose sidecar got it, whether or not its application did (`heard`). The answer of a connection
    has status 0. `rule` is the VirtualService's rule of its route, `route` the route's name. Envoy does not tell which
    rule let a connection through: `only_rule` is Envoy's name of it where there is only one.
    """

    response: Response | None
    failure: str
    seconds: float
    client: Told | None
    server: Told | None
    workload: str
    heard: Heard | None
    mirrored: tuple[Heard, ...] = ()
    route: str = ""
    rule: Rule | None = None
    only_rule: str = ""

    @property
    def status(self) -> int:
        """HTTP's; 0 for a connection and where there was no answer."""
        return self.response.status if self.response else 0

    @property
    def grpc_status(self) -> str:
        """gRPC's, a number; empty where none was told."""
        return dict(self.response.headers).get("grpc-status", "") if self.response else ""

    @property
    def workload_name(self) -> str:
        """Who answered or refused it."""
        return self.heard.workload if self.heard else self.workload

    @property
    def cluster(self) -> str:
        """Where the asking proxy sent it."""
        return self.client.tag("upstream_cluster") if self.client else ""

    @property
    def flags(self) -> str:
        """Response flags of the asking proxy."""
        return self.client.flags if self.client else ""

    @property
    def details(self) -> str:
        """Envoy's word for what became of it, of the side that decided."""
        served, asked = (side.details if side else "" for side in (self.server, self.client))
        return served if served not in ("", "via_upstream") else asked


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came back for one request, by its id; `client` made it; `port` is the connection's own where it was one.

    A TLS connection whose handshake fails is no request: nobody tells of it (`is_told`).
    """

    identity: str
    response: Response | None
    failure: str
    seconds: float
    port: int = 0
    is_told: bool = True
    client: str = ""


async def ask(mesh: TrialMesh, asker: str, asked: Asked, times: int) -> list[Followed]:
    """Send one request so many times and follow each; access logs are waited for. One call at a time a mesh."""
    return (await send(mesh, [Errand(asker, asked, times)]))[0]


async def send(mesh: TrialMesh, errands: Sequence[Errand], at_once: int = AT_ONCE) -> list[list[Followed]]:
    """Send all requests, so many at once, and follow each: for every errand what became of its requests."""
    mesh.reported.clear()
    gate = asyncio.Semaphore(at_once)
    with ExitStack() as stack:
        doors = _Doors(mesh, stack, at_once)

        async def one(errand: Errand) -> _Sent:
            async with gate:
                return replace(await doors.send(errand), client=errand.client)

        sent = await asyncio.gather(*(one(errand) for errand in errands for _ in range(errand.times)))
    await _logs(mesh, sent)
    followed = iter(_joined(mesh, sent))
    return [[next(followed) for _ in range(errand.times)] for errand in errands]


class _Doors:
    """Clients of the places where requests enter, one a place."""

    def __init__(self, mesh: TrialMesh, stack: ExitStack, at_once: int) -> None:
        self._mesh, self._stack, self._at_once = mesh, stack, at_once
        self._http1: dict[tuple[Address, bool, str, str], HttpClient] = {}
        self._http2: dict[Address, Http2Client] = {}

    async def send(self, errand: Errand) -> _Sent:
        """Send it once."""
        proxy, asked = self._mesh.proxy(errand.client), errand.asked
        door = self._mesh.door(proxy, asked)
        identity = dict(asked.headers).get(REQUEST_ID) or str(uuid.uuid4())
        began = time.perf_counter()
        if asked.kind == "tcp":
            return await _connection(door, identity, asked.body)
        try:
            response = await self._request(proxy, door, asked, identity)
        except SendError as error:
            return _Sent(identity, None, str(error), time.perf_counter() - began, is_told=not asked.tls)
        return _Sent(identity, response, "", time.perf_counter() - began)

    async def _request(self, proxy: Proxy, door: Address, asked: Asked, identity: str) -> Response:
        headers = [*asked.headers]
        if all(name != REQUEST_ID for name, _ in headers):
            headers.append((REQUEST_ID, identity))
        if asked.kind == "grpc":
            if door not in self._http2:
                self._http2[door] = self._stack.enter_context(closing(Http2Client(door.host, door.port)))
            body = b"\0" + struct.pack(">I", len(asked.body)) + asked.body
            return await self._http2[door].request("POST", asked.authority, asked.path, _grpc(headers), body)
        key = (door, asked.tls, asked.certificate, asked.host if asked.tls else "")
        if key not in self._http1:
            secured = client_context(self._mesh.snapshot.view, asked.certificate) if asked.tls else None
            client = HttpClient(door.host, door.port, idle=self._at_once, tls=secured, server_name=asked.host)
            self._http1[key] = self._stack.enter_context(closing(client))
        whole = asked.path if proxy.role == "router" else f"http://{asked.authority}{asked.path}"
        return await self._http1[key].request(encode_request(asked.method, whole, asked.authority, headers, asked.body))


def _grpc(headers: Iterable[Header]) -> list[Header]:
    given = dict(headers)
    own = [("content-type", "application/grpc"), ("te", "trailers")]
    return [*given.items(), *(each for each in own if each[0] not in given)]


async def _connection(door: Address, identity: str, body: bytes) -> _Sent:
    """Connect, say a line, and read the line that the application answers."""
    began, port, failure, answer = time.perf_counter(), 0, "", b""
    try:
        async with asyncio.timeout(_CONNECTION_WAIT):
            reader, writer = await asyncio.open_connection(door.host, door.port)
            port = writer.get_extra_info("sockname")[1]
            with closing(writer):
                writer.write(CONNECTION + identity.encode() + b" " + str(len(body)).encode() + b"\n" + body)
                answer = await reader.readline()
    except TimeoutError:
        failure = f"no answer within {_CONNECTION_WAIT:.0f} s"
    except OSError as error:
        failure = f"the connection broke: {error}"
    if not failure and not answer:
        failure = "the connection was closed without an answer"
    response = Response(0, (), answer) if answer else None
    return _Sent(identity, response, failure, time.perf_counter() - began, port)


async def _logs(mesh: TrialMesh, sent: Sequence[_Sent]) -> None:
    """Wait until the asking proxies have told of every request, and those that were asked of theirs."""
    requests = [each for each in sent if each.port == 0 and each.is_told]
    connections = [each.port for each in sent if each.port]
    deadline = time.monotonic() + _LOGS_WAIT
    while time.monotonic() < deadline:
        if _all_told(mesh, requests) and _all_ended(mesh.reported, connections):
            return
        await asyncio.sleep(0.02)


def _all_told(mesh: TrialMesh, sent: Sequence[_Sent]) -> bool:
    """Whether everybody on the way told of every request: who asked, gateways in between, who served."""
    asking = [entry for _, entry in mesh.reported.asking]
    clients = {each.client for each in sent}
    asked = sum(workload_key(node) in clients for node, _ in mesh.reported.asking)
    # What an authorizer was asked is told of as well: its answers are not counted.
    served = sum(
        not _is_mirrored(entry) and workload_key(node) not in mesh.authorizers for node, entry in mesh.reported.serving
    )
    upstream = [_upstream_role(mesh, entry) for entry in asking]
    told_by_gateways = len(asking) >= len(sent) + upstream.count("router")
    return asked >= len(sent) and told_by_gateways and served >= upstream.count("sidecar")


def _all_ended(reported: Reported, ports: Sequence[int]) -> bool:
    """Whether both ends of every connection are told, of those that reached another proxy."""
    by_client, by_server = _by_client(reported.tcp_asking), _by_client(reported.tcp_serving)
    for port in ports:
        entry = by_client.get(port)
        if entry is None:
            return False
        upstream = _port(entry[1].common_properties.upstream_local_address) if entry[1].common_properties else 0
        if upstream and upstream not in by_server and _has_sidecar(entry[1].common_properties):
            return False
    return True


def _has_sidecar(common: AccessLogCommon | None) -> bool:
    """Whether the upstream proved an identity: it has a proxy, which tells of the connection too."""
    return bool(common and common.custom_tags.get("upstream_peer_san", "").strip("-"))


def _upstream_role(mesh: TrialMesh, entry: HttpAccessLogEntry) -> str:
    """What proxy the upstream that answered has: a sidecar, a gateway (`router`), or none."""
    common = entry.common_properties
    host = common.custom_tags.get("upstream_cluster", "").rpartition("|")[2] if common else ""
    service = mesh.snapshot.view.services.get(host)
    answered = entry.response is not None and entry.response.response_code_details == "via_upstream"
    others = [key for key in service.workloads if key not in mesh.authorizers] if service is not None else []
    proxies = map(mesh.snapshot.proxy, others) if answered else ()
    return next((proxy.role for proxy in proxies if proxy is not None), "")


def _joined(mesh: TrialMesh, sent: Sequence[_Sent]) -> list[Followed]:
    """Each answer with what was told of it."""
    reported = mesh.reported
    # A gateway in between tells of the same request: whoever sent it says where it went first.
    asking = {(_id_of(entry), workload_key(node)): entry for node, entry in reported.asking}
    serving = {_id_of(entry): each for each in reported.serving if not _is_mirrored(entry := each[1])}
    connecting, connected = _by_client(reported.tcp_asking), _by_client(reported.tcp_serving)
    heard: dict[str, list[Heard]] = {}
    for request in reported.heard:
        heard.setdefault(_lasting(dict(request.headers).get(REQUEST_ID, "")), []).append(request)
    followed = []
    for each in sent:
        identity = _lasting(each.identity)
        if each.port:
            ends = _ends(each.port, connecting, connected)
        else:
            node, served = serving.get(identity, ("", None))
            ends = _Ends(_told(asking.get((identity, each.client))), _told(served), node)
        followed.append(_followed(mesh, each, ends, heard.get(identity, [])))
    return followed


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the two proxies told, and the node of the second."""

    client: Told | None
    server: Told | None
    node: str


def _followed(mesh: TrialMesh, sent: _Sent, ends: _Ends, heard: Sequence[Heard]) -> Followed:
    real = [one for one in heard if not _shadow(one.authority)]
    told = ends.client.common.route_name if ends.client else ""
    return Followed(
        response=sent.response,
        failure=sent.failure,
        seconds=sent.seconds,
        client=ends.client,
        server=ends.server,
        workload=workload_key(ends.node) if ends.node else "",
        heard=real[-1] if real else None,
        mirrored=tuple(one for one in heard if _shadow(one.authority)),
        route=mesh.routes.name(told),
        rule=mesh.routes.rule(told),
        only_rule=_only_rule(mesh, real[-1].workload) if sent.port and real else "",
    )


def _only_rule(mesh: TrialMesh, workload: str) -> str:
    """Of a connection that was let through: the rule that did, where just one could."""
    proxy = mesh.snapshot.proxy(workload)
    allowing = [one for one in guards(proxy, mesh.snapshot) if one.action == "ALLOW"] if proxy else []
    return allowing[0].policy if len(allowing) == 1 and not allowing[0].dry_run else ""


def _ends(
    port: int, connecting: dict[int, tuple[str, TcpAccessLogEntry]], connected: dict[int, tuple[str, TcpAccessLogEntry]]
) -> _Ends:
    """Of a connection, by the port that the client connected from."""
    client = connecting[port][1].common_properties if port in connecting else None
    upstream = _port(client.upstream_local_address) if client else 0
    node, entry = connected.get(upstream, ("", None))
    server = entry.common_properties if entry else None
    told = [Told(end, end.connection_termination_details) if end else None for end in (client, server)]
    return _Ends(told[0], told[1], node)


def _by_client(entries: Iterable[tuple[str, TcpAccessLogEntry]]) -> dict[int, tuple[str, TcpAccessLogEntry]]:
    """Entries by the port that the client connected from: the last of a connection, once it has ended."""
    found = {}
    for node, entry in entries:
        common = entry.common_properties
        if common is not None and common.access_log_type == AccessLogType.TcpConnectionEnd:
            found[_port(common.downstream_direct_remote_address or common.downstream_remote_address)] = (node, entry)
    return found


def _port(address: EnvoyAddress | None) -> int:
    return address.socket_address.port_value or 0 if address and address.socket_address else 0


def _told(entry: HttpAccessLogEntry | None) -> Told | None:
    if entry is None or entry.common_properties is None:
        return None
    return Told(entry.common_properties, entry.response.response_code_details if entry.response else "")


def _id_of(entry: HttpAccessLogEntry) -> str:
    return _lasting(entry.request.request_id) if entry.request else ""


def _lasting(request_id: str) -> str:
    """The id without its version, in which Envoy writes whether the request is traced."""
    return request_id[:14] + request_id[15:]


def _is_mirrored(entry: HttpAccessLogEntry) -> bool:
    return _shadow(entry.request.authority if entry.request else "")


def _shadow(authority: str) -> bool:
    """Envoy adds `-shadow` to the host of a mirrored request."""
    return authority.partition(":")[0].endswith("-shadow")
