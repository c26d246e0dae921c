-- What was odd (windvane.incidents): incidents, the course of their signals, and what the judge has learnt.
--@ retention incidents incidents Opened
--@ retention incidents incident_courses At

-- One row each time an incident changes; the newest Written is what it is. Body is JSON. Ended is 1970 while it goes on.
CREATE TABLE IF NOT EXISTS incidents
(
    Id        String,
    Written   UInt64,
    Opened    DateTime64(3, 'UTC'),
    Started   DateTime64(3, 'UTC'),
    Ended     DateTime64(3, 'UTC'),
    Hidden    UInt8,
    Verdict   LowCardinality(String),
    Services  Array(String),
    Body      String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(Written)
ORDER BY Id;

-- What was seen and expected of the signals of an incident, a row a minute and signal; not a number is unknown.
CREATE TABLE IF NOT EXISTS incident_courses
(
    Id        String,
    Kind      LowCardinality(String),
    Namespace LowCardinality(String),
    Service   LowCardinality(String),
    Detail    String,
    Signal    LowCardinality(String),
    At        DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    Seen      Float32 CODEC(ZSTD(1)),
    Expected  Float32 CODEC(ZSTD(1)),
    Low       Float32 CODEC(ZSTD(1)),
    High      Float32 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(At)
ORDER BY (Id, Kind, Namespace, Service, Detail, Signal, At);

-- What the judge has learnt, in pieces: the newest whole one counts. Two slots take turns, so that one is always whole.
CREATE TABLE IF NOT EXISTS incident_judge
(
    Slot    UInt8,
    Written UInt64,
    Piece   UInt32,
    Pieces  UInt32,
    Learnt  String CODEC(NONE)
)
ENGINE = MergeTree
PARTITION BY Slot
ORDER BY (Written, Piece);
