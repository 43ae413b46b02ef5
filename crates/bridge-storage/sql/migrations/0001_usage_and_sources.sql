-- Responses, the state of source files, and summaries of sessions over both.

CREATE TABLE IF NOT EXISTS token_usage (
    key UInt128,
    session_id String,
    time DateTime64(3, 'UTC'),
    model LowCardinality(String),
    project LowCardinality(String),
    host LowCardinality(String),
    agent String,
    service_tier LowCardinality(String),
    input_tokens UInt64,
    output_tokens UInt64,
    cache_creation_tokens UInt64,
    cache_read_tokens UInt64,
    cache_creation_5m_tokens UInt64,
    cache_creation_1h_tokens UInt64,
    finished Bool,
    sidechain Bool,
    nested Bool,
    forked Bool,
    origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4),
    version UInt256,
    run_id UInt128,
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(version) ORDER BY key
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS source_files (
    host LowCardinality(String),
    path String,
    session_id String,
    project LowCardinality(String),
    size UInt64,
    modified DateTime64(3, 'UTC'),
    changed_nanos UInt64,
    identity UInt64,
    fingerprint UInt128,
    offset UInt64,
    line UInt64,
    carried_time Nullable(DateTime64(3, 'UTC')),
    carried_before UInt64,
    lines UInt64,
    bad_lines UInt64,
    bad_usage UInt64,
    oversize_lines UInt64,
    pending_lines UInt64,
    content_categories Map(LowCardinality(String), UInt64),
    snapshots UInt64,
    snapshot_tokens UInt64,
    first_time Nullable(DateTime64(3, 'UTC')),
    last_time Nullable(DateTime64(3, 'UTC')),
    analysis_version LowCardinality(String),
    read_at DateTime64(3, 'UTC'),
    version UInt128
) ENGINE = ReplacingMergeTree(version) ORDER BY (host, path, session_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;

CREATE VIEW IF NOT EXISTS enhanced_token_summaries AS
SELECT
    u.session_id AS session_id,
    u.projects AS projects,
    u.models AS models,
    u.hosts AS hosts,
    u.first_time AS first_time,
    u.last_time AS last_time,
    u.reported_input_tokens AS reported_input_tokens,
    u.reported_output_tokens AS reported_output_tokens,
    u.reported_cache_creation_tokens AS reported_cache_creation_tokens,
    u.reported_cache_read_tokens AS reported_cache_read_tokens,
    u.reported_input_tokens + u.reported_output_tokens + u.reported_cache_creation_tokens
        + u.reported_cache_read_tokens AS calculated_total_tokens,
    u.responses AS responses,
    u.responses_worth_tokens AS responses_worth_tokens,
    u.finished_responses AS finished_responses,
    if(u.responses_worth_tokens = 0, 0,
        100 * (1 - u.finished_responses / u.responses_worth_tokens)) AS undercount_percentage,
    s.files AS files_processed,
    s.lines AS lines,
    s.bad_lines AS bad_lines,
    s.content_categories AS content_categories,
    s.snapshot_tokens AS snapshot_tokens,
    if(s.snapshot_tokens = 0, NULL, calculated_total_tokens / s.snapshot_tokens) AS accuracy_ratio,
    s.analysis_version AS analysis_version,
    s.last_sync AS last_sync
FROM (
    SELECT
        session_id,
        arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
        arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
        arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
        min(time) AS first_time,
        max(time) AS last_time,
        sum(input_tokens) AS reported_input_tokens,
        sum(output_tokens) AS reported_output_tokens,
        sum(cache_creation_tokens) AS reported_cache_creation_tokens,
        sum(cache_read_tokens) AS reported_cache_read_tokens,
        count() AS responses,
        countIf(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
            AS responses_worth_tokens,
        countIf(finished AND input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
            AS finished_responses
    FROM token_usage FINAL
    GROUP BY session_id
) AS u
LEFT JOIN (
    SELECT
        session_id,
        countIf(snapshots > 0) AS files,
        sum(lines) AS lines,
        sum(bad_lines) AS bad_lines,
        CAST(sumMap(content_categories), 'Map(String, UInt64)') AS content_categories,
        sum(snapshot_tokens) AS snapshot_tokens,
        toString(argMax(analysis_version, (read_at, host, path))) AS analysis_version,
        max(read_at) AS last_sync
    FROM source_files FINAL
    GROUP BY session_id
) AS s ON s.session_id = u.session_id;
