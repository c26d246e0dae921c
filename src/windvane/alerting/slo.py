"""Rules for a service-level objective on Istio's metrics: multi-window, multi-burn-rate alerts.

The burn rate is the share of bad requests over the share that the objective allows. An alert fires when it
exceeds a threshold over a long window and, so that it ends soon after the trouble, over a window of a twelfth
of it (The Site Reliability Workbook, chapter 5, table 5-8): 14.4 over 1 h spends 2 % of a 30-day budget,
6 over 6 h 5 %, 1 over 3 d 10 %. A floor on the number of bad requests keeps a service with little traffic
from alerting about one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from windvane.alerting.durations import parse_duration
from windvane.kit.errors import BadInputError
from windvane.promql.numbers import fixed
from windvane.promql.quoting import quote

BOUNDS_MS = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
    300_000, 600_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Bucket bounds of Istio's histograms (Envoy's defaults)."""
_SERVER_ERRORS = "5..|0"
_GRPC_ERRORS = "2|4|12|13|14|15"
"""gRPC codes that are the server's doing: unknown, deadline exceeded, unimplemented, internal, unavailable,
data loss."""
ALERT = "SloErrorBudgetBurn"
_SHARE = "{{ $value | humanizePercentage }}"
_DIRECT = ("5m", "30m", "1h", "6h")
"""Longer windows are too long to read every series of a service: they are means of the recorded five-minute rates."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One alert: threshold on the burn rate of a 30-day budget, and its two windows."""

    rate: float
    long: str
    short: str
    severity: str

    def threshold(self, days: int) -> float:
        """The burn rate that takes the share of a budget of so many days in the long window; one lasts, at least."""
        return max(1.0, self.rate * days / 30)


BURNS = (
    Burn(14.4, "1h", "5m", "page"),
    Burn(6, "6h", "30m", "page"),
    Burn(1, "3d", "6h", "ticket"),
)


@dataclass(frozen=True, slots=True)
class Slo:
    """An objective: percent of a service's requests that must succeed, and percent within `latency` seconds.

    `service` is NAME.NAMESPACE, a cluster-local host name, or any other host. `minimum` is the number of bad
    requests in the short window below which nothing fires. `reporter` says whose metrics count. The budget is for
    `days`. `objective` 0: only times are measured.
    """

    service: str
    objective: float
    latency: float | None = None
    latency_objective: float = 0.0
    minimum: int = 5
    reporter: str = "destination"
    days: int = 30

    def __post_init__(self) -> None:
        errors = 99.0 if not self.objective and self.latency is not None else self.objective
        for name, value in (("objective", errors), ("latency objective", self.latency_objective or 99.0)):
            if not 0 < value < 100:
                raise BadInputError(f"{name} must lie between 0 and 100 percent, not {value:g}")
        if not self.service or any(one in self.service for one in " \"'\\{}\n"):
            raise BadInputError(f"not a service: {self.service!r} (expected for example reviews.default)")
        if self.latency is not None and not BOUNDS_MS[0] <= self.latency * 1000 < BOUNDS_MS[-1]:
            raise BadInputError(
                "latency must lie between 0.5 ms and one hour, where Istio's histograms tell times apart"
            )

    @property
    def name(self) -> str:
        """The service's short name, `reviews.default`."""
        return self.service.partition(".svc.")[0] if ".svc." in self.service else self.service

    def matchers(self) -> str:
        """The service's series of any of Istio's metrics."""
        parts = self.name.split(".")
        if len(parts) == 2:
            chosen = f"destination_service_name={quote(parts[0])},destination_service_namespace={quote(parts[1])}"
        else:
            chosen = f"destination_service={quote(self.service)}"
        return f"reporter={quote(self.reporter)},{chosen}"


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is measured: PromQL for bad and for all requests a second over a window."""

    sli: str
    objective: float
    text: str
    slo: Slo
    named: tuple[tuple[str, str], ...] = ()
    """Labels that name an objective which has a name of its own; otherwise its service does."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its series and alerts."""
        return {**(dict(self.named) or {"slo": self.slo.name}), "sli": self.sli}

    @property
    def selector(self) -> str:
        """Its recorded series."""
        return f"{{{','.join(f'{name}={quote(value)}' for name, value in self.labels.items())}}}"

    @property
    def budget(self) -> float:
        """The share of requests that may be bad."""
        return 1 - self.objective / 100

    def all(self, window: str) -> str:
        """PromQL: requests a second."""
        metric = "istio_requests_total" if self.sli == "errors" else "istio_request_duration_milliseconds_count"
        return f"sum(rate({metric}{{{self.slo.matchers()}}}[{window}]))"

    def bad(self, window: str) -> str:
        """PromQL: bad requests a second."""
        return self._errors(window) if self.sli == "errors" else f"{self.all(window)} - {self._fast(window)}"

    def _errors(self, window: str) -> str:
        base = self.slo.matchers()
        http = f'istio_requests_total{{{base},response_code=~"{_SERVER_ERRORS}",response_flags!="DC"}}'
        grpc = (
            f'istio_requests_total{{{base},response_code!~"{_SERVER_ERRORS}",grpc_response_status=~"{_GRPC_ERRORS}"}}'
        )
        terms = (f"(sum(rate({one}[{window}])) or vector(0))" for one in (http, grpc))
        return f"({' + '.join(terms)}) and on() {self.all(window)}"

    def _fast(self, window: str) -> str:
        """Requests within the time; between two bucket bounds they are taken to be spread evenly."""
        assert self.slo.latency is not None
        wanted = self.slo.latency * 1000
        below = max(bound for bound in BOUNDS_MS if bound <= wanted)
        if below == wanted:
            return self._bucket(below, window)
        above = min(bound for bound in BOUNDS_MS if bound > wanted)
        share = round((wanted - below) / (above - below), 6)
        parts = ((round(1 - share, 6), below), (share, above))
        return f"({' + '.join(f'{fixed(part)} * {self._bucket(bound, window)}' for part, bound in parts)})"

    def _bucket(self, bound: float, window: str) -> str:
        shown = fixed(bound)
        le = f'le="{shown}"' if "." in shown else f'le=~"{shown}(\\\\.0)?"'
        return f"sum(rate(istio_request_duration_milliseconds_bucket{{{self.slo.matchers()},{le}}}[{window}]))"


