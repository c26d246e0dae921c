-- Codecs of samples, chosen on a day of counters, histogram buckets and gauges: differences of the bits of
-- neighbouring values repeat (counters grow by few distinct steps), which ZSTD finds where Gorilla's packed bits
-- hide it. Parts written before keep their codecs until they merge.

ALTER TABLE samples
    MODIFY COLUMN Time DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    MODIFY COLUMN Value Float64 CODEC(Delta(8), ZSTD(3));
