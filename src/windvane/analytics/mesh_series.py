"""What Istio's metrics say of services and of the calls between them, minute by minute.

Both proxies of a call report it. What reached a service its own proxy tells; what never did, and what the way there
took, only the callers' proxies can. So a service's rate and errors are the larger of both reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.increments import on_grid
from windvane.analytics.red import RedFrame
from windvane.analytics.releases.read import AskRange, service_matchers
from windvane.analytics.seasonal import DAY, Floats

STEP = 60
RANGE = 120
"""Seconds that a rate is taken over: two samples lie in it even where scrapes are a minute apart."""
QUANTILE = 0.95
"""Of latency: at twenty requests a minute it is one real request, where the 99th would be none."""
FAILURES = (
    'response_code=~"5..|0"',
    'response_code!~"5..|0",grpc_response_status=~"2|4|12|13|14|15"',
)
"""Matchers of what failed by the server's doing, no series having both: 5xx and no response; else gRPC's codes."""
_BY = "destination_service_namespace, destination_service_name"
_REPORTERS = ("destination", "source")

Service = tuple[str, str]
"""Namespace and name."""


def name_of(service: Service) -> str:
    """NAME.NAMESPACE."""
    return f"{service[1]}.{service[0]}" if service[0] else service[1]


def read_frames(ask: AskRange, start_ms: int, end_ms: int, service: str | None = None) -> dict[Service, RedFrame]:
    """Every service's minutes from start to end (milliseconds), asked a day at a time. Latency is in milliseconds."""
    end_ms -= end_ms % (STEP * 1_000)
    start_ms -= start_ms % (STEP * 1_000)
    times = np.arange(start_ms, end_ms + 1, STEP * 1_000)
    found: dict[Service, dict[str, Floats]] = {}
    for begin in range(0, len(times), DAY // STEP):
        part = slice(begin, min(begin + DAY // STEP, len(times)))
        for signal, named, values in _rows(ask, int(times[part][0]), int(times[part][-1]), service):
            rows = found.setdefault(named, {})
            row = rows.setdefault(signal, np.full(len(times), np.nan))
            row[part] = np.fmax(row[part], values)
    seconds = times // 1_000
    return {named: _frame(seconds, rows) for named, rows in sorted(found.items()) if "requests" in rows}


def _frame(seconds: npt.NDArray[np.int64], rows: dict[str, Floats]) -> RedFrame:
    requests, nothing = rows["requests"], np.full(len(seconds), np.nan)
    errors = np.where(np.isfinite(requests), np.nan_to_num(rows.get("errors", nothing)), np.nan)
    return RedFrame(seconds, requests, np.fmin(errors, requests), rows.get("latency", nothing), STEP)


def _rows(ask: AskRange, start: int, end: int, service: str | None) -> Iterator[tuple[str, Service, Floats]]:
    size = (end - start) // (STEP * 1_000) + 1
    for reporter in _REPORTERS:
        found: dict[tuple[str, Service], Floats] = {}
        for signal, query in _queries(reporter, service):
            result = ask(query, start, end, STEP * 1_000)
            for number, labels in enumerate(result.metrics):
                name = labels.get("destination_service_name", "")
                if name and name != "unknown":
                    key = (signal, (labels.get("destination_service_namespace", ""), name))
                    row = on_grid(result, number, start, STEP * 1_000, size)
                    found[key] = _added(found[key], row) if key in found else row
        for (signal, named), values in found.items():
            yield signal, named, values


def _queries(reporter: str, service: str | None) -> Iterator[tuple[str, str]]:
    chosen = ",".join([f'reporter="{reporter}"', *(service_matchers(service) if service else [])])
    yield "requests", f"sum by ({_BY}) ({STEP} * rate(istio_requests_total{{{chosen}}}[{RANGE}s]))"
    for failure in FAILURES:
        yield "errors", f"sum by ({_BY}) ({STEP} * rate(istio_requests_total{{{chosen},{failure}}}[{RANGE}s]))"
    buckets = f"rate(istio_request_duration_milliseconds_bucket{{{chosen}}}[{RANGE}s])"
    yield "latency", f"histogram_quantile({QUANTILE}, sum by ({_BY}, le) ({buckets}))"


@dataclass(frozen=True, slots=True)
class CallSeries:
    """One report of a caller's calls to a service by the minute: counts, failures, and milliseconds in all."""

    reporter: str
    caller: Service
    callee: Service
    requests: Floats
    errors: Floats
    milliseconds: Floats


_ENDS = (
    "reporter, source_canonical_service, source_workload_namespace, destination_canonical_service, "
    "destination_workload_namespace, destination_service_name, destination_service_namespace"
)


def read_calls(ask: AskRange, start_ms: int, end_ms: int) -> tuple[npt.NDArray[np.int64], list[CallSeries]]:
    """Times (Unix seconds) and both reports of every pair of a caller and a service it called.

    A caller is named as the service that its application is behind, where that is known, else as its application.
    """
    size = (end_ms - start_ms) // (STEP * 1_000) + 1
    times = start_ms // 1_000 + STEP * np.arange(size)
    found: dict[tuple[str, ...], list[Floats]] = {}
    for place, query in _call_queries():
        result = ask(query, start_ms, end_ms, STEP * 1_000)
        for number, labels in enumerate(result.metrics):
            key = tuple(labels.get(name, "") for name in _ENDS.split(", "))
            rows = found.setdefault(key, [np.full(size, np.nan) for _ in range(3)])
            rows[place] = _added(rows[place], on_grid(result, number, start_ms, STEP * 1_000, size))
    services = {(key[4], key[3]): (key[6], key[5]) for key in found if key[3] not in ("", "unknown")}
    merged: dict[tuple[str, Service, Service], list[Floats]] = {}
    for key, rows in found.items():
        caller = services.get((key[2], key[1]), (key[2], key[1]))
        into = merged.setdefault((key[0], caller, (key[6], key[5])), [np.full(size, np.nan) for _ in range(3)])
        for place, row in enumerate(rows):
            into[place] = _added(into[place], row)
    return times, [CallSeries(*ends, rows[0], _known(rows[1], rows[0]), _known(rows[2], rows[0]))
                   for ends, rows in sorted(merged.items())]  # fmt: skip


def _added(one: Floats, other: Floats) -> Floats:
    both = np.nan_to_num(one) + np.nan_to_num(other)
    return np.where(np.isfinite(one) | np.isfinite(other), both, np.nan)


def _known(row: Floats, requests: Floats) -> Floats:
    return np.where(np.isfinite(requests), np.nan_to_num(row), np.nan)


def _call_queries() -> Iterator[tuple[int, str]]:
    yield 0, f"sum by ({_ENDS}) ({STEP} * rate(istio_requests_total[{RANGE}s]))"
    for failure in FAILURES:
        yield 1, f"sum by ({_ENDS}) ({STEP} * rate(istio_requests_total{{{failure}}}[{RANGE}s]))"
    yield 2, f"sum by ({_ENDS}) ({STEP} * rate(istio_request_duration_milliseconds_sum[{RANGE}s]))"


def read_flags(ask: AskRange, callee: Service, start_ms: int, end_ms: int) -> dict[str, float]:
    """Calls to a service with each response flag, as its callers' proxies tell; none for calls without one."""
    seconds = max(RANGE, (end_ms - start_ms) // 1_000)
    matchers = ",".join(service_matchers(name_of(callee)))
    query = (
        f'sum by (response_flags) (increase(istio_requests_total{{reporter="source",{matchers},response_flags!="-"}}'
        f"[{seconds}s]))"
    )
    result = ask(query, end_ms, end_ms, 1_000)
    rows = ((labels.get("response_flags", ""), result.points(at)[1]) for at, labels in enumerate(result.metrics))
    return {flag: float(values[-1]) for flag, values in rows if flag and len(values) and values[-1] >= 0.5}
