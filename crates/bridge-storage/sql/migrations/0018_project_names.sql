-- The project that each recorded one counts for, its group, and the repository of a worktree: applied when responses are read,
-- so that a correction needs no transcript.

CREATE TABLE IF NOT EXISTS project_names (
    name String,
    current String,
    project_group String,
    repository String,
    worktree String,
    recorded_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;

-- What the API says of a credit for a declined attempt. Rows that are there get it when their source is read again.
ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS fallback_credit LowCardinality(String) DEFAULT '' AFTER worktree;

-- Each list has an element in front, because empty ones are not permitted. The database computes `transform` for the names in
-- the dictionary of `project`, not for each row.
CREATE OR REPLACE VIEW counted_responses AS
WITH
    (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(current))) FROM project_names FINAL WHERE current != '') AS known_names,
    (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(project_group))) FROM project_names FINAL WHERE project_group != '') AS known_groups,
    (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(worktree))) FROM project_names FINAL WHERE worktree != '') AS known_worktrees
SELECT
    * EXCEPT (key, project, worktree, analysis, version, run_id, epoch, stored_at),
    transform(token_usage.project, known_names.1, known_names.2) AS project,
    transform(token_usage.project, known_groups.1, known_groups.2, '') AS project_group,
    if(token_usage.worktree != '', toString(token_usage.worktree),
        toString(transform(token_usage.project, known_worktrees.1, known_worktrees.2, ''))) AS worktree,
    token_usage.project AS recorded_project,
    canonical_model,
    provider,
    model_route,
    toUInt64(least(toUInt128(input_tokens) + output_tokens + cache_creation_tokens + cache_read_tokens,
        toUInt128(18446744073709551615))) AS total_tokens,
    lower(leftPad(hex(key), 32, '0')) AS response,
    stored_at
FROM token_usage FINAL
WHERE origin NOT IN ('covered', 'analysis');

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
    toUInt64(least(toUInt128(u.reported_input_tokens) + u.reported_output_tokens + u.reported_cache_creation_tokens
        + u.reported_cache_read_tokens, toUInt128(18446744073709551615))) AS calculated_total_tokens,
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
    u.analysis AS analysis,
    u.thinking_tokens AS thinking_tokens,
    u.web_search_requests AS web_search_requests,
    u.web_fetch_requests AS web_fetch_requests,
    mapFilter((name, values) -> notEmpty(values), map(
        'branch', u.branches,
        'client_version', u.client_versions,
        'entrypoint', u.entrypoints,
        'effort', u.efforts,
        'agent_type', u.agent_types,
        'skill', u.skills,
        'plugin', u.plugins,
        'mcp_server', u.mcp_servers,
        'mcp_tool', u.mcp_tools,
        'speed', u.speeds,
        'inference_geo', u.inference_geos,
        'worktree', u.worktrees,
        'project_group', u.project_groups,
        'service_tier', u.service_tiers,
        'fallback_credit', u.fallback_credits,
        'developer', u.developers,
        'team', u.teams)) AS attribution,
    u.labels AS labels
