"""The control plane: snapshots in, configuration and certificates out to every proxy over ADS.

One gRPC stream a proxy. An edit makes a new snapshot and puts every connected proxy into the push
queue; for each the generators run and the stream sends what differs from what the proxy has.
Certificates are issued when a proxy connects and replaced before they expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView
from windvane.xds.ads import AdsStream, TypeState
from windvane.xds.bootstrap import ADMISSION_HEADER
from windvane.xds.ca import CertificateAuthority
from windvane.xds.certificates import Certificates
from windvane.xds.changes import EVERYTHING, NOTHING, Types, changes
from windvane.xds.configuration import configuration
from windvane.xds.credentials import credentials
from windvane.xds.discovery import Request, parse_request
from windvane.xds.key_sets import KeySets, KeySetStatus
from windvane.xds.proxy import workload_key
from windvane.xds.push import PushQueue
from windvane.xds.resources import SDS, SHORT_NAMES, Bundle
from windvane.xds.snapshot import MeshSettings, Snapshot

log = logging.getLogger(__name__)

SERVICE, METHOD = "envoy.service.discovery.v3.AggregatedDiscoveryService", "StreamAggregatedResources"
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # gRPC cuts off streams that nobody took within 30 s; many proxies that come at once may take longer than that.
    ("grpc.server_max_unrequested_time_in_server", 600),
)


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """`directory` keeps the root certificate and its key; durations are in seconds.

    `debounce` is how long edits must be quiet before a push, `debounce_max` how long an edit waits at most.
    `fetch_keys` lets the key sets that RequestAuthentications name be fetched.
    """

    directory: Path
    mesh: MeshSettings = field(default_factory=MeshSettings)
    listen: Address = Address("127.0.0.1", 15010)
    certificate_lifetime: float = 86_400.0
    debounce: float = 0.05
    debounce_max: float = 0.5
    fetch_keys: bool = True


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """Versions of one type at one proxy ("" for none); `reason` is why `rejected` was rejected."""

    sent: str
    acked: str
    rejected: str
    reason: str
    resources: int


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """A connected proxy.

    `synced`: it has acknowledged all it should have. `known`: the mesh has its workload. `failure` is why
    its configuration could not be made ("" when it could). `types` is keyed cds, eds, lds, rds, sds.
    """

    node_id: str
    key: str
    connected_since_ns: int
    synced: bool
    known: bool
    failure: str = ""
    types: Mapping[str, TypeStatus] = field(default_factory=dict)


class _Connection:
    """One open stream: its protocol state, and the signal that there may be something to send.

    `greeted` is set once it has been offered what the mesh has for it. `pending` are the types that an edit may have
    changed and that were not generated since.
    """

    def __init__(self, node_id: str, since_ns: int) -> None:
        self.node_id, self.key, self.since_ns = node_id, workload_key(node_id), since_ns
        self.handler = asyncio.current_task()
        self.stream = AdsStream()
        self.changed = asyncio.Event()
        self.greeted = asyncio.Event()
        self.known = False
        self.failure = ""
        self.pending: Types = EVERYTHING
        self.behind_since: float | None = None

    @property
    def synced(self) -> bool:
        """Whether the proxy has acknowledged everything that the newest snapshot holds for it."""
        return self.known and not self.pending and self.stream.converged


class ControlPlane:
    """ADS and SDS for every proxy of one mesh."""

    def __init__(self, settings: ControlPlaneSettings, clock: Clock, metrics: Metrics) -> None:
        self._settings, self._clock = settings, clock
        self._metrics = _Instruments(metrics)
        authority = CertificateAuthority(settings.directory, clock, lifetime=settings.certificate_lifetime)
        self._certificates = Certificates(authority, clock)
        self._queue = PushQueue(clock, quiet=settings.debounce, longest=settings.debounce_max)
        self._key_sets = KeySets(clock, self._keys_changed)
        self._given: tuple[MeshView, Placement] | None = None
        self._connections: dict[int, _Connection] = {}
        self._arrivals: asyncio.Queue[_Connection] = asyncio.Queue()
        self.snapshot: Snapshot | None = None
        self.started = asyncio.Event()
        self.port = 0
        self.observer: Callable[[ProxyStatus], None] = lambda _: None
        """Told of a proxy whenever it may have answered to its configuration."""

    def update(self, view: MeshView, placement: Placement) -> None:
        """Make this the mesh; connected proxies get what changed for them. Call it in the loop's thread."""
        before = self.snapshot
        if before is not None and before.view.version == view.version and before.placement == placement:
            return
        if self._settings.fetch_keys:
            self._key_sets.want(view)
        self._given = (view, placement)
        self._publish(view, placement)

    def _keys_changed(self) -> None:
        if self._given is not None:
            self._publish(*self._given)

    def _publish(self, view: MeshView, placement: Placement) -> None:
        before = self.snapshot
        self.snapshot = Snapshot(self._key_sets.filled(view), placement, self._settings.mesh)
        edit, now = changes(before, self.snapshot), self._clock.monotonic()
        concerned: dict[str, None] = {}
        for connection in self._connections.values():
            types = edit.concerning(connection.key)
            if types:
                connection.pending |= types
                connection.behind_since = now if connection.behind_since is None else connection.behind_since
                concerned[connection.key] = None
            else:
                self.observer(_status(connection))  # it has all of what has just become the mesh
        self._queue.add(concerned)

    async def serve(self) -> None:
        """Listen until cancelled; then streams end and proxies keep what they have."""
        server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            self.port = server.add_insecure_port(str(self._settings.listen))
        except RuntimeError as error:
            raise UnavailableError(f"cannot listen for proxies on {self._settings.listen}: {error}") from error
        await server.start()
        self.started.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._greet_forever())
                tasks.create_task(self._push_forever())
                tasks.create_task(self._renew_forever())
                tasks.create_task(self._key_sets.run())
        finally:
            self.started.clear()
            for connection in self._connections.values():
                if connection.handler is not None:
                    connection.handler.cancel()
            await server.stop(grace=0.2)

    def proxies(self) -> list[ProxyStatus]:
        """Connected proxies, by node id."""
        return sorted((_status(each) for each in self._connections.values()), key=lambda status: status.node_id)

    def key_sets(self) -> list[KeySetStatus]:
        """The key sets that are fetched for RequestAuthentications, by URI."""
        return self._key_sets.statuses()

    async def _stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if not self._is_admitted(context):
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, f"the mesh's token is missing or wrong ({ADMISSION_HEADER})"
            )
        connection: _Connection | None = None
        sender: asyncio.Task[None] | None = None
        try:
            async for raw in requests:
                request = parse_request(raw)
                if connection is None:
                    connection = self._connect(request)
                    sender = asyncio.create_task(self._send_forever(connection, context))
                    await connection.greeted.wait()
                self._received(connection, request)
        except BadInputError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        except asyncio.CancelledError:
            log.debug("a proxy's stream has ended")  # the handler is where cancelling ends: nobody above to tell
        finally:
            if connection is not None and sender is not None:
                self._connections.pop(id(connection), None)
                self._metrics.proxies.set(len(self._connections))
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                    await sender

    def _is_admitted(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> bool:
        shown = dict(context.invocation_metadata() or ()).get(ADMISSION_HEADER, "")
        wanted = self._settings.mesh.ads_token
        return not wanted or hmac.compare_digest(str(shown).encode(), wanted.encode())

    def _connect(self, request: Request) -> _Connection:
        connection = _Connection(request.node_id, self._clock.now_ns())
        self._connections[id(connection)] = connection
        self._metrics.proxies.set(len(self._connections))
        self._arrivals.put_nowait(connection)
        return connection

    def _received(self, connection: _Connection, request: Request) -> None:
        if connection.stream.receive(request):
            name, state = SHORT_NAMES[request.type_url], connection.stream.types[request.type_url]
            self._metrics.rejections.labels(name).inc()
            log.warning("%s rejected %s %s: %s", connection.node_id, name, state.rejected, state.reason)
        self._note_convergence(connection)
        connection.changed.set()

    def _note_convergence(self, connection: _Connection) -> None:
        if connection.behind_since is not None and connection.synced:
            self._metrics.convergence.observe(self._clock.monotonic() - connection.behind_since)
            connection.behind_since = None
        self.observer(_status(connection))

    async def _send_forever(self, connection: _Connection, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while True:
            await connection.changed.wait()
            connection.changed.clear()
            for type_url, body in connection.stream.responses():
                self._metrics.responses.labels(SHORT_NAMES[type_url]).inc()
                self._metrics.sent_bytes.inc(len(body))
                await context.write(body)

    async def _greet_forever(self) -> None:
        """Offer to one new proxy after another; between two, streams are taken in and others get their turn."""
        while True:
            connection = await self._arrivals.get()
            if id(connection) in self._connections:
                self._offer(connection)
                connection.greeted.set()
                await asyncio.sleep(0)

    async def _push_forever(self) -> None:
        while True:
            key = await self._queue.next()
            for connection in [each for each in self._connections.values() if each.key == key]:
                self._offer(connection)
            await asyncio.sleep(0)  # generating is work: let others in between two proxies

    async def _renew_forever(self) -> None:
        while True:
            await self._certificates.next_renewal()
            self._certificates.forget_all_but({each.key for each in self._connections.values()})
            for connection in list(self._connections.values()):
                self._offer_secrets(connection)

    def _offer(self, connection: _Connection) -> None:
        """Set what a proxy should have from the newest snapshot; nothing while the mesh does not know it."""
        proxy = self.snapshot.proxy(connection.key) if self.snapshot else None
        connection.known = proxy is not None
        if proxy is None or self.snapshot is None:
            return
        try:
            connection.stream.offer(configuration(proxy, self.snapshot, connection.pending))
            connection.failure, connection.pending = "", NOTHING
        except Exception as error:
            # A defect of a generator must not take the other proxies' control plane away.
            connection.failure = f"{type(error).__name__}: {error}"
            log.exception("no configuration for %s; it keeps what it has", connection.node_id)
        self._offer_secrets(connection)
        self._note_convergence(connection)

    def _offer_secrets(self, connection: _Connection) -> None:
        proxy = self.snapshot.proxy(connection.key) if self.snapshot else None
        if proxy is not None and self.snapshot is not None:
            own = self._certificates.secrets(proxy.workload, self.snapshot.view.trust_domain)
            connection.stream.offer({SDS: Bundle([*own, *credentials(proxy, self.snapshot)])})
            connection.changed.set()


class _Instruments:
    """The control plane's own metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.proxies = metrics.gauge("windvane_xds_proxies", "Proxies connected to the control plane.")
        self.responses = metrics.counter("windvane_xds_responses", "Responses sent to proxies.", ("type",))
        self.sent_bytes = metrics.counter("windvane_xds_sent_bytes", "Bytes of configuration sent to proxies.")
        self.rejections = metrics.counter("windvane_xds_rejections", "Responses that proxies rejected.", ("type",))
        self.convergence = metrics.histogram(
            "windvane_xds_convergence_seconds", "From an edit until a proxy has acknowledged all of it."
        )


def _status(connection: _Connection) -> ProxyStatus:
    stream = connection.stream
    return ProxyStatus(
        node_id=connection.node_id,
        key=connection.key,
        connected_since_ns=connection.since_ns,
        synced=connection.synced,
        known=connection.known,
        failure=connection.failure,
        types={SHORT_NAMES[type_url]: _type_status(state) for type_url, state in stream.types.items()},
    )


def _type_status(state: TypeState) -> TypeStatus:
    return TypeStatus(state.sent, state.acked, state.rejected, state.reason, len(state.held))
