"""Prometheus remote read: requests, and samples as messages or as XOR chunks.

Specification: https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/ and prompb's
remote.proto and types.proto. Bytes and arrays in and out; no sockets, no engine.
"""
