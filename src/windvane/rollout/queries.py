"""Queries of metrics: those that are built in, and templates with what they ask for put in their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.promql.parse import parse
from windvane.promql.quoting import quote
from windvane.rollout.model import By

_PLACE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_VARIABLE = re.compile(r"variables\.([A-Za-z_]\w*)")
_OWN = 'reporter="{{ reporter }}",{{ canary }}'
_SUCCESS = (
    f'sum(rate(istio_requests_total{{{_OWN},response_code!~"5.*"}}[{{{{ interval }}}}]))'
    f" / sum(rate(istio_requests_total{{{_OWN}}}[{{{{ interval }}}}])) * 100"
)
_DURATION = (
    "histogram_quantile(0.99, sum(rate("
    f"istio_request_duration_milliseconds_bucket{{{_OWN}}}[{{{{ interval }}}}])) by (le))"
)
_BUILT_IN = {"request-success-rate": _SUCCESS, "request-duration": _DURATION}


@dataclass(frozen=True, slots=True)
class Template:
    """A MetricTemplate: a query with places for names."""

    name: str
    namespace: str
    query: str


@dataclass(frozen=True, slots=True)
class Names:
    """What places in queries stand for. `target` is the canary's workload, `interval` the window.

    `canary` matches the canary's series in Istio's metrics (Flagger has no such place: its built-in queries go by
    workload), `reporter` says whose they are.
    """

    name: str
    namespace: str
    target: str
    service: str
    by: By
    canary_label: str
    services: tuple[str, ...]
    reporter: str = "destination"
    interval: str = "1m"

    def with_interval(self, interval: str) -> Names:
        """The same with another window; `BadInputError` when it is none."""
        if parse_duration(interval) <= 0:
            raise BadInputError(f"interval: {interval!r} is no time")
        return replace(self, interval=interval)

    @property
    def canary(self) -> str:
        """Matchers of the canary's series."""
        if self.by == "workload":
            return f"destination_workload_namespace={quote(self.namespace)},destination_workload={quote(self.target)}"
        known = "|".join(self.services)
        service = f"={quote(known)}" if len(self.services) == 1 else f"=~{quote(known)}"
        return (
            f"destination_service_name{service},destination_service_namespace={quote(self.namespace)},"
            f"destination_version={quote(self.canary_label)}"
        )


def builtin(name: str) -> str | None:
    """Flagger's own metrics: the share of requests without 5xx (percent), the 99th percentile of times (ms)."""
    return _BUILT_IN.get(name)


def fill(query: str, names: Names, variables: Mapping[str, str]) -> str:
    """A template's query with everything in its place; `BadInputError` for what has none, and for what is no PromQL."""
    known = {
        "name": names.name, "namespace": names.namespace, "target": names.target, "service": names.service,
        "interval": names.interval, "canary": names.canary, "reporter": names.reporter,
    }  # fmt: skip

    def value(match: re.Match[str]) -> str:
        asked = match[1].strip()
        if asked in known:
            return known[asked]
        variable = _VARIABLE.fullmatch(asked)
        if variable is None:
            raise BadInputError(
                f"{match[0]} cannot be filled in (there are {', '.join(sorted(known))} and variables.NAME)"
            )
        if variable[1] not in variables:
            raise BadInputError(f"{match[0]} is not among templateVariables")
        return variables[variable[1]]

    filled = _PLACE.sub(value, query).strip()
    parse(filled)
    return filled
