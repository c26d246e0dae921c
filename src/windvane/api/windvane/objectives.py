"""Own routes of the objectives that the server keeps: their state, and how their budgets went."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.alerting.rules import NS, Alert
from windvane.alerting.slo import ALERT, Indicator
from windvane.alerting.slo_file import Objective
from windvane.alerting.slo_kept import BURN_RATE, REMAINING
from windvane.alerting.slo_kept_files import KeptObjectives
from windvane.analytics.releases.read import AskRange
from windvane.analytics.slo.burn import DAY, HOUR, TABLE, burn_rate
from windvane.analytics.slo.status import Budget, status
from windvane.api.windvane.analytics_slo import SHOWN, burn_by_window
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.objective_sums import HOUR_MS, HourlySums, recent
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import NotFoundError
from windvane.kit.yaml_nodes import Problem

Floats = NDArray[np.float64]

_YOUNG = 6
"""Hours of history below which it is told by the minute, as recorded."""
_YOUNG_STEP_MS = 120_000
_THIN = 60


class ObjectiveProblem(BaseModel):
    """Why a file's newest text is not in force; line 0: the file as a whole."""

    file: str
    line: int
    column: int
    path: str
    message: str


class BurnWindow(BaseModel):
    """A row of the burn-rate table: both burn rates, the threshold that both must exceed, and whether they do."""

    severity: str
    long: str
    short: str
    threshold: float
    long_burn: float
    short_burn: float
    exceeded: bool


class FiringAlert(BaseModel):
    """An alert of the rules: pending or firing since a time (Unix seconds); `value` is the share of bad requests."""

    state: str
    severity: str
    window: str
    since: float
    value: float
    summary: str


class BudgetEnd(BaseModel):
    """Days until the budget is gone (and when, Unix seconds) if it goes on as the last day; as the worse (`soonest`)
    and the better (`latest`) of the last days. null: not within a period."""

    days: float | None
    at: float | None
    soonest: float | None
    latest: float | None


class BudgetHistory(BaseModel):
    """At each time (Unix seconds) the share of the budget that was left, and the burn rate of the `step` seconds
    before; null where nothing is known."""

    step: int
    times: list[int]
    remaining: list[float | None]
    burn: list[float | None]


class IndicatorState(BaseModel):
    """One indicator of an objective. `remaining` is a share of the budget, negative when overspent, null where nothing
    is known; `threshold_ms` is what `latency` is measured against."""

    indicator: str
    objective: float
    threshold_ms: float | None
    attained: float | None
    bad: float
    all: float
    remaining: float | None
    burn: dict[str, float]
    windows: list[BurnWindow]
    alerts: list[FiringAlert]
    exhaustion: BudgetEnd | None
    hours: int
    known_hours: int
    history: BudgetHistory


class ObjectiveState(BaseModel):
    """An objective that the server keeps, and where it is written."""

    name: str
    namespace: str
    service: str
    description: str
    period_days: int
    file: str
    line: int
    indicators: list[IndicatorState]


class ObjectiveStates(BaseModel):
    """Every objective, and what is wrong with files of them."""

    objectives: list[ObjectiveState]
    problems: list[ObjectiveProblem]


_LIST = RouteDoc(
    "The objectives that the server keeps",
    ObjectiveStates,
    description="Histories have about sixty points here; one objective's own route has all of them.",
)
_ONE = RouteDoc(
    "One of the objectives that the server keeps",
    ObjectiveState,
    (
        Parameter("namespace", "Its namespace.", place="path"),
        Parameter("name", "Its name.", place="path"),
    ),
)


