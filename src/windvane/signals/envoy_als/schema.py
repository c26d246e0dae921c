"""The part of Envoy's access-log entries that Windvane reads, as `.proto` text and as flat columns.

Field numbers are those of envoy.data.accesslog.v3; names are ours, and Envoy's enums are read as
plain numbers, so a value that a newer Envoy adds decodes. `Envelope` is our own (see
`windvane.signals.envoy_als.envelope`). The engine gives every leaf field a column, named by its
path joined with underscores, with an array level for every list on the way: it plans and reads
flat columns several times faster than nested tuples.
"""

from __future__ import annotations

PROTO = """
syntax = "proto3";
message Envelope { string node_id = 1; string log_name = 2; bool http = 3; Entries entries = 4; }
message Entries { repeated Entry log = 1; }
message Entry { Common common = 1; int32 version = 2; Request request = 3; Response response = 4; Connection tcp = 5; }
message Connection { uint64 received = 1; uint64 sent = 2; }
message Common {
  Address remote = 2;
  Address local = 3;
  Tls tls = 4;
  Time start = 5;
  Address upstream = 13;
  Address upstreamlocal = 14;
  string cluster = 15;
  Flags flags = 16;
  string upstreamfailure = 18;
  string route = 19;
  Address direct = 20;
  repeated Pair tags = 22;
  Time duration = 23;
  uint32 attempts = 24;
  string termination = 25;
  string stream = 26;
  bool intermediate = 27;
  string downstreamfailure = 28;
  uint64 sent = 29;
  uint64 received = 30;
  int32 type = 33;
}
message Pair { string key = 1; string value = 2; }
message Address { Socket socket = 1; Pipe pipe = 2; Internal internal = 3; }
message Socket { string host = 2; uint32 port = 3; }
message Pipe { string path = 1; }
message Internal { string name = 1; }
message Time { int64 seconds = 1; int32 nanos = 2; }
message Tls { string sni = 3; Certificate ours = 4; Certificate theirs = 5; }
message Certificate { repeated Name names = 1; }
message Name { string uri = 1; }
message Request {
  int32 method = 1;
  string scheme = 2;
  string authority = 3;
  string path = 5;
  string agent = 6;
  string forwarded = 8;
  string id = 9;
  string originalpath = 10;
  uint64 body = 12;
  repeated Pair headers = 13;
}
message Response {
  Code code = 1;
  uint64 body = 3;
  repeated Pair headers = 4;
  repeated Pair trailers = 5;
  string details = 6;
}
message Code { uint32 value = 1; }
message Unauthorized { int32 reason = 1; }
message Flags {
  Unauthorized uaex = 13;
  %s
}
"""

# Envoy's short strings by the field numbers of ResponseFlags (source/common/stream_info/utility.h);
# 13 is a message: its presence alone means nothing, a reason in it does.
# fmt: off
FLAGS = (
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE",
    "DC", "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR",
)
# fmt: on
_PLAIN_FLAGS = {code.lower(): number for number, code in enumerate(FLAGS, 1) if code != "UAEX"}
PROTO %= "\n  ".join(f"bool {name} = {number};" for name, number in _PLAIN_FLAGS.items())

METHODS = ("", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
HTTP_VERSIONS = ("", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3")
LOG_TYPES = (
    "NotSet",
    "TcpUpstreamConnected",
    "TcpPeriodic",
    "TcpConnectionEnd",
    "DownstreamStart",
    "DownstreamPeriodic",
    "DownstreamEnd",
    "UpstreamPoolReady",
    "UpstreamPeriodic",
    "UpstreamEnd",
    "DownstreamTunnelSuccessfullyEstablished",
    "UdpTunnelUpstreamConnected",
    "UdpPeriodic",
    "UdpSessionEnd",
    "TcpConnectionStart",
)

_ADDRESSES = ("remote", "local", "upstream", "upstreamlocal", "direct")
_ADDRESS = {"socket_host": "String", "socket_port": "UInt32", "pipe_path": "String", "internal_name": "String"}
_PAIRS = {"key": "Array(String)", "value": "Array(String)"}


def _within(path: str, fields: dict[str, str]) -> dict[str, str]:
    return {f"{path}_{name}": kind for name, kind in fields.items()}


# Leaf fields of an entry: path → type.
FIELDS = {
    **{name: kind for side in _ADDRESSES for name, kind in _within(f"common_{side}", _ADDRESS).items()},
    **_within("common_tls", {"sni": "String", "ours_names_uri": "Array(String)", "theirs_names_uri": "Array(String)"}),
    **_within("common_start", {"seconds": "Int64", "nanos": "Int32"}),
    **_within("common_duration", {"seconds": "Int64", "nanos": "Int32"}),
    **_within("common_flags", dict.fromkeys(_PLAIN_FLAGS, "UInt8")),
    **_within("common_tags", _PAIRS),
    **_within(
        "common",
        {
            "flags_uaex_reason": "Int32",
            "cluster": "String",
            "upstreamfailure": "String",
            "route": "String",
            "attempts": "UInt32",
            "termination": "String",
            "stream": "String",
            "intermediate": "UInt8",
            "downstreamfailure": "String",
            "sent": "UInt64",
            "received": "UInt64",
            "type": "Int32",
        },
    ),
    "version": "Int32",
    **_within("tcp", {"received": "UInt64", "sent": "UInt64"}),
    **_within("request_headers", _PAIRS),
    **_within(
        "request",
        {
            "method": "Int32",
            "scheme": "String",
            "authority": "String",
            "path": "String",
            "agent": "String",
            "forwarded": "String",
            "id": "String",
            "originalpath": "String",
            "body": "UInt64",
        },
    ),
    **_within("response_headers", _PAIRS),
    **_within("response_trailers", _PAIRS),
    **_within("response", {"code_value": "UInt32", "body": "UInt64", "details": "String"}),
}

STRUCTURE = "node_id String, log_name String, http UInt8, " + ", ".join(
    f"entries_log_{name} Array({kind})" for name, kind in FIELDS.items()
)
