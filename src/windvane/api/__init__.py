"""HTTP and gRPC faces: Prometheus, Jaeger, Kiali's graph, OTLP over HTTP, Windvane's own routes.

The only room that knows an HTTP framework. One error table in `windvane.api.errors`.
"""
