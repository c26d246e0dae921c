"""Made-up sidecars for tests of lost trace context: what each served and called, with the truth about every call."""

from __future__ import annotations

import dataclasses
import random
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from windvane.tracing.model import Span
from windvane.tracing.propagation.calls import Calls, Requests

T0 = 1_790_000_000 * 10**9
MS, SECOND = 10**6, 10**9


@dataclass(frozen=True)
class Workload:
    """How a workload behaves: requests a second, their mean length, what of the calls made for them keep what.

    A request makes one call for a request; `job_ms` is the pause between calls of the workload's own.
    """

    name: str = "cart-v1.shop"
    rate: float = 20.0
    length_ms: float = 50.0
    keeps_trace: float = 1.0
    keeps_request_id: float = 1.0
    job_ms: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request as a sidecar tells of it; `lost` is the truth."""

    node: str
    inbound: bool
    start: int
    length: int
    trace: str
    request: str
    cluster: str
    parent: str = ""
    lost: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def span_id(self) -> str:
        return f"{zlib.crc32(repr((self.node, self.inbound, self.trace)).encode()):016x}"


def node_of(workload: str) -> str:
    return f"sidecar~10.0.0.1~{workload}~{workload.split('.')[1]}.svc.cluster.local"


def traffic(workload: Workload, seed: int, seconds: float = 60.0) -> list[Request]:
    """Everything a workload served and called: arrivals at random, lengths exponential."""
    rng, node, made = random.Random(seed), node_of(workload.name), list[Request]()
    now = rng.expovariate(workload.rate)
    while now < seconds:
        made += _served(rng, workload, node, T0 + round(now * SECOND))
        now += rng.expovariate(workload.rate)
    job = workload.job_ms / 1e3
    at = rng.random() * job
    while job and at < seconds:
        own = _id(rng)
        made.append(Request(node, False, T0 + round(at * SECOND), 3 * MS, own, own[:8], _cluster("reviews")))
        at += job * rng.uniform(0.9, 1.1)
    return made


def _served(rng: random.Random, workload: Workload, node: str, start: int) -> list[Request]:
    length = round(max(1.0, rng.expovariate(1 / workload.length_ms)) * MS)
    inbound = Request(node, True, start, length, _id(rng), _id(rng), "inbound|9080||", parent=_id(rng)[:16])
    keeps = rng.random() < workload.keeps_trace
    own = inbound.trace if keeps else _id(rng)
    request = inbound.request if rng.random() < workload.keeps_request_id else _id(rng)
    parent = inbound.span_id if keeps else ""
    begin = start + int(length * rng.uniform(0.1, 0.5))
    call = Request(node, False, begin, length // 4, own, request, _cluster("reviews"), parent, lost=not keeps)
    return [inbound, call]


def _cluster(service: str) -> str:
    return f"outbound|9080||{service}.shop.svc.cluster.local"


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(128) | 1 << 127:032x}"


def lost_share(requests: Iterable[Request], node: str) -> float:
    """The truth: lost of the calls made for requests (jobs have no parent and are not lost)."""
    calls = [one for one in requests if one.node == node and not one.inbound and (one.parent or one.lost)]
    return sum(one.lost for one in calls) / len(calls)


def columns(requests: Sequence[Request]) -> Calls:
    """What `read_calls` would read of them from access logs."""
    served, made = (_columns([one for one in requests if one.inbound is inbound]) for inbound in (True, False))
    return Calls(served, _columns([]), made, T0 - SECOND, False)


def _columns(chosen: Sequence[Request]) -> Requests:
    def numbers(texts: Iterable[str]) -> Any:
        return np.array([int.from_bytes(_digest(text)) for text in texts], np.uint64)

    start = np.array([one.start for one in chosen], np.int64)
    return Requests(
        numbers(one.node for one in chosen), start, start + np.array([one.length for one in chosen], np.int64),
        np.array([int(one.trace[16:], 16) for one in chosen], np.uint64), numbers(one.request for one in chosen),
        numbers(one.cluster for one in chosen), np.array([one.trace.startswith("0" * 16) for one in chosen], np.bool_),
        np.ones(len(chosen), np.bool_),
    )  # fmt: skip


def _digest(text: str) -> bytes:
    return zlib.crc32(text.encode()).to_bytes(4) + zlib.crc32(text.encode()[::-1]).to_bytes(4)


def entries(requests: Iterable[Request], **more: Any) -> list[dict[str, Any]]:
    """Access-log entries."""
    return [
        {
            "Timestamp": one.start, "NodeId": one.node, "Reporter": "destination" if one.inbound else "source",
            "Kind": "http", "TraceId": one.trace, "RequestId": one.request, "UpstreamCluster": one.cluster,
            "DurationNs": one.length, **more,
        }
        for one in requests
    ]  # fmt: skip


def spans(requests: Iterable[Request]) -> list[Span]:
    """Spans of Envoy's OpenTelemetry tracer."""
    return [
        Span(
            trace_id=one.trace, span_id=one.span_id, parent_id=one.parent, name=one.cluster.split("|")[3] or "in",
            kind="Server" if one.inbound else "Client", service=service_of(one.node), start_ns=one.start,
            duration_ns=one.length, scope_name="envoy", resource={"telemetry.sdk.name": "envoy"},
            attributes={
                "node_id": one.node, "component": "proxy", "guid:x-request-id": one.request,
                "upstream_cluster": one.cluster, **dict(one.attributes),
            },
        )
        for one in requests
    ]  # fmt: skip


def service_of(node: str) -> str:
    """What Istio names the service of a sidecar's spans: app and namespace."""
    name, namespace = node.split("~")[2].split(".")
    return f"{name.rsplit('-', 1)[0]}.{namespace}"


WORKLOADS = (
    Workload("keeps-v1.shop", rate=10),
    Workload("half-v1.shop", rate=4, keeps_trace=0.5, keeps_request_id=1),
    Workload("none-7d9c7bcf9d-x2k4z.shop", rate=4, length_ms=30, keeps_trace=0, keeps_request_id=0),
    Workload("none-7d9c7bcf9d-zzzzz.shop", rate=4, length_ms=30, keeps_trace=0, keeps_request_id=0),
)
HOUR = 3_600 * SECOND
LOGGED, SPANNED = (T0 - 60 * SECOND, T0 + 120 * SECOND), (T0 + HOUR - 60 * SECOND, T0 + HOUR + 120 * SECOND)


def requests(at: int = 0) -> list[Request]:
    """The mesh's traffic of thirty seconds, so much later."""
    every = [one for seed, workload in enumerate(WORKLOADS) for one in traffic(workload, seed + at // HOUR, 30)]
    return [dataclasses.replace(one, start=one.start + at) for one in every]
