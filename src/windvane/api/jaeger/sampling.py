"""Sampling strategies as Jaeger's clients ask for them: JSON over HTTP, and `SamplingManager` over gRPC.

The JSON is that of gogo's jsonpb with defaults written out and absent messages left out
(internal/converter/json/sampling.go of Jaeger); fields keep their order. `/` is the form of clients from before
2017, whose types are numbers; every other path has names. Field numbers: jaeger-idl, proto/api_v2/sampling.proto.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import grpc
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.jaeger import messages
from windvane.ingest.grpc_server import unary
from windvane.promql import numbers
from windvane.signals.otlp.wire import block, double
from windvane.tracing.sampling.strategies import PerOperation, Strategy

SERVICE, METHOD = "jaeger.api_v2.SamplingManager", "GetSamplingStrategy"
_TYPES = {"probabilistic": 0, "ratelimiting": 1}
_NAMES = {"probabilistic": "PROBABILISTIC", "ratelimiting": "RATE_LIMITING"}
_SMALL = re.compile(r"e-0(\d)$")

Strategies = Callable[[str], Strategy]
"""The strategy of a service."""


def routes(strategies: Strategies, answered: Callable[[str], None]) -> list[BaseRoute]:
    """The listener of clients: any path, one `service`; `answered` is told the protocol."""

    def answer(request: Request) -> Response:
        services = request.query_params.getlist("service")
        if len(services) != 1:
            return PlainTextResponse(
                "'service' parameter must be provided once\n", 400, {"X-Content-Type-Options": "nosniff"}
            )
        legacy = request.url.path == "/"
        answered("http-legacy" if legacy else "http")
        text = strategy_json(strategies(services[0]), numeric=legacy)
        return Response(text, media_type="application/json")

    return [Route("/{path:path}", answer, methods=["GET"])]


def service(strategies: Strategies, answered: Callable[[str], None]) -> grpc.GenericRpcHandler:
    """SamplingManager of api_v2."""

    async def get(request: bytes, _: object) -> bytes:
        answered("grpc")
        return strategy_protobuf(strategies(messages.text(messages.fields(request), 1)))

    return unary(SERVICE, METHOD, get)


def strategy_json(strategy: Strategy, *, numeric: bool = False) -> str:
    """A SamplingStrategyResponse as JSON."""
    kind = str(_TYPES[strategy.type]) if numeric else f'"{_NAMES[strategy.type]}"'
    parts = [f'"strategyType":{kind}']
    if strategy.probability is not None:
        parts.append(f'"probabilisticSampling":{_rate(strategy.probability)}')
    if strategy.type == "ratelimiting":
        parts.append(f'"rateLimitingSampling":{{"maxTracesPerSecond":{strategy.rate}}}')
    if strategy.operations is not None:
        parts.append(f'"operationSampling":{_operations(strategy.operations)}')
    return "{" + ",".join(parts) + "}"


def _operations(operations: PerOperation) -> str:
    each = ",".join(
        f'{{"operation":{json.dumps(name, ensure_ascii=False)},"probabilisticSampling":{_rate(probability)}}}'
        for name, probability in operations.probabilities
    )
    return (
        f'{{"defaultSamplingProbability":{_number(operations.default)},'
        f'"defaultLowerBoundTracesPerSecond":{_number(operations.lower_bound)},'
        f'"perOperationStrategies":[{each}],"defaultUpperBoundTracesPerSecond":0}}'
    )


def _rate(probability: float) -> str:
    return f'{{"samplingRate":{_number(probability)}}}'


def _number(value: float) -> str:
    """As Go's encoding/json writes a float64."""
    return _SMALL.sub(r"e-\1", numbers.json(value))


def strategy_protobuf(strategy: Strategy) -> bytes:
    """A SamplingStrategyResponse; fields that have their default are left out, as in proto3."""
    parts = [messages.whole(1, _TYPES[strategy.type])]
    if strategy.probability is not None:
        parts.append(block(2, _double(1, strategy.probability)))
    if strategy.type == "ratelimiting":
        parts.append(block(3, messages.whole(1, strategy.rate)))
    if strategy.operations is not None:
        operations = strategy.operations
        each = (
            block(3, messages.string(1, name) + block(2, _double(1, probability)))
            for name, probability in operations.probabilities
        )
        inner = [_double(1, operations.default), _double(2, operations.lower_bound), *each]
        parts.append(block(4, b"".join(inner)))
    return b"".join(parts)


def _double(number: int, value: float) -> bytes:
    return double(number, value) if value else b""
