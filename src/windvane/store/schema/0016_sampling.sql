-- Which traces are sampled (windvane.tracing.sampling).
--@ retention traces trace_decisions Minute
--@ retention traces sampling_probabilities Calculated

-- What became of every trace that tail sampling decided: Weight is how many traces it stands for, 0 for one that is
-- not kept; Minute is that of its earliest span then. One INSERT decides all traces of a minute: one part, whole or
-- not there.
CREATE TABLE IF NOT EXISTS trace_decisions
(
    Minute  DateTime('UTC') CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    Weight  Float64 CODEC(ZSTD(1)),
    Policy  LowCardinality(String) CODEC(ZSTD(1)),
    Spans   UInt32 CODEC(ZSTD(1)),
    Decided DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    INDEX trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Minute)
ORDER BY (Minute, TraceId)
SETTINGS ttl_only_drop_parts = 1;

-- Probabilities of adaptive sampling; the newest Calculated are in force.
CREATE TABLE IF NOT EXISTS sampling_probabilities
(
    Calculated  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    Service     LowCardinality(String),
    Operation   LowCardinality(String),
    Probability Float64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(Calculated)
ORDER BY (Calculated, Service, Operation)
SETTINGS ttl_only_drop_parts = 1;

-- Spans that are not kept are masked (ADR 0018); lists of services and operations are of what is left.
ALTER TABLE otel_traces MODIFY SETTING lightweight_mutation_projection_mode = 'rebuild';
