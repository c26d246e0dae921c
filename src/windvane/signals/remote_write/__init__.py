"""Prometheus remote write 1.0 and 2.0: requests as flat columns, without a loop over samples in Python.

Specifications: https://prometheus.io/docs/specs/prw/remote_write_spec/ and
https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/. Bytes in, arrays out; no sockets, no engine.
"""
