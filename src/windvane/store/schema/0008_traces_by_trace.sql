-- Spans in the order of their traces within a minute (ADR 0014): a trace is read from one place, and neighbours share
-- its id and most of what its spans tell, which compresses better than a service's rows did. Maps of merged parts are
-- kept in buckets by key: values of one key lie together, and reading one key reads its bucket alone. The order of a
-- table cannot be altered, so its rows move to a new one.
--@ unless SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'otel_traces' AND startsWith(sorting_key, 'toStartOfMinute')

CREATE TABLE IF NOT EXISTS otel_traces_by_trace
(
    Timestamp          DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    ParentSpanId       String CODEC(ZSTD(1)),
    TraceState         String CODEC(ZSTD(1)),
    SpanName           LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind           LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName        LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    ScopeName          LowCardinality(String) CODEC(ZSTD(1)),
    ScopeVersion       LowCardinality(String) CODEC(ZSTD(1)),
    SpanAttributes     Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    Duration           UInt64 CODEC(ZSTD(1)),
    StatusCode         LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage      String CODEC(ZSTD(1)),
    Events             Nested(
        Timestamp  DateTime64(9),
        Name       LowCardinality(String),
        Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links              Nested(
        TraceId    String,
        SpanId     String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    ScopeAttributes    Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    AttributeTypes     Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
    SearchTokens       Array(String) ALIAS arrayMap(
        (k, v) -> concat(k, '=', multiIf(
            match(v, '^[0-9a-f-]{16,}$'), substring(v, 1, 8), length(v) > 64, substringUTF8(v, 1, 64), v)),
        arrayConcat(
            mapKeys(SpanAttributes), mapKeys(ResourceAttributes), mapKeys(ScopeAttributes),
            arrayFlatten(arrayMap(a -> mapKeys(a), `Events.Attributes`)),
            arrayFlatten(arrayMap(a -> mapKeys(a), `Links.Attributes`))),
        arrayConcat(
            mapValues(SpanAttributes), mapValues(ResourceAttributes), mapValues(ScopeAttributes),
            arrayFlatten(arrayMap(a -> mapValues(a), `Events.Attributes`)),
            arrayFlatten(arrayMap(a -> mapValues(a), `Links.Attributes`)))),
    INDEX trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX service ServiceName TYPE set(0) GRANULARITY 1,
    INDEX duration Duration TYPE minmax GRANULARITY 1,
    INDEX tokens arrayMap(
        (k, v) -> concat(k, '=', multiIf(
            match(v, '^[0-9a-f-]{16,}$'), substring(v, 1, 8), length(v) > 64, substringUTF8(v, 1, 64), v)),
        arrayConcat(
            mapKeys(SpanAttributes), mapKeys(ResourceAttributes), mapKeys(ScopeAttributes),
            arrayFlatten(arrayMap(a -> mapKeys(a), `Events.Attributes`)),
            arrayFlatten(arrayMap(a -> mapKeys(a), `Links.Attributes`))),
        arrayConcat(
            mapValues(SpanAttributes), mapValues(ResourceAttributes), mapValues(ScopeAttributes),
            arrayFlatten(arrayMap(a -> mapValues(a), `Events.Attributes`)),
            arrayFlatten(arrayMap(a -> mapValues(a), `Links.Attributes`)))) 
        TYPE text(tokenizer = 'array', posting_list_codec = 'bitpacking'),
    -- Which names each service used on a day: lists do not read spans. A namespace is told only of services that do
    -- not carry it in their name (windvane.tracing.search asks in these very words).
    PROJECTION operations
    (
        SELECT
            toDate(Timestamp), ServiceName,
            if(position(ServiceName, '.') > 0, '', multiIf(
                notEmpty(ResourceAttributes['service.namespace']), ResourceAttributes['service.namespace'],
                notEmpty(ResourceAttributes['k8s.namespace.name']), ResourceAttributes['k8s.namespace.name'],
                SpanAttributes['istio.namespace'])),
            SpanName, SpanKind, count(), countIf(StatusCode = 'Error')
        GROUP BY
            toDate(Timestamp), ServiceName,
            if(position(ServiceName, '.') > 0, '', multiIf(
                notEmpty(ResourceAttributes['service.namespace']), ResourceAttributes['service.namespace'],
                notEmpty(ResourceAttributes['k8s.namespace.name']), ResourceAttributes['k8s.namespace.name'],
                SpanAttributes['istio.namespace'])),
            SpanName, SpanKind
    )
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfMinute(Timestamp), TraceId)
SETTINGS ttl_only_drop_parts = 1, min_parts_to_merge_at_once = 8,
    map_serialization_version = 'with_buckets', map_serialization_version_for_zero_level_parts = 'basic',
    map_buckets_strategy = 'linear', map_buckets_min_avg_size = 0;

TRUNCATE TABLE otel_traces_by_trace;

INSERT INTO otel_traces_by_trace (
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode,
    StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`,
    `Links.SpanId`, `Links.TraceState`, `Links.Attributes`, ScopeAttributes, AttributeTypes)
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode,
    StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`,
    `Links.SpanId`, `Links.TraceState`, `Links.Attributes`, ScopeAttributes, AttributeTypes
FROM otel_traces
SETTINGS max_partitions_per_insert_block = 0, exclude_materialize_skip_indexes_on_insert = 'tokens';

EXCHANGE TABLES otel_traces AND otel_traces_by_trace;
