"""OpenSLO's `SLO` (openslo/v1) as an objective on Istio's metrics, where it says no more than that.

What is read: a ratio of counters over one service of the mesh, `good` or `bad` over `total`, as PromQL on
`istio_requests_total` (which requests failed) or on the buckets of `istio_request_duration_milliseconds` (which took
too long); one objective; one rolling window of whole days; budgeting by occurrences. Every other field or value is
refused at its place: an objective that means something else than its file says would be worse than none.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from windvane.alerting.slo import Slo
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Mapping
from windvane.kit.values import parse_duration
from windvane.promql.errors import ParseError
from windvane.promql.parse import parse
from windvane.promql.syntax import METRIC_NAME, Aggregate, Call, Expr, Matcher, MatchOp, Range, Selector

GROUP = "openslo/"
API_VERSION = "openslo/v1"
KIND = "SLO"
DAY = 86_400.0
_MOST_DAYS = 90
_REQUESTS = "istio_requests_total"
_TIMES = "istio_request_duration_milliseconds"
_UNITS = {"d": 1, "w": 7}
_WINDOW = re.compile(r"([1-9]\d{0,2})([dw])")
_FAILED = re.compile(r"\^?5(\.\.|\.\*|\.\+|\\d\\d|\\d\{2\}|\[0-9\]\[0-9\]|xx)\$?")
_SUCCEEDED = re.compile(r"\^?[\[(]?[1-4](?:[-|,]?[1-4])*[\])]?(\.\.|\.\*|\.\+|\\d\\d|\\d\{2\})\$?")
_WHO = ("destination_service_name", "destination_service_namespace", "destination_service")


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one of both queries counts: whose requests, and by which further conditions."""

    metric: str
    who: dict[str, str]
    reporter: str
    rest: tuple[Matcher, ...]


def days_of(text: str) -> int:
    """A period of whole days; `ValueError` for another."""
    days = parse_duration(text) / DAY
    if days != int(days) or not 1 <= days <= _MOST_DAYS:
        raise ValueError(f"must be whole days, 1d to {_MOST_DAYS}d, not {text}")
    return int(days)


def read(spec: Mapping) -> Slo | None:
    """The objective that a `spec` means; None after a problem, which is noted."""
    before = len(spec.document.problems)
    spec.text("service")  # a name in OpenSLO's catalogue; which service is meant the queries say
    method = spec.field_node("budgetingMethod")
    if (given := spec.text("budgetingMethod", "Occurrences")) != "Occurrences":
        spec.document.problem(method, spec.path_of("budgetingMethod"), f"must be Occurrences, not {given}")
    days, target = _window(spec), _target(spec)
    bad, good_or_bad, total = _ratio(spec)
    spec.done()
    if len(spec.document.problems) > before:
        return None
    try:
        return _joined(good_or_bad, total, bad=bad, percent=round(100 * target, 6), days=days)
    except BadInputError as error:
        spec.problem("", f"indicator: {error.message}")
        return None


def _window(spec: Mapping) -> int:
    windows = spec.mappings("timeWindow")
    if len(windows) != 1:
        spec.problem("timeWindow", f"one rolling window is needed, not {len(windows)}")
        return 30
    window = windows[0]
    days = window.read("duration", _days, 30)
    if not window.boolean("isRolling", False):
        window.problem("isRolling", "must be true: budgets of calendar periods are not kept")
    window.done()
    return days


def _days(text: str) -> int:
    found = _WINDOW.fullmatch(text)
    days = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError(f"must be whole days or weeks, 1d to {_MOST_DAYS}d, not {text}")
    return days


def _target(spec: Mapping) -> float:
    objectives = spec.mappings("objectives")
    if len(objectives) != 1:
        spec.problem("objectives", f"one objective is needed, not {len(objectives)}")
        return 0.99
    one = objectives[0]
    one.text("displayName")
    percent, share = one.number("targetPercent", math.nan), one.number("target", math.nan)
    target = share if math.isnan(percent) else percent / 100
    if not 0 < target < 1:
        one.problem("", "target must lie between 0 and 1 (or targetPercent between 0 and 100)")
        target = 0.99
    one.done()
    return target


def _ratio(spec: Mapping) -> tuple[bool, _Counted | None, _Counted | None]:
    """Whether bad requests are counted, how they (or the good ones) are, and how all are."""
    if spec.peek("indicatorRef"):
        spec.text("indicatorRef")
        spec.problem("", "indicatorRef: the indicator must stand in this document")
        return False, None, None
    indicator = spec.mapping("indicator")
    metadata = indicator.mapping("metadata")
    metadata.text("name")
    metadata.text("displayName")
    metadata.done()
    inner = indicator.mapping("spec")
    inner.text("description")
    ratio = inner.mapping("ratioMetric")
    if ratio.node is None:
        inner.problem("", "ratioMetric is missing: only ratios of counters are read")
        inner.mapping("thresholdMetric")
        return False, None, None
    if not ratio.boolean("counter", False):
        ratio.problem("counter", "must be true: Istio's metrics are counters")
    good, bad = ratio.mapping("good"), ratio.mapping("bad")
    if (good.node is None) == (bad.node is None):
        ratio.problem("", "one of good and bad is needed")
    part = good if bad.node is None else bad
    found = _counted(part), _counted(ratio.mapping("total"))
    for one in (ratio, inner, indicator):
        one.done()
    return bad.node is not None, *found


