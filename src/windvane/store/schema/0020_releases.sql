-- States of releases that a server carries out (windvane.rollout.keeper): the newest of each counts, an empty one
-- says that the release is forgotten. Retention says nothing of them: a promoted release must stay so.
CREATE TABLE IF NOT EXISTS release_states
(
    Namespace LowCardinality(String),
    Name      String,
    Kept      DateTime64(3, 'UTC'),
    Number    UInt64,
    State     String CODEC(ZSTD(3))
)
ENGINE = MergeTree
ORDER BY (Namespace, Name, Number);
