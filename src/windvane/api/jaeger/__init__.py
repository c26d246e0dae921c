"""Jaeger's query faces: the JSON API of its UI, api_v3 over HTTP, and both generations of gRPC.

`queries` is what all of them ask; `http`, `metrics`, `v3` and `grpc_service` are the faces, `trace_json`,
`messages` and `windvane.api.otlp_traces` the formats. Texts, defaults and quirks are Jaeger's own, because its
clients (Grafana, Kiali, Jaeger's UI) depend on them.
"""

from windvane.api.jaeger.addresses import application, shared_routes
from windvane.api.jaeger.grpc_service import query_services
from windvane.api.jaeger.queries import JaegerQueries

__all__ = ["JaegerQueries", "application", "query_services", "shared_routes"]
