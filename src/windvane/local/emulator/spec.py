"""The annotation `windvane.dev/emulate`: how an emulated application behaves, strictly validated.

latency: {distribution: lognormal, p50: 8ms, p99: 60ms}   # or just 8ms
response: {bytes: 2KiB}                                    # or [1KiB, 4KiB]
errors: [{rate: 2%, status: 503}, {rate: 1%, reset: true}]
calls:
  - to: http://catalog.shop:8080/products
    probability: 0.5
  - parallel: [{to: "grpc://cart.shop:7070/shop.Cart/GetItems"}, {to: "tcp://db.shop:5432"}]
endpoints: [{path: /checkout, latency: 30ms, calls: […]}]  # longest matching prefix; inherits the rest
background: [{every: 2s, calls: […]}]
outages: {every: 60s, for: 500ms}
trace_headers: none            # forgets them; or [x-request-id]: only these; or 90%: of requests; default: all
forward_headers: [end-user]    # handed on besides
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from windvane.kit.errors import BadInputError
from windvane.kit.shares import parse_share
from windvane.kit.values import parse_duration, parse_size
from windvane.local.emulator.headers import TRACE_HEADERS

GRPC_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_Z99 = 2.3263478740408408  # 99th percentile of the standard normal distribution

T = TypeVar("T")


def _reader(parse: Callable[[str], float]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except BadInputError as error:
            raise ValueError(error.message) from None

    return read


def _seconds(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0:
        raise ValueError(f"a duration needs a unit, for example {value}ms")
    return _reader(parse_duration)(value)


def _ratio(value: Any) -> Any:
    return _reader(parse_share)(value)


def _size(value: Any) -> Any:
    return _reader(parse_size)(value)


def _range(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value, value)


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=3600)]
Interval = Annotated[float, BeforeValidator(_seconds), Field(ge=0.01, le=86_400)]
Ratio = Annotated[float, BeforeValidator(_ratio), Field(ge=0, le=1)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=0, le=64 << 20)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(_Strict):
    distribution: Literal["constant"]
    value: Seconds

    def sample(self, rng: random.Random) -> float:
        return self.value


class Uniform(_Strict):
    distribution: Literal["uniform"]
    min: Seconds
    max: Seconds

    def sample(self, rng: random.Random) -> float:
        return rng.uniform(self.min, self.max)


class Normal(_Strict):
    """Truncated at zero."""

    distribution: Literal["normal"]
    mean: Seconds
    stddev: Seconds

    def sample(self, rng: random.Random) -> float:
        return max(0.0, rng.gauss(self.mean, self.stddev))


class Exponential(_Strict):
    distribution: Literal["exponential"]
    mean: Seconds

    def sample(self, rng: random.Random) -> float:
        return rng.expovariate(1 / self.mean) if self.mean else 0.0


class Lognormal(_Strict):
    """By its median and 99th percentile: μ = ln p50, σ = ln(p99/p50) / z₀.₉₉."""

    distribution: Literal["lognormal"]
    p50: Annotated[Seconds, Field(gt=0)]
    p99: Seconds

    @model_validator(mode="after")
    def _ordered(self) -> Lognormal:
        if self.p99 < self.p50:
            raise ValueError("p99 is less than p50")
        return self

    def sample(self, rng: random.Random) -> float:
        return lognormal(self.p50, self.p99, rng)


def lognormal(p50: float, p99: float, rng: random.Random) -> float:
    """One value of a lognormal distribution with this median (more than 0) and 99th percentile."""
    return rng.lognormvariate(math.log(p50), math.log(p99 / p50) / _Z99)


def _distribution(value: Any) -> Any:
    return value if isinstance(value, (dict, BaseModel)) else {"distribution": "constant", "value": value}


Latency = Annotated[
    Constant | Uniform | Normal | Exponential | Lognormal,
    Field(discriminator="distribution"),
    BeforeValidator(_distribution),
]


class Body(_Strict):
    """Size of a body: fixed, or uniform between two bounds."""

    bytes: Annotated[tuple[Size, Size], BeforeValidator(_range)] = (256, 256)

    def sample(self, rng: random.Random) -> int:
        low, high = self.bytes
        return low if low == high else rng.randint(min(low, high), max(low, high))


class Failure(_Strict):
    """A share of the answers that fail, in exactly one way."""

    rate: Ratio
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    grpc_status: str | None = None
    reset: Literal[True] | None = None

    @field_validator("grpc_status")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in GRPC_CODES[1:]:
            raise ValueError(f"not a gRPC status: {value!r} (expected one of {', '.join(GRPC_CODES[1:])})")
        return value

    @model_validator(mode="after")
    def _one(self) -> Failure:
        if sum(way is not None for way in (self.status, self.grpc_status, self.reset)) != 1:
            raise ValueError("give exactly one of status, grpc_status, reset")
        return self


class Step(_Strict):
    """One call, or a group of steps done in parallel or in sequence."""

    to: str | None = None
    parallel: tuple[Step, ...] | None = None
    sequence: tuple[Step, ...] | None = None
    method: Annotated[str, Field(pattern="^[A-Z]+$")] = "GET"
    bytes: Size = 0
    response_bytes: Size = 256
    probability: Ratio = 1.0
    times: Annotated[int, Field(ge=1, le=1_000)] = 1
    timeout: Interval = 10.0
    required: bool = True
    """Whether its failure fails the request that asked for it."""

    @field_validator("to")
    @classmethod
    def _callable(cls, value: str | None) -> str | None:
        if value is not None:
            Target.parse(value)
        return value

    @model_validator(mode="after")
    def _one(self) -> Step:
        if sum(way is not None for way in (self.to, self.parallel, self.sequence)) != 1:
            raise ValueError("give exactly one of to, parallel, sequence")
        return self

    @cached_property
    def target(self) -> Target:
        assert self.to is not None
        return Target.parse(self.to)


class Target(_Strict):
    """What a `to` names: scheme http, grpc or tcp, a service and its port, a path with query."""

    scheme: Literal["http", "grpc", "tcp"]
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Target:
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError as error:
            raise ValueError(f"not a URL: {text!r} ({error})") from None
        if url.scheme not in ("http", "grpc", "tcp") or not url.hostname or any(c.isspace() for c in text):
            raise ValueError(f"cannot call {text!r} (expected http://, grpc:// or tcp:// and a service)")
        if port is None and url.scheme != "http":
            raise ValueError(f"{text!r} needs a port")
        if url.scheme == "grpc" and url.path.count("/") != 2:
            raise ValueError(f"{text!r} needs a method, for example grpc://cart.shop:7070/shop.Cart/GetItems")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return cls.model_validate({"scheme": url.scheme, "host": url.hostname, "port": port or 80, "path": path})


class Endpoint(_Strict):
    """What differs for requests whose path (or gRPC method) starts with `path`; the rest is the workload's."""

    path: Annotated[str, Field(pattern="^/")]
    latency: Latency | None = None
    response: Body | None = None
    errors: tuple[Failure, ...] | None = None
    calls: tuple[Step, ...] | None = None


