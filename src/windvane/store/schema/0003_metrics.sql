-- Prometheus-style series and their samples. Id is a 64-bit hash of the sorted labels (windvane.store.series).
-- Series outlive their samples: they are small and their LastSeen tells which still matter.
--@ retention metrics samples Time

CREATE TABLE IF NOT EXISTS series
(
    Id        UInt64,
    Name      LowCardinality(String),
    Labels    Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    FirstSeen SimpleAggregateFunction(min, DateTime64(3)) CODEC(ZSTD(1)),
    LastSeen  SimpleAggregateFunction(max, DateTime64(3)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (Name, Id)
SETTINGS allow_dimensions_outside_sorting_key = 1; -- Id decides Labels

CREATE TABLE IF NOT EXISTS samples
(
    Id    UInt64 CODEC(Delta, ZSTD(1)),
    Time  DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    Value Float64 CODEC(Gorilla, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(Time)
ORDER BY (Id, Time)
SETTINGS ttl_only_drop_parts = 1;
