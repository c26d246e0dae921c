"""All services by their headroom: read together, fitted one by one with fewer models, kept for ten minutes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from windvane.alerting.slo_file import Objective
from windvane.analytics.capacity.queue import COARSE, Estimate
from windvane.analytics.capacity.report import Measured, Question, measured_of, queries_by, report, step_of
from windvane.analytics.increments import on_grid
from windvane.analytics.mesh_series import Service
from windvane.analytics.releases.read import AskRange
from windvane.api.windvane.capacity_models import CapacityList, Figure, ServiceCapacity
from windvane.kit.errors import WindvaneError

Floats = NDArray[np.float64]

DEFAULT_SINCE = "7d"
MOST = 40
"""Services of a list, those with most traffic: each costs a sixth of a second."""
KEPT_MS = 600_000
_QUANTILE = 0.95
_LABELS = "destination_service_namespace, destination_service_name"


def latency_objective(objectives: Sequence[Objective], service: str) -> tuple[float, float] | None:
    """Seconds and quantile that the strictest objective of a service (NAME or NAME.NAMESPACE) sets."""
    found = [
        (one.slo.latency, (one.slo.latency_objective or one.slo.objective) / 100)
        for one in objectives
        if one.slo.latency is not None and service in (one.slo.name, one.slo.name.partition(".")[0])
    ]
    return min(((seconds, share) for seconds, share in found if 0.5 <= share < 1), default=None)


@dataclass(slots=True)
class Ranking:
    """Answers of the last ten minutes. `ask` may block."""

    ask: AskRange
    objectives: Callable[[], Sequence[Objective]]
    _kept: dict[object, CapacityList] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, start_ms: int, end_ms: int, latency: float | None) -> CapacityList:
        """All services between two times; `latency` (seconds, 95th percentile) where none has an objective."""
        slot = end_ms // KEPT_MS
        objectives = tuple(self.objectives())
        key = (slot, end_ms - start_ms, latency, objectives)
        with self._lock:  # who asks at the same time waits for the same answer
            if key not in self._kept:
                self._kept.clear()
                self._kept[key] = self._made(start_ms, end_ms, latency, objectives)
            return self._kept[key]

    def _made(self, start_ms: int, end_ms: int, latency: float | None, objectives: Sequence[Objective]) -> CapacityList:
        measured = _measured(self.ask, start_ms, end_ms)
        order = sorted(measured, key=lambda one: -float(np.nansum(measured[one].rate)))
        rows = []
        for service in order[:MOST]:
            name = f"{service[1]}.{service[0]}" if service[0] else service[1]
            own = latency_objective(objectives, name) or (latency, _QUANTILE)
            tail = math.log(1 - own[1]) / math.log(1 - _QUANTILE)  # of an exponential tail, from the one that was read
            history = replace(measured[service], quantile=measured[service].quantile * tail)
            rows.append(_row(service, history, Question(own[0], own[1], workers=COARSE)))
        rows.sort(key=lambda one: (one.headroom is None, one.headroom or 0.0))
        return CapacityList(
            start=start_ms / 1_000, end=end_ms / 1_000, services=rows, left_out=max(0, len(order) - MOST)
        )


def _row(service: Service, measured: Measured, question: Question) -> ServiceCapacity:
    nothing = {"limit": None, "saturation": None, "utilisation": None, "headroom": None, "days": None, "growth": None}
    known = measured.rate[np.isfinite(measured.rate)]
    own = {
        "service": service[1], "namespace": service[0], "latency": question.latency, "quantile": question.quantile,
        "peak": float(np.quantile(known, 0.98)) if len(known) else 0.0,
    }  # fmt: skip
    try:
        found = report(measured, question)
    except WindvaneError as error:
        return ServiceCapacity.model_validate({**own, **nothing, "notes": [], "refused": error.message})
    days = found.full_days if found.limit is None else found.days
    return ServiceCapacity.model_validate({
        **own, "peak": found.peak, "limit": _figure(found.limit), "saturation": _figure(found.saturation),
        "utilisation": _figure(found.utilisation), "headroom": found.headroom, "days": _figure(days),
        "growth": None if found.growth is None else found.growth.slope.value, "notes": list(found.notes),
        "refused": None,
    })  # fmt: skip


def _figure(found: Estimate | None) -> Figure | None:
    if found is None:
        return None
    return Figure(**{name: value if math.isfinite(value) else None for name, value in asdict(found).items()})


def _measured(ask: AskRange, start_ms: int, end_ms: int) -> dict[Service, Measured]:
    """Every service's history, as its own proxies report it."""
    step_ms = step_of(start_ms, end_ms)
    at = np.arange(start_ms, end_ms + 1, step_ms)
    found: dict[Service, dict[str, Floats]] = {}
    for name, query in queries_by(_LABELS, 'reporter="destination"', step_ms, _QUANTILE).items():
        result = ask(query, start_ms, end_ms, step_ms)
        for number, labels in enumerate(result.metrics):
            service = (labels.get("destination_service_namespace", ""), labels.get("destination_service_name", ""))
            found.setdefault(service, {})[name] = on_grid(result, number, start_ms, step_ms, len(at))
    unknown = np.full(len(at), np.nan)
    return {
        service: measured_of(
            at / 1_000, rows["count"], rows.get("sum", unknown), rows.get("quantile", unknown), unknown
        )
        for service, rows in found.items()
        if "count" in rows and service[1] not in ("", "unknown")
    }