Named = tuple[tuple[str, str], ...]
"""Labels that name an objective which has a name of its own; an empty one is named by its service."""


def render(slo: Slo, named: Named = ()) -> str:
    """A rule file for an objective."""
    text = yaml.dump(rules(slo, named), Dumper=_Dumper, sort_keys=False, width=1_000)
    return f"{_HEAD.format(name=slo.name)}{text}"


def indicators(slo: Slo, named: Named = ()) -> list[Indicator]:
    """What an objective measures: errors, and times where it says so."""
    found = [Indicator("errors", slo.objective, "failed", slo, named)] if slo.objective else []
    if slo.latency is not None:
        took = f"took longer than {fixed(slo.latency * 1000)} ms"
        found.append(Indicator("latency", slo.latency_objective or slo.objective, took, slo, named))
    return found


def rules(slo: Slo, named: Named = ()) -> dict[str, object]:
    """The rule file's content."""
    groups: list[dict[str, object]] = []
    for one in indicators(slo, named):
        base = f"slo-{one.labels['slo']}-{one.sli}"
        groups.append({"name": f"{base}-recording", "interval": "30s", "rules": list(_recordings(one))})
        groups.append({"name": f"{base}-alerts", "interval": "30s", "rules": list(_alerts(one))})
    return {"groups": groups}


def _recordings(one: Indicator) -> Iterator[dict[str, object]]:
    for window in _DIRECT:
        yield from direct(one, window)
    period = f"{one.slo.days}d"
    for window in dict.fromkeys(("3d", period)):
        for name in ("requests", "bad_requests"):
            mean = f"avg_over_time(slo:{name}:rate5m{one.selector}[{window}])"
            yield record(one, f"slo:{name}:rate{window}", mean)
        yield ratio(one, window)
    yield record(one, "slo:objective:ratio", f"vector({fixed(round(one.objective / 100, 9))})")
    left = f"1 - slo:bad_requests:ratio_rate{period}{one.selector} / {budget(one)}"
    yield record(one, "slo:error_budget:remaining_ratio", left)


def direct(one: Indicator, window: str) -> Iterator[dict[str, object]]:
    """Requests, bad ones and their share over a window, from Istio's own series."""
    yield record(one, f"slo:requests:rate{window}", one.all(window))
    yield record(one, f"slo:bad_requests:rate{window}", one.bad(window))
    yield ratio(one, window)


def record(one: Indicator, name: str, expr: str, **labels: str) -> dict[str, object]:
    """A recording rule."""
    return {"record": name, "expr": expr, "labels": {**one.labels, **labels}}


def ratio(one: Indicator, window: str) -> dict[str, object]:
    """The recorded share of bad requests over a window."""
    parts = f"slo:bad_requests:rate{window}{one.selector} / (slo:requests:rate{window}{one.selector} > 0)"
    return record(one, f"slo:bad_requests:ratio_rate{window}", parts)


def budget(one: Indicator) -> str:
    """The share that may be bad, as PromQL."""
    return fixed(round(one.budget, 9))


def _alerts(one: Indicator) -> Iterator[dict[str, object]]:
    for burn in BURNS:
        yield alert(one, burn)


def alert(one: Indicator, burn: Burn) -> dict[str, object]:
    """The rule that tells of one burn rate; it reads recorded series."""
    rate, days = burn.threshold(one.slo.days), one.slo.days
    threshold = fixed(round(rate * one.budget, 9))
    seconds = fixed(parse_duration(burn.short))
    expr = (
        f"slo:bad_requests:ratio_rate{burn.long}{one.selector} > {threshold}\n"
        f"and slo:bad_requests:ratio_rate{burn.short}{one.selector} > {threshold}\n"
        f"and slo:bad_requests:rate{burn.short}{one.selector} * {seconds} >= {one.slo.minimum}\n"
    )
    labels = one.labels
    return {
        "alert": ALERT,
        "expr": expr,
        "labels": {**labels, "severity": burn.severity, "window": burn.long},
        "annotations": {
            "summary": f"{labels['slo']}: {_SHARE} of requests {one.text} over {burn.long}",
            "description": (
                f"The objective for {one.slo.name} is that {one.objective:g} % of requests are good. "
                f"Over the last {burn.long} {_SHARE} {one.text}: at more than {rate:g} times the "
                f"allowed rate, {_spent(burn, days)} of a {days}-day error budget goes in {burn.long}."
            ),
        },
    }


def _spent(burn: Burn, days: int) -> str:
    """The share of the budget that goes in the long window at the threshold."""
    hours = parse_duration(burn.long) / 3_600
    return f"{round(100 * burn.threshold(days) * hours / (24 * days)):d} %"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; lists indented under their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_HEAD = """\
# Service-level objectives of {name} on Istio's metrics: multi-window, multi-burn-rate alerts
# (The Site Reliability Workbook, chapter 5). Made by: windvane rules slo
"""
