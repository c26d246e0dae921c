"""What real exporters sent (`record_spans.py`): the same trace reads the same in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from otlp_read import spans_of

from windvane.signals.jaeger import protobuf as jaeger_protobuf
from windvane.signals.jaeger import thrift as jaeger_thrift
from windvane.signals.spans.encode import Translated
from windvane.signals.zipkin import json_v2, v1
from windvane.signals.zipkin import protobuf as zipkin_protobuf

FOLDER = Path(__file__).parent / "recordings" / "spans"
NOW = 1_790_000_001_000_000_000
READERS: dict[str, Callable[[bytes], Translated]] = {
    "zipkin_json": lambda body: json_v2.read(body, NOW),
    "zipkin_proto": lambda body: zipkin_protobuf.read(body, NOW),
    "zipkin_v1_json": lambda body: v1.read_json(body, NOW),
    "jaeger_thrift": jaeger_thrift.read_batch,
    "jaeger_udp": lambda body: jaeger_thrift.read_datagram(body, NOW),
    "jaeger_grpc": jaeger_protobuf.read,
    "py_v2_json": lambda body: json_v2.read(body, NOW),
    "py_v2_proto3": lambda body: zipkin_protobuf.read(body, NOW),
    "py_v1_json": lambda body: v1.read_json(body, NOW),
    "jaeger_client": lambda body: jaeger_thrift.read_datagram(body, NOW),
}


def recorded(name: str) -> list[dict[str, Any]]:
    """The spans of a recording's requests."""
    spans = []
    for file in sorted(FOLDER.glob(f"{name}.*.bin")):
        body = file.read_bytes()
        if name == "otlp":
            spans += spans_of(body)
            continue
        made = READERS[name](body)
        assert (made.received, len(made.refusals)) == (made.spans, 0)
        spans += spans_of(made.payload)
    return sorted(spans, key=lambda span: (span["start"], span["id"]))


@pytest.mark.parametrize("name", READERS)
def test_a_recording_reads_as_before(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"spans_{name}.json", json.dumps(recorded(name), indent=1, sort_keys=True, default=repr) + "\n")


@pytest.mark.parametrize(
    "name", [name for name in READERS if name.startswith(("zipkin", "jaeger_t", "jaeger_u", "jaeger_g"))]
)
def test_one_trace_reads_the_same_however_it_was_sent(name: str) -> None:
    wanted, found = recorded("otlp"), recorded(name)
    assert len(found) == 3
    for theirs, ours in zip(wanted, found, strict=True):
        for field in ("trace", "id", "parent", "name", "status", "scope"):
            assert ours[field] == theirs[field], field
        for field in ("start", "length"):
            assert abs(ours[field] - theirs[field]) < 1_000, field  # an exporter of Jaeger's counts in floats
        assert ours["resource"]["service.name"] == "checkout"
        assert [event[1] for event in ours["events"]] == [event[1] for event in theirs["events"]]
        assert {key: str(value).lower() for key, value in theirs["attributes"].items()}.items() <= {
            key: str(value).lower() for key, value in ours["attributes"].items()
        }.items()
        if name.startswith("jaeger"):
            assert ours["kind"] == theirs["kind"]
            assert [link[:2] for link in ours["links"]] == [link[:2] for link in theirs["links"]]
        elif name != "zipkin_v1_json" and theirs["kind"] != "internal":  # neither has a word for it
            assert ours["kind"] == theirs["kind"]
        if name.startswith("zipkin"):
            assert ours["resource"] == theirs["resource"]
