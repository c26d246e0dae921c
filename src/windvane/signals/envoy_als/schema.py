"""The part of Envoy's access-log messages that Windvane reads, as `.proto` text and as a column type.

Field numbers are those of envoy.data.accesslog.v3 and envoy.service.accesslog.v3. Envoy's enums are
read as plain integers, so a value that a newer Envoy adds decodes. `Envelope` is our own: Envoy
names itself only in the first message of a stream, so the listener repeats that name beside each
message.
"""

from __future__ import annotations

PROTO = """
syntax = "proto3";
message Envelope { string node_id = 1; string log_name = 2; Message message = 3; }
message Message { HttpEntries http_logs = 2; TcpEntries tcp_logs = 3; }
message HttpEntries { repeated HttpEntry log_entry = 1; }
message TcpEntries { repeated TcpEntry log_entry = 1; }
message HttpEntry {
  Common common_properties = 1;
  int32 protocol_version = 2;
  Request request = 3;
  Response response = 4;
}
message TcpEntry { Common common_properties = 1; Connection connection_properties = 2; }
message Connection { uint64 received_bytes = 1; uint64 sent_bytes = 2; }
message Common {
  Address downstream_remote_address = 2;
  Address downstream_local_address = 3;
  Tls tls_properties = 4;
  Time start_time = 5;
  Address upstream_remote_address = 13;
  Address upstream_local_address = 14;
  string upstream_cluster = 15;
  Flags response_flags = 16;
  string upstream_transport_failure_reason = 18;
  string route_name = 19;
  Address downstream_direct_remote_address = 20;
  map<string, string> custom_tags = 22;
  Time duration = 23;
  uint32 upstream_request_attempt_count = 24;
  string connection_termination_details = 25;
  string stream_id = 26;
  bool intermediate_log_entry = 27;
  string downstream_transport_failure_reason = 28;
  uint64 downstream_wire_bytes_sent = 29;
  uint64 downstream_wire_bytes_received = 30;
  int32 access_log_type = 33;
}
message Address { Socket socket_address = 1; Pipe pipe = 2; Internal envoy_internal_address = 3; }
message Socket { string address = 2; uint32 port_value = 3; }
message Pipe { string path = 1; }
message Internal { string server_listener_name = 1; }
message Time { int64 seconds = 1; int32 nanos = 2; }
message Wrapped { uint32 value = 1; }
message Tls {
  string tls_sni_hostname = 3;
  Certificate local_certificate_properties = 4;
  Certificate peer_certificate_properties = 5;
}
message Certificate { repeated Name subject_alt_name = 1; }
message Name { string uri = 1; string dns = 2; }
message Unauthorized { int32 reason = 1; }
message Flags {
  bool failed_local_healthcheck = 1;
  bool no_healthy_upstream = 2;
  bool upstream_request_timeout = 3;
  bool local_reset = 4;
  bool upstream_remote_reset = 5;
  bool upstream_connection_failure = 6;
  bool upstream_connection_termination = 7;
  bool upstream_overflow = 8;
  bool no_route_found = 9;
  bool delay_injected = 10;
  bool fault_injected = 11;
  bool rate_limited = 12;
  Unauthorized unauthorized_details = 13;
  bool rate_limit_service_error = 14;
  bool downstream_connection_termination = 15;
  bool upstream_retry_limit_exceeded = 16;
  bool stream_idle_timeout = 17;
  bool invalid_envoy_request_headers = 18;
  bool downstream_protocol_error = 19;
  bool upstream_max_stream_duration_reached = 20;
  bool response_from_cache_filter = 21;
  bool no_filter_config_found = 22;
  bool duration_timeout = 23;
  bool upstream_protocol_error = 24;
  bool no_cluster_found = 25;
  bool overload_manager = 26;
  bool dns_resolution_failure = 27;
  bool downstream_remote_reset = 28;
}
message Request {
  int32 request_method = 1;
  string scheme = 2;
  string authority = 3;
  string path = 5;
  string user_agent = 6;
  string forwarded_for = 8;
  string request_id = 9;
  string original_path = 10;
  uint64 request_body_bytes = 12;
  map<string, string> request_headers = 13;
}
message Response {
  Wrapped response_code = 1;
  uint64 response_body_bytes = 3;
  map<string, string> response_headers = 4;
  map<string, string> response_trailers = 5;
  string response_code_details = 6;
}
"""

