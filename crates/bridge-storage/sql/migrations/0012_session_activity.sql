-- What happened in a session besides its responses. Of files that were read before, nothing is known until they are read
-- again: turns is NULL. Each limit is its time, kind and end; each of active_runs a start and an end in units of 15 seconds
-- since 1970. The client library reads no tuples with names.

ALTER TABLE source_files ADD COLUMN IF NOT EXISTS turns Nullable(UInt64) DEFAULT NULL AFTER last_time,
    ADD COLUMN IF NOT EXISTS tool_calls Map(String, UInt64) DEFAULT map() AFTER turns,
    ADD COLUMN IF NOT EXISTS api_errors UInt64 DEFAULT 0 AFTER tool_calls,
    ADD COLUMN IF NOT EXISTS api_retries UInt64 DEFAULT 0 AFTER api_errors,
    ADD COLUMN IF NOT EXISTS limits_hit UInt64 DEFAULT 0 AFTER api_retries,
    ADD COLUMN IF NOT EXISTS limits Array(Tuple(DateTime64(3, 'UTC'), String, Nullable(DateTime64(3, 'UTC'))))
        DEFAULT [] AFTER limits_hit,
    ADD COLUMN IF NOT EXISTS activity_first Nullable(DateTime64(3, 'UTC')) DEFAULT NULL AFTER limits,
    ADD COLUMN IF NOT EXISTS activity_last Nullable(DateTime64(3, 'UTC')) DEFAULT NULL AFTER activity_first,
    ADD COLUMN IF NOT EXISTS active_runs Array(Tuple(UInt32, UInt32)) DEFAULT [] AFTER activity_last,
    ADD COLUMN IF NOT EXISTS session_kind LowCardinality(String) DEFAULT '' AFTER active_runs,
    ADD COLUMN IF NOT EXISTS entrypoint LowCardinality(String) DEFAULT '' AFTER session_kind,
    ADD COLUMN IF NOT EXISTS parent_session String DEFAULT '' AFTER entrypoint,
    ADD COLUMN IF NOT EXISTS subagent_depth UInt8 DEFAULT 0 AFTER parent_session;

-- One row for each session of which something is known. Each file counts once, though it may lie in several places; an
-- interruption up to five minutes belongs to the active time.
CREATE OR REPLACE VIEW session_activity AS
SELECT
    session_id,
    toUInt64(least(sum(toUInt128(counted.1)), toUInt128(18446744073709551615))) AS turns,
    CAST(mapApply((k, v) -> (k, toUInt64(least(v, toUInt128(18446744073709551615)))),
        sumMap(CAST(counted.2, 'Map(String, UInt128)'))), 'Map(String, UInt64)') AS tool_calls,
    toUInt64(least(sum(toUInt128(counted.3)), toUInt128(18446744073709551615))) AS api_errors,
    toUInt64(least(sum(toUInt128(counted.4)), toUInt128(18446744073709551615))) AS api_retries,
    toUInt64(least(sum(toUInt128(counted.5)), toUInt128(18446744073709551615))) AS limits_hit,
    min(first) AS first_time,
    max(last) AS last_time,
    toUInt64(15 * arrayFold((sum, run) -> (
            greatest(sum.1, toUInt64(run.2)),
            toUInt64(sum.2 + greatest(toUInt64(run.2), sum.1) - greatest(toUInt64(run.1), sum.1)
                + if(sum.1 > 0 AND run.1 > sum.1 AND run.1 - sum.1 <= 20, run.1 - sum.1, 0))),
        arraySort(groupArrayArray(runs)), (toUInt64(0), toUInt64(0))).2) AS active_seconds,
    anyIf(counted.6, subagent = '') AS session_kind,
    anyIf(counted.7, subagent = '') AS entrypoint,
    anyIf(counted.8, subagent = '') AS parent_session,
    countIf(subagent != '') AS subagents
FROM (
    SELECT
        session_id,
        if(startsWith(extract(path, '[^/\\\\]*$'), 'agent-'), extract(path, '[^/\\\\]*$'), '') AS subagent,
        argMax((assumeNotNull(turns), tool_calls, api_errors, api_retries, limits_hit, toString(session_kind),
            toString(entrypoint), parent_session),
            (extract(path, '[^/\\\\]*$') = concat(session_id, '.jsonl'), offset, toString(host), path)) AS counted,
        min(activity_first) AS first,
        max(activity_last) AS last,
        groupArrayArray(active_runs) AS runs
    FROM source_files FINAL
    WHERE turns IS NOT NULL
    GROUP BY session_id, subagent
)
GROUP BY session_id;