FROM (
    WITH
        (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(current))) FROM project_names FINAL WHERE current != '') AS known_names,
        (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(project_group))) FROM project_names FINAL WHERE project_group != '') AS known_groups,
        (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(worktree))) FROM project_names FINAL WHERE worktree != '') AS known_worktrees
    SELECT
        session_id,
        arraySort(groupUniqArrayIf(toString(transform(project, known_names.1, known_names.2)), project != '')) AS projects,
        arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
        arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
        minIf(time, origin NOT IN ('covered', 'analysis')) AS first_time,
        maxIf(time, origin NOT IN ('covered', 'analysis')) AS last_time,
        toUInt64(least(sum(toUInt128(input_tokens)), toUInt128(18446744073709551615))) AS reported_input_tokens,
        toUInt64(least(sum(toUInt128(output_tokens)), toUInt128(18446744073709551615))) AS reported_output_tokens,
        toUInt64(least(sum(toUInt128(cache_creation_tokens)), toUInt128(18446744073709551615))) AS reported_cache_creation_tokens,
        toUInt64(least(sum(toUInt128(cache_read_tokens)), toUInt128(18446744073709551615))) AS reported_cache_read_tokens,
        countIf(origin NOT IN ('covered', 'analysis')) AS responses,
        countIf(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)
            AS responses_worth_tokens,
        countIf(finished AND bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)
            AS finished_responses,
        arraySort(groupUniqArrayIf(toString(branch), branch != '')) AS branches,
        arraySort(groupUniqArrayIf(toString(client_version), client_version != '')) AS client_versions,
        arraySort(groupUniqArrayIf(toString(entrypoint), entrypoint != '')) AS entrypoints,
        arraySort(groupUniqArrayIf(toString(effort), effort != '')) AS efforts,
        arraySort(groupUniqArrayIf(toString(agent_type), agent_type != '')) AS agent_types,
        arraySort(groupUniqArrayIf(toString(skill), skill != '')) AS skills,
        arraySort(groupUniqArrayIf(toString(plugin), plugin != '')) AS plugins,
        arraySort(groupUniqArrayIf(toString(mcp_server), mcp_server != '')) AS mcp_servers,
        arraySort(groupUniqArrayIf(toString(mcp_tool), mcp_tool != '')) AS mcp_tools,
        arraySort(groupUniqArrayIf(toString(speed), speed != '')) AS speeds,
        arraySort(groupUniqArrayIf(toString(inference_geo), inference_geo != '')) AS inference_geos,
        arraySort(arrayFilter(value -> value != '', groupUniqArray(if(worktree != '', toString(worktree),
            toString(transform(project, known_worktrees.1, known_worktrees.2, '')))))) AS worktrees,
        arraySort(arrayFilter(value -> value != '', groupUniqArray(
            toString(transform(project, known_groups.1, known_groups.2, ''))))) AS project_groups,
        arraySort(groupUniqArrayIf(toString(service_tier), service_tier != '')) AS service_tiers,
        arraySort(groupUniqArrayIf(toString(fallback_credit), fallback_credit != '')) AS fallback_credits,
        arraySort(groupUniqArrayIf(toString(developer), developer != '')) AS developers,
        arraySort(groupUniqArrayIf(toString(team), team != '')) AS teams,
        if(countIf(isNotNull(token_usage.thinking_tokens)) = 0, NULL,
            toUInt64(least(sum(toUInt128(ifNull(token_usage.thinking_tokens, 0))), toUInt128(18446744073709551615)))) AS thinking_tokens,
        if(countIf(isNotNull(token_usage.web_search_requests)) = 0, NULL,
            toUInt64(least(sum(toUInt128(ifNull(token_usage.web_search_requests, 0))), toUInt128(18446744073709551615)))) AS web_search_requests,
        if(countIf(isNotNull(token_usage.web_fetch_requests)) = 0, NULL,
            toUInt64(least(sum(toUInt128(ifNull(token_usage.web_fetch_requests, 0))), toUInt128(18446744073709551615)))) AS web_fetch_requests,
        arraySort(groupUniqArrayArray(arrayMap((name, value) -> (toString(name), value), mapKeys(token_usage.labels), mapValues(token_usage.labels)))) AS labels,
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
        toUInt64(least(sum(toUInt128(lines)), toUInt128(18446744073709551615))) AS lines,
        toUInt64(least(sum(toUInt128(bad_lines)), toUInt128(18446744073709551615))) AS bad_lines,
        CAST(mapApply((k, v) -> (k, toUInt64(least(v, toUInt128(18446744073709551615)))),
            sumMap(CAST(content_categories, 'Map(String, UInt128)'))), 'Map(String, UInt64)') AS content_categories,
        toUInt64(least(sum(toUInt128(snapshot_tokens)), toUInt128(18446744073709551615))) AS snapshot_tokens,
        toString(argMax(analysis_version, (read_at, host, path))) AS analysis_version,
        max(read_at) AS last_sync
    FROM source_files FINAL
    GROUP BY session_id
) AS s ON s.session_id = u.session_id;