# Envoy's short strings, in the order of the fields above (source/common/stream_info/utility.h).
FLAGS = (
    ("failed_local_healthcheck", "LH"),
    ("no_healthy_upstream", "UH"),
    ("upstream_request_timeout", "UT"),
    ("local_reset", "LR"),
    ("upstream_remote_reset", "UR"),
    ("upstream_connection_failure", "UF"),
    ("upstream_connection_termination", "UC"),
    ("upstream_overflow", "UO"),
    ("no_route_found", "NR"),
    ("delay_injected", "DI"),
    ("fault_injected", "FI"),
    ("rate_limited", "RL"),
    ("unauthorized_details", "UAEX"),
    ("rate_limit_service_error", "RLSE"),
    ("downstream_connection_termination", "DC"),
    ("upstream_retry_limit_exceeded", "URX"),
    ("stream_idle_timeout", "SI"),
    ("invalid_envoy_request_headers", "IH"),
    ("downstream_protocol_error", "DPE"),
    ("upstream_max_stream_duration_reached", "UMSDR"),
    ("response_from_cache_filter", "RFCF"),
    ("no_filter_config_found", "NFCF"),
    ("duration_timeout", "DT"),
    ("upstream_protocol_error", "UPE"),
    ("no_cluster_found", "NC"),
    ("overload_manager", "OM"),
    ("dns_resolution_failure", "DF"),
    ("downstream_remote_reset", "DR"),
)

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

_ADDRESS = (
    "Tuple(socket_address Tuple(address String, port_value UInt32), pipe Tuple(path String), "
    "envoy_internal_address Tuple(server_listener_name String))"
)
_TIME = "Tuple(seconds Int64, nanos Int32)"
_NAMES = "Tuple(subject_alt_name Array(Tuple(uri String, dns String)))"
_TEXTS = "Map(String, String)"
_FLAGS = ", ".join(
    f"{name} {'Tuple(reason Int32)' if name == 'unauthorized_details' else 'UInt8'}" for name, _ in FLAGS
)
_COMMON = (
    f"Tuple(downstream_remote_address {_ADDRESS}, downstream_local_address {_ADDRESS}, "
    f"tls_properties Tuple(tls_sni_hostname String, local_certificate_properties {_NAMES}, "
    f"peer_certificate_properties {_NAMES}), start_time {_TIME}, upstream_remote_address {_ADDRESS}, "
    f"upstream_local_address {_ADDRESS}, upstream_cluster String, response_flags Tuple({_FLAGS}), "
    f"upstream_transport_failure_reason String, route_name String, downstream_direct_remote_address {_ADDRESS}, "
    f"custom_tags {_TEXTS}, duration {_TIME}, upstream_request_attempt_count UInt32, "
    "connection_termination_details String, stream_id String, intermediate_log_entry UInt8, "
    "downstream_transport_failure_reason String, downstream_wire_bytes_sent UInt64, "
    "downstream_wire_bytes_received UInt64, access_log_type Int32)"
)
_REQUEST = (
    "Tuple(request_method Int32, scheme String, authority String, path String, user_agent String, "
    "forwarded_for String, request_id String, original_path String, request_body_bytes UInt64, "
    f"request_headers {_TEXTS})"
)
_RESPONSE = (
    f"Tuple(response_code Tuple(value UInt32), response_body_bytes UInt64, response_headers {_TEXTS}, "
    f"response_trailers {_TEXTS}, response_code_details String)"
)
_HTTP = f"Tuple(common_properties {_COMMON}, protocol_version Int32, request {_REQUEST}, response {_RESPONSE})"
_TCP = f"Tuple(common_properties {_COMMON}, connection_properties Tuple(received_bytes UInt64, sent_bytes UInt64))"

STRUCTURE = (
    "node_id String, log_name String, "
    f"message Tuple(http_logs Tuple(log_entry Array({_HTTP})), tcp_logs Tuple(log_entry Array({_TCP})))"
)
