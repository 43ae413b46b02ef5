-- Rows and cursors carry the revision of the counting rule that made them; what is there already is of the first.

ALTER TABLE token_usage MODIFY COLUMN origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4,
        'compaction' = 5, 'declined' = 6, 'other' = 7, 'covered' = 8),
    ADD COLUMN IF NOT EXISTS weak_key Bool DEFAULT false AFTER origin,
    ADD COLUMN IF NOT EXISTS rule_revision UInt8 DEFAULT 1 AFTER weak_key;

ALTER TABLE source_files ADD COLUMN IF NOT EXISTS rule_revision UInt8 DEFAULT 1 AFTER analysis_version;
