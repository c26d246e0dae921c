-- Samples by bucket of five minutes and of an hour (windvane.promql.rollup), kept longer than the samples.
-- Time is a bucket's end: it holds the samples in (Time - width, Time]. Lost sums the values before resets. Ended is the time
-- (ms since the epoch) of a staleness marker after the last sample, 0 without one.
--@ retention metrics_5m samples_5m Time
--@ retention metrics_1h samples_1h Time

CREATE TABLE IF NOT EXISTS samples_5m
(
    Id        UInt64 CODEC(Delta, ZSTD(1)),
    Time      DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    Count     UInt32 CODEC(ZSTD(1)),
    FirstTime DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    First     Float64 CODEC(Gorilla, ZSTD(1)),
    LastTime  DateTime64(3) CODEC(DoubleDelta, ZSTD(1)),
    Last      Float64 CODEC(Gorilla, ZSTD(1)),
    Min       Float64 CODEC(Gorilla, ZSTD(1)),
    Max       Float64 CODEC(Gorilla, ZSTD(1)),
    Sum       Float64 CODEC(Gorilla, ZSTD(1)),
    Resets    UInt32 CODEC(ZSTD(1)),
    Lost      Float64 CODEC(Gorilla, ZSTD(1)),
    Ended     Int64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(Time - toIntervalMillisecond(1)) -- a day's last bucket ends at the next day's first moment
ORDER BY (Id, Time)
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS samples_1h AS samples_5m;

-- Which days are rolled, and how new the samples were then: block and mutation numbers of the day's partition and
-- of the next one (it holds the sample of midnight, which is the old day's last). Newer ones ask for a rebuild.
CREATE TABLE IF NOT EXISTS rolled_days
(
    Day         Date,
    Blocks      Int64,
    Changes     Int64,
    NextBlocks  Int64,
    NextChanges Int64,
    Written     DateTime64(3)
)
ENGINE = ReplacingMergeTree(Written)
ORDER BY Day;
