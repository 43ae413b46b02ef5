-- Price lists, each named by the digest of its catalog. Migration 18 has the view of what each response costs by the one
-- that was activated last.
-- Prices are in 10^-18 dollars for a token or a web search. The keys are what a response is looked up by, see
-- clickhouse/prices/keys.rs.

CREATE TABLE IF NOT EXISTS token_prices (
    digest LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    name LowCardinality(String),
    valid_from DateTime64(3, 'UTC'),
    valid_to Nullable(DateTime64(3, 'UTC')),
    speed LowCardinality(String),
    processing LowCardinality(String),
    above UInt64,
    geography LowCardinality(String),
    input Nullable(UInt64),
    output Nullable(UInt64),
    cache_read Nullable(UInt64),
    cache_write_5m Nullable(UInt64),
    cache_write_1h Nullable(UInt64),
    web_search Nullable(UInt64),
    discount UInt16,
    source String,
    period_key UInt64,
    period_end UInt64,
    mode UInt8,
    size_key UInt64,
    line_key UInt32,
    activated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(activated_at) ORDER BY (digest, line_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;