-- Each response with its cost in dollars, or the reason why it has none. The same function as bridge_pricing's
-- Catalog::price, to the last digit; a test compares the two. Each lookup is a binary search in a sorted list of integers
-- or a look-up in a small table, so that no join is needed. Each list has an element in front, because empty ones are not
-- permitted, and they are empty while the view is made and before a price list is stored. `project` is the recorded one. In row_problems each reason
-- is a bit, the first that applies is the lowest; it is made of numbers instead of conditions, because the database
-- evaluates branches of conditions for some rows only, which takes several times as long.
CREATE VIEW IF NOT EXISTS token_costs AS
WITH
    (SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(current))) FROM project_names FINAL WHERE current != '') AS known_names,
    (SELECT argMax(toString(digest), (activated_at, digest)) FROM token_prices) AS current_digest,
    (SELECT (arraySort(groupUniqArray(toString(name))), arraySort(groupUniqArray(toString(geography))),
            arraySort(groupUniqArray(period_key)), arraySort(groupUniqArray(period_end)), arraySort(groupUniqArray(size_key)))
        FROM token_prices WHERE digest = current_digest) AS lists,
    (SELECT arrayMap(period -> period.2, arraySort(groupArray((key, modes)))) FROM (
        SELECT period_key AS key, groupBitOr(bitShiftLeft(toUInt64(1), mode)) AS modes
        FROM token_prices WHERE digest = current_digest GROUP BY period_key)) AS period_modes,
    (SELECT arraySort(groupUniqArray((line_key, ifNull(input, 18446744073709551615), ifNull(output, 18446744073709551615),
            ifNull(cache_read, 18446744073709551615), ifNull(cache_write_5m, 18446744073709551615),
            ifNull(cache_write_1h, 18446744073709551615), ifNull(web_search, 18446744073709551615), toUInt64(discount))))
        FROM token_prices WHERE digest = current_digest) AS price_lines,
    (SELECT arraySort(arrayFilter(bound -> bound > 0, arrayDistinct(arrayConcat(lists.3, lists.4))))) AS some_bounds,
    (SELECT arrayMap(bound -> toUInt64(indexOf(lists.3, bound)), some_bounds)) AS some_periods,
    arrayConcat([''], lists.1) AS names,
    arrayConcat([toUInt64(0)], some_bounds) AS bounds,
    arrayConcat([toUInt64(0)], some_periods) AS bound_periods,
    arrayConcat([toUInt64(0)], (SELECT arrayMap(period -> if(period = 0, 0, period_modes[period]), some_periods)))
        AS bound_modes,
    arrayConcat([toUInt64(0)], lists.5) AS sizes,
    arrayConcat([toUInt32(0)], price_lines.1) AS line_keys,
    arrayConcat([toUInt64(0)], price_lines.2) AS inputs,
    arrayConcat([toUInt64(0)], price_lines.3) AS outputs,
    arrayConcat([toUInt64(0)], price_lines.4) AS cache_reads,
    arrayConcat([toUInt64(0)], price_lines.5) AS cache_writes_5m,
    arrayConcat([toUInt64(0)], price_lines.6) AS cache_writes_1h,
    arrayConcat([toUInt64(0)], price_lines.7) AS searches,
    arrayConcat([toUInt64(0)], price_lines.8) AS discounts
