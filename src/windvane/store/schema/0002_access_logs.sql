-- Access-log entries of the proxies, one row an entry (windvane.signals.envoy_als writes them).
--@ retention access_logs envoy_access_logs Received
--
-- Timestamp is when the request or connection began; Received is when the entry came, so the entries of a
-- connection that lives for days do not age early and an INSERT never spans old partitions. Commit is the
-- sequence number of the group commit: istio_* series are counted over ranges of it.

CREATE TABLE IF NOT EXISTS envoy_access_logs
(
    Timestamp                     DateTime64(9) CODEC(Delta, ZSTD(1)),
    Received                      DateTime64(3) CODEC(Delta, ZSTD(1)),
    Commit                        UInt64 CODEC(Delta, ZSTD(1)),
    NodeId                        LowCardinality(String) CODEC(ZSTD(1)),
    LogName                       LowCardinality(String) CODEC(ZSTD(1)),
    Reporter                      LowCardinality(String) CODEC(ZSTD(1)),
    Kind                          LowCardinality(String) CODEC(ZSTD(1)),
    LogType                       LowCardinality(String) CODEC(ZSTD(1)),
    Intermediate                  UInt8 CODEC(ZSTD(1)),
    StreamId                      String CODEC(ZSTD(1)),
    Protocol                      LowCardinality(String) CODEC(ZSTD(1)),
    HttpVersion                   LowCardinality(String) CODEC(ZSTD(1)),
    Method                        LowCardinality(String) CODEC(ZSTD(1)),
    Scheme                        LowCardinality(String) CODEC(ZSTD(1)),
    Authority                     LowCardinality(String) CODEC(ZSTD(1)),
    Path                          String CODEC(ZSTD(1)),
    RouteName                     LowCardinality(String) CODEC(ZSTD(1)),
    ResponseCode                  UInt16 CODEC(ZSTD(1)),
    ResponseCodeDetails           LowCardinality(String) CODEC(ZSTD(1)),
    ResponseFlags                 LowCardinality(String) CODEC(ZSTD(1)),
    GrpcStatus                    LowCardinality(String) CODEC(ZSTD(1)),
    RequestId                     String CODEC(ZSTD(1)),
    TraceId                       String CODEC(ZSTD(1)),
    UserAgent                     LowCardinality(String) CODEC(ZSTD(1)),
    ForwardedFor                  String CODEC(ZSTD(1)),
    DurationNs                    UInt64 CODEC(ZSTD(1)),
    UpstreamServiceTimeMs         UInt32 CODEC(ZSTD(1)),
    RequestBytes                  UInt64 CODEC(ZSTD(1)),
    ResponseBytes                 UInt64 CODEC(ZSTD(1)),
    BodyReceived                  UInt64 CODEC(ZSTD(1)),
    BodySent                      UInt64 CODEC(ZSTD(1)),
    RequestMessages               UInt64 CODEC(ZSTD(1)),
    ResponseMessages              UInt64 CODEC(ZSTD(1)),
    UpstreamAttempts              UInt32 CODEC(ZSTD(1)),
    UpstreamCluster               LowCardinality(String) CODEC(ZSTD(1)),
    UpstreamHost                  LowCardinality(String) CODEC(ZSTD(1)),
    UpstreamLocalAddress          String CODEC(ZSTD(1)),
    DownstreamLocalAddress        LowCardinality(String) CODEC(ZSTD(1)),
    DownstreamRemoteAddress       String CODEC(ZSTD(1)),
    DownstreamDirectRemoteAddress String CODEC(ZSTD(1)),
    RequestedServerName           LowCardinality(String) CODEC(ZSTD(1)),
    PeerPrincipal                 LowCardinality(String) CODEC(ZSTD(1)),
    LocalPrincipal                LowCardinality(String) CODEC(ZSTD(1)),
    UpstreamPeerPrincipal         LowCardinality(String) CODEC(ZSTD(1)),
    UpstreamFailure               String CODEC(ZSTD(1)),
    DownstreamFailure             String CODEC(ZSTD(1)),
    TerminationDetails            LowCardinality(String) CODEC(ZSTD(1)),
    PeerMetadata                  LowCardinality(String) CODEC(ZSTD(1)),
    RequestHeaders                Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResponseHeaders               Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResponseTrailers              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Tags                          Map(LowCardinality(String), String) CODEC(ZSTD(1)),

    INDEX by_commit Commit TYPE minmax GRANULARITY 1,
    INDEX by_trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_request RequestId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_stream StreamId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Received)
ORDER BY (toStartOfFiveMinutes(Timestamp), NodeId, Timestamp)
SETTINGS ttl_only_drop_parts = 1;
