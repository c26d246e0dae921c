"""Log lines: OTLP logs (`otel_logs`) and Envoy access logs (`envoy_access_logs`), asked in one language.

A line's place is its time, its table, and the number of the insert that brought it and its position in that:
(`_block_number`, `_block_offset`), which the store keeps through merges. Pages go on from a place; a tail follows
insert numbers, so that a line that comes late is shown when it comes.
"""