def _counted(part: Mapping) -> _Counted | None:
    source = part.mapping("metricSource")
    kind = source.text("type", "Prometheus")
    source.text("metricSourceRef")
    if kind.lower() != "prometheus":
        source.problem("type", f"must be Prometheus, not {kind}")
    spec = source.mapping("spec")
    node, path = spec.field_node("query"), spec.path_of("query")
    query = spec.text("query")
    spec.text("dimensions")
    for one in (spec, source, part):
        one.done()
    try:
        return _selected(query)
    except BadInputError as error:
        spec.document.problem(node, path, error.message)
    return None


def _selected(query: str) -> _Counted:
    if not query:
        raise BadInputError("is missing")
    try:
        selector = _summed(parse(query))
    except ParseError as error:
        raise BadInputError(f"could not parse expression: {error.message}") from None
    if selector is None or selector.offset or selector.at is not None:
        raise BadInputError("must be the sum of one selector, or of its rate or increase")
    metric, reporter = "", ""
    who: dict[str, str] = {}
    rest: list[Matcher] = []
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL:
            metric = matcher.value
        elif matcher.name in _WHO and matcher.op is MatchOp.EQUAL:
            who[matcher.name] = matcher.value
        elif matcher.name == "reporter" and matcher.op is MatchOp.EQUAL:
            reporter = matcher.value
        else:
            rest.append(matcher)
    if metric not in (_REQUESTS, f"{_TIMES}_bucket", f"{_TIMES}_count"):
        raise BadInputError(f"must count {_REQUESTS} or buckets of {_TIMES}, not {metric or 'any metric'}")
    return _Counted(metric, who, reporter, tuple(rest))


def _summed(expr: Expr) -> Selector | None:
    """The selector of `sum(rate(x[5m]))`, `sum(increase(x[5m]))` or `sum(x)`; None for any other expression."""
    if not (isinstance(expr, Aggregate) and expr.op == "sum" and not expr.grouping and not expr.without):
        return None
    inner: object = expr.expr
    if isinstance(inner, Call) and inner.function in ("rate", "increase") and isinstance(inner.args[0], Range):
        inner = inner.args[0].selector
    return inner if isinstance(inner, Selector) else None


def _joined(part: _Counted | None, total: _Counted | None, *, bad: bool, percent: float, days: int) -> Slo:
    assert part is not None
    assert total is not None
    if part.who != total.who or part.reporter != total.reporter:
        raise BadInputError("both queries must count requests of the same service and reporter")
    reporter = total.reporter
    if reporter not in ("destination", "source", "waypoint"):
        raise BadInputError('both queries need reporter="destination" (or source, waypoint), or calls count twice')
    service = _service(total.who)
    every = [one for one in total.rest if not (one.name == "le" and one.value == "+Inf")]
    if every:
        raise BadInputError(f"the total is restricted by {every[0]}: only whole services have objectives")
    if part.metric == _REQUESTS == total.metric:
        _check_failures(part.rest, bad=bad)
        return Slo(service, percent, reporter=reporter, days=days)
    if part.metric == f"{_TIMES}_bucket" and total.metric != _REQUESTS and not bad:
        return Slo(service, 0.0, _bound(part.rest), percent, reporter=reporter, days=days)
    raise BadInputError(f"must be requests over requests, or a bucket of {_TIMES} over all of them")


def _service(who: dict[str, str]) -> str:
    name, namespace = who.get("destination_service_name"), who.get("destination_service_namespace")
    if name and namespace and "destination_service" not in who:
        return f"{name}.{namespace}"
    if "destination_service" in who and len(who) == 1:
        return who["destination_service"]
    raise BadInputError(
        "a service is named by destination_service_name and destination_service_namespace, or by destination_service"
    )


def _check_failures(rest: tuple[Matcher, ...], *, bad: bool) -> None:
    """Refuse what is not: failures are answers of 5xx."""
    if len(rest) == 1 and rest[0].name == "response_code":
        op, value = rest[0].op, rest[0].value
        if (op is (MatchOp.REGEX if bad else MatchOp.NOT_REGEX)) and _FAILED.fullmatch(value):
            return
        if op is (MatchOp.NOT_REGEX if bad else MatchOp.REGEX) and _SUCCEEDED.fullmatch(value) and "4" in value:
            return
    wanted = 'response_code=~"5.."' if bad else 'response_code!~"5.."'
    shown = ", ".join(map(str, rest)) or "no condition"
    raise BadInputError(f"{'bad' if bad else 'good'} requests must be those with {wanted}, not with {shown}")


def _bound(rest: tuple[Matcher, ...]) -> float:
    """The seconds that a bucket's bound means."""
    if len(rest) == 1 and rest[0].name == "le" and rest[0].op in (MatchOp.EQUAL, MatchOp.REGEX):
        text = re.sub(r"\(?(\\\.|\.)0\)?\??$", "", rest[0].value)
        try:
            return float(text) / 1_000
        except ValueError:
            pass
    raise BadInputError('good requests must be those of one bucket, as le="250"')
