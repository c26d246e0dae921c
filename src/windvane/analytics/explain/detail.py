"""All series of one service's requests around an onset: codes, flags, versions and pods, before and since.

Counters are read raw, on a grid of `STEP` seconds, and grown series by series: a label set that appears with the first
failure counts from its first failure on, which sums and rates would lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.increments import growth, on_grid
from windvane.analytics.mesh_series import Service, name_of
from windvane.analytics.releases.read import AskRange, failed, service_matchers
from windvane.analytics.seasonal import Floats
from windvane.promql.quoting import quote

STEP = 15
"""Seconds: the finest interval scrapes usually have."""
BACK = 20 * 60
"""Seconds before the coarse onset that are read."""
MOST = 40 * 60
"""Seconds after it that are read at most."""
_MOST_SERIES = 20_000

Mask = npt.NDArray[np.bool_]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One series: its labels, and by how much it grew in each step."""

    labels: dict[str, str]
    grown: Floats


@dataclass(frozen=True, slots=True)
class Detail:
    """A service's series; `times` (Unix seconds) are the ends of the steps."""

    service: Service
    times: npt.NDArray[np.int64]
    requests: Sequence[Row]
    milliseconds: Sequence[Row]

    def reporter(self, prefer: str = "destination") -> str:
        """Whose reports tell: the preferred side's where it has any."""
        told = {one.labels.get("reporter", "") for one in self.requests if one.grown.any()}
        other = "source" if prefer == "destination" else "destination"
        return prefer if prefer in told or other not in told else other

    def span(self, part: Mask) -> int:
        """Seconds of a part of the steps."""
        return int(part.sum()) * STEP


def read_detail(ask: AskRange, service: Service, began: int, end: int) -> Detail:
    """A service's requests and their times from `BACK` before `began` until `end`, or `MOST` after `began`."""
    start = (began - BACK) // STEP * STEP
    end = max(start + STEP, min(end, began + MOST) // STEP * STEP)
    chosen = ",".join(service_matchers(name_of(service)))
    grid = (start * 1_000, STEP * 1_000, (end - start) // STEP + 1)
    rows = [_rows(ask, f"istio_{metric}{{{chosen}}}", grid)
            for metric in ("requests_total", "request_duration_milliseconds_sum")]  # fmt: skip
    times = start + STEP * np.arange(1, grid[2])
    return Detail(service, times, rows[0], rows[1])


def _rows(ask: AskRange, query: str, grid: tuple[int, int, int]) -> list[Row]:
    start, step, steps = grid
    found = ask(query, start, start + (steps - 1) * step, step)
    return [
        Row({name: value for name, value in labels.items() if name != "__name__"},
            growth(on_grid(found, number, start, step, steps)))
        for number, labels in enumerate(found.metrics[:_MOST_SERIES])
    ]  # fmt: skip


def tcp_peers(ask: AskRange, service: Service, began: int, end: int) -> list[str]:
    """Services that a service's proxies send TCP to since it began, by NAME.NAMESPACE, most bytes first."""
    matchers = f'reporter="source",source_canonical_service={quote(service[1])}'
    by = "destination_service_namespace, destination_service_name"
    query = f"sum by ({by}) (increase(istio_tcp_sent_bytes_total{{{matchers}}}[{max(120, end - began)}s]))"
    found = ask(query, end * 1_000, end * 1_000, 1_000)
    rows = ((labels, float(found.points(at)[1][-1])) for at, labels in enumerate(found.metrics))
    ends = "destination_service_namespace", "destination_service_name"
    named = {tuple(one.get(each, "") for each in ends): value for one, value in rows if value > 0}
    sent = {name_of((space, name)): value for (space, name), value in named.items() if name not in ("", "unknown")}
    return sorted(sent, key=lambda name: -sent[name])


@dataclass(frozen=True, slots=True)
class Part:
    """What some of a service's calls did, before and since: calls, failures, milliseconds in all."""

    calls: tuple[float, float]
    errors: tuple[float, float]
    milliseconds: tuple[float, float]

    def of(self, signal: str, when: int) -> float:
        """Share failed or milliseconds a call, before (0) or since (1); 0 without calls."""
        row = self.errors if signal == "errors" else self.milliseconds
        return row[when] / self.calls[when] if self.calls[when] > 0 else 0.0


def parts(
    detail: Detail, before: Mask, now: Mask, key: Callable[[dict[str, str]], Key], reporter: str
) -> dict[Key, Part]:
    """A service's calls by a key of their labels, as one side reports them."""
    found: dict[Key, list[float]] = {}
    for rows, place in ((detail.requests, 0), (detail.milliseconds, 4)):
        for row in rows:
            if row.labels.get("reporter") != reporter:
                continue
            sums = found.setdefault(key(row.labels), [0.0] * 6)
            past, present = float(row.grown[before].sum()), float(row.grown[now].sum())
            sums[place] += past
            sums[place + 1] += present
            if place == 0 and failed(row.labels):
                sums[2] += past
                sums[3] += present
    return {name: Part((one[0], one[1]), (one[2], one[3]), (one[4], one[5])) for name, one in found.items()}


def onset(detail: Detail, signal: str, coarse: int, reporter: str) -> float | None:
    """When the signal changed, to a step: the division into two levels that explains most of it (least squares).

    Latencies are compared as logarithms; steps weigh by their calls. None where there are too few.
    """
    near = (detail.times > coarse - 600) & (detail.times <= coarse + 240)
    requests, told = np.zeros(len(detail.times)), np.zeros(len(detail.times))
    for row in detail.requests:
        if row.labels.get("reporter") == reporter:
            requests += row.grown
            told += row.grown if signal == "errors" and failed(row.labels) else 0.0
    for row in detail.milliseconds:
        if signal == "latency" and row.labels.get("reporter") == reporter:
            told += row.grown
    if signal == "rate":
        values, weights = np.log1p(requests[near]), np.ones(int(near.sum()))
    else:
        weights = requests[near]
        share = np.where(weights > 0, told[near] / np.maximum(weights, 1e-9), 0.0)
        values = np.log1p(share) if signal == "latency" else share
    place = changed_at(values, weights)
    return None if place is None else float(detail.times[near][place] - STEP)


def changed_at(values: Floats, weights: Floats) -> int | None:
    """The place of the first value after the one change of level that explains most; None for fewer than four."""
    if len(values) < 4 or float(weights.sum()) <= 0:
        return None
    total, before = float(weights.sum()), np.cumsum(weights)[:-1]
    moved = np.cumsum(weights * (values - float((weights * values).sum()) / total))[:-1]
    gain = np.where((before > 0) & (before < total), moved**2 / np.maximum(before * (total - before), 1e-12), 0.0)
    gain = np.where(weights[1:] > 0, gain, 0.0)  # a change shows where there are calls
    best = int(np.argmax(gain))
    return best + 1 if gain[best] > 0 else None
