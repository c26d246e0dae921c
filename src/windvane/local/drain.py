"""Waits, when a mesh is stopped, until what its sidecars know has reached the server.

An Envoy that ends drops the access-log entries it has buffered. So, after the traffic, the wait is
for a condition: every entry that the sidecars wrote is stored by the server, by the two sides' own
counts; or, where a sidecar was restarted and its count is lost, neither count moves any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
from prometheus_client.parser import text_string_to_metric_families

from windvane.kit.clock import Clock
from windvane.kit.values import Address
from windvane.local import probes
from windvane.mesh.placement import WorkloadPlace

_WRITTEN = "access_logs.grpc_access_log.logs_written"
_STEADY = 3.0
_POLL = 0.2


async def drained(places: Iterable[WorkloadPlace], server: Address, clock: Clock, within: float = 15.0) -> bool:
    """Wait until the access logs are stored; False when they still come in after `within` seconds."""
    proxies = list(places)
    deadline = clock.monotonic() + within
    since: float = clock.monotonic()
    last: tuple[int, int | None] = (0, None)
    while clock.monotonic() < deadline:
        written, stored = await asyncio.gather(_written(proxies), _stored(server))
        if stored is None or written == stored:
            return stored is not None
        if (written, stored) != last:
            since, last = clock.monotonic(), (written, stored)
        elif clock.monotonic() - since > _STEADY:
            return True
        await clock.sleep(_POLL)
    return False


async def _written(places: list[WorkloadPlace]) -> int:
    """Entries that the sidecars have written since each started."""
    path = f"/stats?format=json&filter={_WRITTEN}"
    answers = await asyncio.gather(*(probes.get(place.address, place.admin, path) for place in places))
    values = [orjson.loads(answer.body)["stats"] for answer in answers if answer is not None and answer.status == 200]
    return sum(int(stat.get("value", 0)) for stats in values for stat in stats)


async def _stored(server: Address) -> int | None:
    """Entries that the server has stored or refused since it started; None when it does not say."""
    answer = await probes.get(server.host, server.port, "/metrics")
    if answer is None or answer.status != 200:
        return None
    try:
        return count_access_logs(answer.body.decode())
    except ValueError:
        return None


def count_access_logs(exposition: str) -> int:
    """Access-log entries that a server's `/metrics` says were stored or refused; ValueError: not exposition text."""
    return int(
        sum(
            sample.value
            for family in text_string_to_metric_families(exposition)
            if family.name in ("windvane_ingest_records_stored", "windvane_ingest_records_refused")
            for sample in family.samples
            if sample.labels.get("signal") == "access_logs" and sample.name.endswith("_total")
        )
    )
