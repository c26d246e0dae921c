"""Spans of formats other than OTLP: one shape that their readers fill, and its translation to OTLP.

So every format takes the same way into the store: one check, one table, one kind of commit. Bytes in,
bytes out; no sockets, no engine. Flags are not kept: sampled and debug are requests to a sampler, and
exporters set Zipkin's `debug` on every sampled span.
"""
