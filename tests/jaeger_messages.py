"""Jaeger's protobuf messages for tests, as a client generated from jaeger-idl would have them.

Only what the wire needs is told: field numbers, names and types. `Timestamp` and `Duration` are
protobuf's own, `TracesData` is OpenTelemetry's.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2

_QUERY = {
    1: "string service_name", 2: "string operation_name", 3: "repeated Entry tags", 4: "Timestamp start_time_min",
    5: "Timestamp start_time_max", 6: "Duration duration_min", 7: "Duration duration_max", 8: "int32 search_depth",
    9: "bool raw_traces", 10: "bytes filter", 11: "bytes pagination",
}  # fmt: skip
_COMMON: dict[str, dict[int, str]] = {
    "Entry": {1: "string key", 2: "string value"},  # what a map<string, string> is on the wire
    "TraceQueryParameters": _QUERY,
    "FindTracesRequest": {1: "TraceQueryParameters query"},
    "Operation": {1: "string name", 2: "string span_kind"},
    "GetServicesRequest": {},
    "GetServicesResponse": {1: "repeated string services"},
    "GetOperationsRequest": {1: "string service", 2: "string span_kind"},
    "GetDependenciesRequest": {1: "Timestamp start_time", 2: "Timestamp end_time"},
    "DependencyLink": {1: "string parent", 2: "string child", 3: "uint64 call_count"},
    "GetDependenciesResponse": {1: "repeated DependencyLink dependencies"},
}
_SAMPLING = {
    "SamplingStrategyParameters": {1: "string serviceName"},
    "ProbabilisticSamplingStrategy": {1: "double samplingRate"},
    "RateLimitingSamplingStrategy": {1: "int32 maxTracesPerSecond"},
    "OperationSamplingStrategy": {1: "string operation", 2: "ProbabilisticSamplingStrategy probabilisticSampling"},
    "PerOperationSamplingStrategies": {
        1: "double defaultSamplingProbability", 2: "double defaultLowerBoundTracesPerSecond",
        3: "repeated OperationSamplingStrategy perOperationStrategies", 4: "double defaultUpperBoundTracesPerSecond",
    },
    "SamplingStrategyResponse": {
        1: "int32 strategyType", 2: "ProbabilisticSamplingStrategy probabilisticSampling",
        3: "RateLimitingSamplingStrategy rateLimitingSampling", 4: "PerOperationSamplingStrategies operationSampling",
    },
}  # fmt: skip
_V2 = {
    **_SAMPLING,
    **_COMMON,
    "GetTraceRequest": {1: "bytes trace_id", 2: "Timestamp start_time", 3: "Timestamp end_time", 4: "bool raw_traces"},
    "ArchiveTraceRequest": {1: "bytes trace_id", 2: "Timestamp start_time", 3: "Timestamp end_time"},
    "ArchiveTraceResponse": {},
    "GetOperationsResponse": {1: "repeated string operationNames", 2: "repeated Operation operations"},
    "KeyValue": {
        1: "string key", 2: "int32 v_type", 3: "string v_str", 4: "bool v_bool", 5: "int64 v_int64",
        6: "double v_float64", 7: "bytes v_binary",
    },
    "Log": {1: "Timestamp timestamp", 2: "repeated KeyValue fields"},
    "SpanRef": {1: "bytes trace_id", 2: "bytes span_id", 3: "int32 ref_type"},
    "Process": {1: "string service_name", 2: "repeated KeyValue tags"},
    "Span": {
        1: "bytes trace_id", 2: "bytes span_id", 3: "string operation_name", 4: "repeated SpanRef references",
        5: "uint32 flags", 6: "Timestamp start_time", 7: "Duration duration", 8: "repeated KeyValue tags",
        9: "repeated Log logs", 10: "Process process", 11: "string process_id", 12: "repeated string warnings",
    },
    "SpansResponseChunk": {1: "repeated Span spans"},
}  # fmt: skip
_V3 = {
    **_COMMON,
    "GetTraceRequest": {1: "string trace_id", 2: "Timestamp start_time", 3: "Timestamp end_time", 4: "bool raw_traces"},
    "GetOperationsResponse": {1: "repeated Operation operations"},
    "ServiceSummary": {1: "string name", 2: "int32 span_count", 3: "int32 error_span_count"},
    "TraceSummary": {
        1: "string trace_id", 2: "string root_service_name", 3: "string root_operation_name",
        4: "fixed64 min_start_time_unix_nano", 5: "fixed64 max_end_time_unix_nano", 6: "int32 span_count",
        7: "int32 error_span_count", 8: "int32 orphan_span_count", 9: "repeated ServiceSummary services",
    },
    "SearchCapabilities": {1: "bool without_service_name", 2: "bool same_span_conjunction"},
    "GetCapabilitiesRequest": {},
    "GetCapabilitiesResponse": {1: "SearchCapabilities search"},
    "FindTraceSummariesResponse": {1: "repeated TraceSummary summaries"},
}  # fmt: skip
_HEALTH: dict[str, dict[int, str]] = {
    "HealthCheckRequest": {1: "string service"},
    "HealthCheckResponse": {1: "int32 status"},
}

_TYPES = {
    "double": 1, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "bool": 8, "string": 9, "bytes": 12, "uint32": 13,
}  # fmt: skip
_MESSAGE = 11
_PROTOBUF = {"Timestamp": ".google.protobuf.Timestamp", "Duration": ".google.protobuf.Duration"}


class Messages:
    """The message classes of one package, as attributes."""

    def __init__(self, package: str, messages: dict[str, dict[int, str]]) -> None:
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/duration.proto"])
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for number, told in fields.items():
                *repeated, kind, field = told.split()
                added = message.field.add(name=field, number=number, label=3 if repeated else 1)
                added.type = _TYPES.get(kind, _MESSAGE)
                if kind not in _TYPES:
                    added.type_name = _PROTOBUF.get(kind, f".{package}.{kind}")
        pool = descriptor_pool.DescriptorPool()
        for known in (timestamp_pb2, duration_pb2):
            pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        pool.Add(file)
        self._classes = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages
        }

    def __getattr__(self, name: str) -> Any:
        return self._classes[name]


V2 = Messages("jaeger.api_v2", _V2)
V3 = Messages("jaeger.api_v3", _V3)
HEALTH = Messages("grpc.health.v1", _HEALTH)


def set_ns(field: Any, nanoseconds: int) -> None:
    """Fill a Timestamp or Duration."""
    field.seconds, field.nanos = divmod(nanoseconds, 10**9)


def in_ns(field: Any) -> int:
    """What a Timestamp or Duration holds."""
    return int(field.seconds) * 10**9 + int(field.nanos)
