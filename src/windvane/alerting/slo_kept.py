"""Rules of the objectives that a server keeps: what is recorded of them, and the alerts.

Windows up to an hour are read from Istio's series. Longer ones are sums of what is recorded, one series for each of
an objective's indicators: a period of thirty days is 21,600 samples, however many series the service has. So they know
of nothing before the objective was first kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windvane.alerting.durations import parse_duration
from windvane.alerting.files import GroupSpec, RuleSpec
from windvane.alerting.slo import BURNS, Indicator, alert, budget, direct, ratio, record
from windvane.alerting.slo_file import Objective
from windvane.promql.numbers import fixed

SUM = 120
"""Seconds of requests that one recorded sum stands for."""
REQUESTS, BAD = f"slo:requests:sum{SUM // 60}m", f"slo:bad_requests:sum{SUM // 60}m"
BURN_RATE = "windvane_slo_burn_rate"
OBJECTIVE = "windvane_slo_objective"
REMAINING = "windvane_slo_error_budget_remaining"
_FAST = 60.0
_DIRECT = ("5m", "30m", "1h")
_MEANS = "6h"


def groups(objectives: list[Objective]) -> list[GroupSpec]:
    """The rule groups of objectives; a group is told by the file of its objective."""
    return [group for objective in objectives for one in objective.indicators() for group in _groups(objective, one)]


def _groups(objective: Objective, one: Indicator) -> Iterator[GroupSpec]:
    base = f"slo-{objective.namespace}/{objective.name}-{one.sli}"
    fast = [*_burning(one), *(alert(one, burn) for burn in BURNS if burn.long != "3d")]
    slow = [*_budget(one), *(alert(one, burn) for burn in BURNS if burn.long == "3d")]
    for name, interval, rules in (("burn", _FAST, fast), ("budget", float(SUM), slow)):
        yield GroupSpec(
            f"{base}-{name}", objective.file, tuple(_spec(rule, objective.line) for rule in rules), interval
        )


def _burning(one: Indicator) -> Iterator[dict[str, object]]:
    for window in _DIRECT:
        yield from direct(one, window)
    for name in ("requests", "bad_requests"):
        yield record(one, f"slo:{name}:rate{_MEANS}", f"avg_over_time(slo:{name}:rate5m{one.selector}[{_MEANS}])")
    yield ratio(one, _MEANS)
    for window in (*_DIRECT, _MEANS):
        yield _burn(one, window)


def _budget(one: Indicator) -> Iterator[dict[str, object]]:
    for name, rate in ((REQUESTS, "requests"), (BAD, "bad_requests")):
        yield record(one, name, f"slo:{rate}:rate5m{one.selector} * {SUM}")
    period = f"{one.slo.days}d"
    for window in dict.fromkeys(("3d", period)):
        for name, rate in ((REQUESTS, "requests"), (BAD, "bad_requests")):
            seconds = fixed(parse_duration(window))
            yield record(one, f"slo:{rate}:rate{window}", f"sum_over_time({name}{one.selector}[{window}]) / {seconds}")
        yield ratio(one, window)
    yield _burn(one, "3d")
    yield record(one, OBJECTIVE, f"vector({fixed(round(one.objective / 100, 9))})")
    yield record(one, REMAINING, f"1 - slo:bad_requests:ratio_rate{period}{one.selector} / {budget(one)}")


def _burn(one: Indicator, window: str) -> dict[str, object]:
    return record(one, BURN_RATE, f"slo:bad_requests:ratio_rate{window}{one.selector} / {budget(one)}", window=window)


def _spec(rule: Mapping[str, Any], line: int) -> RuleSpec:
    alerting = "alert" in rule
    return RuleSpec(
        rule["alert"] if alerting else rule["record"], rule["expr"], alerting, labels=rule["labels"],
        annotations=rule.get("annotations", {}), line=line,
    )  # fmt: skip
