"""Fuzzed spans of every format: a clear error, or a request that OTLP's own check takes and counts alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from thrift_writer import STRUCT, batch, binary, binary_call, compact_call, span, tags

from windvane.kit.errors import BadInputError, LimitError
from windvane.signals.jaeger import protobuf as jaeger_protobuf
from windvane.signals.jaeger import thrift as jaeger_thrift
from windvane.signals.otlp import scan
from windvane.signals.spans.encode import Translated
from windvane.signals.zipkin import json_v2, v1
from windvane.signals.zipkin import protobuf as zipkin_protobuf

FOLDER = Path(__file__).parent / "recordings" / "spans"
RARE = [HealthCheck.too_slow, HealthCheck.data_too_large]
READERS: dict[str, Callable[[bytes], Translated]] = {
    "zipkin_json": lambda body: json_v2.read(body, 1),
    "zipkin_proto": lambda body: zipkin_protobuf.read(body, 1),
    "zipkin_v1_json": lambda body: v1.read_json(body, 1),
    "zipkin_v1_thrift": lambda body: v1.read_thrift(body, 1),
    "jaeger_thrift": jaeger_thrift.read_batch,
    "jaeger_udp": lambda body: jaeger_thrift.read_datagram(body, 1),
    "jaeger_grpc": jaeger_protobuf.read,
}
_BATCH = batch(span(f10=tags({"a": 1, "b": "x", "c": True, "d": 0.5, "e": b"\0"})), span())
GOOD = {
    **{name: (FOLDER / f"{name}.1.bin").read_bytes() for name in READERS if name != "zipkin_v1_thrift"},
    "zipkin_v1_thrift": b"\x0c\0\0\0\1" + binary(STRUCT, span()),
    "jaeger_thrift": binary(STRUCT, _BATCH),
}


def read(name: str, body: bytes) -> None:
    """Read, and check what was made as the receiver of OTLP does."""
    try:
        made = READERS[name](body)
    except (BadInputError, LimitError):
        return
    assert scan.scan(made.payload, scan.TRACES).records == made.spans
    assert made.received == made.spans + len(made.refusals)


@pytest.mark.parametrize("name", READERS)
@given(body=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=RARE)
def test_random_bytes(name: str, body: bytes) -> None:
    read(name, body)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=RARE)
def test_damaged_messages(name: str, data: st.DataObject) -> None:
    read(name, data.draw(mutated(GOOD[name])))


@pytest.mark.parametrize("call", [binary_call, compact_call])
@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=RARE)
def test_damaged_datagrams(call: Callable[..., bytes], data: st.DataObject) -> None:
    read("jaeger_udp", data.draw(mutated(call("emitBatch", {1: (STRUCT, _BATCH)}))))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_FIELDS = st.sampled_from(
    ["traceId", "id", "parentId", "name", "kind", "timestamp", "duration", "localEndpoint", "remoteEndpoint", "tags",
     "annotations", "binaryAnnotations", "debug", "shared"]
)  # fmt: skip


@given(changes=st.dictionaries(_FIELDS, _ANYTHING, max_size=5))
@settings(max_examples=150, deadline=None, suppress_health_check=RARE)
def test_any_value_in_any_field_of_json(changes: dict[str, object]) -> None:
    good = {"traceId": "a" * 32, "id": "b" * 16}
    body = json.dumps([good | changes, good], allow_nan=False, default=str) if _finite(changes) else "[]"
    for name in ("zipkin_json", "zipkin_v1_json"):
        read(name, body.encode(errors="replace"))


def _finite(value: object) -> bool:
    return "nan" not in repr(value) and "inf" not in repr(value)
