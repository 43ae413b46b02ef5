-- Rows that are not responses: markers over covered keys, and notes of analyses. The summaries leave out the markers
-- and show the note of an analysis that is newer than the last reading of the sources. Sums of sessions that older
-- versions stored are converted with this migration (old_sums.rs).

ALTER TABLE token_usage MODIFY COLUMN origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4,
        'compaction' = 5, 'declined' = 6, 'other' = 7, 'covered' = 8, 'analysis' = 9),
    ADD COLUMN IF NOT EXISTS analysis String DEFAULT '' AFTER rule_revision;

CREATE OR REPLACE VIEW enhanced_token_summaries AS
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
    u.analysis != '' AND u.analyzed_at >= s.last_sync AS is_analyzed,
    multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'undercount_percentage'),
        u.responses_worth_tokens = 0, 0,
        100 * (1 - u.finished_responses / u.responses_worth_tokens)) AS undercount_percentage,
    if(is_analyzed, JSONExtractUInt(u.analysis, 'files_processed'), s.files) AS files_processed,
    s.lines AS lines,
    s.bad_lines AS bad_lines,
    if(is_analyzed, JSONExtract(u.analysis, 'content_categories', 'Map(String, UInt64)'),
        s.content_categories) AS content_categories,
    s.snapshot_tokens AS snapshot_tokens,
    multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'accuracy_ratio'), s.snapshot_tokens = 0, NULL,
        calculated_total_tokens / s.snapshot_tokens) AS accuracy_ratio,
    if(is_analyzed, JSONExtractString(u.analysis, 'analysis_version'), s.analysis_version)
        AS analysis_version,
    s.last_sync AS last_sync,
    JSONExtractString(u.analysis, 'analysis_id') AS analysis_id,
    if(u.analysis = '', NULL, u.analyzed_at) AS analyzed_at,
    JSONExtractUInt(u.analysis, 'processing_nanos') / 1000000000 AS processing_duration,
    JSONExtractFloat(u.analysis, 'memory_usage_mb') AS memory_usage_mb,
    u.analysis AS analysis
FROM (
    SELECT
        session_id,
        arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
        arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
        arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
        minIf(time, origin NOT IN ('covered', 'analysis')) AS first_time,
        maxIf(time, origin NOT IN ('covered', 'analysis')) AS last_time,
        sum(input_tokens) AS reported_input_tokens,
        sum(output_tokens) AS reported_output_tokens,
        sum(cache_creation_tokens) AS reported_cache_creation_tokens,
        sum(cache_read_tokens) AS reported_cache_read_tokens,
        countIf(origin NOT IN ('covered', 'analysis')) AS responses,
        countIf(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
            AS responses_worth_tokens,
        countIf(finished AND input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
            AS finished_responses,
        anyIf(token_usage.analysis, origin = 'analysis') AS analysis,
        maxIf(time, origin = 'analysis') AS analyzed_at
    FROM token_usage FINAL
    GROUP BY session_id
    HAVING responses > 0
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
