-- What metrics carry beside float samples: native histograms, exemplars, and what a family is.
--@ retention metrics native_histograms Time
--@ retention metrics exemplars Time

-- One native histogram sample. Counts are absolute (no deltas between buckets). A bucket's index is Prometheus's:
-- with Schema s from -4 to 8, bucket i has the upper bound 2^(i * 2^-s); with Schema -53, i counts CustomBounds.
-- Hint is Prometheus's counter reset hint: 0 unknown, 1 reset, 2 no reset, 3 gauge. A Sum with the bits of the
-- staleness marker ends the series.
CREATE TABLE IF NOT EXISTS native_histograms
(
    Id            UInt64 CODEC(Delta, ZSTD(1)),
    Time          DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    Schema        Int8 CODEC(ZSTD(1)),
    Hint          UInt8 CODEC(ZSTD(1)),
    IsFloat       UInt8 CODEC(ZSTD(1)),
    ZeroThreshold Float64 CODEC(ZSTD(1)),
    ZeroCount     Float64 CODEC(ZSTD(1)),
    Count         Float64 CODEC(ZSTD(1)),
    Sum           Float64 CODEC(ZSTD(1)),
    PositiveIndex Array(Int32) CODEC(ZSTD(1)),
    PositiveCount Array(Float64) CODEC(ZSTD(1)),
    NegativeIndex Array(Int32) CODEC(ZSTD(1)),
    NegativeCount Array(Float64) CODEC(ZSTD(1)),
    CustomBounds  Array(Float64) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(Time)
ORDER BY (Id, Time)
SETTINGS ttl_only_drop_parts = 1;

-- Exemplars of series (Id as in `series`); Labels are the exemplar's own, trace_id among them.
CREATE TABLE IF NOT EXISTS exemplars
(
    Id     UInt64 CODEC(Delta, ZSTD(1)),
    Time   DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    Value  Float64 CODEC(Gorilla, ZSTD(1)),
    Labels Map(LowCardinality(String), String) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(Time)
ORDER BY (Id, Time)
SETTINGS ttl_only_drop_parts = 1;

-- What a metric family is, as its senders say; the newest of equal rows counts.
CREATE TABLE IF NOT EXISTS metric_metadata
(
    Family LowCardinality(String),
    Type   LowCardinality(String), -- counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown
    Help   String,
    Unit   LowCardinality(String),
    Seen   DateTime64(3)
)
ENGINE = ReplacingMergeTree(Seen)
ORDER BY (Family, Type, Unit, Help);
