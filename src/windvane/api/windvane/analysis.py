"""Own routes that answer from many traces: `/api/windvane/v1/traces/…` (see `windvane.tracing.analysis`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane import analysis_json as told
from windvane.api.windvane import analysis_models as shown
from windvane.api.windvane.analysis_choice import (
    PARAMETERS,
    Chosen,
    TraceChoice,
    choice_of,
    choose,
    trace_id,
    validated,
)
from windvane.api.windvane.analysis_exemplars import exemplar_route
from windvane.api.windvane.docs import Endpoint, Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.store.api import Engine
from windvane.tracing.analysis import attributes, cohorts, critical, failures, outliers, repeats, storms, whatif
from windvane.tracing.analysis.compare import compare
from windvane.tracing.analysis.exemplars import Naming
from windvane.tracing.analysis.flame import flame
from windvane.tracing.analysis.load import read_spans
from windvane.tracing.analysis.tree import Tree
from windvane.tracing.sampling.kept import estimate

LEAST_SHARE = 0.001
_TOP = 5  # operations whose what-if is told unasked
_MAX_BODY = 1 << 20
_ID = Parameter("id", "Trace id, up to 32 hex characters.", place="path")
_LEAST = Parameter("min_share", "Leave out what has less of all self time, with all below it.", "number",
                   default=str(LEAST_SHARE))  # fmt: skip

_PATH = RouteDoc("The critical path of one trace", shown.TracePath, (_ID,))
_PATHS = RouteDoc(
    "Who owns the latency of many traces, and what would help",
    shown.PathsAnswer,
    (
        *PARAMETERS,
        Parameter("faster", "How much less time own work takes in what_if, 0 to 1.", "number", default="0.3"),
        Parameter("faster_service", "The service that is faster (default: the five operations that own most)."),
        Parameter("faster_operation", "Its operation (default: all of them)."),
    ),
)
_FLAME = RouteDoc("An aggregate flame graph", shown.FlameAnswer, (*PARAMETERS, _LEAST))
_TRACE_FLAME = RouteDoc("The flame graph of one trace", shown.FlameAnswer, (_ID, _LEAST))
_COMPARE = RouteDoc(
    "Two traces side by side",
    shown.ComparisonAnswer,
    (Parameter("a", "The first trace's id.", required=True), Parameter("b", "The second's.", required=True)),
)
_COHORTS = RouteDoc(
    "What tells two sets of traces apart", shown.CohortsAnswer, body=shown.CohortsQuestion,
    description="A trace counts once. Fisher's exact test for properties, Brunner and Munzel's for latency; "
    "all comparisons are one family.",
)  # fmt: skip
_FINDINGS = RouteDoc(
    "Where failures begin, calls that repeat, retry storms, operations that became slower",
    shown.FindingsAnswer,
    (
        *PARAMETERS,
        Parameter("calls", "Least similar calls under one parent.", "integer", default=repeats.MIN_CALLS),
        Parameter("attempts", "Least attempts of one request at a cluster.", "integer", default=storms.MIN_ATTEMPTS),
        Parameter("baseline_start", "Start of what is usual, seconds (default: as long before the window).", "number"),
        Parameter("baseline_end", "End of what is usual (default: the window's start).", "number"),
    ),
    "Retry storms are of all access logs in the window, whatever else is asked; the others of the chosen traces.",
)


def routes(engine: Engine, clock: Clock, naming: Naming) -> list[BaseRoute]:
    """The routes; `naming` says what Istio calls the traffic of access-log entries."""
    answers = _Answers(engine, clock)

    def answered(answer: Any) -> Endpoint:
        return lambda request: json(answer(request))

    async def cohort_diff(request: Request) -> Response:
        body = await request.body()
        return json(await run_in_threadpool(answers.cohorts, body))

    return [
        documented(f"{PREFIX}/traces/critical-path", answered(answers.paths), _PATHS),
        documented(f"{PREFIX}/traces/flame", answered(answers.flame), _FLAME),
        documented(f"{PREFIX}/traces/compare", answered(answers.compare), _COMPARE),
        documented(f"{PREFIX}/traces/cohorts", cohort_diff, _COHORTS),
        documented(f"{PREFIX}/traces/findings", answered(answers.findings), _FINDINGS),
        exemplar_route(engine, clock, naming),
        documented(f"{PREFIX}/traces/{{id}}/critical-path", answered(answers.path), _PATH),
        documented(f"{PREFIX}/traces/{{id}}/flame", answered(answers.trace_flame), _TRACE_FLAME),
    ]


def json(body: BaseModel) -> Response:
    """A model as JSON."""
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")


class _Answers:
    """What each route answers."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def path(self, request: Request) -> shown.TracePath:
        tree = self._trace(request.path_params["id"])
        if tree.roots[0] < 0:
            raise NotFoundError(f"trace {tree.spans.trace_ids[0]} has no root: its spans are each other's parents")
        return told.trace_path(tree)

    def trace_flame(self, request: Request) -> shown.FlameAnswer:
        tree = self._trace(request.path_params["id"])
        return _flame(tree, request.query_params, False, estimate(self._engine, tree.spans.trace_ids))

    def paths(self, request: Request) -> shown.PathsAnswer:
        params = request.query_params
        faster = number(params, "faster", 0.3)
        chosen, tree = self._tree(choice_of(params))
        found = critical.aggregate(tree, critical.walk(tree))
        if params.get("faster_service"):
            better = [(params["faster_service"], params.get("faster_operation", ""))]
        else:
            better = [(one.label[0], one.label[1]) for one in found.operations[:_TOP] if one.path_ns]
        return shown.PathsAnswer(
            traces=found.traces, spans=len(tree.spans), truncated=chosen.truncated,
            estimated_traces=self._estimate(chosen, tree.spans.trace_ids),
            duration_ms=told.quantiles(found.quantiles_ns),
            services=[shown.ServiceOwner(service=one.label[0], **told.owned(one)) for one in found.services],
            operations=[
                shown.OperationOwner(service=one.label[0], operation=one.label[1], **told.owned(one))
                for one in found.operations
            ],
            edges=[
                shown.EdgeOwner(caller=one.label[0], service=one.label[1], **told.owned(one)) for one in found.edges
            ],
            what_if=[told.what_if(whatif.project(tree, *one, faster)) for one in better],
        )  # fmt: skip

    def flame(self, request: Request) -> shown.FlameAnswer:
        chosen, tree = self._tree(choice_of(request.query_params))
        known = self._estimate(chosen, tree.spans.trace_ids)
        return _flame(tree, request.query_params, chosen.truncated, known)

    def compare(self, request: Request) -> shown.ComparisonAnswer:
        asked = [trace_id(request.query_params.get(name, "")) for name in ("a", "b")]
        if asked[0] == asked[1]:
            raise BadInputError("a and b are the same trace")
        spans = read_spans(self._engine, asked)
        missing = [one for one in asked if one not in spans.trace_ids]
        if missing:
            raise NotFoundError(f"trace {missing[0]} not found")
        found = compare(Tree.of(spans))
        a, b = (
            shown.ComparedTrace(trace_id=one, duration_ms=shown.milliseconds(length))
            for one, length in zip(asked, (found.a_ns, found.b_ns), strict=True)
        )
        return shown.ComparisonAnswer(a=a, b=b, places=[told.compared(place) for place in found.places])

    def cohorts(self, body: bytes) -> shown.CohortsAnswer:
        question = _question(body)
        demand = cohorts.Demand(question.rate, question.correction, question.support, question.limit)
        first, second = question.selection, question.baseline
        if second is None:
            second = TraceChoice(**shown.fields_of(first, "service", "start", "end", "limit"))
        now_ns = self._clock.now_ns()
        selection, baseline = (choose(self._engine, one, now_ns) for one in (first, second))
        own = set(selection.ids)
        others = [one for one in baseline.ids if one not in own]
        window = _around(selection, baseline)
        spans = read_spans(self._engine, [*selection.ids, *others], window)
        chosen = np.array([one in own for one in spans.trace_ids], np.bool_)
        ids = [one for one in spans.trace_ids if one in own], [one for one in spans.trace_ids if one not in own]
        counted = attributes.count(self._engine, *ids, demand.support, window) if all(ids) else None
        found = cohorts.diff(Tree.of(spans), chosen, counted, demand)
        return shown.CohortsAnswer(
            selection=shown.CohortSize(
                traces=found.selection, truncated=selection.truncated,
                estimated_traces=estimate(self._engine, ids[0], window),
            ),
            baseline=shown.CohortSize(
                traces=found.baseline, truncated=baseline.truncated, overlap=len(baseline.ids) - len(others),
                estimated_traces=estimate(self._engine, ids[1], window),
            ),
            **shown.fields_of(found, "comparisons", "found"), correction=demand.correction, rate=demand.rate,
            differences=[told.difference(one, found.selection, found.baseline) for one in found.differences],
            latencies=[told.latency(one) for one in found.latencies],
        )  # fmt: skip

    def findings(self, request: Request) -> shown.FindingsAnswer:
        params = request.query_params
        choice = choice_of(params)
        window = choice.window(self._clock.now_ns())
        calls = int(number(params, "calls", repeats.MIN_CALLS))
        attempts = int(number(params, "attempts", storms.MIN_ATTEMPTS))
        usual = (
            round(number(params, "baseline_start", (2 * window[0] - window[1]) / 1e9) * 1e9),
            round(number(params, "baseline_end", window[0] / 1e9) * 1e9),
        )
        chosen, tree = self._tree(choice)
        path = critical.walk(tree)
        slow = outliers.slow(tree.spans, outliers.baseline(self._engine, usual))
        return shown.FindingsAnswer(
            traces=len(tree.spans.trace_ids), spans=len(tree.spans), truncated=chosen.truncated,
            estimated_traces=self._estimate(chosen, tree.spans.trace_ids),
            error_roots=[told.error_root(one) for one in failures.error_roots(tree)],
            n_plus_one=[told.repeat(one) for one in repeats.n_plus_one(tree, path, calls)],
            retried=[told.repeat(one) for one in repeats.retried(tree, path)],
            retry_storms=[told.storm(one) for one in storms.storms(self._engine, window, attempts)],
            slow=[told.slow(one) for one in slow],
        )  # fmt: skip

    def _estimate(self, chosen: Chosen, ids: Sequence[str]) -> float:
        return estimate(self._engine, ids, chosen.window_ns)

    def _trace(self, text: str) -> Tree:
        asked = trace_id(text)
        spans = read_spans(self._engine, [asked])
        if not len(spans):
            raise NotFoundError(f"trace {asked} not found")
        return Tree.of(spans)

    def _tree(self, choice: TraceChoice) -> tuple[Chosen, Tree]:
        chosen = choose(self._engine, choice, self._clock.now_ns())
        return chosen, Tree.of(chosen.spans(self._engine))


