-- otel_operations: which names each service used on a day, so that lists need not read spans. Namespace is told only of
-- services that do not carry it in their name.
--@ retention traces otel_operations Day

DROP TABLE IF EXISTS otel_traces_by_trace; -- the rows before 0008

DROP TABLE IF EXISTS otel_operations_of_traces;

CREATE TABLE IF NOT EXISTS otel_operations
(
    Day         Date,
    ServiceName LowCardinality(String),
    Namespace   LowCardinality(String),
    SpanName    LowCardinality(String),
    SpanKind    LowCardinality(String),
    Spans       SimpleAggregateFunction(sum, UInt64),
    Errors      SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY Day
ORDER BY (ServiceName, Namespace, SpanName, SpanKind)
SETTINGS ttl_only_drop_parts = 1;

TRUNCATE TABLE otel_operations;

INSERT INTO otel_operations (Day, ServiceName, Namespace, SpanName, SpanKind, Spans, Errors)
SELECT
    toDate(Timestamp) AS Day, ServiceName,
    if(position(ServiceName, '.') > 0, '', multiIf(
        ResourceAttributes['service.namespace'] != '', ResourceAttributes['service.namespace'],
        ResourceAttributes['k8s.namespace.name'] != '', ResourceAttributes['k8s.namespace.name'],
        SpanAttributes['istio.namespace'])) AS Namespace,
    SpanName, SpanKind, count() AS Spans, countIf(StatusCode = 'Error') AS Errors
FROM otel_traces
GROUP BY Day, ServiceName, Namespace, SpanName, SpanKind
SETTINGS max_partitions_per_insert_block = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_operations_of_traces TO otel_operations AS
SELECT
    toDate(Timestamp) AS Day, ServiceName,
    if(position(ServiceName, '.') > 0, '', multiIf(
        ResourceAttributes['service.namespace'] != '', ResourceAttributes['service.namespace'],
        ResourceAttributes['k8s.namespace.name'] != '', ResourceAttributes['k8s.namespace.name'],
        SpanAttributes['istio.namespace'])) AS Namespace,
    SpanName, SpanKind, count() AS Spans, countIf(StatusCode = 'Error') AS Errors
FROM otel_traces
GROUP BY Day, ServiceName, Namespace, SpanName, SpanKind;
