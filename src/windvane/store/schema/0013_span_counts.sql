-- What counting spans as they come needs (windvane.ingest.span_metrics). Commit is the sequence number of the group commit
-- that stored the span; 0 for spans that came before this migration or by another writer. Weight is how many spans a
-- sampled one stands for (windvane.tracing.weights has the same words). Peer is what a client says that it calls, as
-- `database NAME` or `virtual_node NAME`: the names by which Tempo's service graph knows such nodes.

ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS Commit UInt64 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS Weight Float64 MATERIALIZED
        multiIf(position(TraceState, 'th:') > 0 AND extract(TraceState, '(?:^|,)[ \\t]*ot=(?:[^,;]*;)*th:([0-9a-f]{1,14})(?:[;, \\t]|$)') != '', 72057594037927936 / (72057594037927936 - bitShiftRight(reinterpretAsUInt64(reverse(unhex(rightPad(extract(TraceState, '(?:^|,)[ \\t]*ot=(?:[^,;]*;)*th:([0-9a-f]{1,14})(?:[;, \\t]|$)'), 16, '0')))), 8)), SpanAttributes['sampler.type'] = 'probabilistic' AND if(match(SpanAttributes['sampler.param'], '^(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9]{1,3})?$'), toFloat64OrZero(SpanAttributes['sampler.param']), 0) BETWEEN 1.3877787807814457e-17 AND 1, 1 / if(match(SpanAttributes['sampler.param'], '^(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9]{1,3})?$'), toFloat64OrZero(SpanAttributes['sampler.param']), 0), 1.)
        CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS Peer LowCardinality(String) MATERIALIZED multiIf(
        SpanKind NOT IN ('Client', 'Producer')
            OR NOT hasAny(mapKeys(SpanAttributes), ['db.name', 'db.system', 'db.system.name', 'peer.service']), '',
        hasAny(mapKeys(SpanAttributes), ['db.name', 'db.system', 'db.system.name']), concat('database ', multiIf(
            SpanAttributes['peer.service'] != '', SpanAttributes['peer.service'], SpanAttributes['server.address'] != '', SpanAttributes['server.address'],
            SpanAttributes['network.peer.address'] != '', concat(
                SpanAttributes['network.peer.address'], if(SpanAttributes['network.peer.port'] != '', ':', ''),
                SpanAttributes['network.peer.port']),
            SpanAttributes['db.name'] != '', SpanAttributes['db.name'], SpanAttributes['db.namespace'] != '', SpanAttributes['db.namespace'],
            SpanAttributes['db.system'] != '', SpanAttributes['db.system'], SpanAttributes['db.system.name'])),
        concat('virtual_node ', SpanAttributes['peer.service']))
        CODEC(ZSTD(1)),
    ADD INDEX IF NOT EXISTS by_commit Commit TYPE minmax GRANULARITY 1;

-- Spans of the commits that are being counted, with those of their traces that came before; emptied every time.
CREATE TABLE IF NOT EXISTS span_news
(
    Id       UInt64,
    Parent   UInt64,
    Service  LowCardinality(String),
    Name     LowCardinality(String),
    Kind     LowCardinality(String),
    Status   LowCardinality(String),
    Peer     LowCardinality(String),
    Start    Int64,
    Duration UInt64,
    Weight   Float64,
    Fresh    UInt8,
    Copy     UInt64
)
ENGINE = Memory;

-- Calls that these spans make known, with the durations of both sides; those of the service graph have Edge.
CREATE TABLE IF NOT EXISTS span_calls
(
    Parent       LowCardinality(String),
    Child        LowCardinality(String),
    Connection   LowCardinality(String),
    Start        Int64,
    Duration     UInt64,
    Caller       UInt64,
    Weight       Float64,
    Failed       UInt8,
    CallerFailed UInt8,
    Edge         UInt8
)
ENGINE = Memory;

-- Calls of one service by another, in five minutes of the called span's start; see windvane.tracing.dependencies.
-- Not partitioned: an INSERT is one part, whole or not there, and its greatest Commit says what it counted.
--@ retention traces service_links Bucket
CREATE TABLE IF NOT EXISTS service_links
(
    Bucket       DateTime('UTC'),
    Parent       LowCardinality(String),
    Child        LowCardinality(String),
    Connection   LowCardinality(String),
    Commit       SimpleAggregateFunction(max, UInt64),
    Calls        SimpleAggregateFunction(sum, UInt64),
    Errors       SimpleAggregateFunction(sum, UInt64),
    Weight       SimpleAggregateFunction(sum, Float64),
    FailedWeight SimpleAggregateFunction(sum, Float64),
    Sizes        SimpleAggregateFunction(sumMap, Tuple(Array(Int16), Array(Float64)))
)
ENGINE = AggregatingMergeTree
ORDER BY (Bucket, Parent, Child, Connection);
