-- The mesh's configuration over time (windvane.history). It is kept whatever retention says: a version is what
-- all changes up to it come to, and changes are few.

-- A configuration that went live. Hash is of its content, so it comes again when an edit is taken back.
CREATE TABLE IF NOT EXISTS config_versions
(
    Number    UInt32,
    Hash      String,
    Live      DateTime64(3, 'UTC'),
    Services  UInt32,
    Workloads UInt32
)
ENGINE = MergeTree
ORDER BY Number;

-- What a version changed, written before the version itself. Digest is of what the resource means.
CREATE TABLE IF NOT EXISTS config_changes
(
    Number    UInt32,
    Change    LowCardinality(String),
    Kind      LowCardinality(String),
    Namespace LowCardinality(String),
    Name      String,
    File      String,
    Line      UInt32,
    Digest    String,
    Before    String CODEC(ZSTD(3)),
    After     String CODEC(ZSTD(3))
)
ENGINE = MergeTree
ORDER BY (Number, Kind, Namespace, Name);

-- What proxies said to a version: that they have all of it (Type is empty), or that they rejected a type.
CREATE TABLE IF NOT EXISTS config_answers
(
    Number    UInt32,
    Node      String,
    Workload  LowCardinality(String),
    Namespace LowCardinality(String),
    Type      LowCardinality(String),
    Reason    String,
    Answered  DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (Number, Node, Answered);
