"""Health from request rates, by Kiali's rules and default tolerances.

A tolerance says from which share (percent) of a protocol's requests the matching response codes
mean Degraded or Failure; a threshold of 0 is passed by any such request. The worst verdict over
tolerances, protocols and directions counts; without traffic there is no verdict (NA). Incoming
requests are what either side's proxy saw of a code, whichever is more; outgoing ones are what the
workload's own proxy saw.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

Rates = Mapping[str, Mapping[str, float]]
"""Requests per second by protocol, then by response code (`-` for none)."""


class Status(IntEnum):
    """A verdict; the greater is the more serious."""

    NA = 0
    Healthy = 1
    NotReady = 2
    Degraded = 3
    Failure = 4


@dataclass(frozen=True, slots=True, eq=False)
class Tolerance:
    """Percentages of requests with codes matching `code` from which health is Degraded or Failure."""

    code: re.Pattern[str]
    degraded: float
    failure: float
    protocol: re.Pattern[str]
    direction: re.Pattern[str] = re.compile(".*")


DEFAULT_TOLERANCES = (
    Tolerance(re.compile(r"5\d\d"), 0, 10, re.compile("http")),
    Tolerance(re.compile(r"4\d\d"), 10, 20, re.compile("http")),
    Tolerance(re.compile(r"[1-9]|1[0-6]"), 0, 10, re.compile("grpc")),
    Tolerance(re.compile(r"-"), 0, 10, re.compile("http|grpc")),
)


@dataclass(frozen=True, slots=True)
class RequestHealth:
    """Rates that went into a verdict."""

    inbound: Rates = field(default_factory=dict)
    outbound: Rates = field(default_factory=dict)

    def status(self, tolerances: Sequence[Tolerance] = DEFAULT_TOLERANCES) -> Status:
        """The worst verdict over both directions."""
        return max(
            judge(self.inbound, "inbound", tolerances),
            judge(self.outbound, "outbound", tolerances),
        )


@dataclass(frozen=True, slots=True)
class Replicas:
    """What runs of a workload; `synced_proxies` is -1 where sidecars are not known."""

    desired: int
    current: int
    available: int
    synced_proxies: int = -1

    def status(self) -> Status:
        """Whether the workload itself is up."""
        if self.desired == 0:
            return Status.NotReady
        if self.available == 0:
            return Status.Failure
        if self.available < self.desired or self.current < self.desired:
            return Status.Degraded
        if self.available == self.desired != self.current:
            return Status.Failure
        return Status.Degraded if 0 <= self.synced_proxies < self.desired else Status.Healthy


def judge(rates: Rates, direction: str, tolerances: Sequence[Tolerance] = DEFAULT_TOLERANCES) -> Status:
    """The worst verdict over the tolerances that apply to a direction (`inbound` or `outbound`)."""
    return _worst(rates, (direction,), tuple(tolerances))


def edge_status(rates: Rates, tolerances: Sequence[Tolerance] = DEFAULT_TOLERANCES) -> Status:
    """An edge is what its source sends and what its destination receives: tolerances of both apply."""
    return _worst(rates, ("inbound", "outbound"), tuple(tolerances))


def _worst(rates: Rates, directions: tuple[str, ...], tolerances: tuple[Tolerance, ...]) -> Status:
    verdict = Status.NA
    for protocol, codes in rates.items():
        total = sum(codes.values())
        applying = _applying(protocol, directions, tolerances)
        if total <= 0 or not applying:
            continue
        verdict = max(verdict, Status.Healthy)
        failed: dict[Tolerance, float] = {}
        for code, rate in codes.items():
            for tolerance in _matching(code, applying):
                failed[tolerance] = failed.get(tolerance, 0.0) + rate
        for tolerance, rate in failed.items():
            verdict = max(verdict, _compare(rate / total * 100, tolerance))
    return verdict


@functools.lru_cache(maxsize=1_000)
def _applying(protocol: str, directions: tuple[str, ...], tolerances: tuple[Tolerance, ...]) -> tuple[Tolerance, ...]:
    return tuple(
        tolerance
        for tolerance in tolerances
        if tolerance.protocol.fullmatch(protocol) and any(map(tolerance.direction.fullmatch, directions))
    )


@functools.lru_cache(maxsize=10_000)
def _matching(code: str, tolerances: tuple[Tolerance, ...]) -> tuple[Tolerance, ...]:
    return tuple(tolerance for tolerance in tolerances if tolerance.code.fullmatch(code))


def more_seen(source: Rates, destination: Rates) -> dict[str, dict[str, float]]:
    """Two reporters' views of the same requests: of each code what the one that saw more saw."""
    merged: dict[str, dict[str, float]] = {protocol: dict(codes) for protocol, codes in source.items()}
    for protocol, codes in destination.items():
        into = merged.setdefault(protocol, {})
        for code, rate in codes.items():
            into[code] = max(into.get(code, 0.0), rate)
    return merged


def _compare(percent: float, tolerance: Tolerance) -> Status:
    if percent <= 0:
        return Status.Healthy
    if percent >= tolerance.failure:
        return Status.Failure
    return Status.Degraded if percent >= tolerance.degraded else Status.Healthy
