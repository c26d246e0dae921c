"""Waits, when a mesh is stopped, until what its sidecars know has reached the server.

An Envoy that ends drops the access-log entries it has buffered (for a second at most). So, after the
traffic, the wait is for conditions: the sidecars write no further entries for longer than they
buffer, as many as they wrote have arrived, and all that had arrived by then is stored. Envoy counts
only entries of requests; those of connections arrive besides, and go on while connections are open.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from prometheus_client.parser import text_string_to_metric_families

from windvane.kit.clock import Clock
from windvane.kit.values import Address
from windvane.local import probes
from windvane.mesh.placement import WorkloadPlace

_WRITTEN = "access_logs.grpc_access_log.logs_written"
_BUFFERED = 1.5
_POLL = 0.2


@dataclass(frozen=True, slots=True)
class Arrived:
    """Access-log entries of a server since it started; `settled` are stored or refused."""

    received: int = 0
    settled: int = 0


async def drained(places: Iterable[WorkloadPlace], server: Address, clock: Clock, within: float = 20.0) -> bool:
    """Wait until the access logs are stored; False when they are not after `within` seconds, or nobody says."""
    proxies, deadline = list(places), clock.monotonic() + within
    last, since = -1, clock.monotonic()
    target: int | None = None
    while clock.monotonic() < deadline:
        written, arrived = await asyncio.gather(_written(proxies), _arrived(server))
        if arrived is None:
            return False
        if written != last:
            last, since, target = written, clock.monotonic(), None
        elif target is None and clock.monotonic() - since > _BUFFERED and arrived.received >= written:
            target = arrived.received
        if target is not None and arrived.settled >= target:
            return True
        await clock.sleep(_POLL)
    return False


async def _written(places: list[WorkloadPlace]) -> int:
    """Entries of requests that the sidecars have written since each started."""
    path = f"/stats?format=json&filter={_WRITTEN}"
    answers = await asyncio.gather(*(probes.get(place.address, place.admin, path) for place in places))
    values = [orjson.loads(answer.body)["stats"] for answer in answers if answer is not None and answer.status == 200]
    return sum(int(stat.get("value", 0)) for stats in values for stat in stats)


async def _arrived(server: Address) -> Arrived | None:
    """What the server counts; None when it does not say."""
    answer = await probes.get(server.host, server.port, "/metrics")
    if answer is None or answer.status != 200:
        return None
    try:
        return count_access_logs(answer.body.decode())
    except ValueError:
        return None


def count_access_logs(exposition: str) -> Arrived:
    """Access-log entries in a server's `/metrics`; ValueError: not exposition text."""
    totals: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.labels.get("signal") == "access_logs" and sample.name.endswith("_total"):
                totals[family.name.removeprefix("windvane_ingest_records_")] += int(sample.value)
    return Arrived(totals["received"], totals["stored"] + totals["refused"])
