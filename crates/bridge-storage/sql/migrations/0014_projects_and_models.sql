-- The working tree of a response, and one name for a model whichever way its requests took.

ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS worktree LowCardinality(String) DEFAULT '' AFTER inference_geo;

-- Computed when read, so that a later version can know more names: the same rules as CanonicalModel in the crate
-- bridge-core. A test compares the two. Each function has one column as its argument, because only then does the database
-- evaluate it on the dictionary of `model`, a few names, and not on each row.
ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS canonical_model LowCardinality(String) ALIAS
    replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(model,
        '(?is)^(?:openrouter/|bedrock/(?:converse/|invoke/)?|vertex_ai/|azure_ai/|azure/)?(?:arn:(?:[^:]*:){4}(?:foundation-model/|inference-profile/)?|(?:projects/[^/]*/locations/[^/]*/)?publishers/[^/]*/models/)?(?:(?:[a-z-]+\\.)??(?:qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)[./](.+?)|((?:qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*?)??|o[1-9](?:-.*?)??))(?:-(?:[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}))?(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?$', '\\1\\2'),
        '(?s)^(claude-.+?)(?:-[0-9]{8}|-latest)?(?:-v[0-9]+)?$', '\\1'),
        '^(claude-[^.]*)\\.', '\\1-'), '^(claude-[^.]*)\\.', '\\1-'),
        '(?s)^claude-([4-9](?:-[0-9][0-9]?)?)-([a-z]+)(-.*)?$', 'claude-\\2-\\1\\3'),
    ADD COLUMN IF NOT EXISTS provider LowCardinality(String) ALIAS
    transform(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(lower(model),
        '(?s)^(?:openrouter/|bedrock/(?:converse/|invoke/)?|vertex_ai/|azure_ai/|azure/)?(?:arn:(?:[^:]*:){4}(?:foundation-model/|inference-profile/)?|(?:projects/[^/]*/locations/[^/]*/)?publishers/[^/]*/models/)?(?:(?:[a-z-]+\\.)??(qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)[./])?(.)', '\\1/\\2'),
        '(?s)^[a-z-]*/(?:(qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*)?|(o)[1-9](?:-.*?)??(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', '\\1\\2/'),
        '(?s)^([a-z-]+)/.*$', '\\1'),
        ['', 'qwen', 'qwq', 'qvq', 'alibaba', 'amazon', 'claude', 'anthropic', 'cohere', 'deepseek', 'deepseek-ai', 'gemini', 'gemma', 'google', 'llama', 'meta', 'meta-llama', 'minimax', 'mistral', 'mixtral', 'codestral', 'devstral', 'ministral', 'magistral', 'pixtral', 'mistralai', 'kimi', 'moonshot', 'moonshotai', 'gpt', 'chatgpt', 'codex', 'o', 'openai', 'grok', 'xai', 'x-ai', 'glm', 'zai', 'z-ai', 'zhipu'],
        ['', 'alibaba', 'alibaba', 'alibaba', 'alibaba', 'amazon', 'anthropic', 'anthropic', 'cohere', 'deepseek', 'deepseek', 'google', 'google', 'google', 'meta', 'meta', 'meta', 'minimax', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'moonshot', 'moonshot', 'moonshot', 'openai', 'openai', 'openai', 'openai', 'openai', 'xai', 'xai', 'xai', 'zhipu', 'zhipu', 'zhipu', 'zhipu'],
        'unknown'),
    ADD COLUMN IF NOT EXISTS model_route LowCardinality(String) ALIAS
    transform(replaceRegexpOne(replaceRegexpOne(lower(model),
        '(?s)^(?:(openrouter|bedrock|vertex_ai|azure_ai|azure)/.*|(arn):(?:[^:]*:){4}.*|(?:projects/[^/]*/locations/[^/]*/)?(publishers)/[^/]*/models/.*|(?:[a-z-]+\\.)??(?:qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)([./]).+|.+(@)(?:[0-9]{8}|default|latest)(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', '\\1\\2\\3\\4\\5 form'),
        '(?s)^(?:(?:qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*)?|o[1-9](?:-.*?)??(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', 'direct form'),
        ['', 'openrouter form', 'bedrock form', 'vertex_ai form', 'azure_ai form', 'azure form', 'arn form', 'publishers form', '. form', '/ form', '@ form', 'direct form'],
        ['', 'openrouter', 'bedrock', 'vertex', 'foundry', 'foundry', 'bedrock', 'vertex', 'bedrock', 'openrouter', 'vertex', 'direct'],
        'unknown');

-- With the new columns; those that are computed are not among *.
CREATE OR REPLACE VIEW counted_responses AS
SELECT
    * EXCEPT (key, analysis, version, run_id, epoch, stored_at),
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
        'service_tier', u.service_tiers,
        'developer', u.developers,
        'team', u.teams)) AS attribution,
    u.labels AS labels
FROM (
    SELECT
        session_id,
        arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
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
        arraySort(groupUniqArrayIf(toString(worktree), worktree != '')) AS worktrees,
        arraySort(groupUniqArrayIf(toString(service_tier), service_tier != '')) AS service_tiers,
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