_ANY_PATH = Endpoint(path="/")


class Background(_Strict):
    """Calls made by the application itself, once an interval."""

    every: Interval
    calls: tuple[Step, ...]


class Outages(_Strict):
    """Once an interval the application stops listening for a while: its callers see connection failures."""

    every: Interval
    duration: Annotated[Interval, Field(alias="for")]


def _handed_on(value: Any) -> Any:
    if value in ("all", "none"):
        return {"share": 1.0 if value == "all" else 0.0}
    if isinstance(value, list):
        return {"names": value}
    return value if isinstance(value, (dict, BaseModel)) else {"share": value}


class HandedOn(_Strict):
    """Which headers of a trace calls get, and of what share of the requests (the others' calls get none)."""

    names: frozenset[str] = TRACE_HEADERS
    share: Ratio = 1.0

    @field_validator("names")
    @classmethod
    def _known(cls, value: frozenset[str]) -> frozenset[str]:
        names = frozenset(name.lower() for name in value)
        if unknown := sorted(names - TRACE_HEADERS):
            raise ValueError(
                f"no header of a trace: {', '.join(unknown)} (expected {', '.join(sorted(TRACE_HEADERS))})"
            )
        return names


class EmulateSpec(_Strict):
    """A whole annotation."""

    latency: Latency = Constant.model_validate({"distribution": "constant", "value": "5ms"})
    response: Body = Body()
    errors: tuple[Failure, ...] = ()
    calls: tuple[Step, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    background: tuple[Background, ...] = ()
    outages: Outages | None = None
    trace_headers: Annotated[HandedOn, BeforeValidator(_handed_on)] = HandedOn()
    """An application that forgets: `none`, a list of the headers handed on, or the share of requests with all."""
    forward_headers: tuple[str, ...] = ("end-user",)
    """Request headers copied to calls besides those that carry a trace."""

    @field_validator("errors")
    @classmethod
    def _possible(cls, value: tuple[Failure, ...]) -> tuple[Failure, ...]:
        if sum(failure.rate for failure in value) > 1:
            raise ValueError("the rates add up to more than 100%")
        return value

    def endpoint(self, path: str) -> Endpoint:
        """What applies to a request path, nothing left open: the longest matching prefix wins."""
        found = max(
            (e for e in self.endpoints if path.startswith(e.path)), key=lambda e: len(e.path), default=_ANY_PATH
        )
        return Endpoint(
            path=found.path,
            latency=_first(found.latency, self.latency),
            response=_first(found.response, self.response),
            errors=_first(found.errors, self.errors),
            calls=_first(found.calls, self.calls),
        )


def _first(value: T | None, default: T) -> T:
    return default if value is None else value


def parse_emulate(text: str, workload: str) -> EmulateSpec:
    """Read an annotation; BadInputError names the workload, every wrong field and why."""
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInputError(f"{workload}: windvane.dev/emulate is not YAML: {_flat(str(error))}") from None
    if not isinstance(loaded or {}, dict):
        raise BadInputError(f"{workload}: windvane.dev/emulate: expected a mapping, found {type(loaded).__name__}")
    try:
        return EmulateSpec.model_validate(loaded or {})
    except ValidationError as error:
        wrong = "; ".join(_problem(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors())
        raise BadInputError(f"{workload}: windvane.dev/emulate: {wrong}") from None
    except RecursionError:
        raise BadInputError(f"{workload}: windvane.dev/emulate: nested too deeply") from None


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if kind == "extra_forbidden":
        return f"{path}: unknown field"
    return f"{path or 'it'}: {_flat(message.removeprefix('Value error, '))}"


def _flat(text: str) -> str:
    return " ".join(text.split())
