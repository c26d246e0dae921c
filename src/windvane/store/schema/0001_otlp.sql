-- Spans and logs in the OpenTelemetry Collector ClickHouse exporter's tables and columns, so that a Collector
-- can write here and anything that speaks SQL can read; plus side columns: AttributeTypes keeps the kinds of values
-- that are not strings (resource.k, scope.k, span.k, log.k, event.N.k, link.N.k, body), ScopeAttributes what the
-- exporter drops.
--
-- Order: newest-first searches read a service's rows backwards; neighbours in time share traces, which also
-- compresses well. The text index of SearchTokens adds 24 bytes a span (bench/ingest.py).
-- Parts are merged eight at once, not two or three: fewer rewrites of the same span.
-- SearchTokens: `key=value` of every attribute, kept only in a text index, made when parts are merged. Hex ids enter
-- with their first 8 characters (whole random ids alone would double the index), long values with their first 64:
-- see windvane.store.tokens.
--@ retention traces otel_traces Timestamp
--@ retention logs otel_logs Timestamp

CREATE TABLE IF NOT EXISTS otel_traces
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
            arrayFlatten(arrayMap(a -> mapValues(a), `Links.Attributes`)))) TYPE text(tokenizer = 'array')
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, Timestamp)
SETTINGS ttl_only_drop_parts = 1, min_parts_to_merge_at_once = 8;

CREATE TABLE IF NOT EXISTS otel_logs
(
    Timestamp          DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    TraceFlags         UInt8 CODEC(ZSTD(1)),
    SeverityText       LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber     UInt8 CODEC(ZSTD(1)),
    ServiceName        LowCardinality(String) CODEC(ZSTD(1)),
    Body               String CODEC(ZSTD(3)),
    ResourceSchemaUrl  LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    ScopeSchemaUrl     LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName          LowCardinality(String) CODEC(ZSTD(1)),
    ScopeVersion       LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes    Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes      Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    EventName          LowCardinality(String) CODEC(ZSTD(1)),
    AttributeTypes     Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
    INDEX trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, Timestamp)
SETTINGS ttl_only_drop_parts = 1, min_parts_to_merge_at_once = 8;