SELECT
    * EXCEPT (row_own_name, row_name, row_mode, row_place, row_hour, row_searches, row_bound, row_modes, row_size_key,
        row_line_key, row_input, row_output, row_cache_read, row_cache_write_5m, row_cache_write_1h, row_search, row_list,
        row_worth, row_problems),
    transform(bitAnd(row_problems, -row_problems), [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
        ['', 'no_model', 'unknown_model', 'date', 'speed', 'service_tier', 'geography', 'request_size', 'token_kind',
        'web_search', 'too_large'], '') AS unpriced,
    nullIf(reinterpret(toInt128(row_list * (row_problems = 0)) - (row_problems != 0), 'Decimal(38, 18)'),
        toDecimal128('-0.000000000000000001', 18)) AS list_cost,
    nullIf(reinterpret(toInt128(intDiv(row_list * (row_problems = 0), 1000)
        * (1000 - transform(row_line_key, line_keys, discounts, toUInt64(0)))) - (row_problems != 0), 'Decimal(38, 18)'),
        toDecimal128('-0.000000000000000001', 18)) AS cost,
    ifNull(current_digest, '') AS price_digest,
    transform(project, known_names.1, known_names.2) AS current_project
FROM (
    SELECT
        *,
        transform(model, names, arrayMap(place -> place - 1, arrayEnumerate(names)), 0) AS row_own_name,
        toUInt64(row_own_name + (row_own_name = 0 AND provider = 'anthropic' AND model_route = 'direct')
            * transform(canonical_model, names, arrayMap(place -> place - 1, arrayEnumerate(names)), 0)) AS row_name,
        toUInt8(transform(speed, ['', 'standard', 'fast'], [0, 0, 8], 24) + transform(service_tier,
            ['', 'standard', 'default', 'batch', 'priority', 'fast', 'flex'], [0, 0, 0, 1, 2, 2, 3], 7)) AS row_mode,
        transform(inference_geo, arrayConcat(lists.2, ['global', 'not_available']),
            arrayConcat(arrayEnumerate(lists.2), [1, 1]), 0) AS row_place,
        least(cache_creation_1h_tokens, cache_creation_tokens) AS row_hour,
        ifNull(web_search_requests, 0) AS row_searches,
        roundDown(bitOr(bitShiftLeft(row_name, 44), toUInt64(toUnixTimestamp64Milli(time))), bounds) AS row_bound,
        transform(row_bound, bounds, bound_modes, toUInt64(0)) AS row_modes,
        roundDown(bitOr(bitShiftLeft(transform(row_bound, bounds, bound_periods, toUInt64(0)) * 32 + row_mode, 44),
            least(input_tokens, 4398046511104) + least(cache_creation_tokens, 4398046511104)
                + least(cache_read_tokens, 4398046511104)), sizes) AS row_size_key,
        toUInt32(transform(row_size_key, sizes, arrayMap(place -> toUInt64(place - 1), arrayEnumerate(sizes)), toUInt64(0))
            * 16 + row_place) AS row_line_key,
        transform(row_line_key, line_keys, inputs, toUInt64(0)) AS row_input,
        transform(row_line_key, line_keys, outputs, toUInt64(0)) AS row_output,
        transform(row_line_key, line_keys, cache_reads, toUInt64(0)) AS row_cache_read,
        transform(row_line_key, line_keys, cache_writes_5m, toUInt64(0)) AS row_cache_write_5m,
        transform(row_line_key, line_keys, cache_writes_1h, toUInt64(0)) AS row_cache_write_1h,
        transform(row_line_key, line_keys, searches, toUInt64(0)) AS row_search,
        toUInt128(input_tokens) * row_input + toUInt128(output_tokens) * row_output
            + toUInt128(cache_read_tokens) * row_cache_read
            + toUInt128(cache_creation_tokens - row_hour) * row_cache_write_5m
            + toUInt128(row_hour) * row_cache_write_1h + toUInt128(row_searches) * row_search AS row_list,
        bitOr(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)), row_searches) != 0
            AS row_worth,
        toInt32(row_worth) * (
            (model = '')
            + 2 * (row_name = 0)
            + 4 * (row_modes = 0)
            + 8 * (bitAnd(bitShiftRight(row_modes, bitAnd(row_mode, 24)), 1) = 0)
            + 16 * (bitAnd(bitShiftRight(row_modes, row_mode), 1) = 0)
            + 32 * (transform(row_line_key, line_keys, line_keys, toUInt32(0)) = 0)
            + 64 * bitAnd(origin = 'summed', bitAnd(row_size_key, 17592186044415) > 0)
            + 128 * bitOr(bitOr(bitOr(bitAnd(row_input = 18446744073709551615, input_tokens > 0),
                bitAnd(row_output = 18446744073709551615, output_tokens > 0)),
                bitOr(bitAnd(row_cache_read = 18446744073709551615, cache_read_tokens > 0),
                bitAnd(row_cache_write_5m = 18446744073709551615, cache_creation_tokens > row_hour))),
                bitAnd(row_cache_write_1h = 18446744073709551615, row_hour > 0))
            + 256 * bitAnd(row_search = 18446744073709551615, row_searches > 0)
            + 512 * (row_list > toUInt128('170141183460469231731687303715884105727'))) AS row_problems
    FROM (
        SELECT *, canonical_model, provider, model_route FROM token_usage FINAL WHERE origin NOT IN ('covered', 'analysis')
    )
);
