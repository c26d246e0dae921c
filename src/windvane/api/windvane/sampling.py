"""Own routes about sampling: what is in force and what it did, and what policies would do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.bodies import body_of
from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.sampling.policy_file import read
from windvane.tracing.sampling.trial import MAX_SECONDS, Outcome, attempt

_MAX_BODY = 1 << 20


class PolicyDecisions(BaseModel):
    """Traces that a policy kept (`kept`) or dropped; `policy` is empty for traces that no policy keeps."""

    policy: str
    kept: bool
    traces: int


class SamplingOutcome(BaseModel):
    """Decisions taken together. `estimate` is the sum of the kept traces' weights, an estimate of `traces`;
    `bytes_saved` counts each span that is not kept with the average of all."""

    traces: int
    traces_kept: int
    spans: int
    spans_kept: int
    estimate: float
    bytes_saved: int
    policies: list[PolicyDecisions]


class SourceState(BaseModel):
    """A file (or URL) in force since `loaded_at` (seconds since the epoch); `error` tells why a newer text is not."""

    source: str
    loaded_at: float
    error: str
    warnings: list[str]


class TailState(BaseModel):
    """Tail sampling: its policies in their order, and the decisions of the last day."""

    file: SourceState
    policies: list[str]
    last_day: SamplingOutcome


class AdaptiveOperation(BaseModel):
    """The probability that clients are told for an operation."""

    service: str
    operation: str
    probability: float


class SamplingState(BaseModel):
    """Sampling; `strategies`, `adaptive` and `tail` are null where they are not in use."""

    strategies: SourceState | None
    adaptive: list[AdaptiveOperation] | None
    tail: TailState | None


class SamplingTrial(BaseModel):
    """Policies to be tried on the traces of the last `seconds` that are stored; `file` is how errors name them."""

    policies: str
    seconds: float = 3_600
    file: str = "policies"


_STATE = RouteDoc("Sampling in force, and what it did", SamplingState)
_TRY = RouteDoc(
    "What tail-sampling policies would have kept",
    SamplingOutcome,
    description="`policies` is YAML, as for `--tail-sampling`. Nothing is changed.",
    body=SamplingTrial,
)


def routes(engine: Engine, clock: Clock, state: Callable[[], SamplingState]) -> list[BaseRoute]:
    """The routes; `state` may block."""

    def sampling(_: Request) -> Response:
        return _json(state())

    async def trial(request: Request) -> Response:
        try:
            asked = SamplingTrial.model_validate_json(await body_of(request, _MAX_BODY))
        except ValidationError as error:
            raise BadInputError(f"body: {error.errors()[0]['msg']}") from None
        if not 1 <= asked.seconds <= MAX_SECONDS:
            raise BadInputError(f"seconds must be between 1 and {MAX_SECONDS}")
        policies = read(asked.policies, asked.file)
        end = clock.now_ns() // 10**9
        return _json(outcome_model(await asyncio.to_thread(attempt, engine, policies, end - int(asked.seconds), end)))

    return [documented(f"{PREFIX}/sampling", sampling, _STATE), documented(f"{PREFIX}/sampling/try", trial, _TRY)]


def outcome_model(found: Outcome) -> SamplingOutcome:
    """An outcome as it is answered."""
    policies = [PolicyDecisions(policy=one.name, kept=one.kept, traces=one.traces) for one in found.policies]
    return SamplingOutcome.model_validate({**asdict(found), "policies": policies})


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
