"""Meshes made by chance, minute by minute, with a fault at a known place: what both proxies of every call report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.mesh_series import CallSeries, Service

Floats = NDArray[np.float64]
FAULTS = ("latency", "errors", "outage", "network")


def service(name: str) -> Service:
    return ("shop", name)


@dataclass(frozen=True)
class Fault:
    """What goes wrong at which service, in the last minutes: `by` milliseconds, or the share that fails."""

    kind: str
    at: str
    by: float
    last: int = 4


@dataclass(frozen=True)
class Mesh:
    """Services in the order of their calls (the first is the entrance): own milliseconds, and calls a request."""

    own: dict[str, float]
    calls: dict[tuple[str, str], float]
    rate: float = 1_000.0
    minutes: int = 40
    failing: float = 0.0005
    noise: float = 0.08
    healthy: tuple[str, ...] = field(default=())

    @classmethod
    def drawn(cls, draw: np.random.Generator, size: int = 12, **more: float) -> Mesh:
        """A tree of calls with some cross calls; each service has a caller before it."""
        names = [f"s{place}" for place in range(size)]
        own = {name: float(draw.uniform(3, 30)) for name in names}
        calls: dict[tuple[str, str], float] = {}
        for place in range(1, size):
            for caller in draw.choice(place, size=min(place, 1 + int(draw.random() < 0.3)), replace=False):
                calls[names[int(caller)], names[place]] = float(draw.uniform(0.3, 1.5))
        return cls(own, calls, **more)  # type: ignore[arg-type]


@dataclass
class _Simulated:
    mesh: Mesh
    fault: Fault | None
    draw: np.random.Generator

    def series(self) -> list[CallSeries]:
        mesh, size = self.mesh, self.mesh.minutes
        bad = np.arange(size) >= size - (self.fault.last if self.fault else 0)
        names = list(mesh.own)
        arriving: dict[str, Floats] = {names[0]: self.draw.poisson(mesh.rate, size).astype(float)}
        counts: dict[tuple[str, str], Floats] = {}
        for name in names:
            for (caller, callee), each in mesh.calls.items():
                if caller == name:
                    counts[caller, callee] = self.draw.poisson(arriving[name] * each).astype(float)
                    arriving[callee] = arriving.get(callee, np.zeros(size)) + counts[caller, callee]
        ms: dict[str, Floats] = {}
        failing: dict[str, Floats] = {}
        way: dict[str, Floats] = {}
        for name in reversed(names):
            ms[name], failing[name], way[name] = self._behaves(name, bad, arriving[name], ms, failing, way)
        return self._reports(names, arriving, counts, ms, failing, way, bad)

    def _behaves(self, name: str, bad: NDArray[np.bool_], calls: Floats, ms: dict[str, Floats],
                 failing: dict[str, Floats], way: dict[str, Floats]) -> tuple[Floats, Floats, Floats]:  # fmt: skip
        mesh, fault, size = self.mesh, self.fault, self.mesh.minutes
        jitter = np.exp(self.draw.normal(0, mesh.noise, size) + self.draw.normal(0, 0.5, size) / np.sqrt(calls + 1))
        here = fault if fault is not None and fault.at == name else None
        spent = mesh.own[name] * jitter + (here.by * bad if here and here.kind == "latency" else 0.0)
        works = np.full(size, 1.0 - mesh.failing)
        works *= 1.0 - (here.by * bad if here and here.kind == "errors" else 0.0)
        for (caller, callee), each in mesh.calls.items():
            if caller == name:
                down = fault is not None and fault.kind == "outage" and fault.at == callee
                spent = spent + each * np.where(down & bad, 1.0, ms[callee] + way[callee])
                fails = np.where(down & bad, 1.0, failing[callee])
                works *= 1.0 - each * fails if each < 1 else (1.0 - fails) ** each
        gap = np.exp(self.draw.normal(0, 0.1, size)) + (here.by * bad if here and here.kind == "network" else 0.0)
        return spent, 1.0 - works, gap

    def _reports(self, names: list[str], arriving: dict[str, Floats], counts: dict[tuple[str, str], Floats],
                 ms: dict[str, Floats], failing: dict[str, Floats], way: dict[str, Floats],
                 bad: NDArray[np.bool_]) -> list[CallSeries]:  # fmt: skip
        found = []
        callers = [("outside", names[0]), *counts]
        for caller, callee in callers:
            calls = arriving[callee] if caller == "outside" else counts[caller, callee]
            failed = self.draw.binomial(calls.astype(int), np.clip(failing[callee], 0, 1)).astype(float)
            ends = (service(caller), service(callee))
            source_ms, own, own_failed = calls * (ms[callee] + way[callee]), calls, failed
            if self.fault is not None and self.fault.kind == "outage" and self.fault.at == callee:
                failed, own = np.where(bad, calls, failed), np.where(bad, 0.0, calls)
                source_ms, own_failed = np.where(bad, calls, source_ms), np.where(bad, 0.0, own_failed)
            found.append(CallSeries("source", *ends, calls, failed, source_ms))
            found.append(CallSeries("destination", *ends, own, own_failed, own * ms[callee]))
        return found


def simulated(mesh: Mesh, fault: Fault | None, seed: int) -> tuple[NDArray[np.int64], list[CallSeries]]:
    """Minutes (Unix seconds) and the reports of every call."""
    times = 1_767_780_000 + 60 * np.arange(mesh.minutes)
    return times, _Simulated(mesh, fault, np.random.default_rng(seed)).series()


def strength(kind: str, draw: np.random.Generator) -> float:
    """How strong a fault of a kind is."""
    if kind in ("latency", "network"):
        return float(draw.uniform(60, 400))
    return float(draw.uniform(0.05, 0.5)) if kind == "errors" else 1.0
