-- The rows before 0008: a file of its own, so that a start cut short between the two finds out what is left to do.

DROP TABLE IF EXISTS otel_traces_by_trace;
