"""Jaeger's formats: api_v2 protobuf (PostSpans) and thrift (collector and agent), each to OTLP.

Bytes in, bytes out; no sockets, no engine. Facts: jaeger-idl (model.proto, collector.proto, jaeger.thrift,
agent.thrift); what becomes of tags, logs and references is as in the OpenTelemetry Collector's Jaeger
translator.
"""