def _flame(tree: Tree, params: QueryParams, truncated: bool, estimated: float) -> shown.FlameAnswer:
    least = number(params, "min_share", LEAST_SHARE)
    graph = flame(tree)
    nodes, left_out = told.flame_nodes(tree, graph, least)
    return shown.FlameAnswer(
        traces=len(tree.spans.trace_ids), spans=len(tree.spans), truncated=truncated, estimated_traces=estimated,
        total_ms=shown.milliseconds(int(graph.own.sum())), nodes=nodes, left_out=left_out,
    )  # fmt: skip


def _question(body: bytes) -> shown.CohortsQuestion:
    if len(body) > _MAX_BODY:
        raise BadInputError(f"the body has {len(body)} bytes; at most {_MAX_BODY}")
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"the body is not JSON: {error}") from None
    return validated(shown.CohortsQuestion, values)


def _around(first: Chosen, second: Chosen) -> tuple[int, int] | None:
    """Times that hold both choices'."""
    if first.window_ns is None or second.window_ns is None:
        return None
    return min(first.window_ns[0], second.window_ns[0]), max(first.window_ns[1], second.window_ns[1])


def number(params: QueryParams, name: str, default: float) -> float:
    """A parameter that is a number of 0 or more."""
    text = params.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < 9_000_000_000:
        raise BadInputError(f"{name} {text!r}: expected a number of 0 or more")
    return value
