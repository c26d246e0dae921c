"""Zipkin's formats: v2 as JSON and protobuf, v1 as JSON and thrift, each to OTLP.

Bytes in, bytes out; no sockets, no engine. Facts: openzipkin/zipkin-api (zipkin2-api.yaml, zipkin.proto,
zipkinCore.thrift); names of attributes are those of the OpenTelemetry Collector's Zipkin translator.
"""
