"""OTLP traces and logs: the part of the wire format that is read, and the SQL that decodes it.

Bytes in, bytes and SQL text out; no sockets, no engine.
"""
