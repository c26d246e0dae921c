"""Spans as OTLP: whatever a sender says in OTLP comes back the same, in protobuf and in both JSON spellings."""

from __future__ import annotations

import base64
from typing import Any

import otlp_messages
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from windvane.api.otlp_traces import JsonWriter, batches, traces_protobuf, value_bytes, value_json
from windvane.ingest.accounting import Accounting
from windvane.ingest.otlp import OtlpReceiver, kinds
from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.commit import GroupCommit
from windvane.tracing.assembly import read_traces
from windvane.tracing.model import Span

TRACE = otlp_messages.TRACE.hex()


async def _ingest(engine: Engine, payload: bytes) -> None:
    metrics = Metrics()
    async with GroupCommit(engine, kinds(), clock=SystemClock(), metrics=metrics) as commit:
        receiver = OtlpReceiver(commit, Accounting(metrics))
        answer = await receiver.export_http("traces", payload, "application/x-protobuf", "")
        assert answer.status == 200


def _stored(engine: Engine, payload: bytes) -> list[Span]:
    import asyncio  # noqa: PLC0415

    asyncio.run(_ingest(engine, payload))
    (trace,) = read_traces(engine, [TRACE])
    return list(trace.spans)


def _comparable(message: Any) -> dict[str, Any]:
    """Attribute lists by key: the order of a map is no promise of the store."""
    value: dict[str, Any] = MessageToDict(message)
    _sort(value)
    return value


def _sort(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("attributes"), list):
            value["attributes"].sort(key=lambda pair: pair["key"])
        value.pop("schemaUrl", None)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _sort(item)


def _sent() -> TracesData:
    sent = TracesData.FromString(otlp_messages.rich_traces().SerializeToString())
    for attribute in _attribute_lists(sent):
        for pair in attribute:
            if pair.value.WhichOneof("value") is None:
                pair.value.string_value = ""  # stored without a type, as every string is
            for item in pair.value.array_value.values:
                if item.WhichOneof("value") == "bytes_value":  # nested values are JSON text in the store
                    item.string_value = base64.b64encode(item.bytes_value).decode()
    return sent


def _attribute_lists(data: TracesData) -> list[Any]:
    found: list[Any] = []
    for batch in data.resource_spans:
        found.append(batch.resource.attributes)
        for scope in batch.scope_spans:
            found.append(scope.scope.attributes)
            for span in scope.spans:
                found += [span.attributes, *(e.attributes for e in span.events), *(k.attributes for k in span.links)]
    return found


def test_what_was_sent_comes_back(engine: Engine) -> None:
    spans = _stored(engine, otlp_messages.rich_traces().SerializeToString())
    wanted = _comparable(_sent())
    assert _comparable(TracesData.FromString(traces_protobuf(spans))) == wanted

    generic = ParseDict({"resourceSpans": JsonWriter(generic=True).resource_spans(spans)}, TracesData())
    assert _comparable(generic) == wanted

    plain = JsonWriter().resource_spans(spans)
    span = plain[0]["scopeSpans"][0]["spans"][0]
    assert (span["traceId"], span["spanId"]) == (TRACE, otlp_messages.SPAN.hex())
    assert (span["kind"], span["status"]) == (3, {"message": "boom", "code": 2})
    assert span["links"][0]["traceId"] == otlp_messages.TRACE[::-1].hex()


def test_spans_of_equal_resources_and_scopes_are_together() -> None:
    def span(number: int, **fields: Any) -> Span:
        return Span(TRACE, f"{number:016x}", "", "x", "Server", "a", number, 1, **fields)

    a, b = {"service.name": "a"}, {"service.name": "b"}
    spans = [
        span(1, resource=a, scope_name="s"),
        span(2, resource=b),
        span(3, resource=a, scope_name="s"),
        span(4, resource=a, scope_name="s", scope={"k": 1}),
    ]
    found = [[[one.start_ns for one in scope.spans] for scope in batch.scopes] for batch in batches(spans)]
    assert found == [[[1, 3], [4]], [[2]]]


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_values)
def test_values_of_every_type(value: Any) -> None:
    message = AnyValue.FromString(value_bytes(value))
    assert _python(message) == value
    assert type(_python(message)) is type(value)
    assert ParseDict(value_json(value), AnyValue()) == message


def _python(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_python(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _python(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)
