"""What the pieces of an answer share: the symptom, the times before and since, series that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from windvane.analytics.accounts import Account, Node
from windvane.analytics.explain.detail import STEP, Detail, Mask
from windvane.analytics.explain.model import Language, QueryRef
from windvane.analytics.mesh_series import FAILURES, Service, name_of
from windvane.analytics.releases.read import failed, service_matchers
from windvane.analytics.why import Told
from windvane.promql.quoting import quote

_SETTLED = 2 * STEP
_AROUND = 15 * 60


@dataclass(frozen=True)
class Context:
    """One question's facts. `times` are the minutes of `nodes`; `onset` and `end` Unix seconds."""

    language: Language
    times: np.ndarray[tuple[int], np.dtype[np.int64]]
    nodes: Mapping[Node, Account]
    details: Mapping[Service, Detail]
    onset: float
    end: int

    def before(self, detail: Detail) -> Mask:
        """Steps that ended before the onset."""
        return np.asarray(detail.times <= self.onset - _SETTLED)

    def now(self, detail: Detail) -> Mask:
        """Steps that began after it; where it was just now, those that ended after it."""
        settled = detail.times > self.onset + _SETTLED
        return np.asarray(settled if settled.any() else detail.times > self.onset)

    def minutes(self) -> tuple[Mask, Mask]:
        """Minutes before the onset and since."""
        return np.asarray(self.times <= self.onset), np.asarray(self.times >= self.onset + 60)

    def query(self, query: str) -> QueryRef:
        """A query over the time in question."""
        return QueryRef(query, int(self.onset - _AROUND), self.end)

    def series(self, node: Node, signal: str, *more: str) -> QueryRef:
        """A node's signal as PromQL: of the service as its own proxy tells, of a way as the caller's does."""
        chosen = ",".join([*self.matchers(node), *more])
        calls = f"sum(rate(istio_requests_total{{{chosen}}}[2m]))"
        if signal == "rate":
            return self.query(f"60 * {calls}")
        if signal == "latency":
            name = "istio_request_duration_milliseconds"
            return self.query(f"sum(rate({name}_sum{{{chosen}}}[2m])) / sum(rate({name}_count{{{chosen}}}[2m]))")
        return self.query(f"sum(rate(istio_requests_total{{{chosen},{self._failure(node)}}}[2m])) / {calls}")

    def matchers(self, node: Node) -> list[str]:
        """Matchers of a node's series."""
        detail = self.details.get(node.service)
        own = service_matchers(name_of(node.service))
        if node.caller is None:
            reporter = "destination" if detail is None else detail.reporter()
            return [f'reporter="{reporter}"', *own]
        by = f"source_canonical_service={quote(node.caller[1])}"
        known = detail is None or any(
            one.labels.get("source_canonical_service") == node.caller[1] for one in detail.requests
        )
        return ['reporter="source"', *([by] if known else []), *own]

    def _failure(self, node: Node) -> str:
        """The matcher of the failures that there are: of HTTP, else of gRPC alone."""
        detail = self.details.get(node.service)
        rows = (
            [] if detail is None else [one.labels for one in detail.requests if failed(one.labels) and one.grown.any()]
        )
        http = any(one.get("response_code", "") == "0" or one.get("response_code", "").startswith("5") for one in rows)
        return FAILURES[0] if http or not rows else FAILURES[1].rpartition(",")[2]


def reporter_of(told: Told, detail: Detail) -> str:
    """Whose reports show a cause: the callers' where it lies on the way, or where nothing arrives."""
    return detail.reporter("destination" if told.kind == "service" and told.node.caller is None else "source")


def name(node: Node) -> str:
    """The service of a node."""
    return name_of(node.service)


def callers(path: Sequence[Node]) -> list[str]:
    """A path's nodes by name."""
    return [one.name for one in path]