def routes(kept: KeptObjectives, alerts: Callable[[], Sequence[Alert]], ask: AskRange, clock: Clock) -> list[BaseRoute]:
    """The routes; `ask` may block, `alerts` are all that are pending or firing."""
    face = _Face(kept, alerts, ask, HourlySums(ask))

    def every(_: Request) -> Response:
        end_ms = clock.now_ns() // 10**6
        face.sums.forget(frozenset(one for each in kept.objectives for one in each.indicators()))
        states = [face.state(one, end_ms, thin=_THIN) for one in kept.objectives]
        return _json(ObjectiveStates(objectives=states, problems=[_problem(one) for one in kept.problems]))

    def single(request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        for one in kept.objectives:
            if (one.namespace, one.name) == (namespace, name):
                return _json(face.state(one, clock.now_ns() // 10**6))
        raise NotFoundError(f"no objective {name} in namespace {namespace}")

    return [
        documented(f"{PREFIX}/objectives", every, _LIST),
        documented(f"{PREFIX}/objectives/{{namespace}}/{{name}}", single, _ONE),
    ]


class _Face:
    def __init__(
        self, kept: KeptObjectives, alerts: Callable[[], Sequence[Alert]], ask: AskRange, sums: HourlySums
    ) -> None:
        self.kept = kept
        self.alerts = alerts
        self.ask = ask
        self.sums = sums

    def state(self, objective: Objective, end_ms: int, thin: int | None = None) -> ObjectiveState:
        """An objective's state, its histories with about `thin` points."""
        return ObjectiveState(
            name=objective.name, namespace=objective.namespace, service=objective.slo.name,
            description=objective.description, period_days=objective.days, file=objective.file, line=objective.line,
            indicators=[self._indicator(one, end_ms, thin) for one in objective.indicators()],
        )  # fmt: skip

    def _indicator(self, one: Indicator, end_ms: int, thin: int | None) -> IndicatorState:
        hours, wanted = one.slo.days * 24, one.objective / 100
        bad, every = self.sums.of(one, end_ms, 2 * hours)
        found = status(bad[-hours:], every[-hours:], recent(self.ask, one, end_ms), wanted, least=one.slo.minimum)
        young = found.known_hours < _YOUNG
        history = self._recorded(one, end_ms) if young else budget_history(bad, every, wanted, end_ms)
        return IndicatorState(
            indicator=one.sli, objective=one.objective,
            threshold_ms=one.slo.latency * 1_000 if one.sli == "latency" and one.slo.latency else None,
            attained=found.attained, bad=found.bad, all=found.all,
            remaining=found.remaining if found.all else None, burn=burn_by_window(found.burn),
            windows=_windows(found, one.slo.days), alerts=[_alert(each) for each in self._of(one)],
            exhaustion=_end(found, end_ms), hours=hours, known_hours=found.known_hours,
            history=_thinned(history, thin),
        )  # fmt: skip

    def _of(self, one: Indicator) -> list[Alert]:
        wanted = {"alertname": ALERT, **one.labels}
        return [each for each in self.alerts() if wanted.items() <= each.labels.items()]

    def _recorded(self, one: Indicator, end_ms: int) -> BudgetHistory:
        """The first hours of an objective, as its rules recorded them."""
        end = end_ms - end_ms % _YOUNG_STEP_MS
        start = end - _YOUNG * HOUR_MS
        rows: list[dict[int, float]] = []
        for query in (f"{REMAINING}{one.selector}", f'{BURN_RATE}{one.selector[:-1]},window="5m"}}'):
            found = self.ask(query, start, end, _YOUNG_STEP_MS)
            times, values = found.points(0) if len(found.metrics) else (np.zeros(0), np.zeros(0))
            rows.append({int(at) // 1_000: float(value) for at, value in zip(times, values, strict=True)})
        every = sorted(rows[0].keys() | rows[1].keys())
        return BudgetHistory(
            step=_YOUNG_STEP_MS // 1_000, times=every, remaining=[rows[0].get(at) for at in every],
            burn=[rows[1].get(at) for at in every],
        )  # fmt: skip


def budget_history(bad: Floats, every: Floats, wanted: float, end_ms: int) -> BudgetHistory:
    """From two periods of hourly sums: what was left at each hour of the last one, and how fast each hour burnt."""
    hours = len(bad) // 2
    known_bad, known_all = np.nan_to_num(bad), np.nan_to_num(every)
    sums_bad, sums_all = (np.concatenate([[0.0], np.cumsum(row)]) for row in (known_bad, known_all))
    over_bad, over_all = (
        sums_bad[hours + 1 :] - sums_bad[1 : hours + 1],
        sums_all[hours + 1 :] - sums_all[1 : hours + 1],
    )
    last = end_ms // HOUR_MS
    times = [hour * 3_600 for hour in range(last - hours + 2, last + 1)] + [end_ms // 1_000]
    return BudgetHistory(
        step=3_600, times=times,
        remaining=[
            None if not seen else 1 - burn_rate(failed / seen, wanted)
            for failed, seen in zip(over_bad.tolist(), over_all.tolist(), strict=True)
        ],
        burn=[
            None if not seen else burn_rate(failed / seen, wanted)
            for failed, seen in zip(known_bad[hours:].tolist(), known_all[hours:].tolist(), strict=True)
        ],
    )  # fmt: skip


def _thinned(found: BudgetHistory, most: int | None) -> BudgetHistory:
    """Every so many points, the last among them; the burn rate of a point is the greatest of those left out."""
    every = 1 if most is None else max(1, -(-len(found.times) // most))
    if every == 1:
        return found
    ends = range(len(found.times) - 1, -1, -every)[::-1]
    return BudgetHistory(
        step=found.step * every, times=[found.times[at] for at in ends],
        remaining=[found.remaining[at] for at in ends],
        burn=[
            max((one for one in found.burn[max(0, at - every + 1) : at + 1] if one is not None), default=None)
            for at in ends
        ],
    )  # fmt: skip


def _windows(found: Budget, days: int) -> list[BurnWindow]:
    return [
        BurnWindow(
            severity=row.severity, long=SHOWN[row.long], short=SHOWN[row.short], threshold=row.threshold(days * DAY),
            long_burn=found.burn[row.long], short_burn=found.burn[row.short], exceeded=row in found.alerts,
        )
        for row in TABLE
    ]  # fmt: skip


def _alert(one: Alert) -> FiringAlert:
    return FiringAlert(
        state=one.state.value, severity=one.labels.get("severity", ""), window=one.labels.get("window", ""),
        since=one.active_at / NS, value=one.value, summary=one.annotations.get("summary", ""),
    )  # fmt: skip


def _end(found: Budget, end_ms: int) -> BudgetEnd | None:
    gone = found.exhaustion
    if gone is None:
        return None
    at = None if gone.days is None else end_ms / 1_000 + gone.days * 24 * HOUR
    return BudgetEnd(days=gone.days, at=at, soonest=gone.soonest, latest=gone.latest)


def _problem(one: Problem) -> ObjectiveProblem:
    return ObjectiveProblem(file=one.file, line=one.line, column=one.column, path=one.path, message=one.message)


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
