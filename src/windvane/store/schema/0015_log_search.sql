-- Logs as they are searched: newest first over all services, by words and by attributes.
--
-- Order: by minute, so the newest or oldest lines of all services lie together. The order of a table cannot be altered,
-- so its rows move to a new one. Every row keeps the number of the insert that brought it and its place in it
-- (_block_number, _block_offset): what pages go on from, and what a tail follows (windvane.tracing.logs).
-- SearchText: what free words are looked for in, in lower case, kept only in a text index of words; SearchTokens as
-- in otel_traces. Both are made when parts are merged.
-- Cut short anywhere, the statements run again from the start and lose nothing.

DROP TABLE IF EXISTS otel_logs_by_time;

CREATE TABLE otel_logs_by_time
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
    SearchText         String ALIAS lowerUTF8(
        concat(Body, '\n', EventName, '\n', arrayStringConcat(mapValues(LogAttributes), '\n'))),
    SearchTokens       Array(String) ALIAS arrayMap(
        (k, v) -> concat(k, '=', multiIf(
            match(v, '^[0-9a-f-]{16,}$'), substring(v, 1, 8), length(v) > 64, substringUTF8(v, 1, 64), v)),
        arrayConcat(mapKeys(LogAttributes), mapKeys(ResourceAttributes), mapKeys(ScopeAttributes)),
        arrayConcat(mapValues(LogAttributes), mapValues(ResourceAttributes), mapValues(ScopeAttributes))),
    INDEX trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX service ServiceName TYPE set(0) GRANULARITY 1,
    INDEX words lowerUTF8(concat(Body, '\n', EventName, '\n', arrayStringConcat(mapValues(LogAttributes), '\n')))
        TYPE text(tokenizer = 'splitByNonAlpha', posting_list_codec = 'bitpacking'),
    INDEX tokens arrayMap(
        (k, v) -> concat(k, '=', multiIf(
            match(v, '^[0-9a-f-]{16,}$'), substring(v, 1, 8), length(v) > 64, substringUTF8(v, 1, 64), v)),
        arrayConcat(mapKeys(LogAttributes), mapKeys(ResourceAttributes), mapKeys(ScopeAttributes)),
        arrayConcat(mapValues(LogAttributes), mapValues(ResourceAttributes), mapValues(ScopeAttributes)))
        TYPE text(tokenizer = 'array', posting_list_codec = 'bitpacking')
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfMinute(Timestamp), ServiceName, Timestamp)
SETTINGS ttl_only_drop_parts = 1, min_parts_to_merge_at_once = 8,
    enable_block_number_column = 1, enable_block_offset_column = 1;

INSERT INTO otel_logs_by_time (
    Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl,
    ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName,
    AttributeTypes)
SELECT
    Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl,
    ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName,
    AttributeTypes
FROM otel_logs
SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES otel_logs AND otel_logs_by_time;

DROP TABLE otel_logs_by_time;

-- The same of access logs, whose order is by time already: words are looked for in what an access-log line says.
ALTER TABLE envoy_access_logs MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

ALTER TABLE envoy_access_logs
    ADD COLUMN IF NOT EXISTS SearchText String ALIAS lowerUTF8(concatWithSeparator('\n',
        Method, Authority, Path, HttpVersion, toString(ResponseCode), ResponseFlags, ResponseCodeDetails,
        TerminationDetails, UpstreamFailure, DownstreamFailure, UserAgent, ForwardedFor, UpstreamHost, UpstreamCluster,
        DownstreamLocalAddress, DownstreamRemoteAddress, RequestedServerName, RouteName, NodeId));

ALTER TABLE envoy_access_logs
    ADD INDEX IF NOT EXISTS words lowerUTF8(concatWithSeparator('\n',
        Method, Authority, Path, HttpVersion, toString(ResponseCode), ResponseFlags, ResponseCodeDetails,
        TerminationDetails, UpstreamFailure, DownstreamFailure, UserAgent, ForwardedFor, UpstreamHost, UpstreamCluster,
        DownstreamLocalAddress, DownstreamRemoteAddress, RequestedServerName, RouteName, NodeId))
        TYPE text(tokenizer = 'splitByNonAlpha', posting_list_codec = 'bitpacking');
