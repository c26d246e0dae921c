"""Which headers carry trace context in a mesh, told from what spans carry.

`seen`: the evidence leaves no other explanation (a recorded header, a tracer that writes one format only).
`likely`: what that tracer or SDK does unless it was told otherwise. Nothing of it is guessed from names of services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Certainty = Literal["seen", "likely", "unknown"]

REQUEST_ID = "x-request-id"


@dataclass(frozen=True, slots=True)
class Format:
    """A format of trace context: `headers` must be handed on, the first of them names the trace.

    `propagator` is its name in OTEL_PROPAGATORS ("" where OpenTelemetry has none).
    """

    name: str
    headers: tuple[str, ...]
    propagator: str


W3C = Format("W3C Trace Context", ("traceparent", "tracestate"), "tracecontext")
B3_MULTI = Format(
    "B3, several headers",
    ("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
    "b3multi",
)
B3_SINGLE = Format("B3, one header", ("b3",), "b3")
JAEGER = Format("Jaeger", ("uber-trace-id",), "jaeger")
DATADOG = Format(
    "Datadog",
    ("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-origin", "x-datadog-tags"),
    "",
)
XRAY = Format("AWS X-Ray", ("x-amzn-trace-id",), "xray")
SKYWALKING = Format("SkyWalking", ("sw8", "sw8-correlation"), "")
FORMATS = (W3C, B3_MULTI, B3_SINGLE, JAEGER, DATADOG, XRAY, SKYWALKING)


@dataclass(frozen=True, slots=True)
class Signs:
    """What the spans of a workload, or of a mesh, carry: numbers of `spans`, and what is found on them.

    Of the `proxies`' spans `envoy_otel` come from Envoy's OpenTelemetry tracer. `headers` are the request headers
    recorded (lower case), `keys` the attribute keys that mark a tracer, `sdks` the values of telemetry.sdk.name.
    `short_ids` have a trace id of 64 bits, `dated_ids` one that begins with the second of the span's start.
    """

    spans: int = 0
    proxies: int = 0
    envoy_otel: int = 0
    tracestates: int = 0
    short_ids: int = 0
    dated_ids: int = 0
    headers: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    sdks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A format in use, how sure that is, and why."""

    format: Format
    certainty: Certainty
    evidence: str


_DATADOG_KEYS = ("_dd.p.tid", "_dd.p.dm", "_dd.base_service", "_sampling_priority_v1", "datadog.span.id")
_JAEGER_KEYS = ("jaeger.version", "jaeger.hostname")
MARKS = (*_DATADOG_KEYS, *_JAEGER_KEYS, "sw8.trace_id", "sw8.segment_id", "internal.span.format")
"""Attribute keys that are looked for."""

_FEW_IDS = 5


def recognise(signs: Signs) -> list[Recognised]:
    """The formats in use, the surest first, those of the proxies before those of applications."""
    found = [*_recorded(signs.headers), *_of_tracers(signs), *_of_sdks(signs), *_of_ids(signs)]
    best: dict[str, Recognised] = {}
    for one in sorted(found, key=lambda one: one.certainty != "seen"):
        best.setdefault(one.format.name, one)
    return list(best.values())


def _recorded(headers: frozenset[str]) -> list[Recognised]:
    present = ((one, [name for name in one.headers if name in headers]) for one in FORMATS)
    return [Recognised(one, "seen", f"request header recorded: {', '.join(names)}") for one, names in present if names]


def _of_tracers(signs: Signs) -> list[Recognised]:
    """What the proxies' tracers write; Envoy's OpenTelemetry tracer knows one format."""
    found = []
    if signs.envoy_otel:
        found.append(Recognised(W3C, "seen", "spans of Envoy's OpenTelemetry tracer, which writes only this"))
    if signs.tracestates:
        found.append(Recognised(W3C, "seen", "spans carry a tracestate"))
    if any(key in signs.keys for key in _DATADOG_KEYS):
        found.append(Recognised(DATADOG, "seen", "spans carry attributes of Datadog's tracers"))
    if signs.keys & {"sw8.trace_id", "sw8.segment_id"}:
        found.append(Recognised(SKYWALKING, "seen", "spans carry SkyWalking's segment ids"))
    if signs.proxies > signs.envoy_otel and not any(one.format in (DATADOG, SKYWALKING) for one in found):
        if _dated(signs):
            found.append(Recognised(XRAY, "likely", "trace ids of the proxies begin with the time, as X-Ray's do"))
        else:
            found.append(
                Recognised(B3_MULTI, "likely", "proxies' spans of another tracer than OpenTelemetry's: Zipkin")
            )
    return found


def _of_sdks(signs: Signs) -> list[Recognised]:
    found = []
    if "opentelemetry" in signs.sdks:
        found.append(Recognised(W3C, "likely", "spans of an OpenTelemetry SDK, whose default this is"))
    if any(key in signs.keys for key in _JAEGER_KEYS):
        found.append(Recognised(JAEGER, "likely", "spans of a Jaeger client, whose default this is"))
    return found


def _of_ids(signs: Signs) -> list[Recognised]:
    """What ids tell of tracers that say nothing else."""
    if signs.proxies or signs.spans < _FEW_IDS:
        return []
    if _dated(signs):
        return [Recognised(XRAY, "likely", "trace ids begin with the time, as X-Ray's do")]
    if signs.short_ids == signs.spans and not signs.keys & {*_DATADOG_KEYS, *_JAEGER_KEYS}:
        return [Recognised(B3_MULTI, "likely", "trace ids of 64 bits, which B3 and Jaeger's format allow")]
    return []


def _dated(signs: Signs) -> bool:
    return signs.spans >= _FEW_IDS and signs.dated_ids == signs.spans


def header_names(keys: Sequence[str]) -> frozenset[str]:
    """Names of request headers from attribute keys (`http.request.header.x-b3-traceid`, older `…x_b3_traceid`)."""
    names = (key.removeprefix(HEADER_KEY).lower().replace("_", "-") for key in keys if key.startswith(HEADER_KEY))
    return frozenset(names)


HEADER_KEY = "http.request.header."


_AGENTS: Mapping[str, str] = {
    "python-requests/": "python", "python-urllib": "python", "python-httpx/": "python", "aiohttp/": "python",
    "go-http-client/": "go", "grpc-go/": "go", "okhttp/": "java", "java/": "java", "java-http-client/": "java",
    "apache-httpclient/": "java", "reactornetty/": "java", "grpc-java-": "java", "node-fetch/": "nodejs",
    "axios/": "nodejs", "undici": "nodejs", "grpc-node-js/": "nodejs", "grpc-dotnet/": "dotnet", "ruby": "ruby",
    "guzzlehttp/": "php", "grpc-python/": "python",
}  # fmt: skip


def language_of_agent(agent: str) -> str:
    """The language (as telemetry.sdk.language has it) of a client that names itself in `user-agent`, or ""."""
    lower = agent.lower()
    return next((language for start, language in _AGENTS.items() if lower.startswith(start)), "")


_RUNTIMES: Mapping[str, str] = {
    "cpython": "python", "pypy": "python", "go": "go", "gc": "go", "openjdk": "java", "java": "java",
    "nodejs": "nodejs", "node": "nodejs", ".net": "dotnet", "ruby": "ruby", "mri": "ruby", "php": "php",
}  # fmt: skip


def language_of_runtime(runtime: str) -> str:
    """The language of a `process.runtime.name`; "" for one that is not known."""
    lower = runtime.lower()
    return next((language for start, language in _RUNTIMES.items() if lower.startswith(start)), "")
