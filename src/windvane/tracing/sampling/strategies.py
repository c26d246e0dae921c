"""Sampling strategies of services, read from a file in the format that Jaeger's collector reads.

    {"default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
        {"operation": "/health", "type": "probabilistic", "param": 0.0}]},
     "service_strategies": [{"service": "reviews", "type": "ratelimiting", "param": 5}]}

Jaeger's rules hold (internal/sampling/samplingstrategy/file/provider.go): operations of the default strategy count
for services as well where those say nothing of them; what has no strategy is sampled with probability 0.001.
An operation can only be probabilistic: another type is left out, with a warning.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from windvane.kit.errors import BadInputError

DEFAULT_PROBABILITY = 0.001
MAX_TEXT = 16 << 20
_MAX_RATE = (1 << 31) - 1  # an int32 on the wire


@dataclass(frozen=True, slots=True)
class PerOperation:
    """Probabilities by operation; operations without one have `default`, and at least `lower_bound` traces a second."""

    default: float
    lower_bound: float = 0.0
    probabilities: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a client samples: by `probability`, by `rate` (traces a second), and by `operations` before either.

    `probability` may be absent where `operations` say it all.
    """

    type: Literal["probabilistic", "ratelimiting"] = "probabilistic"
    probability: float | None = None
    rate: int = 0
    operations: PerOperation | None = None


@dataclass(frozen=True, slots=True)
class Strategies:
    """A strategy for every service; `warnings` tell what of the file has no effect."""

    default: Strategy = Strategy(probability=DEFAULT_PROBABILITY)
    services: Mapping[str, Strategy] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def of(self, service: str) -> Strategy:
        """The strategy of a service."""
        return self.services.get(service, self.default)


def parse_strategies(text: str) -> Strategies:
    """Strategies from JSON; `BadInputError` names the place of what is wrong."""
    if len(text) > MAX_TEXT:
        raise BadInputError(f"larger than {MAX_TEXT >> 20} MiB")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise BadInputError(f"not JSON: {error}") from None
    reader = _Reader()
    root = _mapping(document, "the file")
    known = root.get("default_strategy")
    default = Strategies().default if known is None else reader.strategy(known, "default_strategy")
    services: dict[str, Strategy] = {}
    for place, one in enumerate(_list(root.get("service_strategies"), "service_strategies")):
        path = f"service_strategies[{place}]"
        name = _text(_mapping(one, path).get("service"), f"{path}.service")
        services[name] = _with_default(reader.strategy(one, path), default)
    return Strategies(default, services, tuple(reader.warnings))


def _with_default(own: Strategy, default: Strategy) -> Strategy:
    """A service's strategy with the operations of the default one behind its own."""
    inherited = default.operations
    if inherited is None:
        return own
    if own.operations is None:
        probability = inherited.default if own.probability is None else own.probability
        return replace(own, operations=replace(inherited, default=probability))
    named = {operation for operation, _ in own.operations.probabilities}
    more = tuple(pair for pair in inherited.probabilities if pair[0] not in named)
    return replace(own, operations=replace(own.operations, probabilities=own.operations.probabilities + more))


class _Reader:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def strategy(self, value: Any, path: str) -> Strategy:
        """A service's strategy, its operations included."""
        given = _mapping(value, path)
        plain = _plain(given, path)
        operations = _list(given.get("operation_strategies"), f"{path}.operation_strategies")
        if not operations:
            return plain
        pairs = []
        for place, one in enumerate(operations):
            pair = self._operation(one, f"{path}.operation_strategies[{place}]")
            pairs += [pair] if pair else []
        default = DEFAULT_PROBABILITY if plain.probability is None else plain.probability
        return replace(plain, operations=PerOperation(default, 0.0, tuple(pairs)))

    def _operation(self, value: Any, path: str) -> tuple[str, float] | None:
        given = _mapping(value, path)
        name = _text(given.get("operation"), f"{path}.operation")
        plain = _plain(given, path)
        if plain.probability is None:
            self.warnings.append(f"{path}: an operation can only be probabilistic; {name!r} has its service's default")
            return None
        return name, plain.probability


def _plain(given: Mapping[str, Any], path: str) -> Strategy:
    kind, param = given.get("type"), given.get("param", 0)
    if isinstance(param, bool) or not isinstance(param, int | float) or not math.isfinite(param):
        raise BadInputError(f"{path}.param: must be a number, not {json.dumps(param)[:60]}")
    if kind == "probabilistic":
        if not 0 <= param <= 1:
            raise BadInputError(f"{path}.param: a probability is between 0 and 1, not {param:g}")
        return Strategy(probability=float(param))
    if kind == "ratelimiting":
        if not 0 <= param <= _MAX_RATE:
            raise BadInputError(f"{path}.param: traces a second are between 0 and {_MAX_RATE}, not {param:g}")
        return Strategy("ratelimiting", rate=int(param))
    raise BadInputError(f"{path}.type: must be probabilistic or ratelimiting, not {json.dumps(kind)[:60]}")


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInputError(f"{path}: must be an object")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise BadInputError(f"{path}: must be a list")
    return value or []


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise BadInputError(f"{path}: must be text")
    return value
