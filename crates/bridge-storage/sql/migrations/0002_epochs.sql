-- A row says in which epoch the operation began that wrote it. A table that becomes live by a rollback refuses
-- those of older ones.

ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS epoch UInt32 DEFAULT 0 AFTER run_id;

ALTER TABLE source_files ADD COLUMN IF NOT EXISTS epoch UInt32 DEFAULT 0 AFTER version;

CREATE TABLE IF NOT EXISTS bridge_resumes (
    epoch UInt32,
    resumed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY epoch
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;
