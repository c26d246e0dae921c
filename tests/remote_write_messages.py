"""Remote write's messages for an encoder of their own: Google's protobuf runtime, descriptors built here.

Field numbers are those of the specifications; nothing of Windvane's is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = descriptor_pb2.FieldDescriptorProto
_SIMPLE = {
    name: getattr(_TYPES, f"TYPE_{name.upper()}")
    for name in ("string", "double", "int64", "uint64", "uint32", "sint32", "sint64")
}

_HISTOGRAM = {
    "count_int": (1, "uint64"),
    "count_float": (2, "double"),
    "sum": (3, "double"),
    "schema": (4, "sint32"),
    "zero_threshold": (5, "double"),
    "zero_count_int": (6, "uint64"),
    "zero_count_float": (7, "double"),
    "negative_spans": (8, "[]Span"),
    "negative_deltas": (9, "[]sint64"),
    "negative_counts": (10, "[]double"),
    "positive_spans": (11, "[]Span"),
    "positive_deltas": (12, "[]sint64"),
    "positive_counts": (13, "[]double"),
    "reset_hint": (14, "uint32"),
    "timestamp": (15, "int64"),
    "custom_values": (16, "[]double"),
}
_SPAN = {"offset": (1, "sint32"), "length": (2, "uint32")}
_SAMPLE = {"value": (1, "double"), "timestamp": (2, "int64")}

V1 = {
    "WriteRequest": {"timeseries": (1, "[]TimeSeries"), "metadata": (3, "[]Metadata")},
    "TimeSeries": {
        "labels": (1, "[]Label"),
        "samples": (2, "[]Sample"),
        "exemplars": (3, "[]Exemplar"),
        "histograms": (4, "[]Histogram"),
    },
    "Label": {"name": (1, "string"), "value": (2, "string")},
    "Sample": _SAMPLE,
    "Exemplar": {"labels": (1, "[]Label"), "value": (2, "double"), "timestamp": (3, "int64")},
    "Metadata": {
        "type": (1, "uint32"),
        "metric_family_name": (2, "string"),
        "help": (4, "string"),
        "unit": (5, "string"),
    },
    "Histogram": _HISTOGRAM,
    "Span": _SPAN,
}
V2 = {
    "Request": {"symbols": (4, "[]string"), "timeseries": (5, "[]TimeSeries")},
    "TimeSeries": {
        "labels_refs": (1, "[]uint32"),
        "samples": (2, "[]Sample"),
        "histograms": (3, "[]Histogram"),
        "exemplars": (4, "[]Exemplar"),
        "metadata": (5, "Metadata"),
        "created_timestamp": (6, "int64"),
    },
    "Sample": _SAMPLE,
    "Exemplar": {"labels_refs": (1, "[]uint32"), "value": (2, "double"), "timestamp": (3, "int64")},
    "Metadata": {"type": (1, "uint32"), "help_ref": (3, "uint32"), "unit_ref": (4, "uint32")},
    "Histogram": _HISTOGRAM,
    "Span": _SPAN,
}


def _build(package: str, messages: Mapping[str, Mapping[str, tuple[int, str]]]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            many, plain = kind.startswith("[]"), kind.removeprefix("[]")
            one = message.field.add(name=field, number=number)
            one.label = _TYPES.LABEL_REPEATED if many else _TYPES.LABEL_OPTIONAL
            if plain in _SIMPLE:
                one.type = _SIMPLE[plain]
            else:
                one.type, one.type_name = _TYPES.TYPE_MESSAGE, f".{package}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    found = pool.Add(file) or pool.FindFileByName(file.name)
    return {name: message_factory.GetMessageClass(found.message_types_by_name[name]) for name in messages}


MESSAGES_V1, MESSAGES_V2 = _build("prw1", V1), _build("prw2", V2)

Series = Mapping[str, Any]


def request_v1(series: Sequence[Series], metadata: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """A WriteRequest. A series: labels (dict or pairs), samples [(ms, value)], histograms, exemplars as dicts."""
    request = MESSAGES_V1["WriteRequest"]()
    for one in series:
        made = request.timeseries.add()
        _labels_v1(made, one["labels"])
        for time, value in one.get("samples", ()):
            made.samples.add(timestamp=time, value=value)
        for histogram in one.get("histograms", ()):
            _histogram(made.histograms.add(), histogram)
        for exemplar in one.get("exemplars", ()):
            own = made.exemplars.add(value=exemplar["value"], timestamp=exemplar["timestamp"])
            _labels_v1(own, exemplar["labels"])
    for facts in metadata:
        request.metadata.add(**facts)
    return bytes(request.SerializeToString())


def request_v2(series: Sequence[Series]) -> bytes:
    """A 2.0 Request of the same; a series may also have metadata (type, help, unit) and created_timestamp."""
    request, symbols = MESSAGES_V2["Request"](), {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    def refs(labels: Any) -> list[int]:
        return [ref(word) for pair in _pairs(labels) for word in pair]

    for one in series:
        made = request.timeseries.add(
            labels_refs=refs(one["labels"]), created_timestamp=one.get("created_timestamp", 0)
        )
        for time, value in one.get("samples", ()):
            made.samples.add(timestamp=time, value=value)
        for histogram in one.get("histograms", ()):
            _histogram(made.histograms.add(), histogram)
        for exemplar in one.get("exemplars", ()):
            made.exemplars.add(
                value=exemplar["value"], timestamp=exemplar["timestamp"], labels_refs=refs(exemplar["labels"])
            )
        if facts := one.get("metadata"):
            made.metadata.type = facts["type"]
            made.metadata.help_ref, made.metadata.unit_ref = ref(facts["help"]), ref(facts["unit"])
    request.symbols.extend(symbols)
    return bytes(request.SerializeToString())


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def _pairs(labels: Any) -> list[tuple[str, str]]:
    return sorted(labels.items()) if isinstance(labels, Mapping) else list(labels)


def _labels_v1(message: Any, labels: Any) -> None:
    for name, value in _pairs(labels):
        message.labels.add(name=name, value=value)


def _histogram(message: Any, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name.endswith("spans"):
            for offset, length in value:
                getattr(message, name).add(offset=offset, length=length)
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
