"""The part of OTLP that is read, as protobuf text for the engine.

Field numbers are those of opentelemetry-proto (https://opentelemetry.io/docs/specs/otlp/); what
no column holds is left out, so the engine skips it. `array_value` and `kvlist_value` are strings
here: their messages nest without end, which no column type can, so they arrive as JSON text
(`windvane.signals.otlp.nested`). Bools and enums are read as 64-bit integers, the wider reading of the same
varint: the engine refuses a bool of 2, protobuf does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_COMMON = """syntax = "proto3";
message AnyValue {
  oneof kind {
    string string_value = 1; int64 bool_value = 2; int64 int_value = 3; double double_value = 4;
    string array_value = 5; string kvlist_value = 6; bytes bytes_value = 7;
  }
}
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }
"""

TRACES = (
    _COMMON
    + """message Event { fixed64 time = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4; }
message Status { string message = 2; int64 code = 3; }
message Record {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5;
  int64 kind = 6; fixed64 start = 7; fixed64 end = 8; repeated KeyValue attributes = 9;
  repeated Event events = 11; repeated Link links = 13; Status status = 15;
}
message Scoped { Scope scope = 1; repeated Record records = 2; string schema_url = 3; }
message Batch { Resource resource = 1; repeated Scoped scoped = 2; string schema_url = 3; }
message Request { repeated Batch batches = 1; }
"""
)

LOGS = (
    _COMMON
    + """message Record {
  fixed64 time = 1; int64 severity_number = 2; string severity_text = 3; AnyValue body = 5;
  repeated KeyValue attributes = 6; fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10;
  fixed64 observed_time = 11; string event_name = 12;
}
message Scoped { Scope scope = 1; repeated Record records = 2; string schema_url = 3; }
message Batch { Resource resource = 1; repeated Scoped scoped = 2; string schema_url = 3; }
message Request { repeated Batch batches = 1; }
"""
)

# The oneof's case as an enum whose words are those of the column AttributeTypes.
VALUE_KINDS = (
    "Enum8('none' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'kvlist' = 6, 'bytes' = 7)"
)

_VALUE = {
    "string_value": "String",
    "bool_value": "Int64",
    "int_value": "Int64",
    "double_value": "Float64",
    "array_value": "String",
    "kvlist_value": "String",
    "bytes_value": "String",
    "kind": VALUE_KINDS,
}


@dataclass(frozen=True, slots=True)
class Fields:
    """Leaf fields of one message: its path from the request, how many lists it is within, name → type.

    The engine matches a column with a nested field by the path joined with underscores, and gives
    one array level for every list on the way: flat columns of simple types, which it plans and
    reads several times faster than one column of nested tuples.
    """

    path: str
    depth: int
    types: Mapping[str, str]

    def column(self, name: str) -> str:
        """The flat column of a field."""
        return f"{self.path}_{name}"

    @property
    def columns(self) -> list[str]:
        return [self.column(name) for name in self.types]

    @property
    def structure(self) -> str:
        """`column type, …` for the engine."""
        opening, closing = "Array(" * self.depth, ")" * self.depth
        return ", ".join(f"{self.column(name)} {opening}{kind}{closing}" for name, kind in self.types.items())


def attributes(path: str, depth: int) -> Fields:
    """The key and value fields of the attribute list of a message at `path` within `depth` lists."""
    types = {"key": "String", **{f"value_{name}": kind for name, kind in _VALUE.items()}}
    return Fields(f"{path}_attributes", depth + 1, types)


def any_value(path: str, depth: int) -> Fields:
    """The fields of one AnyValue."""
    return Fields(path, depth, _VALUE)
