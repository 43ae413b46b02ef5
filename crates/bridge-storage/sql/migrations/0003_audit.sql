-- What the bridge did, one row an operation.

CREATE TABLE IF NOT EXISTS bridge_audit (
    id UInt128,
    time DateTime64(3, 'UTC'),
    correlation_id String,
    operation LowCardinality(String),
    session_id String,
    outcome LowCardinality(String),
    forced Bool,
    records_stored UInt64,
    new_responses UInt64,
    tokens UInt64,
    tokens_replaced UInt64,
    tokens_written UInt64,
    figures Map(LowCardinality(String), UInt64),
    duration_micros UInt64,
    error_kind LowCardinality(String),
    error String,
    host LowCardinality(String),
    version LowCardinality(String)
) ENGINE = ReplacingMergeTree ORDER BY (time, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;
