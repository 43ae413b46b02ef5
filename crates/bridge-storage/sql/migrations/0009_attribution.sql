-- Where a response comes from, what it used besides tokens, and the provider's id of its request. Rows that are there get
-- these values when their source is read again.

ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS branch LowCardinality(String) DEFAULT '' AFTER analysis,
    ADD COLUMN IF NOT EXISTS client_version LowCardinality(String) DEFAULT '' AFTER branch,
    ADD COLUMN IF NOT EXISTS entrypoint LowCardinality(String) DEFAULT '' AFTER client_version,
    ADD COLUMN IF NOT EXISTS effort LowCardinality(String) DEFAULT '' AFTER entrypoint,
    ADD COLUMN IF NOT EXISTS agent_type LowCardinality(String) DEFAULT '' AFTER effort,
    ADD COLUMN IF NOT EXISTS skill LowCardinality(String) DEFAULT '' AFTER agent_type,
    ADD COLUMN IF NOT EXISTS plugin LowCardinality(String) DEFAULT '' AFTER skill,
    ADD COLUMN IF NOT EXISTS mcp_server LowCardinality(String) DEFAULT '' AFTER plugin,
    ADD COLUMN IF NOT EXISTS mcp_tool LowCardinality(String) DEFAULT '' AFTER mcp_server,
    ADD COLUMN IF NOT EXISTS speed LowCardinality(String) DEFAULT '' AFTER mcp_tool,
    ADD COLUMN IF NOT EXISTS inference_geo LowCardinality(String) DEFAULT '' AFTER speed,
    ADD COLUMN IF NOT EXISTS thinking_tokens Nullable(UInt64) DEFAULT NULL AFTER inference_geo,
    ADD COLUMN IF NOT EXISTS web_search_requests Nullable(UInt64) DEFAULT NULL AFTER thinking_tokens,
    ADD COLUMN IF NOT EXISTS web_fetch_requests Nullable(UInt64) DEFAULT NULL AFTER web_search_requests,
    ADD COLUMN IF NOT EXISTS request_id String DEFAULT '' AFTER web_fetch_requests;
