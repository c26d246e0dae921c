"""The counts of two versions of a service, read from Istio's counters by PromQL.

The destination's proxy tells what reached a version. What never did (no connection, no healthy endpoint, a full
circuit breaker, a timeout) only the source's proxy can tell, and it counts as failed; the destination's record of the
same request, if there is one, has the flag DC and does not count twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.increments import growth, on_grid
from windvane.analytics.releases.counts import Arm, Counts
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.promql.quoting import quote
from windvane.promql.value import MatrixResult

Floats = NDArray[np.float64]
AskRange = Callable[[str, int, int, int], MatrixResult]
"""A PromQL range query: text, start, end and step in milliseconds."""

By = Literal["version", "revision", "workload"]
Reporter = Literal["destination", "source", "waypoint"]
LABELS: dict[By, str] = {
    "version": "destination_version", "revision": "destination_canonical_revision", "workload": "destination_workload"
}  # fmt: skip
_UNREACHED = "(.*,)?(UF|UH|UO|UT)(,.*)?"
_GRPC_ERRORS = ("2", "4", "12", "13", "14", "15")
"""Codes that are the server's doing: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss."""
_STEP_MS = 60_000
_MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Question:
    """Which two versions of which service, over which time (milliseconds since the epoch).

    `service` is NAME or NAME.NAMESPACE (names with commas where versions are services of their own); `by` says which
    label tells versions apart, `reporter` whose metrics count (the source's where destinations have no proxies that
    tell).
    """

    service: str
    base: str
    canary: str
    start_ms: int
    end_ms: int
    by: By = "version"
    reporter: Reporter = "destination"

    def __post_init__(self) -> None:
        if self.base == self.canary:
            raise BadInputError(f"baseline and canary are both {self.base!r}")
        if not re.fullmatch(r"[\w-]+(,[\w-]+)*(\.[\w-]+)?", self.service):
            raise BadInputError(f"not a service: {self.service!r} (expected NAME or NAME.NAMESPACE)")
        if not 0 < self.minutes <= _MOST_MINUTES:
            raise BadInputError("the time must be a minute at least and a week at most")

    @property
    def minutes(self) -> int:
        """Whole minutes up to the end."""
        return (self.end_ms - self.start_ms) // _STEP_MS

    def selector(self, metric: str, *more: str) -> str:
        """Series of both versions."""
        names = "|".join(re.escape(name).replace("\\-", "-") for name in (self.base, self.canary))
        return f"{metric}{{{','.join([*service_matchers(self.service), f'{LABELS[self.by]}=~{quote(names)}', *more])}}}"


def service_matchers(service: str) -> list[str]:
    """Matchers of a service's series, by its name and, where given, its namespace."""
    name, _, namespace = service.partition(".")
    several = "," in name
    matchers = [f"destination_service_name{'=~' if several else '='}{quote(name.replace(',', '|'))}"]
    return [*matchers, f"destination_service_namespace={quote(namespace)}"] if namespace else matchers


def read_counts(ask: AskRange, question: Question) -> Counts:
    """Both versions by minute and pod. `NotFoundError` where neither has a series."""
    end = question.end_ms
    start = end - question.minutes * _STEP_MS
    grid = (start, _STEP_MS, question.minutes + 1)
    own = f"reporter={quote(question.reporter)}"
    reached = ask(question.selector("istio_requests_total", own), start, end, _STEP_MS)
    results = [(reached, False)]
    if question.reporter == "destination":
        lost = question.selector("istio_requests_total", 'reporter="source"', f"response_flags=~{quote(_UNREACHED)}")
        results.append((ask(lost, start, end, _STEP_MS), True))
    times = ask(question.selector("istio_request_duration_milliseconds_bucket", own), start, end, _STEP_MS)
    _one_service([labels for found, _ in results for labels in found.metrics], question)
    label, names = LABELS[question.by], (question.base, question.canary)
    requests = [_requests(results, label, name, grid) for name in names]
    bounds = _bounds(times.metrics)
    histograms = [_histogram(times, label, name, bounds, grid) for name in names]
    arms = [
        Arm(name, pods, all_, errors, histogram)
        for name, (pods, all_, errors), histogram in zip(names, requests, histograms, strict=True)
    ]
    ends = (start + _STEP_MS * np.arange(1, question.minutes + 1)) / 1_000
    return Counts(ends, bounds, arms[0], arms[1])


def _one_service(metrics: list[dict[str, str]], question: Question) -> None:
    if not metrics:
        label = LABELS[question.by]
        raise NotFoundError(
            f"no istio_requests_total of service {question.service} with {label} {question.base} or {question.canary} "
            "in this time"
        )
    spaces = sorted({one.get("destination_service_namespace", "") for one in metrics})
    if len(spaces) > 1:
        raise BadInputError(f"service {question.service} is in namespaces {', '.join(spaces)}: name it NAME.NAMESPACE")


def failed(labels: dict[str, str]) -> bool:
    """Whether a series counts errors that are the server's doing."""
    code = labels.get("response_code", "")
    return code == "0" or code.startswith("5") or labels.get("grpc_response_status", "") in _GRPC_ERRORS


def _requests(
    results: Iterable[tuple[MatrixResult, bool]], label: str, name: str, grid: tuple[int, int, int]
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Pods, and requests and errors of each in every minute."""
    rows: dict[str, tuple[Floats, Floats]] = {}
    for found, unreached in results:
        for number, labels in enumerate(found.metrics):
            if labels.get(label) != name or (not unreached and "DC" in labels.get("response_flags", "").split(",")):
                continue
            grown = growth(on_grid(found, number, *grid))
            pod = "(not reached)" if unreached else labels.get("pod") or labels.get("instance", "")
            all_, errors = rows.setdefault(pod, (np.zeros(len(grown)), np.zeros(len(grown))))
            all_ += grown
            if unreached or failed(labels):
                errors += grown
    nothing = np.zeros((0, grid[2] - 1))
    pods = tuple(sorted(rows))
    return (
        pods,
        np.stack([rows[pod][0] for pod in pods]) if pods else nothing,
        np.stack([rows[pod][1] for pod in pods]) if pods else nothing,
    )


def _bounds(metrics: list[dict[str, str]]) -> Floats:
    found = {_number(one.get("le", "")) for one in metrics}
    bounds = sorted(bound for bound in found if not math.isnan(bound))
    return np.array(bounds if bounds else [math.inf])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _histogram(found: MatrixResult, label: str, name: str, bounds: Floats, grid: tuple[int, int, int]) -> Floats:
    """Requests of each minute in each bucket, from the cumulative counters."""
    upto = np.zeros((grid[2] - 1, len(bounds)))
    for number, labels in enumerate(found.metrics):
        if labels.get(label) == name and not math.isnan(bound := _number(labels.get("le", ""))):
            upto[:, int(np.searchsorted(bounds, bound))] += growth(on_grid(found, number, *grid))
    counts: Floats = np.maximum(np.diff(upto, axis=1, prepend=0.0), 0.0)
    return counts
